package tokencache_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

func TestOneTokenForThousandsOfCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.server.slow(time.Second)
		var callers sync.WaitGroup
		for range 5000 {
			callers.Go(func() {
				if tok := r.get("crm"); tok.Value != "token-1" {
					t.Errorf("got %v", tok)
				}
			})
		}
		callers.Wait()
		r.wantCalls(1)
		if n := len(r.journal.of(tokencache.EventWaited)); n == 0 {
			t.Error("nobody is known to have waited")
		}
		for _, e := range r.journal.of(tokencache.EventTokenRequest) {
			if e.Cause != tokencache.CauseFirst || e.Result != "ok" || e.Generation != 1 || e.Duration != time.Second || e.Expiry.IsZero() {
				t.Errorf("event %+v", e)
			}
		}
	})
}

func TestHangingUpHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.server.slow(5 * time.Second)
		ctx, hangUp := context.WithCancel(context.Background())
		leader := make(chan error, 1)
		go func() {
			_, err := r.resource("crm").Get(ctx, r.client)
			leader <- err
		}()
		synctest.Wait()
		hangUp()
		if err := <-leader; !errors.Is(err, context.Canceled) {
			t.Errorf("who hung up got %v", err)
		}
		if tok := r.get("crm"); tok.Value != "token-1" {
			t.Errorf("who stayed got %v", tok)
		}
		r.wantCalls(1)
	})
}

func TestFlightsEndWhateverHappens(t *testing.T) {
	var nobody *rig
	for name, answer := range map[string]func(int) (tokencache.Fetched, error){
		"panic":         func(int) (tokencache.Fetched, error) { panic("a secret in the panic") },
		"runtime error": func(int) (tokencache.Fetched, error) { return tokencache.Fetched{AccessToken: nobody.client.Name}, nil },
		"goexit":        func(int) (tokencache.Fetched, error) { runtime.Goexit(); return tokencache.Fetched{}, nil },
		"no token":      func(int) (tokencache.Fetched, error) { return tokencache.Fetched{Life: time.Hour}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.server.set(answer)
				e := r.refusal("crm", tokencache.KindTemporary)
				if strings.Contains(e.Error(), "secret") || !strings.Contains(e.Error(), "main/default") {
					t.Errorf("error %q", e)
				}
				r.server.set(nil)
				settle(time.Minute)
				r.get("crm")
			})
		})
	}
}

func TestPanicInTheConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.conn()
		grant := r.client.Grant
		r.client.Grant = func(string) (tokencache.Grant, bool, error) { panic("in a placeholder") }
		tok, err := n.Resource("crm", "").Get(t.Context(), r.client)
		r.wantError(tok, err, tokencache.KindTemporary)
		synctest.Wait() // the flight has looked at the grant for the last time
		r.client.Grant = grant
		r.get("crm")
	})
}

// A server that never answers costs the flight's deadline, no more.
func TestFlightDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.server.slow(time.Hour)
		start := time.Now()
		e := r.refusal("crm", tokencache.KindTemporary)
		if d := time.Since(start); d != 15*time.Second || !errors.Is(e, context.DeadlineExceeded) {
			t.Errorf("%v after %s", e, d)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.client.KeepWarm = time.Hour
		r.get("crm")
		r.server.slow(10 * time.Second)
		settle(56 * time.Minute)
		r.get("crm") // starts a renewal
		start := time.Now()
		if err := r.cache.Close(); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("Close took %s, the flight 10s", d)
		}
		if tok := r.get("crm"); tok.Generation != 2 {
			t.Errorf("after Close: %v", tok)
		}
		settle(2 * time.Hour)
		r.refusal("crm", tokencache.KindTemporary)
		if err := r.cache.Close(); err != nil {
			t.Errorf("closed twice: %v", err)
		}
		r.wantCalls(2)
	})
}
