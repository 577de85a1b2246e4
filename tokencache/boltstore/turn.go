package boltstore

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/turn"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// A disk may hang, and nobody can be made to wait for it. Whoever asks a file waits for
// turn.Patience at most (package turn), and is told then that it hangs. When the disk answers
// everything goes on by itself.
//
// Whoever gives up while somebody else has the turn has changed nothing, and will not, unless it was a write
// of tokens.db that whoever has the turn has taken along (writes). Whoever gives up later cannot know: what
// was committed meanwhile stays.
const openPatience = 30 * time.Second // reading a large file through takes a while, and so do many changes at once

// ask is turn.Ask for a file. A file that is used within do is asked in turn.
func ask[T any](f *dbFile, limit time.Duration, do func() (T, error)) (T, error) {
	answer, err := turn.Ask(f.mu, limit, do)
	if errors.Is(err, turn.ErrHung) && !isStoreError(err) {
		err = f.hung()
	}
	return answer, err
}

// askOnly is ask for what returns nothing but an error.
func askOnly(f *dbFile, limit time.Duration, do func() error) error {
	_, err := ask(f, limit, func() (struct{}, error) { return struct{}{}, do() })
	return err
}

// isStoreError reports whether an error names its file: that of another file that is used within
// what was asked.
func isStoreError(err error) bool {
	var known *tokencache.StoreError
	return errors.As(err, &known)
}

// hung is the error of a file that does not answer in time.
func (f *dbFile) hung() error {
	return &tokencache.StoreError{
		File:   f.path,
		Reason: fmt.Sprintf("its disk has not answered for %s", turn.Patience),
		Remedy: "check the disk, or the network to it; what could not be written is " +
			"written when it answers again, without a restart",
		Err: turn.ErrHung,
	}
}
