package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// explain turns what went wrong with a file into an answer for the operator: what, where,
// and what to do; remedy says it of a damaged one. An error that is such an answer already
// passes as it is.
func explain(err error, file string, remedy func() string) error {
	var known *tokencache.StoreError
	var locked *tokencache.LockedError
	if err == nil || errors.As(err, &known) || errors.As(err, &locked) {
		return err
	}
	e := &tokencache.StoreError{
		File:   file,
		Reason: err.Error(),
		Remedy: "check that its directory exists and is writable",
		Err:    err,
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		e.Reason = path.Op + ": " + path.Err.Error()
		if path.Path != file {
			e.Reason = path.Error()
		}
	}
	switch {
	case errors.Is(err, tokencache.ErrDamaged):
		e.Remedy = remedy()
	case errors.Is(err, tokencache.ErrWrongKey):
		e.Remedy = "add the key that sealed it after the new one (a store that was created without " +
			"encryption_key is sealed by the client secret and by the key in master_key_file): " +
			"`caddy zoho doctor` names the line to write; or connect the account again"
	case caused(err, syscall.ENOSPC), caused(err, syscall.EFBIG):
		e.Remedy = "free space on its disk"
	case caused(err, syscall.EROFS):
		e.Remedy = "mount its disk for writing"
	case errors.Is(err, fs.ErrPermission):
		e.Remedy = permission(file)
	}
	return e
}

// caused reports whether an errno is behind err, also where bbolt kept only its text.
func caused(err error, errno syscall.Errno) bool {
	return errors.Is(err, errno) || strings.HasSuffix(err.Error(), errno.Error())
}

// permission names both users: a file is most often made unreadable by running
// a command as root once. Where not even the file can be looked at, its directory is what is closed.
func permission(file string) string {
	uid, what := os.Getuid(), "it"
	info, err := os.Stat(file)
	if err != nil {
		what = "its directory"
		info, err = os.Stat(filepath.Dir(file))
	}
	if err == nil {
		if of, ok := owner(info); ok {
			return fmt.Sprintf("%s has mode %04o and belongs to user %d, this process is user %d: chown or chmod it",
				what, info.Mode().Perm(), of, uid)
		}
	}
	return fmt.Sprintf("let user %d read and write it and its directory", uid)
}

// closedError is what calls get after Close: somebody has kept a store that a reload to
// another directory has ended.
func closedError(file string) error {
	return &tokencache.StoreError{
		File:   file,
		Reason: "the store was closed",
		Remedy: "use the running configuration's",
		Err:    fs.ErrClosed,
	}
}
