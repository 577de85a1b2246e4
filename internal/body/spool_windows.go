package body

import (
	"crypto/rand"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// createUnnamed makes a file that Windows removes when it is closed: an open one keeps its name
// there.
func createUnnamed(dir string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, "body-"+rand.Text()),
		os.O_RDWR|os.O_CREATE|os.O_EXCL|windows.FILE_FLAG_DELETE_ON_CLOSE, 0o600)
}

// isOurs: on Windows each user has a folder for temporary files.
func isOurs(string) bool { return true }

// freeSpace is how many bytes a folder's volume has left for us.
func freeSpace(dir string) (int64, bool) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, false
	}
	var free uint64
	if windows.GetDiskFreeSpaceEx(path, &free, nil, nil) != nil {
		return 0, false
	}
	return int64(free), true
}
