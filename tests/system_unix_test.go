//go:build unix

// What tests ask of the system. They run on a Unix, and compile elsewhere.

package tests

import (
	"syscall"
	"testing"
	"time"
)

const (
	sigReload = syscall.SIGUSR1
	sigPause  = syscall.SIGSTOP
	sigResume = syscall.SIGCONT
)

func sendSignal(pid int, s syscall.Signal) error { return syscall.Kill(pid, s) }

func makePipe(path string) error { return syscall.Mkfifo(path, 0o600) }

// asUser has a program run as another user.
func asUser(id uint32) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
}

// openFiles is how many files this process may have open.
func openFiles() (most int, known bool) {
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return int(limit.Cur), err == nil
}

// processorTime is what this process has taken.
func processorTime(tb testing.TB) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
