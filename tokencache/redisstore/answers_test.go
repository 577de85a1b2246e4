package redisstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/redistest"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/redisstore"
)

// forgetful leads to a Redis. The next requests with some words in them are carried out there, and the
// connection ends in place of the answer.
type forgetful struct {
	addr  string
	words string
	skip  atomic.Int32 // how many answers come before those
	left  atomic.Int32 // how many answers are to be lost
}

func newForgetful(tb testing.TB, to, words string) *forgetful {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	f := &forgetful{addr: l.Addr().String(), words: words}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(in, to)
		}
	}()
	return f
}

func (f *forgetful) serve(in net.Conn, to string) {
	defer in.Close()
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	var drop atomic.Bool
	go func() {
		defer in.Close()
		defer out.Close()
		b := make([]byte, 64<<10)
		for {
			n, err := out.Read(b)
			if err != nil || drop.Load() {
				return
			}
			if _, err := in.Write(b[:n]); err != nil {
				return
			}
		}
	}()
	b := make([]byte, 64<<10)
	for {
		n, err := in.Read(b)
		if err != nil {
			return
		}
		if bytes.Contains(b[:n], []byte(f.words)) && f.skip.Add(-1) < 0 && f.left.Add(-1) >= 0 {
			drop.Store(true)
		}
		if _, err := io.Copy(out, bytes.NewReader(b[:n])); err != nil {
			return
		}
	}
}

// TestLostAnswers: Redis has done what it was asked, and the answer is lost. Once, that costs nothing: a
// second try finds its own work. After that there is an error, nothing hangs, nobody has a right or a token
// twice, no ledger is too low, and the same call again completes it (S-38).
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	fp := tokencache.Fingerprint{1}
	for name, test := range map[string]struct {
		words string
		call  func(s *redisstore.Store) error
		then  func(t *testing.T, s, other *redisstore.Store)
	}{
		"lease": {":lease", func(s *redisstore.Store) error {
			_, err := s.Lease(key("a"), time.Second)
			return err
		}, func(t *testing.T, _, other *redisstore.Store) {
			_, err := other.Lease(key("a"), time.Second)
			var leased *tokencache.LeasedError
			if !errors.As(err, &leased) {
				t.Fatalf("%v, want it to be somebody's", err)
			}
			waitFor(t, "it lapses", func() bool {
				l, err := other.Lease(key("a"), time.Second)
				return err == nil && l.Generation >= 2
			})
		}},
		"nonce": {":once", func(s *redisstore.Store) error {
			first, err := s.ConsumeNonce("once", time.Now().Add(time.Minute))
			if err == nil && !first {
				return errors.New("it passes for used")
			}
			return err
		}, func(t *testing.T, _, other *redisstore.Store) {
			if first, err := other.ConsumeNonce("once", time.Now().Add(time.Minute)); err != nil || first {
				t.Errorf("%v, %v, want it to be used", first, err)
			}
		}},
		"call entered": {":calls", func(s *redisstore.Store) error {
			_, err := s.EnterCall(fp, 10, time.Minute)
			return err
		}, func(t *testing.T, _, other *redisstore.Store) {
			if calls, err := other.LoadLedger(fp); err != nil || len(calls.Times) != 1 {
				t.Errorf("%v, %v, want one call", calls, err)
			}
		}},
		"record": {":record", func(s *redisstore.Store) error { return s.Save(key("a"), secrets, record(1)) },
			func(t *testing.T, s, other *redisstore.Store) {
				if r, found, err := other.Load(key("a"), secrets); err != nil || !found || r.Token != record(1).Token {
					t.Errorf("%v, %v, %v", r, found, err)
				}
				stranger := record(1)
				stranger.Token = "1000.access.another"
				if err := other.Save(key("a"), secrets, stranger); !errors.Is(err, tokencache.ErrOutdated) {
					t.Errorf("%v, want ErrOutdated", err)
				}
				waitFor(t, "it is saved once more", func() bool { return s.Save(key("a"), secrets, record(1)) == nil })
			}},
		"grant": {"{main/a}:grant", func(s *redisstore.Store) error { return s.SaveGrant(key("a"), secrets, grant("a")) },
			func(t *testing.T, s, other *redisstore.Store) {
				wantGrant(t, other, "a", "a")
				waitFor(t, "it is stored once more", func() bool { return s.SaveGrant(key("a"), secrets, grant("a")) == nil })
				wantGrant(t, s, "a", "a")
			}},
		"many grants": {"{main/b}:grant", func(s *redisstore.Store) error {
			return s.SaveGrants("main", secrets, map[string]tokencache.Grant{"a": grant("a"), "b": grant("b"), "c": grant("c")}, false)
		}, func(t *testing.T, s, other *redisstore.Store) {
			wantGrant(t, other, "a", "a")
			waitFor(t, "they are stored once more", func() bool {
				return s.SaveGrants("main", secrets, map[string]tokencache.Grant{"a": grant("a"), "b": grant("b"), "c": grant("c")}, false) == nil
			})
			for _, account := range []string{"a", "b", "c"} {
				wantGrant(t, other, account, account)
			}
		}},
	} {
		for _, lost := range []int32{1, 2} {
			t.Run(fmt.Sprintf("%s, %d lost", name, lost), func(t *testing.T) {
				t.Parallel()
				server := redistest.Start(t)
				f := newForgetful(t, server.Addr, test.words)
				s, other := open(t, configOf(f.addr, "p:")), open(t, configOf(server.Addr, "p:"))
				save(t, s, "first") // so that scripts and keys are there
				l, err := s.Lease(key("first"), time.Second)
				_, err2 := s.EnterCall(tokencache.Fingerprint{2}, 10, time.Minute)
				if err := errors.Join(err, err2, s.Save(key("first"), secrets, record(l.Generation))); err != nil {
					t.Fatal(err)
				}
				f.left.Store(lost)
				if err := test.call(s); lost == 1 && err != nil {
					t.Error(err)
				} else if lost > 1 {
					wantError(t, err, true, "")
				}
				if f.left.Load() > 0 {
					t.Fatal("nothing was dropped")
				}
				test.then(t, s, other)
			})
		}
	}
}

// TestLostTake: who takes a value away and loses the answer is told that, and not that there was none: it may
// be a grant that nobody else has.
func TestLostTake(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := newForgetful(t, server.Addr, ":taken")
	s, other := open(t, configOf(f.addr, "p:")), open(t, configOf(server.Addr, "p:"))
	for _, name := range []string{"first", "taken"} {
		if err := s.Put("main", name, secrets, []byte("value"), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if value, found, err := s.Take("main", "first", secrets); err != nil || !found || string(value) != "value" {
		t.Fatalf("%q, %v, %v", value, found, err)
	}
	f.skip.Store(1) // what reads it
	f.left.Store(1)
	_, _, err := s.Take("main", "taken", secrets)
	wantError(t, err, true, "")
	if _, found, err := other.Get("main", "taken", secrets); err != nil || found {
		t.Errorf("it is there still: %v, %v", found, err)
	}
}
