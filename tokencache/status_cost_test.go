package tokencache_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// What is in memory is told from there: health checks and metrics ask often.
func TestStatusFromMemoryReadsNothing(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := openBolt(t, dir)
		r := newRig(t, withBolt(b))
		for i := range 20 {
			account := fmt.Sprint("stored", i)
			if err := b.SaveGrant(tokencache.Key{Client: "main", Account: account}, r.secret.get(), tokencache.Grant{RefreshToken: account}); err != nil {
				t.Fatal(err)
			}
			n, err := r.cache.Conn(r.client, account)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := n.Resource("crm", "").Get(t.Context(), r.client); err != nil {
				t.Fatal(err)
			}
		}
		r.get("crm")
		synctest.Wait()
		reads := 0
		count := func(cl *tokencache.Client) {
			cl.Secrets = func() [][]byte { reads++; return r.secret.get() }
			cl.Grant = func(account string) (tokencache.Grant, bool, error) { reads++; return r.grants.get(account) }
		}
		wantReads := func(what string, some bool) {
			t.Helper()
			reads = 0
			all := r.cache.Status(r.client)
			for _, s := range all {
				if !s.HasGrant || !s.HasToken || s.Configured != (s.Account == "default") {
					t.Errorf("%s: %+v", what, s)
				}
			}
			if len(all) != 21 || some != (reads > 0) {
				t.Errorf("%s: %d accounts, %d reads", what, len(all), reads)
			}
		}
		count(r.client)
		wantReads("in use", false)
		r.client = r.newClient()
		count(r.client)
		wantReads("first look after a reload", true)
		wantReads("after that", false)
		r.cache.GrantChanged(tokencache.Key{Client: "main", Account: "stored7"})
		wantReads("a grant that may have changed", true)
		wantReads("after that", false)
		r.wantCalls(21)
	})
}

// A reload with another grant: the state of the old one is not told as its own.
func TestStatusOfAnotherGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		r.grants.set("default", "another one")
		if s := r.cache.Status(r.newClient())[0]; !s.HasGrant || s.HasToken || s.BudgetLeft != 10 {
			t.Errorf("%+v", s)
		}
		r.grants.fail(errors.New("file is empty"))
		if s := r.cache.Status(r.newClient())[0]; s.HasGrant || !strings.Contains(s.LastError, "store: file is empty") {
			t.Errorf("%+v", s)
		}
	})
}

// What holds calls back is told by its kind, and when it ends.
func TestStatusTellsWhatWaits(t *testing.T) {
	for _, kind := range []tokencache.Kind{tokencache.KindDead, tokencache.KindRejected, tokencache.KindThrottled, tokencache.KindTemporary} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.server.set(failing(kind, true))
			r.refusal("crm", kind)
			if s := r.cache.Status(r.client)[0]; s.Waiting != kind || !s.NextTry.After(time.Now()) || s.LastError != kind.String()+": as the test wants it" {
				t.Errorf("%+v", s)
			}
			settle(time.Hour)
			human := kind == tokencache.KindDead || kind == tokencache.KindRejected
			if s := r.cache.Status(r.client)[0]; (s.Waiting == kind) != human || !s.NextTry.IsZero() {
				t.Errorf("%s, an hour later: %+v", kind, s)
			}
			r.server.set(nil)
			r.get("crm")
			if s := r.cache.Status(r.client)[0]; s.Waiting != 0 {
				t.Errorf("%s, mended: %+v", kind, s)
			}
		})
	}
}

func TestStatusTellsOfASpentBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.client.Budget = 1
		r.get("crm")
		spent := time.Now()
		settle(time.Minute)
		s := r.cache.Status(r.client)[0]
		if s.Waiting != 0 || s.BudgetLeft != 0 || !s.NextTry.Equal(spent.Add(10*time.Minute)) || !s.LastErrorAt.Equal(spent) ||
			s.LastError != "budget_spent: 1 token calls in 10m0s are spent" {
			t.Errorf("%+v", s)
		}
		if s.Refused {
			t.Error("nobody has refused it")
		}
		tok, err := r.resource("crm").Refused(t.Context(), r.client, 1, tokencache.RefusalDead)
		r.wantError(tok, err, tokencache.KindBudget)
		if s := r.cache.Status(r.client)[0]; !s.Refused || !s.HasToken {
			t.Errorf("%+v", s)
		}
		settle(9 * time.Minute)
		r.get("crm")
		if s := r.cache.Status(r.client)[0]; s.Refused || s.Generation != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// A store that fails is told of, also by connections that have a token.
func TestStatusTellsOfTheStore(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := openBolt(t, dir)
		r := newRig(t, withBolt(b))
		r.secret.set("") // nothing can be sealed
		r.get("crm")
		synctest.Wait()
		if s := r.cache.Status(r.client)[0]; !s.HasToken || !strings.HasPrefix(s.LastError, "store: ") {
			t.Errorf("unwritable: %+v", s)
		}
		r.secret.set("a client's secret")
		settle(time.Minute)
		if s := r.cache.Status(r.client)[0]; s.LastError != "" {
			t.Errorf("writable again: %+v", s)
		}
		key := tokencache.Key{Client: "main", Account: "stored"}
		if err := b.SaveGrant(key, r.secret.get(), tokencache.Grant{RefreshToken: "y"}); err != nil {
			t.Fatal(err)
		}
		n, err := r.cache.Conn(r.client, "stored")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Resource("crm", "").Get(t.Context(), r.client); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "grants.db")
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		if s := r.cache.Status(r.client)[1]; s.HasGrant || !s.HasToken || !strings.HasPrefix(s.LastError, "store: "+path) {
			t.Errorf("gone: %+v", s)
		}
		if err := os.Rename(path+".away", path); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		if s := r.cache.Status(r.client)[1]; !s.HasGrant || s.LastError != "" {
			t.Errorf("back: %+v", s)
		}
	})
}
