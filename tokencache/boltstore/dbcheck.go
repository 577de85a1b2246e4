package boltstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// A damaged file must not reach bbolt: following a wrong page number it ends
// the whole process, by a fault in a goroutine of its own or by endless
// recursion, where recover does not help. So the structure is read first,
// without mapping the file. It is laid out, in the machine's byte order, as
//
//	page    id u64 | flags u16 | count u16 | overflow u32 | elements ...
//	meta    magic u32 | version u32 | page size u32 | flags u32 | root u64 | sequence u64 |
//	        freelist u64 | pages in use u64 | transaction u64 | fnv-1a of all before u64
//	branch  pos u32 | key size u32 | page u64
//	leaf    flags u32 | pos u32 | key size u32 | value size u32
//	bucket  root u64 | sequence u64 | inline page, if root is 0   (the value of a leaf element with flag 1)
//	free    id u64 ...                                            (the first one is the count, if count is 0xffff)
//
// Pages 0 and 1 are metas, the newer valid one counts. pos is counted from the
// start of its element.
const (
	pageHeader   = 16
	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10
	bucketFlag   = 0x01
	boltMagic    = 0xED0CDAED
	boltVersion  = 2

	// checkLimit bounds the time that opening takes: of a larger file only the
	// metas and the length are looked at.
	checkLimit = 256 << 20
)

var native = binary.NativeEndian

type boltMeta struct {
	pageSize                    uint32
	root, freelist, pages, txid uint64
}

// checkFile reads the structure of a bbolt file and says what is wrong with it.
// It looks at no values. Its error wraps ErrDamaged.
func checkFile(r io.ReaderAt, size int64) error {
	if err := checkStructure(r, size); err != nil {
		return fmt.Errorf("%w: %v", tokencache.ErrDamaged, err)
	}
	return nil
}

// checkStructure is checkFile in the words of the structure: the metas, what is reachable
// from them, and what is free.
func checkStructure(r io.ReaderAt, size int64) error {
	m, ok := readMetas(r)
	if !ok {
		return fmt.Errorf("neither meta page is valid (%d bytes)", size)
	}
	if m.pages > uint64(size)/uint64(m.pageSize) {
		return fmt.Errorf("truncated: %d bytes where %d pages of %d are in use", size, m.pages, m.pageSize)
	}
	if size > checkLimit {
		return nil
	}
	c := &checker{r: r, meta: m, seen: make([]bool, m.pages)}
	if err := c.tree(m.root, nil, nil); err != nil {
		return err
	}
	return c.free()
}

// readMetas returns the meta that bbolt will go by.
func readMetas(r io.ReaderAt) (m boltMeta, ok bool) {
	m, ok = readMeta(r, 0)
	if ok {
		if other, valid := readMeta(r, int64(m.pageSize)); valid && other.txid > m.txid {
			m = other
		}
		return m, true
	}
	for size := int64(1024); size <= 1<<24; size *= 2 { // as bbolt does: the page size is not known
		if m, ok = readMeta(r, size); ok {
			return m, true
		}
	}
	return boltMeta{}, false
}

// readMeta reads the meta of the page that begins at offset; ok is false unless its checksum
// is right and bbolt of this version has written it.
func readMeta(r io.ReaderAt, offset int64) (boltMeta, bool) {
	b := make([]byte, 64)
	if _, err := r.ReadAt(b, offset+pageHeader); err != nil {
		return boltMeta{}, false
	}
	sum := fnv.New64a()
	_, _ = sum.Write(b[:56])
	m := boltMeta{
		pageSize: native.Uint32(b[8:]),
		root:     native.Uint64(b[16:]),
		freelist: native.Uint64(b[32:]),
		pages:    native.Uint64(b[40:]),
		txid:     native.Uint64(b[48:]),
	}
	valid := native.Uint32(b) == boltMagic && native.Uint32(b[4:]) == boltVersion &&
		native.Uint64(b[56:]) == sum.Sum64() &&
		m.pageSize >= 512 && m.pageSize <= 1<<24 && m.pageSize&(m.pageSize-1) == 0
	return m, valid
}

// checker walks the trees of a file from the root of the newer meta. Each page is seen once:
// that ends any walk, whatever the pages say of each other.
type checker struct {
	r    io.ReaderAt
	meta boltMeta
	seen []bool // pages that are reachable, overflow included: each one only once
}

