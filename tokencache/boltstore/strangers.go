package boltstore

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/caddy-zoho/caddy-zoho/internal/ownership"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// What is not ours. Whoever owns the folder, or a file in it, can put another one there: a link that has
// us write elsewhere, or grants of his choice. A file with a second name (a hard link) is no reason to
// refuse it: backups make such names, and others cannot make one where only we can write.

// refuseFolder refuses a folder that somebody else owns; one that is not there yet is made by us.
func refuseFolder(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return nil
	}
	return refuseStranger(dir, info)
}

func refuseStranger(path string, info fs.FileInfo) error {
	uid, strange := ownership.Stranger(info)
	if !strange || !ownership.Refuse() {
		return nil
	}
	return &tokencache.StoreError{
		File:   path,
		Reason: ownership.Told(uid),
		Remedy: ownership.Remedy(path),
		Err:    fs.ErrPermission,
	}
}

// linkError is what is wrong with a file that is a symbolic link.
func linkError() error {
	return fmt.Errorf("%w: it is a symbolic link, which the store does not follow; put the file itself there",
		tokencache.ErrDamaged)
}
