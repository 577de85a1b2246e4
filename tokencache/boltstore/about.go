package boltstore

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// What a file says of itself in bucket "about", see format.go.
//
// A field or a bucket that an older version may ignore without harm needs no other schema:
// "retired" came in that way. The number grows when an older version would
// misread what a newer one has written. It then refuses grants.db, and sets tokens.db
// aside as it does with one that is damaged.
const (
	program = "caddy-zoho"
	schema  = 1 // of both files
)

// checkAbout refuses a file that is not ours, by what it says of itself. Both files are of
// one format, so one that was put in the other's place is noticed by its name; and a bbolt
// file of another program is not written to.
func checkAbout(about map[string]string, name, path string) error {
	version, _ := strconv.Atoi(about["schema"])
	switch {
	case about["program"] != program:
		return fmt.Errorf("%w: a bbolt file of another program", tokencache.ErrDamaged)
	case about["file"] != name:
		return fmt.Errorf("%w: it is a %q", tokencache.ErrDamaged, about["file"])
	case version > schema:
		return &tokencache.StoreError{
			File:   path,
			Reason: fmt.Sprintf("written by a newer version (schema %d, this one knows %d)", version, schema),
			Remedy: "run that version again, or restore a backup from this version",
			Err:    errNewer,
		}
	case version < 1:
		return fmt.Errorf("%w: schema %q", tokencache.ErrDamaged, about["schema"])
	}
	return nil
}

// errNewer is behind the refusal of a file that a newer version has written.
var errNewer = errors.New("newer schema")

// readAbout is what the file says of itself, and whether there is nothing at all in it, as in
// one that bbolt has just made.
func readAbout(tx *bolt.Tx) (about map[string]string, empty bool) {
	name, _ := tx.Cursor().First()
	about = make(map[string]string)
	if b := tx.Bucket([]byte(bucketAbout)); b != nil {
		for _, k := range []string{"program", "file", "schema"} {
			about[k] = string(b.Get([]byte(k)))
		}
	}
	return about, name == nil
}

// writeAbout is the first transaction of a new file.
func writeAbout(name string) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucketAbout))
		if err != nil {
			return err
		}
		return errors.Join(
			b.Put([]byte("program"), []byte(program)),
			b.Put([]byte("file"), []byte(name)),
			b.Put([]byte("schema"), []byte(strconv.Itoa(schema))))
	}
}

// grantCount is how many grants the file should hold, -1 if it does not say.
func grantCount(tx *bolt.Tx) int {
	if about := tx.Bucket([]byte(bucketAbout)); about != nil {
		if n, err := strconv.Atoi(string(about.Get([]byte(bucketGrants)))); err == nil {
			return n
		}
	}
	return -1
}

// addToCount keeps the count with the change that it counts, in one transaction. From one that
// cannot be read it begins at zero, which inspect takes for damage, rightly.
func addToCount(tx *bolt.Tx, n int) error {
	about, err := tx.CreateBucketIfNotExists([]byte(bucketAbout))
	if err != nil {
		return err
	}
	return about.Put([]byte(bucketGrants), []byte(strconv.Itoa(max(0, grantCount(tx))+n)))
}

// markExisted notes in tokens.db that grants.db exists.
func markExisted(tx *bolt.Tx) error {
	about, err := tx.CreateBucketIfNotExists([]byte(bucketAbout))
	if err != nil || about.Get([]byte(bucketGrants)) != nil {
		return err
	}
	return about.Put([]byte(bucketGrants), []byte(sealed.UTC(time.Now()).Format(time.RFC3339)))
}
