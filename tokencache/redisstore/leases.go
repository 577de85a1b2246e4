package redisstore

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Lease makes the caller the one process that asks for a token of the connection.
func (s *Store) Lease(key tokencache.Key, life time.Duration) (tokencache.Lease, error) {
	id := rand.Text()
	reply, err := s.run(scriptLease, []string{s.layout.lease(key), s.layout.record(key)},
		id, milliseconds(life), s.newest.of(key), recordLife.Milliseconds())
	if err != nil {
		return tokencache.Lease{}, err
	}
	answer, _ := reply.([]any)
	if len(answer) != 2 {
		return tokencache.Lease{}, s.odd(key)
	}
	if whole(answer[0]) == 0 {
		return tokencache.Lease{}, &tokencache.LeasedError{
			Left: max(time.Millisecond, time.Duration(whole(answer[1]))*time.Millisecond),
		}
	}
	return tokencache.Lease{ID: id, Generation: uint64(whole(answer[1]))}, nil
}

// Extend gives a lease another life; ErrLeaseLost if it is not the caller's any more.
func (s *Store) Extend(key tokencache.Key, l tokencache.Lease, life time.Duration) error {
	reply, err := s.run(scriptExtend, []string{s.layout.lease(key)}, l.ID, milliseconds(life))
	if err == nil && whole(reply) == 0 {
		err = fmt.Errorf("%s: %w", key, tokencache.ErrLeaseLost)
	}
	return err
}

// Release ends a lease. One that is not the caller's any more is left alone.
func (s *Store) Release(key tokencache.Key, l tokencache.Lease) error {
	_, err := s.run(scriptRelease, []string{s.layout.lease(key), s.layout.record(key)}, l.ID, l.Generation)
	return err
}

// odd is the error of an answer that no script of ours gives.
func (s *Store) odd(key tokencache.Key) error {
	return &tokencache.StoreError{
		File: s.Name(), Reason: fmt.Sprintf("%s: the answer makes no sense", key), Remedy: faultUnknown.remedy, Err: errRefused,
	}
}

// milliseconds are what Redis counts in; less than one is one.
func milliseconds(d time.Duration) int64 { return max(1, d.Milliseconds()) }
