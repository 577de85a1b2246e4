package redisstore

import (
	"errors"
	"sync"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Open connects to Redis, and reads which grants are stored. It has no error: a Redis that
// cannot be had now is asked again every second, and each call says why it fails.
func (s *Store) Open() error {
	if s.open.Load() != nil {
		return nil
	}
	s.deaf.Store(nil)
	server := connect(s.config)
	s.open.Store(server)
	f := &follower{Store: s, server: server, end: make(chan struct{})}
	f.after, _ = f.synchronize()
	var running sync.WaitGroup
	running.Go(f.run)
	s.stop = func() {
		s.open.Store(nil)
		close(f.end)
		_ = server.client.Close()
		running.Wait()
	}
	s.warnings.Unreported() // Concerns has them
	return nil
}

// Close ends the use of the store. Calls that come later are refused until Open.
func (s *Store) Close() error {
	if s.open.Load() != nil {
		s.stop()
	}
	return nil
}

// Check returns what is wrong with the store now, nil if nothing is.
func (s *Store) Check() error { return s.CheckGrants() }

// follower follows what others change.
type follower struct {
	*Store
	server   *server
	end      chan struct{}
	after    string // the entry up to which the changes are known, "" = anything may have changed
	outages  uint64 // of the server, when that was read
	relisted time.Time
}

func (f *follower) run() {
	for {
		select {
		case <-f.end:
			return
		default:
		}
		if f.step() {
			continue
		}
		f.after = ""
		select {
		case <-f.end:
			return
		case <-time.After(followPause):
		}
	}
}

// step reads what was changed. It returns false if changes may have been missed.
func (f *follower) step() (ok bool) {
	if f.after == "" || f.server.count() != f.outages {
		after, err := f.synchronize()
		if err != nil {
			f.noteRefusal(err)
			return false
		}
		f.after = after
		f.watchers.tell(tokencache.Change{})
	}
	entries, gap, err := f.changesAfter(f.after)
	if err != nil {
		f.noteRefusal(err)
		return false
	}
	f.deaf.Store(nil)
	if same, err := f.isSame(); err != nil || !same || gap {
		f.after = "" // at once: who is behind, or at another Redis, looks at all of it
		return err == nil
	}
	for _, entry := range entries {
		f.after = entry.ID
		if change, ok := f.readChange(entry); ok {
			if change.Grant && f.refresh(change.Key) != nil {
				return false
			}
			f.watchers.tell(change)
		}
	}
	return time.Since(f.relisted) < relistPause || f.lookAtLists() == nil
}

// noteRefusal warns if a Redis that can be reached refuses to tell what changed: whoever calls the store may not meet that.
func (f *follower) noteRefusal(err error) {
	var known *tokencache.StoreError
	if f.server.blocked() != nil || !errors.As(err, &known) || errors.Is(err, errCrowded) {
		return
	}
	if f.deaf.Swap(known) == nil {
		f.warnings.Report("changes by other processes are not noticed: %v", known)
	}
}

// synchronize reads all that is followed, and returns from where on changes are news.
func (f *follower) synchronize() (after string, err error) {
	f.outages = f.server.count()
	if err := f.identify(); err != nil {
		return "", err
	}
	f.rings.forgetCurrent() // one that was made just before may be gone
	if after, err = f.endOfChanges(); err != nil {
		return "", err
	}
	f.relisted = time.Now()
	_, err = f.relist(false)
	return after, err
}

// lookAtLists finds changes that nobody could announce.
func (f *follower) lookAtLists() error {
	f.relisted = time.Now()
	changed, err := f.relist(true)
	for _, key := range changed {
		f.watchers.tell(tokencache.Change{Key: key, Grant: true})
	}
	return err
}

// refresh reads a grant anew that somebody has changed.
func (f *follower) refresh(key tokencache.Key) error {
	packed, err := f.get(f.layout.grant(key))
	if err != nil {
		return err
	}
	if packed == "" {
		_, err := f.settleMissing([]tokencache.Key{key})
		return err
	}
	if f.index.kept(key) == "" { // nobody has asked for it here
		packed = ""
	}
	f.index.note(key, packed)
	return nil
}
