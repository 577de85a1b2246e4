package boltstore

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// cachedKey is an opened data key and the list of secrets that opened it, so
// that a key is not derived at each call, and not given for another secret.
type cachedKey struct {
	*dataKey
	secrets  [sha256.Size]byte
	complete bool // each secret has a wrap
}

// keyName says which data key of a client: the one that seals, or with an id
// one that a grant was sealed by.
type keyName struct{ client, id string }

// dataKey returns a data key; with secrets that do not open it, a keyError. One that was
// opened is remembered with the list of secrets that did it. With another list it is
// opened anew: a secret that was taken out of the configuration opens nothing any more.
func (f *dbFile) dataKey(tx *bolt.Tx, name keyName, secrets [][]byte) (cachedKey, error) {
	d := digest(secrets)
	if c, ok := f.keys[name]; ok && c.secrets == d {
		return c, nil
	}
	ring, err := findRing(tx, name)
	if err != nil {
		return cachedKey{}, err
	}
	key, err := ring.open(f.name, name.client, secrets)
	if err != nil {
		return cachedKey{}, err
	}
	c := cachedKey{dataKey: key, secrets: d, complete: ring.complete(secrets)}
	f.made[name] = c
	return c, nil
}

// writeDataKey is dataKey in a transaction that writes, for the key that seals:
// missing wraps are added. With anew one that cannot be had is replaced: what it has
// sealed is lost then, unless its ring was retired before.
func (f *dbFile) writeDataKey(tx *bolt.Tx, client string, secrets [][]byte, anew bool) (cachedKey, error) {
	name := keyName{client: client}
	c, err := f.dataKey(tx, name, secrets)
	if err == nil {
		return c, f.wrap(tx, name, secrets)
	}
	if !anew {
		return cachedKey{}, err
	}
	ring, key, err := newDataKey(f.name, client, secrets)
	if err != nil {
		return cachedKey{}, err
	}
	c = cachedKey{dataKey: key, secrets: digest(secrets), complete: true}
	f.made[name] = c
	return c, putRing(tx, client, ring)
}

// wrap adds the wraps that a data key lacks.
func (f *dbFile) wrap(tx *bolt.Tx, name keyName, secrets [][]byte) error {
	c, err := f.dataKey(tx, name, secrets)
	if err != nil || c.complete {
		return err
	}
	ring, err := findRing(tx, name)
	if err != nil {
		return err
	}
	if _, err := ring.add(c.dataKey, f.name, name.client, secrets); err != nil {
		return err
	}
	c.complete = true
	f.made[name] = c
	if current, err := readRing(tx, name.client); err == nil && current.ID == ring.ID {
		return putRing(tx, name.client, ring)
	}
	return retire(tx, name.client, ring)
}

// errNoRing: nothing is sealed for the client yet, or its ring was lost. Which of the two it is
// is told by whether there are grants.
var errNoRing = errors.New("no data key")

// findRing is the ring of a data key, wherever it stands.
func findRing(tx *bolt.Tx, name keyName) (*keyRing, error) {
	ring, err := readRing(tx, name.client)
	if name.id == "" || err == nil && ring.ID == name.id {
		return ring, err
	}
	if old := clientBucket(tx, bucketRetired, name.client); old != nil && old.Get([]byte(name.id)) != nil {
		return unpackRing(old.Get([]byte(name.id)), bucketRetired, name.client, name.id)
	}
	if err == nil {
		err = errNoRing
	}
	return nil, err
}

// readRing is the ring of the data key that seals for a client now.
func readRing(tx *bolt.Tx, client string) (*keyRing, error) {
	b := tx.Bucket([]byte(bucketKeys))
	if b == nil || b.Get([]byte(client)) == nil {
		return nil, errNoRing
	}
	return unpackRing(b.Get([]byte(client)), bucketKeys, client)
}

func unpackRing(value []byte, bucket, client string, id ...string) (*keyRing, error) {
	ring := new(keyRing)
	if err := unpack(value, ring, append([]string{bucket, client}, id...)...); err != nil {
		return nil, fmt.Errorf("data key of client %q: %w", client, err)
	}
	return ring, nil
}

