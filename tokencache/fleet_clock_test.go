package tokencache_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/storetest"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// startWithClock starts a process whose wall clock is ahead of the others'.
func (f *fleet) startWithClock(handle *storetest.Memory, ahead time.Duration) {
	c := &clocks{start: time.Now(), wall: ahead}
	r := &replica{store: handle}
	r.rig = newRig(f.T, func(o *tokencache.Options) { o.Store, o.Clock = handle, c.now })
	r.rig.server, r.rig.grants = f.server, f.grants
	r.rig.client = r.rig.newClient()
	f.Cleanup(r.cache.Use(func(string) *tokencache.Client { return r.rig.client }))
	f.replicas = append(f.replicas, r)
}

// TestFleetClocks, S-51: processes whose clocks differ by minutes serve tokens that live, and share each.
// Where it is more, a token is believed in for too long: the call is refused, a token is asked for,
// and that one is accepted. Tokens are asked for twice as often at most.
func TestFleetClocks(t *testing.T) {
	for _, tt := range []struct {
		apart   time.Duration
		most    int // token calls in a day
		refused bool
	}{
		{time.Minute, 30, false},
		{4 * time.Minute, 30, false},
		{20 * time.Minute, 60, true},
		{3 * time.Hour, 60, true},
		{-4 * time.Minute, 30, false},
		{-20 * time.Minute, 60, true},
		{-3 * time.Hour, 60, true},
	} {
		t.Run(tt.apart.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, 2)
				f.startWithClock(f.replicas[0].store.Replica(), tt.apart)
				refused := 0
				for range 24 * 60 {
					time.Sleep(time.Minute)
					for _, r := range f.replicas {
						refused += f.serve(r)
					}
				}
				t.Logf("%d token calls in a day, %d of %d calls refused", f.server.count(), refused, 3*24*60)
				if calls := f.server.count(); calls > tt.most {
					t.Errorf("%d token calls in a day", calls)
				}
				if refused > 0 && !tt.refused {
					t.Errorf("%d calls were refused", refused)
				}
			})
		})
	}
}

// serve is a call of an app: one that is refused is made again with another token.
func (f *fleet) serve(r *replica) (refused int) {
	f.Helper()
	tok, err := r.ask()
	if err == nil && f.server.ended(tok.Value) {
		refused = 1
		tok, err = r.resource("crm").Refused(f.Context(), r.client, tok.Generation, tokencache.RefusalDead)
	}
	if err != nil {
		f.Fatal(err)
	}
	if f.server.ended(tok.Value) {
		f.Errorf("%s is dead as well", tok.Value)
	}
	return refused
}

// ended reports whether a token does not live, by the server's clock.
func (s *server) ended(value string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, at := range s.calls {
		if fetched, _ := token(i + 1); fetched.AccessToken == value {
			return time.Since(at) >= time.Hour
		}
	}
	return true
}
