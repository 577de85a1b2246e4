package sealed

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/lengthprefix"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const sumSize = 9 // eight hex digits and a blank

// The checksum is CRC-32C of the place, its parts length-prefixed, and of the JSON. It keeps
// nobody from changing a record who wants to; that is what sealing is for. It finds what
// a disk or a hand with an editor has done to what is not sealed, as the count of a grant's
// calls or the wraps of a key, and tells such damage from a wrong key.

// Pack is the stored form of v at a place (bucket and keys).
func Pack(v any, at ...string) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	return append(SumText(text, at...), text...), nil
}

// Unpack reads into v what Pack made for the same place. Its error holds
// nothing of the data.
func Unpack(data []byte, v any, at ...string) error {
	if !Intact(data, at...) {
		return fmt.Errorf("%w: wrong checksum", tokencache.ErrDamaged)
	}
	if err := json.Unmarshal(data[sumSize:], v); err != nil {
		return fmt.Errorf("%w: not the JSON that was written", tokencache.ErrDamaged)
	}
	return nil
}

// Intact reports whether data is as it was written, and where it was written.
func Intact(data []byte, at ...string) bool {
	return len(data) >= sumSize && bytes.Equal(data[:sumSize], SumText(data[sumSize:], at...))
}

func SumText(text []byte, at ...string) []byte {
	sum := crc32.Update(crc32.Checksum(lengthprefix.Join(at...), castagnoli), castagnoli, text)
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], sum)
	return append(hex.AppendEncode(make([]byte, 0, sumSize), b[:]), ' ')
}

// UTC is the form that times are stored in: no monotonic reading, no zone.
func UTC(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.Round(0).UTC()
}
