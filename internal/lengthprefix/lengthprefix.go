// Package lengthprefix joins texts so that no two lists of them give the same bytes.
package lengthprefix

import "encoding/binary"

// Join puts each part after its length in four bytes, big endian. Fingerprints of grants and
// the seals of stored records are made of it: it is part of the file format.
func Join(parts ...string) []byte {
	n := 0
	for _, p := range parts {
		n += 4 + len(p)
	}
	b := make([]byte, 0, n)
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}
