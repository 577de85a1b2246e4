package body

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// spool is a folder of our own below that for temporary files, 0700, with files of 0600 that
// last no longer than they are open, even if the process is killed. All processes of a user share
// the folder, so that those which are killed leave no more than one.
type spool struct {
	mu  sync.Mutex
	dir string // "" before the first file
}

// create makes a file. Whoever tidies temporary files may have removed the folder.
func (s *spool) create() (*os.File, error) {
	dir, err := s.folder("")
	if err != nil {
		return nil, err
	}
	file, err := createUnnamed(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	if dir, err = s.folder(dir); err != nil {
		return nil, err
	}
	return createUnnamed(dir)
}

// folder is the folder, another one than that which is gone.
func (s *spool) folder(gone string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir != "" && s.dir != gone {
		return s.dir, nil
	}
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("caddy-zoho-%d", os.Geteuid()))
	if err := os.Mkdir(dir, 0o700); err == nil || errors.Is(err, fs.ErrExist) && isOurs(dir) {
		s.dir = dir
		return dir, nil
	}
	var err error
	s.dir, err = os.MkdirTemp("", "caddy-zoho-")
	return s.dir, err
}

func (s *spool) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir != "" {
		_ = os.Remove(s.dir)
		s.dir = ""
	}
}
