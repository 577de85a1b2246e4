package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/durable"
	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
)

// A backup is written to a file beside the one that it becomes: FILE is whole, or as it was. What a run leaves there
// that was killed goes with the next one. If that one still ran, it only fails: nobody else has a file of its name.

// backupToFile writes a file that is whole, or not there. An incomplete backup replaces none: the one before may have
// what it lacks. So it is written beside that one.
func backupToFile(cmd *cobra.Command, path string, overwrite bool) (written string, _ *sealed.BackupSummary, code int, err error) {
	target, exists, err := backupTarget(path, overwrite)
	if err != nil {
		return "", nil, exitFailed, err
	}
	dropUnfinished(target)
	file, err := os.CreateTemp(filepath.Dir(target), filepath.Base(target)+unfinished+"*") // exclusive, 0600
	if err != nil {
		return "", nil, exitFailed, err
	}
	defer func() {
		_ = file.Close()
		_ = os.Remove(file.Name())
	}()
	summary, code, err := requestBackup(cmd, file)
	if err != nil {
		return "", nil, code, err
	}
	if summary.Grants == 0 && exists {
		return "", nil, exitFailed, fmt.Errorf("the store holds no grant, so %s is left as it is\n"+
			"hint: if grants are lost, restore this backup; if none is to be kept, remove it", path)
	}
	if summary.Incomplete() > 0 && exists {
		path, target = path+incomplete, target+incomplete
	}
	err = errors.Join(file.Chmod(0o600), file.Sync(), file.Close())
	if err == nil {
		err = place(file.Name(), target, overwrite)
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return "", nil, exitFailed, thereAlready(path)
	case err != nil:
		return "", nil, exitFailed, errUnwritten(err)
	}
	durable.Names(filepath.Dir(target))
	return path, summary, exitOK, nil
}

func errUnwritten(err error) error { return fmt.Errorf("the backup could not be written: %w", err) }

func thereAlready(path string) error {
	return fmt.Errorf("%s is there already\nhint: name another file, or replace it by --overwrite", path)
}

// backupTarget is the file that a path leads to. It is one that may be written, or is not there.
func backupTarget(path string, overwrite bool) (target string, exists bool, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(path); err == nil {
			return "", false, fmt.Errorf("%s is a symbolic link that leads nowhere\nhint: name a file, or remove the link", path)
		}
		return path, false, nil
	}
	switch {
	case err != nil:
		return "", false, err
	case !info.Mode().IsRegular():
		return "", false, fmt.Errorf("%s is no regular file\nhint: name a file, or write to standard output by -", path)
	case !overwrite:
		return "", false, thereAlready(path)
	}
	target, err = filepath.EvalSymlinks(path)
	return target, true, err
}

// incomplete ends the name of a backup that stands beside the one which it does not replace.
const incomplete = ".incomplete"

// unfinished stands between the name of a backup and the number of one that is being written.
const unfinished = ".new-"

// dropUnfinished removes what runs that were killed have left.
func dropUnfinished(target string) {
	files, _ := os.ReadDir(filepath.Dir(target))
	for _, f := range files {
		number, ours := strings.CutPrefix(f.Name(), filepath.Base(target)+unfinished)
		if ours && f.Type().IsRegular() && number != "" && strings.Trim(number, "0123456789") == "" {
			_ = os.Remove(filepath.Join(filepath.Dir(target), f.Name()))
		}
	}
}

// place gives a file its name. Without overwrite it takes nobody else's; where the file system has no links, the name
// is taken by an empty file first.
func place(file, target string, overwrite bool) error {
	if !overwrite {
		err := os.Link(file, target)
		if err == nil || errors.Is(err, fs.ErrExist) {
			return err
		}
		taken, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_ = taken.Close()
	}
	return os.Rename(file, target)
}
