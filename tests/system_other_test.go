//go:build !unix

package tests

import (
	"errors"
	"syscall"
	"testing"
	"time"
)

const (
	sigReload syscall.Signal = -iota - 1
	sigPause
	sigResume
)

func sendSignal(int, syscall.Signal) error { return errors.ErrUnsupported }

func makePipe(string) error { return errors.ErrUnsupported }

func asUser(uint32) *syscall.SysProcAttr { return nil }

func openFiles() (most int, known bool) { return 0, false }

func processorTime(tb testing.TB) time.Duration {
	tb.Skip("the processor time of a process is not known here")
	return 0
}
