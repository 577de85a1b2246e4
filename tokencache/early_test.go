package tokencache_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

func TestEarlyRenewalInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		settle(55*time.Minute - time.Second)
		if r.get("crm"); r.server.count() != 1 {
			t.Fatal("renewed too early")
		}
		r.server.slow(10 * time.Second)
		settle(time.Second)
		before := time.Now()
		for range 100 {
			if tok := r.get("crm"); tok.Generation != 1 {
				t.Fatal("the old token was not served on")
			}
		}
		if time.Since(before) != 0 {
			t.Error("a caller waited for a renewal in the background")
		}
		settle(10 * time.Second)
		if tok := r.get("crm"); tok.Generation != 2 {
			t.Errorf("got %v after the renewal", tok)
		}
		r.wantCalls(2)
		if e := r.journal.of(tokencache.EventTokenRequest)[1]; e.Cause != tokencache.CauseExpiry {
			t.Errorf("cause %s", e.Cause)
		}
	})
}

// A failure in the background is tried again as the table has it.
func TestEarlyRenewalThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		settle(56 * time.Minute)
		r.server.set(failing(tokencache.KindTemporary, true))
		for want := 2; want <= 3; want++ { // after one second at most, then two
			r.get("crm")
			synctest.Wait()
			r.wantCalls(want)
			settle(time.Duration(want-1) * time.Second)
		}
		r.server.set(nil)
		r.get("crm")
		synctest.Wait()
		if tok := r.get("crm"); tok.Generation != 2 {
			t.Errorf("got %v", tok)
		}
	})
}

// The margin is spread by a tenth, and never more than a quarter of the life.
func TestEarlyRenewalMargin(t *testing.T) {
	for _, tt := range []struct {
		life, margin, before time.Duration
		rand                 float64
	}{
		{time.Hour, 5 * time.Minute, 0, 0.5},
		{time.Hour, 4*time.Minute + 30*time.Second, 0, 0},
		{time.Hour, 5*time.Minute + 15*time.Second, 0, 0.75},
		{time.Hour, 10 * time.Minute, 10 * time.Minute, 0.5},
		{8 * time.Second, 2 * time.Second, 0, 0.99},
		{8 * time.Second, 1800 * time.Millisecond, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(o *tokencache.Options) { o.Rand = func() float64 { return tt.rand } })
			r.client.RefreshBefore = tt.before
			r.server.set(func(call int) (tokencache.Fetched, error) {
				got, _ := token(call)
				got.Life = tt.life
				return got, nil
			})
			r.get("crm")
			settle(tt.life - tt.margin - time.Millisecond)
			r.get("crm")
			synctest.Wait()
			r.wantCalls(1)
			settle(2 * time.Millisecond)
			r.get("crm")
			synctest.Wait()
			r.wantCalls(2)
		})
	}
}

func TestLifeOfAToken(t *testing.T) {
	for _, tt := range []struct {
		told, most, want time.Duration
	}{
		{time.Hour, time.Hour, time.Hour},
		{0, time.Hour, time.Hour},
		{-5, 0, time.Hour},
		{2 * time.Hour, time.Hour, time.Hour},
		{2 * time.Hour, 0, 2 * time.Hour},
		{1 << 62, 0, 10 * 365 * 24 * time.Hour},
		{10 * time.Second, time.Hour, 10 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.client.MaxLife = tt.most
			r.server.set(func(int) (tokencache.Fetched, error) {
				return tokencache.Fetched{AccessToken: "t", Life: tt.told}, nil
			})
			tok := r.get("crm")
			if got := tok.Expiry.Sub(tok.Issued); got != tt.want {
				t.Errorf("told %s, at most %s: %s", tt.told, tt.most, got)
			}
		})
	}
}

// A token that is over by the time it arrives is an error, not a reason to ask
// again and again.
func TestTokenThatEndsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.server.slow(3 * time.Second)
		r.server.set(func(int) (tokencache.Fetched, error) {
			return tokencache.Fetched{AccessToken: "t", Life: 2 * time.Second}, nil
		})
		r.refusal("crm", tokencache.KindTemporary)
		r.wantCalls(1)
	})
}
