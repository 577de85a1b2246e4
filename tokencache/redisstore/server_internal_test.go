package redisstore

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// TestNoTurn: a call that waits too long for others here fails, and Redis does not count as away by that (S-54).
func TestNoTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{name: "redis", turns: make(chan struct{}, 1)}
		s.turns <- struct{}{}
		begun := time.Now()
		err := s.do(func(context.Context, redis.UniversalClient) error { return nil })
		var known *tokencache.StoreError
		if !errors.As(err, &known) || errors.Is(err, tokencache.ErrAway) || time.Since(begun) != turnLimit {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		if s.blocked() != nil || s.count() != 0 {
			t.Errorf("it counts as an outage: %v", s.blocked())
		}
	})
}

// TestStandstill: a process that stood still for longer than a call may take asks once more, and does not
// take Redis for away (S-53). One that waited for an answer does not, and what must not be done twice is not.
func TestStandstill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{name: "redis", turns: make(chan struct{}, 1)}
		for _, test := range []struct {
			took   time.Duration
			end    error
			calls  int
			failed bool
		}{
			{time.Minute, context.DeadlineExceeded, 2, false},
			{callLimit, context.DeadlineExceeded, 1, true},
			{time.Minute, unrepeatable{context.DeadlineExceeded}, 1, true},
		} {
			calls := 0
			err := s.do(func(context.Context, redis.UniversalClient) error {
				if calls++; calls > 1 {
					return nil
				}
				time.Sleep(test.took)
				return test.end
			})
			if calls != test.calls || (err != nil) != test.failed || s.blocked() != nil {
				t.Errorf("after %s: %d calls, %v, %v", test.took, calls, err, s.blocked())
			}
			s.answered()
		}
	})
}

// TestSlowCalls: one call without an answer is a hiccup, two in a row are an outage. What somebody looks at
// says nothing.
func TestSlowCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{name: "redis", turns: make(chan struct{}, 1)}
		slow := func(context.Context, redis.UniversalClient) error {
			time.Sleep(callLimit)
			return context.DeadlineExceeded
		}
		fine := func(context.Context, redis.UniversalClient) error { return nil }
		for range 3 {
			if err := s.look(slow); !errors.Is(err, tokencache.ErrAway) || s.blocked() != nil {
				t.Errorf("%v, %v", err, s.blocked())
			}
		}
		for range 3 {
			if err := errors.Join(s.do(slow), s.do(fine)); !errors.Is(err, tokencache.ErrAway) || s.blocked() != nil {
				t.Errorf("%v, %v", err, s.blocked())
			}
		}
		if _ = errors.Join(s.do(slow), s.do(slow)); s.blocked() == nil || s.count() != 1 {
			t.Errorf("%v, %d outages", s.blocked(), s.count())
		}
		time.Sleep(retryAfter)
		if _ = s.do(slow); s.blocked() == nil {
			t.Error("it counts as back without an answer")
		}
	})
}

// TestLateRead: what came before a deadline is read after it, when the process stood still meanwhile.
func TestLateRead(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	g := guard(out)
	b := make([]byte, 16)
	for _, text := range []string{"+OK\r\n", ""} {
		if _, err := in.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := g.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := g.Read(b)
		if string(b[:n]) != text || (err == nil) != (text != "") {
			t.Errorf("%q, %v, want %q", b[:n], err, text)
		}
	}
}
