package zohosim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

// maxKept is how many bytes of a body stay in memory. Of one that is longer only the digest is
// complete.
const maxKept = 16 << 20

// A body is what arrived with a request.
type body struct {
	length int64  // in bytes, all of it
	sha256 string // of all of it, in hex
	kept   []byte // the beginning, as far as it was asked for
}

// intake digests what is written to it, and keeps the beginning.
type intake struct {
	hash   hash.Hash
	length int64
	keep   int
	kept   bytes.Buffer
}

// newIntake keeps the first keep bytes.
func newIntake(keep int) *intake { return &intake{hash: sha256.New(), keep: keep} }

// Write never fails: a body too large to keep is digested all the same.
func (in *intake) Write(b []byte) (int, error) {
	in.hash.Write(b)
	in.length += int64(len(b))
	if room := in.keep - in.kept.Len(); room > 0 {
		in.kept.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

// done gives what was written until now.
func (in *intake) done() body {
	return body{in.length, hex.EncodeToString(in.hash.Sum(nil)), in.kept.Bytes()}
}
