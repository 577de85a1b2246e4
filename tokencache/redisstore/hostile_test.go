package redisstore_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/redistest"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/redisstore"
)

// everyCall makes each call that asks Redis, by name.
func everyCall(s *redisstore.Store) map[string]error {
	errs := make(map[string]error)
	note := func(name string, err error) { errs[name] = err }
	fp := tokencache.Fingerprint{1}
	_, _, err := s.LoadGrant(key("a"), secrets)
	note("LoadGrant", err)
	_, _, err = s.Load(key("a"), secrets)
	note("Load", err)
	note("Save", s.Save(key("a"), secrets, record(1)))
	l, err := s.Lease(key("a"), time.Second)
	note("Lease", err)
	note("Extend", s.Extend(key("a"), l, time.Second))
	note("Release", s.Release(key("a"), l))
	e, err := s.EnterCall(fp, 10, time.Minute)
	note("EnterCall", err)
	note("CompleteCall", s.CompleteCall(fp, e.ID, true))
	_, err = s.LoadLedger(fp)
	note("LoadLedger", err)
	_, err = s.Deleted()
	note("Deleted", err)
	note("SaveGrant", s.SaveGrant(key("b"), secrets, grant("b")))
	note("CheckGrants", s.CheckGrants())
	_, err = s.Dump()
	note("Dump", err)
	_, _, err = s.Get("main", "state", secrets)
	note("Get", err)
	_, err = s.NonceConsumed("nonce")
	note("NonceConsumed", err)
	_ = s.Accounts("main")
	_ = s.Concerns()
	return errs
}

// wantNamed wants each error to be a *tokencache.StoreError that shows no secret, and one of them, or of
// the warnings, to name a key.
func wantNamed(tb testing.TB, s *redisstore.Store, errs map[string]error, name string) {
	tb.Helper()
	told := s.UnreportedWarnings()
	for call, err := range errs {
		if err == nil || errors.Is(err, tokencache.ErrLeaseLost) || errors.Is(err, tokencache.ErrOutdated) {
			continue
		}
		var known *tokencache.StoreError
		if !errors.As(err, &known) {
			tb.Errorf("%s: %v, want a *StoreError", call, err)
		}
		told = append(told, call+": "+err.Error())
	}
	text := strings.Join(told, "\n")
	if !strings.Contains(text, name) {
		tb.Errorf("%s is not named in:\n%s", name, text)
	}
	if strings.Contains(text, "1000.secret") {
		tb.Errorf("what is there is shown:\n%s", text)
	}
}

// TestStrangeValues: at each of our keys is another kind of value. What is there is told by its key and
// stays, nothing panics or hangs, and no grant becomes "none" (S-56).
func TestStrangeValues(t *testing.T) {
	t.Parallel()
	fp := tokencache.Fingerprint{1}.String()
	for _, at := range []string{
		"about", "clients", "changes", "accounts:main", "deletions:main", "keys:grants:main", "keys:tokens:main", "{main/a}:grant",
		"{main/a}:record", "{main/a}:lease", "pending:main:state", "{" + fp + "}:calls", "{" + fp + "}:window",
	} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			first := open(t, configOf(server.Addr, "p:"))
			save(t, first, "a")
			if err := errors.Join(first.DeleteGrant(key("none")), first.Save(key("a"), secrets, record(1)), first.Close()); err != nil {
				t.Fatal(err)
			}
			server.CLI("DEL", "p:"+at)
			server.CLI("RPUSH", "p:"+at, "1000.secret")
			s := open(t, configOf(server.Addr, "p:"))
			errs := everyCall(s)
			switch {
			case strings.HasSuffix(at, "lease"): // one without an end is nobody's
				for call, err := range errs {
					if err != nil {
						t.Errorf("%s: %v", call, err)
					}
				}
				return
			case at == "changes":
				waitFor(t, "a concern names it", func() bool { return strings.Contains(fmt.Sprint(s.Concerns()), "p:changes") })
			default:
				wantNamed(t, s, errs, "p:"+at)
			}
			if got := server.CLI("TYPE", "p:"+at); got != "list" {
				t.Errorf("what was there is replaced by a %s", got)
			}
			if _, found, err := s.LoadGrant(key("a"), secrets); strings.Contains(at, "grant") && (found || err == nil) {
				t.Errorf("%v, %v", found, err)
			}
		})
	}
}

// TestHugeValues: a value of 64 MB at each of our keys is refused as such, costs no memory, and Redis is
// used on for the rest (S-56).
func TestHugeValues(t *testing.T) {
	server := redistest.Start(t)
	first := open(t, configOf(server.Addr, "p:"))
	save(t, first, "a", "b")
	if err := first.Save(key("a"), secrets, record(1)); err != nil {
		t.Fatal(err)
	}
	const size = "67108864"
	huge := func(at string) {
		server.CLI("DEL", "p:"+at)
		server.CLI("SETRANGE", "p:"+at, size, "x")
	}
	huge("{main/a}:grant")
	huge("pending:main:state")
	server.CLI("EVAL", `redis.call('HSET', KEYS[1], 'record', string.rep('x', `+size+`))`, "1", "p:{main/a}:record")
	s := open(t, configOf(server.Addr, "p:"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for name, call := range map[string]func() error{
		"p:{main/a}:grant":  func() error { _, _, err := s.LoadGrant(key("a"), secrets); return err },
		"p:{main/a}:record": func() error { _, _, err := s.Load(key("a"), secrets); return err },
		"p:pending:main:state": func() error {
			_, _, err := s.Get("main", "state", secrets)
			return err
		},
	} {
		wantError(t, call(), false, name)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
		t.Errorf("%d MB were made for it", grown>>20)
	}
	wantGrant(t, s, "b", "b")
	if err := s.ReplaceGrant(key("a"), secrets, grant("anew")); err != nil {
		t.Error(err)
	}
	wantGrant(t, s, "a", "anew")
}

// answering is a server that gives one answer to everything.
func answering(tb testing.TB, answer string) (address string) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				b := make([]byte, 4096)
				for {
					if _, err := conn.Read(b); err != nil {
						return
					}
					if _, err := io.WriteString(conn, answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// TestNoRedis: what answers is no Redis, or a broken one. Each call ends with an error that says so,
// nothing panics, and memory is not made for what is only announced (S-56).
func TestNoRedis(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing":          "",
		"garbage":          "garbage\r\n",
		"HTTP":             "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
		"no line end":      strings.Repeat("+", 3<<20),
		"a value of 100MB": "$104857600\r\nx",
		"endless value":    "$9223372036854775807\r\nx",
		"no size":          "$-2\r\n",
		"odd size":         "$x\r\n",
		"a list of 10^9":   "*1000000000\r\n",
		"deep lists":       strings.Repeat("*1\r\n", 100_000),
		"other answers":    ":7\r\n",
		"an empty list":    "*0\r\n",
		"a list of lists":  "*2\r\n*1\r\n:1\r\n$-1\r\n",
		"no answer at all": "$-1\r\n",
		"OK":               "+OK\r\n",
		"an error":         "-ERR 1000.secret\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, configOf(answering(t, answer), "p:"))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			errs := everyCall(s)
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
				t.Errorf("%d MB were made for it", grown>>20)
			}
			for call, err := range errs {
				if err != nil && strings.Contains(err.Error(), "1000.secret") {
					t.Errorf("%s: %v", call, err)
				}
			}
			if err := s.CheckGrants(); err == nil {
				t.Error("CheckGrants finds nothing wrong")
			}
		})
	}
}
