//go:build !((darwin || dragonfly || freebsd || linux || netbsd || openbsd) && !android)

package boltstore

import (
	"os"
	"time"
)

// lockFile leaves locking to bbolt.
func lockFile(*os.File, time.Duration) error { return nil }

// unlockFile leaves unlocking to closing the file.
func unlockFile(*os.File) {}

// owner is not known.
func owner(os.FileInfo) (uid int, ok bool) { return 0, false }
