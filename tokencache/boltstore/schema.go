package boltstore

import (
	"errors"
	"fmt"
	"strconv"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// What a file says of itself in bucket "about", see record.go.
//
// A field or a bucket that an older version may ignore without harm needs no other schema:
// "retired" came in that way. The number grows when an older version would
// misread what a newer one has written. It then refuses grants.db, and sets tokens.db
// aside as it does with one that is damaged.
const (
	program = "caddy-zoho"
	schema  = 1 // of both files
)

// identify writes into a new file what it is, and reads it from an old one. Both files are
// of one format, so one that was put in the other's place is noticed by its name; and a
// bbolt file of another program is not written to.
func (f *dbFile) identify(create bool) error {
	var about map[string]string
	empty := true
	err := f.run(false, func(tx *bolt.Tx) error {
		about, empty = readAbout(tx)
		return nil
	})
	if err != nil {
		return err
	}
	if empty && create {
		return f.run(true, writeAbout(f.name))
	}
	version, _ := strconv.Atoi(about["schema"])
	switch {
	case empty:
		return fmt.Errorf("%w: nothing in it", tokencache.ErrDamaged)
	case about["program"] != program:
		return fmt.Errorf("%w: a bbolt file of another program", tokencache.ErrDamaged)
	case about["file"] != f.name:
		return fmt.Errorf("%w: it is a %q", tokencache.ErrDamaged, about["file"])
	case version > schema:
		return &tokencache.StoreError{
			File:   f.path,
			Reason: fmt.Sprintf("written by a newer version (schema %d, this one knows %d)", version, schema),
			Remedy: "run that version again, or put a backup of this one's time in its place",
			Err:    errNewer,
		}
	case version < 1:
		return fmt.Errorf("%w: schema %q", tokencache.ErrDamaged, about["schema"])
	}
	return nil
}

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
