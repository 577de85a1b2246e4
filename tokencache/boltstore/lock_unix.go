//go:build (darwin || dragonfly || freebsd || linux || netbsd || openbsd) && !android

package boltstore

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// lockFile takes the lock that bbolt takes, before anything is read: a file
// that another process is writing must not be mistaken for a damaged one.
// bbolt's own locking of the same open file then succeeds at once.
func lockFile(f *os.File, timeout time.Duration) error {
	for end := time.Now().Add(timeout); ; time.Sleep(25 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return fmt.Errorf("locking: %w", err)
		case time.Now().After(end):
			return &tokencache.LockedError{File: f.Name(), PID: lockHolder(f)}
		}
	}
}

// unlockFile releases the lock although the mapping of the file still holds it open.
func unlockFile(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }

// lockHolder finds in /proc/locks who holds the lock of f, 0 if that cannot be told:
//
//	1: FLOCK  ADVISORY  WRITE 4711 08:01:131074 0 EOF
func lockHolder(f *os.File) int {
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return 0
	}
	defer func() { _ = locks.Close() }()
	inode := ":" + strconv.FormatUint(uint64(stat.Ino), 10)
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 6 && fields[1] == "FLOCK" && fields[3] == "WRITE" && strings.HasSuffix(fields[5], inode) {
			if pid, err := strconv.Atoi(fields[4]); err == nil && pid > 0 {
				return pid
			}
		}
	}
	return 0
}

// owner returns the user id that owns a file, for a message about who may read it.
func owner(info os.FileInfo) (uid int, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}