// putRing makes a ring the one that seals for a client.
func putRing(tx *bolt.Tx, client string, ring *keyRing) error {
	value, err := pack(ring, bucketKeys, client)
	if err != nil {
		return err
	}
	b, err := tx.CreateBucketIfNotExists([]byte(bucketKeys))
	if err != nil {
		return err
	}
	return b.Put([]byte(client), value)
}

// account returns the value at bucket/client/account, in mapped memory.
func account(tx *bolt.Tx, bucket string, key tokencache.Key) []byte {
	if b := clientBucket(tx, bucket, key.Client); b != nil {
		return b.Get([]byte(key.Account))
	}
	return nil
}

// clientBucket is the bucket of a client below another one, nil if either is missing.
func clientBucket(tx *bolt.Tx, bucket, client string) *bolt.Bucket {
	if b := tx.Bucket([]byte(bucket)); b != nil {
		return b.Bucket([]byte(client))
	}
	return nil
}

// putAccount packs v and puts it at bucket/client/account.
func putAccount(tx *bolt.Tx, bucket string, key tokencache.Key, v any) error {
	return putAt(tx, bucket, key.Client, key.Account, v)
}

// putAt packs v and puts it at bucket/client/name. The checksum covers that place.
func putAt(tx *bolt.Tx, bucket, client, name string, v any) error {
	value, err := pack(v, bucket, client, name)
	if err != nil {
		return err
	}
	b, err := tx.CreateBucketIfNotExists([]byte(bucket))
	if err != nil {
		return err
	}
	if b, err = b.CreateBucketIfNotExists([]byte(client)); err != nil {
		return err
	}
	return b.Put([]byte(name), value)
}

// explain turns what went wrong with the file into an answer for the operator: what, where,
// and what to do. An error that is such an answer already passes as it is.
func (f *dbFile) explain(err error) error {
	var known *tokencache.StoreError
	var locked *tokencache.LockedError
	if err == nil || errors.As(err, &known) || errors.As(err, &locked) {
		return err
	}
	e := &tokencache.StoreError{
		File:   f.path,
		Reason: err.Error(),
		Remedy: "see that its directory exists and can be written",
		Err:    err,
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		e.Reason = path.Op + ": " + path.Err.Error()
		if path.Path != f.path {
			e.Reason = path.Error()
		}
	}
	switch {
	case errors.Is(err, tokencache.ErrDamaged):
		e.Remedy = f.remedy
	case errors.Is(err, tokencache.ErrWrongKey):
		e.Remedy = "configure the key that it was sealed by, after the new one (a store that was begun without " +
			"encryption_key is sealed by the client secret, and by the key in master_key_file): " +
			"`caddy zoho doctor` names the line to write; or connect the account anew"
	case caused(err, syscall.ENOSPC), caused(err, syscall.EFBIG):
		e.Remedy = "make room on its disk"
	case caused(err, syscall.EROFS):
		e.Remedy = "mount its disk for writing"
	case errors.Is(err, fs.ErrPermission):
		e.Remedy = f.permission()
	}
	return e
}

// caused reports whether an errno is behind err, also where bbolt kept only its text.
func caused(err error, errno syscall.Errno) bool {
	return errors.Is(err, errno) || strings.HasSuffix(err.Error(), errno.Error())
}

// permission names both users: a file is most often made unreadable by running
// a command as root once.
func (f *dbFile) permission() string {
	uid := os.Getuid()
	if info, err := os.Stat(f.path); err == nil {
		if of, ok := owner(info); ok {
			return fmt.Sprintf("it has mode %04o and belongs to user %d, this process is user %d: chown or chmod it",
				info.Mode().Perm(), of, uid)
		}
	}
	return fmt.Sprintf("let user %d read and write it and its directory", uid)
}

// closedError is what calls get after Close: somebody has kept a store that a reload to
// another directory has ended.
func (f *dbFile) closedError() error {
	return &tokencache.StoreError{File: f.path, Reason: "the store was closed", Remedy: "use the running configuration's", Err: fs.ErrClosed}
}
