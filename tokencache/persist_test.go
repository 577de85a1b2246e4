package tokencache_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// S-52: a restart costs no token, and prolongs none.
func TestRestartsKeepTheToken(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, withBolt(openBolt(t, dir)))
		first := r.get("crm")
		for range 10 {
			settle(5 * time.Minute)
			r.restart()
			if tok := r.get("crm"); tok.Value != first.Value || tok.Generation != 1 || !tok.Expiry.Equal(first.Expiry) ||
				tok.APIDomain != first.APIDomain || tok.Scope != first.Scope {
				t.Fatalf("got %v, want %v", tok, first)
			}
		}
		if n := len(r.journal.of(tokencache.EventAdopted)); n != 10 {
			t.Errorf("%d adopted", n)
		}
		r.wantCalls(1)
		settle(10*time.Minute + time.Second)
		r.server.set(failing(tokencache.KindTemporary, true))
		r.refusal("crm", tokencache.KindTemporary)
		r.server.set(nil)
		r.restart()
		settle(time.Second)
		if tok := r.get("crm"); tok.Generation != 2 {
			t.Errorf("got %v", tok)
		}
	})
}

// S-29: whatever dies and starts again, never an eleventh call.
func TestCrashLoop(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := openBolt(t, dir)
		r := newRig(t, withBolt(b))
		r.server.set(failing(tokencache.KindTemporary, false)) // no one knows whether there was a token
		start := time.Now()
		for time.Since(start) < 10*time.Minute {
			_, _ = r.resource("crm").Get(t.Context(), r.client)
			settle(20 * time.Second)
			r.cache = tokencache.New(r.opts) // not closed: it was killed
		}
		if n := r.server.count(); n > 10 {
			t.Errorf("%d calls in ten minutes", n)
		}
		if n := r.server.count(); n < 5 {
			t.Errorf("only %d calls in ten minutes", n)
		}
	})
}

// The intent is in the file before the call: who is killed in between has counted.
func TestIntentIsWrittenFirst(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := openBolt(t, dir)
		r := newRig(t, withBolt(b))
		key := tokencache.Key{Client: "main", Account: "default"}
		r.server.set(func(call int) (tokencache.Fetched, error) {
			rec, found, err := b.Load(key, r.client.Secrets())
			calls, err2 := b.LoadLedger(rec.Fingerprint)
			if err := errors.Join(err, err2); err != nil || !found || len(calls.Times) != 1 || rec.Token != "" {
				t.Errorf("in the file at the call: %v, %v, %v, %v", rec, found, calls, err)
			}
			return token(call)
		})
		r.get("crm")
		synctest.Wait()
		rec, _, err := b.Load(key, r.client.Secrets())
		calls, err2 := b.LoadLedger(rec.Fingerprint)
		if err := errors.Join(err, err2); err != nil || len(calls.Times) != 1 || rec.Token != "token-1" || rec.Generation != 1 || rec.Used.IsZero() {
			t.Errorf("in the file afterwards: %v, %v, %v", rec, calls, err)
		}
	})
}

// S-32: what waits, waits on after a restart, and a corrected secret ends it.
func TestRestartsKeepTheWait(t *testing.T) {
	for _, kind := range []tokencache.Kind{tokencache.KindDead, tokencache.KindRejected, tokencache.KindThrottled, tokencache.KindTemporary} {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, withBolt(openBolt(t, dir)), func(o *tokencache.Options) { o.Rand = func() float64 { return 0 } })
			r.server.set(failing(kind, true))
			for range 3 {
				r.refusal("crm", kind)
				settle(5 * time.Minute)
			}
			r.refusal("crm", kind)
			want := r.cache.Status(r.client)[0]
			r.restart()
			got := r.cache.Status(r.client)[0]
			if got.State != want.State || !got.NextTry.Equal(want.NextTry) || !strings.Contains(want.LastError, got.LastError) || got.LastErrorAt.IsZero() {
				t.Errorf("%s: status %+v, was %+v", kind, got, want)
			}
			e := r.refusal("crm", kind)
			if hand := kind == tokencache.KindDead || kind == tokencache.KindRejected; hand != (e.RetryAfter == 0) {
				t.Errorf("%s: Retry-After %s", kind, e.RetryAfter)
			}
			r.wantCalls(4)
			if kind != tokencache.KindRejected {
				return
			}
			r.server.set(nil)
			r.secret.set("the right one")
			r.restart()
			r.get("crm")
			r.wantCalls(5)
		})
	}
}

