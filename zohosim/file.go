package zohosim

import (
	"bytes"
	"cmp"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"time"
)

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
		name := cmp.Or(c.r.URL.Query().Get("filename"), "upload")
		f = &file{name: name, contentType: c.r.Header.Get("Content-Type"), content: whole}
	}
	return f, whole, ok
}

// readFirstFile gives the first part that has a file name, nil if there is none.
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
	header.Set("Content-Type", cmp.Or(f.contentType, "application/octet-stream"))
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.name}))
	if f.content.length > int64(len(f.content.kept)) {
		c.write(Answer{
			Status: http.StatusInsufficientStorage, ContentType: "text/plain",
			Body: "the simulator kept only the digest of this file",
		})
		return
	}
	c.executed("download")
	http.ServeContent(c.w, c.r, f.name, time.Time{}, bytes.NewReader(f.content.kept))
}

// attachment takes /{resource}/{id}/attachments/{file} apart: the record that a file is attached to,
// and the file. Both are "" where the path does not name them, as for files that belong to no record.
func (c *call) attachment(path []string) (parent, file string) {
	if len(path) >= 3 {
		parent = c.key(path[0]) + "/" + path[1]
	}
	return parent, segment(path, 3)
}
