package tokencache_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

func TestStatus(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := openBolt(t, dir)
		r := newRig(t, withBolt(b))
		stored := tokencache.Key{Client: "main", Account: "a stored one"}
		granted := time.Now()
		if err := b.SaveGrant(stored, r.secret.get(), tokencache.Grant{RefreshToken: "x", Scopes: []string{"s"}, GrantedAt: granted}); err != nil {
			t.Fatal(err)
		}
		tok := r.get("crm")
		synctest.Wait()
		for _, when := range []string{"from memory", "from the store"} {
			all := r.cache.Status(r.client)
			if len(all) != 2 || all[0].Key != stored || all[1].Account != "default" {
				t.Fatalf("%s: %+v", when, all)
			}
			if s := all[0]; s.Configured || !s.HasGrant || s.HasToken || s.State != tokencache.StateOK || s.BudgetLeft != 10 ||
				!s.GrantedAt.Equal(granted) || fmt.Sprint(s.Scopes) != "[s]" {
				t.Errorf("%s: %+v", when, s)
			}
			if s := all[1]; !s.Configured || !s.HasGrant || !s.HasToken || s.Generation != 1 || s.BudgetLeft != 9 ||
				!s.Issued.Equal(tok.Issued) || !s.Expiry.Equal(tok.Expiry) || s.LastUsed.IsZero() || !s.NextTry.IsZero() || s.LastError != "" {
				t.Errorf("%s: %+v", when, s)
			}
			if text := fmt.Sprintf("%+v", all); strings.Contains(text, "token-1") || strings.Contains(text, "refresh token") {
				t.Errorf("%s: a secret in %s", when, text)
			}
			events := len(r.journal.events)
			r.cache.Status(r.client)
			if len(r.journal.events) != events {
				t.Errorf("%s: status is told of: %+v", when, r.journal.events[events:])
			}
			r.restart()
			r.conn() // known, but not looked at yet
		}
		r.wantCalls(1)
	})
}

func TestStatusWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.server.set(failing(tokencache.KindThrottled, false))
		e := r.refusal("crm", tokencache.KindThrottled)
		s := r.cache.Status(r.client)[0]
		if !s.NextTry.Equal(time.Now().Add(e.RetryAfter)) || s.LastError == "" || !s.LastErrorAt.Equal(time.Now()) ||
			s.HasToken || s.State != tokencache.StateOK {
			t.Errorf("%+v", s)
		}
		settle(time.Minute)
		r.refusal("crm", tokencache.KindThrottled)
		r.wantState(tokencache.StateDegraded)
	})
}

func TestEventTypesHaveNames(t *testing.T) {
	seen := make(map[string]bool)
	for e := tokencache.EventTokenRequest; e <= tokencache.EventGone; e++ {
		if name := e.String(); name == "unknown" || seen[name] {
			t.Errorf("event %d is called %q", e, name)
		} else {
			seen[name] = true
		}
	}
	if tokencache.EventType(0).String() != "unknown" {
		t.Error("no event has a name")
	}
}

// TestTokenIsNoUse: who only looks for a token has keep_warm go on with nothing.
func TestTokenIsNoUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for range 2 {
			if tok, err := r.conn().Token(t.Context(), r.client); err != nil || tok.Generation != 1 {
				t.Fatal(tok, err)
			}
		}
		if s := r.cache.Status(r.client)[0]; !s.LastUsed.IsZero() || !s.HasToken {
			t.Errorf("%+v", s)
		}
		settle(24 * time.Hour)
		r.wantCalls(1)
		if tok, err := r.conn().Token(t.Context(), r.client); err != nil || tok.Generation != 2 {
			t.Error(tok, err)
		}
		r.server.set(failing(tokencache.KindDead, true))
		settle(24 * time.Hour)
		tok, err := r.conn().Token(t.Context(), r.client)
		r.wantError(tok, err, tokencache.KindDead)
	})
}