func TestBudgetSurvivesRestarts(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, withBolt(openBolt(t, dir)))
		for range 10 {
			if _, err := r.conn().Refresh(t.Context(), r.client); err != nil {
				t.Fatal(err)
			}
			r.restart()
			settle(time.Second)
		}
		if left := r.cache.Status(r.client)[0].BudgetLeft; left != 0 {
			t.Errorf("budget left %d", left)
		}
		tok, err := r.conn().Refresh(t.Context(), r.client)
		if e := r.wantError(tok, err, tokencache.KindBudget); e.RetryAfter != 10*time.Minute-10*time.Second {
			t.Errorf("Retry-After %s", e.RetryAfter)
		}
		if tok := r.get("crm"); tok.Generation != 10 {
			t.Errorf("got %v", tok)
		}
	})
}

// Another grant's record is of no use, but its generations count.
func TestRecordOfAnotherGrant(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, withBolt(openBolt(t, dir)))
		r.get("crm")
		r.grants.set("default", "another one")
		r.restart()
		if tok := r.get("crm"); tok.Value != "token-2" || tok.Generation != 2 {
			t.Errorf("got %v", tok)
		}
		if left := r.cache.Status(r.client)[0].BudgetLeft; left != 9 {
			t.Errorf("budget left %d", left)
		}
	})
}

// A record whose token cannot be opened still holds ledger and generation.
func TestRecordUnderAnotherKey(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, withBolt(openBolt(t, dir)))
		r.get("crm")
		synctest.Wait()
		r.secret.set("another")
		r.restart()
		if tok := r.get("crm"); tok.Generation != 2 {
			t.Errorf("got %v", tok)
		}
		if left := r.cache.Status(r.client)[0].BudgetLeft; left != 8 {
			t.Errorf("budget left %d", left)
		}
	})
}

// Records as a wrong clock, or a hand, may leave them.
func TestOddRecords(t *testing.T) {
	key := tokencache.Key{Client: "main", Account: "default"}
	for _, tt := range []struct {
		name   string
		change func(*tokencache.Record)
		adopt  bool
		left   time.Duration // of its life, if adopted
	}{
		{"as it was", func(*tokencache.Record) {}, true, time.Hour},
		{"from the future", func(rec *tokencache.Record) {
			rec.Issued, rec.Expiry = rec.Issued.Add(2*time.Hour), rec.Expiry.Add(2*time.Hour)
		}, false, 0},
		{"from a clock slightly ahead", func(rec *tokencache.Record) {
			rec.Issued, rec.Expiry = rec.Issued.Add(time.Second), rec.Expiry.Add(time.Second)
		}, true, time.Hour},
		{"longer than any", func(rec *tokencache.Record) { rec.Expiry = rec.Expiry.Add(24 * time.Hour) }, true, time.Hour},
		{"ends before it begins", func(rec *tokencache.Record) { rec.Issued = rec.Expiry.Add(time.Hour) }, false, 0},
		{"without times", func(rec *tokencache.Record) { rec.Issued, rec.Expiry = time.Time{}, time.Time{} }, false, 0},
		{"without a token", func(rec *tokencache.Record) { rec.Token = "" }, false, 0},
		{"ended", func(rec *tokencache.Record) {
			rec.Issued, rec.Expiry = rec.Issued.Add(-time.Hour), rec.Expiry.Add(-time.Hour)
		}, false, 0},
	} {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			b := openBolt(t, dir)
			r := newRig(t, withBolt(b))
			r.get("crm")
			synctest.Wait()
			rec, _, err := b.Load(key, r.client.Secrets())
			if err != nil {
				t.Fatal(err)
			}
			tt.change(&rec)
			if err := b.Save(key, r.client.Secrets(), rec); err != nil {
				t.Fatal(err)
			}
			r.restart()
			tok := r.get("crm")
			if (tok.Generation == 1) != tt.adopt {
				t.Errorf("%s: got %v", tt.name, tok)
			}
			if tt.adopt {
				r.server.set(failing(tokencache.KindTemporary, true))
				settle(tt.left - time.Millisecond)
				r.get("crm")
				synctest.Wait()
				settle(time.Millisecond)
				r.refusal("crm", tokencache.KindTemporary)
			}
		})
	}
}

// A ledger from the future counts as now, and so for one window at most.
func TestLedgerFromTheFuture(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := openBolt(t, dir)
		r := newRig(t, withBolt(b))
		r.get("crm")
		synctest.Wait()
		key := tokencache.Key{Client: "main", Account: "default"}
		rec, _, err := b.Load(key, r.client.Secrets())
		if err != nil {
			t.Fatal(err)
		}
		rec.Token = ""
		for i := range 10 {
			rec.Ledger = append(rec.Ledger, time.Now().Add(time.Duration(i+1)*time.Hour))
		}
		if err := b.Save(key, r.client.Secrets(), rec); err != nil {
			t.Fatal(err)
		}
		r.restart()
		if e := r.refusal("crm", tokencache.KindBudget); e.RetryAfter != 10*time.Minute {
			t.Errorf("Retry-After %s", e.RetryAfter)
		}
		settle(10 * time.Minute)
		r.get("crm")
	})
}
