// Package ownership tells whose a file is: whoever owns one can put another in its place.
package ownership

import (
	"fmt"
	"io/fs"
	"os"
)

// Stranger is the user that owns a file and is neither the one of this process nor root. It is false
// where the system does not tell.
func Stranger(info fs.FileInfo) (uid int, strange bool) {
	uid, known := owner(info)
	return uid, known && uid != 0 && uid != os.Geteuid()
}

// Refuse reports whether what belongs to a stranger is not to be used. Root can use whatever there is,
// and in a container often has to, where a folder of the machine's is mounted: it is only told.
func Refuse() bool { return os.Geteuid() != 0 }

// Told says whose a file is, and whose it should be.
func Told(uid int) string {
	return fmt.Sprintf("it belongs to user %d, who can replace it, but Caddy runs as user %d", uid, os.Geteuid())
}

// Remedy says what to do about a path of a stranger's.
func Remedy(path string) string {
	return fmt.Sprintf("run `chown -R %d %s` if you are sure that its contents are yours, or run Caddy as its owner",
		os.Geteuid(), path)
}
