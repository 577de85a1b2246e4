package zohosim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"strconv"
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

// readBody reads all of the body. ok is false if it broke off: then nothing was executed, and there
// is nobody to answer. The answer's header tells what arrived.
func (c *call) readBody() (b body, ok bool) { return c.read(maxKept) }

// digestBody is readBody for who does not care what the body says.
func (c *call) digestBody() (b body, ok bool) { return c.read(0) }

// read reads the body to its end and keeps the beginning.
func (c *call) read(keep int) (b body, ok bool) {
	in := newIntake(keep)
	_, err := io.Copy(in, c.r.Body)
	return c.arrived(in, err)
}

// arrived tells in the answer's header what arrived, and counts bodies that broke off.
func (c *call) arrived(in *intake, err error) (body, bool) {
	b := in.done()
	c.w.Header().Set("X-Sim-Body-Length", strconv.FormatInt(b.length, 10))
	c.w.Header().Set("X-Sim-Body-Sha256", b.sha256)
	if err != nil {
		c.s.count(func(st *Stats) { st.BrokenBodies++ })
	}
	return b, err == nil
}
