package secret

import (
	"errors"
	"fmt"
	"sync"

	"github.com/caddy-zoho/caddy-zoho/internal/turn"
)

// A file of a secret may be on a disk that hangs. Nobody waits for that longer than turn.Patience.

// file is one that secrets are read from, whoever refers to it.
type file struct {
	path string
	look *turn.Turn // of who looks at the file

	mu   sync.Mutex // guards last
	last string     // what was read last, "" if nothing was
}

// files are all that were ever asked for: as many as configurations have named.
var files sync.Map // path -> *file

func fileAt(path string) *file {
	f, _ := files.LoadOrStore(path, &file{path: path, look: turn.New()})
	return f.(*file)
}

// value is what read reads from the file, or what it read last if the disk hangs.
func (f *file) value(read func() (string, error)) (string, error) {
	value, err := ask(f, read)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err == nil:
		f.last = value
	case errors.Is(err, turn.ErrHung) && f.last != "":
		return f.last, nil
	}
	return value, err
}

// ask has a look at the file, and says so if its disk hangs.
func ask[T any](f *file, look func() (T, error)) (T, error) {
	answer, err := turn.Ask(f.look, turn.Patience, look)
	if errors.Is(err, turn.ErrHung) {
		err = fmt.Errorf("the file %s: its disk has not answered for %s: %w", f.path, turn.Patience, err)
	}
	return answer, err
}
