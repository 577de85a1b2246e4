package tokencache

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	bolt "go.etcd.io/bbolt"
)

// cachedKey is an opened data key and the list of secrets that opened it, so
// that a key is not derived at each call, and not given for another secret.
type cachedKey struct {
	*dataKey
	secrets  [sha256.Size]byte
	complete bool // each secret has a wrap
}

// dataKey returns the client's data key; with secrets that do not open it, a keyError.
func (f *dbFile) dataKey(tx *bolt.Tx, client string, secrets [][]byte) (cachedKey, error) {
	d := digest(secrets)
	if c, ok := f.keys[client]; ok && c.secrets == d {
		return c, nil
	}
	ring, err := readRing(tx, client)
	if err != nil {
		return cachedKey{}, err
	}
	key, err := ring.open(f.name, client, secrets)
	if err != nil {
		return cachedKey{}, err
	}
	c := cachedKey{dataKey: key, secrets: d, complete: ring.complete(secrets)}
	f.made[client] = c
	return c, nil
}

// writeDataKey is dataKey in a transaction that writes: a client's first key is
// made, and missing wraps are added. With replace a key that cannot be opened
// is replaced by a new one.
func (f *dbFile) writeDataKey(tx *bolt.Tx, client string, secrets [][]byte, replace bool) (cachedKey, error) {
	c, err := f.dataKey(tx, client, secrets)
	if err == nil && c.complete {
		return c, nil
	}
	var ring *keyRing
	if err == nil {
		if ring, err = readRing(tx, client); err == nil {
			_, err = ring.add(c.dataKey, f.name, client, secrets)
		}
	} else if replace || errors.Is(err, errNoRing) {
		ring, c.dataKey, err = newDataKey(f.name, client, secrets)
	}
	if err != nil {
		return cachedKey{}, err
	}
	value, err := pack(ring, bucketKeys, client)
	if err != nil {
		return cachedKey{}, err
	}
	b, err := tx.CreateBucketIfNotExists([]byte(bucketKeys))
	if err != nil {
		return cachedKey{}, err
	}
	c = cachedKey{dataKey: c.dataKey, secrets: digest(secrets), complete: true}
	f.made[client] = c
	return c, b.Put([]byte(client), value)
}

var errNoRing = errors.New("no data key")

func readRing(tx *bolt.Tx, client string) (*keyRing, error) {
	b := tx.Bucket([]byte(bucketKeys))
	if b == nil {
		return nil, errNoRing
	}
	value := b.Get([]byte(client))
	if value == nil {
		return nil, errNoRing
	}
	ring := new(keyRing)
	if err := unpack(value, ring, bucketKeys, client); err != nil {
		return nil, fmt.Errorf("data key of client %q: %w", client, err)
	}
	return ring, nil
}

// account returns the value at bucket/client/account, in mapped memory.
func account(tx *bolt.Tx, bucket string, key Key) []byte {
	if b := clientBucket(tx, bucket, key.Client); b != nil {
		return b.Get([]byte(key.Account))
	}
	return nil
}

func clientBucket(tx *bolt.Tx, bucket, client string) *bolt.Bucket {
	if b := tx.Bucket([]byte(bucket)); b != nil {
		return b.Bucket([]byte(client))
	}
	return nil
}

// putAccount packs v and puts it at bucket/client/account.
func putAccount(tx *bolt.Tx, bucket string, key Key, v any) error {
	value, err := pack(v, bucket, key.Client, key.Account)
	if err != nil {
		return err
	}
	b, err := tx.CreateBucketIfNotExists([]byte(bucket))
	if err != nil {
		return err
	}
	if b, err = b.CreateBucketIfNotExists([]byte(key.Client)); err != nil {
		return err
	}
	return b.Put([]byte(key.Account), value)
}

// explain turns what went wrong with the file into an answer for the operator.
func (f *dbFile) explain(err error) error {
	var known *StoreError
	var locked *LockedError
	if err == nil || errors.As(err, &known) || errors.As(err, &locked) {
		return err
	}
	e := &StoreError{File: f.path, Reason: err.Error(), Remedy: "see that its directory exists and can be written", Err: err}
	var path *fs.PathError
	if errors.As(err, &path) {
		e.Reason = path.Op + ": " + path.Err.Error()
		if path.Path != f.path {
			e.Reason = path.Error()
		}
	}
	switch {
	case errors.Is(err, ErrDamaged):
		e.Remedy = f.remedy
	case errors.Is(err, ErrWrongKey):
		e.Remedy = "configure the key that it was sealed by, after the new one (a store that was begun without encryption_key is sealed by the client secret), or forget the client's connections and connect them anew"
	case caused(err, syscall.ENOSPC), caused(err, syscall.EFBIG):
		e.Remedy = "make room on its disk"
	case caused(err, syscall.EROFS):
		e.Remedy = "mount its disk for writing"
	case errors.Is(err, fs.ErrPermission):
		e.Remedy = f.permission()
	}
	return e
}

// caused tells whether an errno is behind err, also where bbolt kept only its text.
func caused(err error, errno syscall.Errno) bool {
	return errors.Is(err, errno) || strings.HasSuffix(err.Error(), errno.Error())
}

// permission names both users: a file is most often made unreadable by running
// a command as root once.
func (f *dbFile) permission() string {
	uid := os.Getuid()
	if info, err := os.Stat(f.path); err == nil {
		if of, ok := owner(info); ok {
			return fmt.Sprintf("it has mode %04o and belongs to user %d, this process is user %d: chown or chmod it", info.Mode().Perm(), of, uid)
		}
	}
	return fmt.Sprintf("let user %d read and write it and its directory", uid)
}

func (f *dbFile) closedError() error {
	return &StoreError{File: f.path, Reason: "the store was closed", Remedy: "use the running configuration's", Err: fs.ErrClosed}
}
