// Package masterkey keeps a random key in a file of its own. The key also
// wraps the data keys of the store, so that the store still opens after somebody has
// replaced the client secret in Zoho's console.
package masterkey

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/caddy-zoho/caddy-zoho/internal/durable"
	"github.com/caddy-zoho/caddy-zoho/internal/ownership"
	"github.com/caddy-zoho/caddy-zoho/internal/turn"
)

const (
	keySize  = 32
	shortest = 16   // characters: less is no key, but what is left of one
	longest  = 4096 // bytes of the file
)

// File is a key in a file: printable, alone on its line, so that it can be kept and
// configured like any other secret. Safe for concurrent use.
type File struct {
	path string
	look *turn.Turn // of who looks at the file

	mu   sync.Mutex  // guards all below
	seen fs.FileInfo // what was read last
	key  []byte
}

// New names a file. It reads and makes nothing.
func New(path string) *File { return &File{path: path, look: turn.New()} }

// Path is where the key is.
func (f *File) Path() string { return f.path }

// Key is the key, nil if there is none. One that was read once goes on opening when its
// file is gone, cannot be read any more, or is on a disk that hangs; the error tells so.
func (f *File) Key() ([]byte, error) {
	_, err := turn.Ask(f.look, turn.Patience, func() (struct{}, error) { return struct{}{}, f.refresh() })
	if errors.Is(err, turn.ErrHung) {
		err = fmt.Errorf("%s: its disk has not answered for %s", f.path, turn.Patience)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.key, err
}

// refresh reads the file if it is another one than before.
func (f *File) refresh() error {
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil || f.same(info):
		return err
	}
	key, err := f.read(info)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.key, f.seen = key, info
	return nil
}

func (f *File) same(info fs.FileInfo) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen != nil && os.SameFile(f.seen, info) && f.seen.Size() == info.Size() &&
		f.seen.ModTime().Equal(info.ModTime())
}

func (f *File) read(info fs.FileInfo) ([]byte, error) {
	switch {
	case info.IsDir():
		return nil, fmt.Errorf("%s is a directory", f.path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", f.path)
	case info.Size() == 0:
		return nil, fmt.Errorf("%s is empty", f.path)
	}
	if uid, strange := ownership.Stranger(info); strange && ownership.Refuse() {
		return nil, fmt.Errorf("%s: %s: %s", f.path, ownership.Told(uid), ownership.Remedy(f.path))
	}
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%s cannot be read by this process: let user %d read it", f.path, os.Getuid())
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, longest+1))
	if err != nil {
		return nil, err
	}
	key := bytes.TrimSpace(text)
	if len(key) < shortest || len(text) > longest ||
		bytes.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fmt.Errorf("%s has no key: a key is at least %d printable characters on one line", f.path, shortest)
	}
	return key, nil
}

// Make makes the key. It is on the disk when Make returns; one that is there already, or
// that another process makes at the same time, is left alone.
func (f *File) Make() error {
	dir := filepath.Dir(f.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	raw := make([]byte, keySize)
	_, _ = rand.Read(raw) // never fails
	text := base64.StdEncoding.AppendEncode(nil, raw)
	err := f.link(dir, append(text, '\n'))
	if errors.Is(err, fs.ErrExist) {
		if _, err = os.Stat(f.path); err != nil {
			return fmt.Errorf("%s is a broken symbolic link", f.path)
		}
	}
	durable.Names(dir)
	return err
}

// link gives the file its name when it is whole: nobody ever reads half a key.
func (f *File) link(dir string, text []byte) error {
	tmp, err := os.CreateTemp(dir, filepath.Base(f.path)+".new-*") // exclusive, 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if err := write(tmp, text); err != nil {
		return err
	}
	err = os.Link(tmp.Name(), f.path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	return f.create(text) // a file system without links
}

func (f *File) create(text []byte) error {
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := write(file, text); err != nil {
		return errors.Join(err, os.Remove(f.path))
	}
	return nil
}

func write(file *os.File, text []byte) error {
	_, err := file.Write(text)
	return errors.Join(err, file.Chmod(0o600), file.Sync(), file.Close())
}
