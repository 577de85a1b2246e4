package body

import (
	"errors"
	"io"
	"os"
	"sync"
)

// record is a body from its beginning on, as far as it is kept: in memory, or where that is
// not enough in a file.
type record struct {
	share  *share
	chunks [][]byte // what is not in the file, in order; beside a file one, or none
	file   *os.File // nil as long as memory is enough
	filed  int64    // bytes in the file
	size   int64    // bytes in all

	memory, onDisk int64 // taken of the room
	reserved       int64 // of memory, not used yet
}

// Pieces of a body in memory. They are used again: large ones would be cleared and collected
// for every upload.
const (
	smallChunk = 4 << 10
	largeChunk = 64 << 10

	fileStep = 1 << 20 // of the room, at a time
)

var (
	smallChunks = sync.Pool{New: func() any { return new([smallChunk]byte) }}
	largeChunks = sync.Pool{New: func() any { return new([largeChunk]byte) }}
)

func newChunk(size int64) []byte {
	if size == smallChunk {
		return smallChunks.Get().(*[smallChunk]byte)[:0]
	}
	return largeChunks.Get().(*[largeChunk]byte)[:0]
}

func freeChunk(c []byte) {
	if cap(c) == smallChunk {
		smallChunks.Put((*[smallChunk]byte)(c[:smallChunk]))
		return
	}
	largeChunks.Put((*[largeChunk]byte)(c[:largeChunk]))
}

var (
	errTooLarge = errors.New("the body is too large to keep")
	errNoRoom   = errors.New("there is no room for the body")
)

// reserve takes the room for a body, or none of it; of unknown length, -1, that for its
// beginning.
func (k *record) reserve(length int64, l *Limits) error {
	switch {
	case length < 0 && l.Memory > 0 && k.grow(1, false):
		return nil
	case length < 0 && l.File > 0:
		return k.reserveFile(fileStep)
	case length < 0:
		return errNoRoom
	case l.ExceededBy(length):
		return errTooLarge
	case length <= l.Memory && k.reserveMemory(length):
		return nil
	case length > l.File:
		return errNoRoom
	}
	return k.reserveFile(length)
}

func (k *record) reserveMemory(length int64) bool {
	n := int64(smallChunk)
	if length > smallChunk {
		n = (length + largeChunk - 1) / largeChunk * largeChunk
	}
	if !k.share.takeMemory(n) {
		return false
	}
	k.memory, k.reserved = n, n
	return true
}

func (k *record) reserveFile(length int64) error {
	if !k.share.takeFile(length) {
		return errNoRoom
	}
	k.onDisk += length
	return nil
}

// add keeps what comes next.
func (k *record) add(p []byte, l *Limits) error {
	size := k.size + int64(len(p))
	if k.file == nil && k.onDisk == 0 && size <= l.Memory && k.grow(int64(len(p)), false) {
		k.keep(p)
		return nil
	}
	switch {
	case l.ExceededBy(size):
		return errTooLarge
	case size > l.File:
		return errNoRoom
	}
	for k.onDisk < size {
		if err := k.reserveFile(fileStep); err != nil {
			return err
		}
	}
	return k.write(p)
}

// inherit keeps what has to be kept: no limit applies.
func (k *record) inherit(p []byte) error {
	if k.file != nil {
		return k.write(p)
	}
	k.grow(int64(len(p)), true)
	k.keep(p)
	return nil
}

// grow sees to chunks that have room for n bytes more.
func (k *record) grow(n int64, force bool) bool {
	if last := len(k.chunks) - 1; last >= 0 {
		n -= int64(cap(k.chunks[last]) - len(k.chunks[last]))
	}
	for n > 0 {
		size := int64(largeChunk)
		if k.size == 0 && len(k.chunks) == 0 && k.reserved <= smallChunk && n <= smallChunk {
			size = smallChunk
		}
		switch {
		case k.reserved >= size:
			k.reserved -= size
		case k.share.takeMemory(size):
			k.memory += size
		case force:
			k.share.give(-size, 0)
			k.memory += size
		default:
			return false
		}
		k.chunks = append(k.chunks, newChunk(size))
		n -= size
	}
	return true
}

// keep copies into chunks that have room for it.
func (k *record) keep(p []byte) {
	k.size += int64(len(p))
	for i := range k.chunks {
		c := &k.chunks[i]
		n := min(len(p), cap(*c)-len(*c))
		*c = append(*c, p[:n]...)
		p = p[n:]
	}
}

// write goes on in the file, which takes what is in memory first. Small pieces are gathered.
func (k *record) write(p []byte) error {
	if k.file == nil {
		if err := k.moveToFile(); err != nil {
			return err
		}
	}
	k.size += int64(len(p))
	if len(k.chunks) == 0 && (len(p) >= largeChunk/2 || !k.grow(largeChunk, false)) {
		return k.append(p)
	}
	for len(p) > 0 {
		c := &k.chunks[0]
		n := min(len(p), cap(*c)-len(*c))
		*c, p = append(*c, p[:n]...), p[n:]
		if len(*c) < cap(*c) {
			break
		}
		if err := k.append(*c); err != nil {
			return err
		}
		*c = (*c)[:0]
	}
	return nil
}

func (k *record) moveToFile() (err error) {
	if k.file, err = k.share.room.spool.create(); err != nil {
		return err
	}
	for _, c := range k.chunks {
		if err := k.append(c); err != nil {
			return err
		}
	}
	k.freeMemory()
	return nil
}

func (k *record) append(p []byte) error {
	n, err := k.file.WriteAt(p, k.filed)
	k.filed += int64(n)
	k.share.room.written.Add(int64(n))
	return err
}

// readAt gives what is kept from an offset on, which lies below size.
func (k *record) readAt(p []byte, offset int64) (int, error) {
	if offset < k.filed {
		return k.file.ReadAt(p[:min(int64(len(p)), k.filed-offset)], offset)
	}
	offset -= k.filed
	for _, c := range k.chunks {
		if offset < int64(len(c)) {
			return copy(p, c[offset:]), nil
		}
		offset -= int64(len(c))
	}
	return 0, io.ErrUnexpectedEOF
}

func (k *record) freeMemory() {
	for _, c := range k.chunks {
		freeChunk(c)
	}
	k.share.give(k.memory, 0)
	k.chunks, k.memory, k.reserved = nil, 0, 0
}

// free gives everything back.
func (k *record) free() {
	k.freeMemory()
	k.share.give(0, k.onDisk)
	k.share.room.written.Add(-k.filed)
	k.onDisk, k.filed = 0, 0
	if k.file != nil {
		_ = k.file.Close()
		k.file = nil
	}
}
