package zohosim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
)

// How much stays in memory: of one body, and of all files together. Of what goes beyond that only
// the digest is kept.
const (
	maxKept  = 16 << 20
	maxFiles = 256 << 20
)

// A body is what arrived with a request.
type body struct {
	length int64
	sha256 string
	kept   []byte
}

// intake digests what is written to it, and keeps the beginning.
type intake struct {
	hash   hash.Hash
	length int64
	keep   int
	kept   bytes.Buffer
}

func newIntake(keep int) *intake { return &intake{hash: sha256.New(), keep: keep} }

func (in *intake) Write(b []byte) (int, error) {
	in.hash.Write(b)
	in.length += int64(len(b))
	if room := in.keep - in.kept.Len(); room > 0 {
		in.kept.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

func (in *intake) done() body {
	return body{in.length, hex.EncodeToString(in.hash.Sum(nil)), in.kept.Bytes()}
}

// readBody reads all of the body. ok is false if it broke off: then nothing was executed, and there
// is nobody to answer. The answer's header tells what arrived.
func (c *call) readBody() (b body, ok bool) { return c.read(maxKept) }

// digestBody is readBody for who does not care what the body says.
func (c *call) digestBody() (b body, ok bool) { return c.read(0) }

func (c *call) read(keep int) (b body, ok bool) {
	in := newIntake(keep)
	_, err := io.Copy(in, c.r.Body)
	return c.arrived(in, err)
}

func (c *call) arrived(in *intake, err error) (body, bool) {
	b := in.done()
	c.w.Header().Set("X-Sim-Body-Length", strconv.FormatInt(b.length, 10))
	c.w.Header().Set("X-Sim-Body-Sha256", b.sha256)
	if err != nil {
		c.s.count(func(st *Stats) { st.BrokenBodies++ })
	}
	return b, err == nil
}

// file is something uploaded.
type file struct {
	id, name, contentType string
	parent                string // what it is attached to, "" for nothing
	content               body
}

// readUpload reads a body that brings a file: the first part with a file name of a multipart body,
// or the body itself.
func (c *call) readUpload() (f *file, whole body, ok bool) {
	mediaType, params, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	keep, isForm := maxKept, mediaType == "multipart/form-data"
	if isForm {
		keep = 0 // its part is
	}
	in := newIntake(keep)
	through := io.TeeReader(c.r.Body, in)
	if isForm {
		f = readFirstFile(multipart.NewReader(through, params["boundary"]))
	}
	_, err := io.Copy(io.Discard, through)
	whole, ok = c.arrived(in, err)
	if ok && !isForm {
		name := either(c.r.URL.Query().Get("filename"), "upload")
		f = &file{name: name, contentType: c.r.Header.Get("Content-Type"), content: whole}
	}
	return f, whole, ok
}

func readFirstFile(parts *multipart.Reader) *file {
	for {
		part, err := parts.NextPart()
		if err != nil {
			return nil
		}
		if part.FileName() == "" {
			continue
		}
		in := newIntake(maxKept)
		if _, err := io.Copy(in, part); err != nil {
			return nil
		}
		return &file{name: part.FileName(), contentType: part.Header.Get("Content-Type"), content: in.done()}
	}
}

// keep stores an uploaded file.
func (s *Server) keep(f *file, parent string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.id, f.parent = s.newIDLocked(), parent
	if s.filesSize+len(f.content.kept) > maxFiles {
		f.content.kept = nil
	}
	s.filesSize += len(f.content.kept)
	s.files[f.id] = f
}

func (s *Server) file(id string) *file {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[id]
}

func (s *Server) dropFile(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[id]
	if f == nil {
		return false
	}
	s.filesSize -= len(f.content.kept)
	delete(s.files, id)
	return true
}

// filesOf lists what is attached to a record, the oldest first.
func (s *Server) filesOf(parent string) (files []*file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 1; i <= s.lastID; i++ {
		if f := s.files[formatID(i)]; f != nil && f.parent == parent {
			files = append(files, f)
		}
	}
	return files
}

// receipt is what every upload's reply says of what arrived: the whole body, and the file in it.
func receipt(f *file, whole body) map[string]any {
	return map[string]any{
		"id": f.id, "name": f.name, "size": f.content.length,
		"length": whole.length, "sha256": whole.sha256,
		"file_length": f.content.length, "file_sha256": f.content.sha256,
	}
}

// download sends a file, or parts of it to who asks for a range.
func (c *call) download(f *file) {
	header := c.w.Header()
	header.Set("Content-Type", either(f.contentType, "application/octet-stream"))
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.name}))
	if f.content.length > int64(len(f.content.kept)) {
		c.write(Answer{Status: http.StatusInsufficientStorage, ContentType: "text/plain", Body: "the simulator kept only the digest of this file"})
		return
	}
	c.executed("download")
	c.serveContent(f)
}
