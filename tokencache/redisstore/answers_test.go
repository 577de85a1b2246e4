package redisstore_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/redistest"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/redisstore"
)

// forgetful leads to a Redis. The next request with some words in it is carried out there, and the
// connection ends in place of the answer.
type forgetful struct {
	addr  string
	words atomic.Pointer[string] // nil: none
}

func newForgetful(tb testing.TB, to string) *forgetful {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	f := &forgetful{addr: l.Addr().String()}
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
		if words := f.words.Load(); words != nil && bytes.Contains(b[:n], []byte(*words)) && f.words.CompareAndSwap(words, nil) {
			drop.Store(true)
		}
		if _, err := io.Copy(out, bytes.NewReader(b[:n])); err != nil {
			return
		}
	}
}

// TestLostAnswers: Redis has done what it was asked, and the answer is lost. Nothing hangs, nobody has a
// right or a token twice, no ledger is too low, and the same call again completes it (S-38).
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
				return err == nil && l.Generation == 2
			})
		}},
		"call entered": {":calls", func(s *redisstore.Store) error {
			_, err := s.EnterCall(fp, 10, time.Minute)
			return err
		}, func(t *testing.T, _, other *redisstore.Store) {
			if calls, err := other.LoadLedger(fp); err != nil || len(calls) != 1 {
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
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			f := newForgetful(t, server.Addr)
			s, other := open(t, configOf(f.addr, "p:")), open(t, configOf(server.Addr, "p:"))
			save(t, s, "first") // so that scripts and keys are there
			l, err := s.Lease(key("first"), time.Second)
			_, err2 := s.EnterCall(tokencache.Fingerprint{2}, 10, time.Minute)
			if err := errors.Join(err, err2, s.Save(key("first"), secrets, record(l.Generation))); err != nil {
				t.Fatal(err)
			}
			f.words.Store(&test.words)
			wantError(t, test.call(s), true, "")
			if f.words.Load() != nil {
				t.Fatal("nothing was dropped")
			}
			test.then(t, s, other)
		})
	}
}