// page reads a page with its overflow and marks it as seen.
func (c *checker) page(id uint64) ([]byte, error) {
	if id < 2 || id >= c.meta.pages {
		return nil, fmt.Errorf("page %d is out of range", id)
	}
	size := int64(c.meta.pageSize)
	b := make([]byte, size)
	if _, err := c.r.ReadAt(b, int64(id)*size); err != nil {
		return nil, fmt.Errorf("reading page %d: %w", id, err)
	}
	more := uint64(native.Uint32(b[12:]))
	if native.Uint64(b) != id || more >= c.meta.pages-id {
		return nil, fmt.Errorf("page %d is not what it should be", id)
	}
	for p := id; p <= id+more; p++ {
		if c.seen[p] {
			return nil, fmt.Errorf("page %d is in use twice", p)
		}
		c.seen[p] = true
	}
	if more > 0 {
		b = make([]byte, size*int64(1+more))
		if _, err := c.r.ReadAt(b, int64(id)*size); err != nil {
			return nil, fmt.Errorf("reading page %d: %w", id, err)
		}
	}
	return b, nil
}

// tree checks a page and all below it. Keys lie from low up to, not including,
// high; nil is no bound.
func (c *checker) tree(id uint64, low, high []byte) error {
	p, err := c.page(id)
	if err != nil {
		return err
	}
	keys, err := c.elements(p, low, high)
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	if native.Uint16(p[8:]) != branchPage {
		return nil
	}
	for i, key := range keys {
		next := high
		if i+1 < len(keys) {
			next = keys[i+1]
		}
		if err := c.tree(native.Uint64(p[pageHeader+16*i+8:]), key, next); err != nil {
			return err
		}
	}
	return nil
}

// elements checks the elements of a page, and the buckets that a leaf holds.
func (c *checker) elements(p []byte, low, high []byte) (keys [][]byte, err error) {
	kind, count := native.Uint16(p[8:]), int(native.Uint16(p[10:]))
	if kind != branchPage && kind != leafPage || pageHeader+16*count > len(p) || kind == branchPage && count == 0 {
		return nil, fmt.Errorf("neither branch nor leaf")
	}
	keys = make([][]byte, count)
	for i := range keys {
		e := p[pageHeader+16*i:]
		word := func(n int) uint64 { return uint64(native.Uint32(e[4*n:])) }
		flags, pos, klen, vlen := uint64(0), word(0), word(1), uint64(0)
		if kind == leafPage {
			flags, pos, klen, vlen = word(0), word(1), word(2), word(3)
		}
		if pos < 16 || pos+klen+vlen > uint64(len(e)) || flags > bucketFlag {
			return nil, fmt.Errorf("element %d is outside of it", i)
		}
		keys[i] = e[pos : pos+klen]
		tooLow, tooHigh := bytes.Compare(keys[i], low) < 0, high != nil && bytes.Compare(keys[i], high) >= 0
		if tooLow || tooHigh || i > 0 && bytes.Compare(keys[i], keys[i-1]) <= 0 {
			return nil, fmt.Errorf("element %d is out of order", i)
		}
		if flags == bucketFlag {
			if err := c.bucket(e[pos+klen : pos+klen+vlen]); err != nil {
				return nil, fmt.Errorf("bucket %d: %w", i, err)
			}
		}
	}
	return keys, nil
}

// bucket checks the value of an element that is a bucket: a tree of its own, or for a small
// one a page that stands in the value itself.
func (c *checker) bucket(v []byte) error {
	if len(v) < 16 {
		return fmt.Errorf("too short")
	}
	if root := native.Uint64(v); root != 0 {
		return c.tree(root, nil, nil)
	}
	inline := v[16:]
	if len(inline) < pageHeader || native.Uint16(inline[8:]) != leafPage {
		return fmt.Errorf("no inline page")
	}
	_, err := c.elements(inline, nil, nil)
	return err
}

// free checks that no page is both free and in use.
func (c *checker) free() error {
	p, err := c.page(c.meta.freelist)
	if err != nil {
		return fmt.Errorf("free list: %w", err)
	}
	count, ids := uint64(native.Uint16(p[10:])), p[pageHeader:]
	if count == 0xffff {
		count, ids = native.Uint64(ids), ids[8:]
	}
	if native.Uint16(p[8:]) != freelistPage || count > uint64(len(ids)/8) {
		return fmt.Errorf("page %d is not a free list", c.meta.freelist)
	}
	for i := range count {
		id := native.Uint64(ids[8*i:])
		if id < 2 || id >= c.meta.pages || c.seen[id] {
			return fmt.Errorf("free list: page %d is in use or out of range", id)
		}
		c.seen[id] = true
	}
	return nil
}
