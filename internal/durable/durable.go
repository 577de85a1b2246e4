// Package durable makes sure that a file is found by its new name after a power cut.
package durable

import (
	"os"
	"runtime"
)

// Names makes new and changed names in a directory durable, where directories can be synced.
func Names(dir string) {
	if runtime.GOOS == "windows" {
		return
	}
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
