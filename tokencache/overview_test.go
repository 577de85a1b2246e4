package tokencache_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
)

// countedStore counts what is read of records and grants, and takes its time for it.
type countedStore struct {
	*boltstore.Store
	reads atomic.Int32
	takes time.Duration
}

func (s *countedStore) Load(key tokencache.Key, secrets [][]byte) (tokencache.Record, bool, error) {
	s.reads.Add(1)
	time.Sleep(s.takes)
	return s.Store.Load(key, secrets)
}

func (s *countedStore) LoadGrant(key tokencache.Key, secrets [][]byte) (tokencache.Grant, bool, error) {
	s.reads.Add(1)
	time.Sleep(s.takes)
	return s.Store.LoadGrant(key, secrets)
}

// overviewRig is a rig after a start. Of its stored accounts nobody has used any: one has a
// token that lives, one a token that has ended, one a dead grant, one a grant that fails.
func overviewRig(t *testing.T, dir string) (*rig, *countedStore) {
	s := &countedStore{Store: openBolt(t, dir)}
	r := newRig(t, func(o *tokencache.Options) { o.Store = s })
	r.grants.remove("default")
	save := func(account string, rec tokencache.Record) {
		key := tokencache.Key{Client: "main", Account: account}
		g := tokencache.Grant{RefreshToken: account, AccountsServer: "https://accounts.example", RefreshTokens: 7}
		rec.Fingerprint, rec.Generation = tokencache.MakeFingerprint("id", g), 3
		if err := errors.Join(s.SaveGrant(key, r.secret.get(), g), s.Save(key, r.secret.get(), rec)); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	save("alive", tokencache.Record{Token: "t", Issued: now, Expiry: now.Add(time.Hour)})
	save("dead", tokencache.Record{State: "grant_dead 00", LastError: "grant_dead", LastErrorAt: now,
		NextTry: now.Add(time.Minute)})
	save("ended", tokencache.Record{Token: "t", Issued: now.Add(-time.Hour), Expiry: now.Add(-time.Minute),
		Ledger: []time.Time{now}})
	save("failing", tokencache.Record{State: "temporary", Failures: 3, NextTry: now.Add(time.Minute)})
	return r, s
}

// overview is what it tells, in short.
func (r *rig) overview() map[string]string {
	told := make(map[string]string)
	for s := range r.cache.Overview(r.client) {
		told[s.Account] = fmt.Sprintf("%s %v %d %d %d", s.Shown(), s.HasToken, s.Generation, s.BudgetLeft, s.RefreshTokens)
	}
	return told
}

func (r *rig) wantOverview(s *countedStore, what string, reads int, want map[string]string) {
	r.Helper()
	s.reads.Store(0)
	if got := r.overview(); fmt.Sprint(got) != fmt.Sprint(want) || int(s.reads.Load()) != reads {
		r.Errorf("%s: %d reads, want %d\n got %v\nwant %v", what, s.reads.Load(), reads, got, want)
	}
}

var stored = map[string]string{
	"alive": "ok true 3 10 7", "dead": "dead false 3 10 7", "ended": "ok false 3 9 7", "failing": "degraded false 3 10 7",
}

// Accounts that nobody has used are read once for a configuration, however often somebody looks;
// what is told of them is what status tells.
func TestOverviewReadsOnce(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r, s := overviewRig(t, dir)
		r.wantOverview(s, "first look", 8, stored)
		for range 3 {
			settle(time.Minute)
			r.wantOverview(s, "later", 0, stored)
			got, want := fmt.Sprint(slices.Collect(r.cache.Overview(r.client))), fmt.Sprint(r.cache.Status(r.client))
			if got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		}
		if only := slices.Collect(r.cache.Overview(r.client, "dead", "nobody")); len(only) != 1 || only[0].Account != "dead" {
			t.Errorf("%+v", only)
		}
		if n := len(r.journal.events); n != 0 {
			t.Errorf("a look is told of: %+v", r.journal.events)
		}
		n, err := r.cache.Conn(r.client, "ended")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Resource("crm", "").Get(t.Context(), r.client); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		used := maps.Clone(stored)
		used["ended"] = "ok true 4 9 7"
		settle(7 * time.Minute)
		r.wantOverview(s, "one of them is used", 0, used)
		r.client = r.newClient()
		r.wantOverview(s, "a reload", 7, used) // its record is in memory
		r.wantOverview(s, "after that", 0, used)
		settle(time.Hour)
		used["alive"], used["ended"] = "ok false 3 10 7", "ok false 4 10 7"
		r.wantOverview(s, "an hour later", 0, used)
	})
}

// What changes is looked at again, and nothing else.
func TestOverviewNoticesChanges(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r, s := overviewRig(t, dir)
		r.overview()
		dead := tokencache.Key{Client: "main", Account: "dead"}
		mended := tokencache.Grant{RefreshToken: "a new one", AccountsServer: "https://accounts.example"}
		proof, err := r.cache.Verify(r.client, dead, mended)
		if err == nil {
			err = r.cache.Replace(r.client, dead, mended, proof)
		}
		if err != nil {
			t.Fatal(err)
		}
		want := maps.Clone(stored)
		want["dead"] = "ok true 4 9 1"
		r.wantOverview(s, "a consent", 0, want)
		ended := tokencache.Key{Client: "main", Account: "ended"}
		if err := s.DeleteGrant(ended); err != nil {
			t.Fatal(err)
		}
		r.cache.GrantChanged(ended)
		delete(want, "ended")
		r.wantOverview(s, "one is forgotten", 0, want)
		mustSave(t, s, "new", r.secret.get())
		r.cache.GrantChanged(tokencache.Key{Client: "main", Account: "new"})
		want["new"] = "ok false 0 10 1"
		r.wantOverview(s, "one is stored", 2, want)
		r.wantOverview(s, "after that", 0, want)
	})
}

func mustSave(t *testing.T, s tokencache.Store, account string, secrets [][]byte) {
	t.Helper()
	g := tokencache.Grant{RefreshToken: account, AccountsServer: "https://accounts.example"}
	if err := s.SaveGrant(tokencache.Key{Client: "main", Account: account}, secrets, g); err != nil {
		t.Fatal(err)
	}
}

// A grant that is not there yet, or cannot be read, is looked for again, and a lost file is told
// of for as long as it is lost.
func TestOverviewOfMissingGrants(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r, s := overviewRig(t, dir)
		r.grants.set("configured", "")
		r.client.Grant = func(account string) (tokencache.Grant, bool, error) {
			g, ok, err := r.grants.get(account)
			return g, ok && g.RefreshToken != "", err
		}
		r.secret.set("another secret")
		unreadable := map[string]string{"alive": "unreadable false 0 10 0", "configured": "not_connected false 0 10 0",
			"dead": "unreadable false 0 10 0", "ended": "unreadable false 0 10 0", "failing": "unreadable false 0 10 0"}
		r.wantOverview(s, "another key", 4, unreadable)
		r.wantOverview(s, "at once", 0, unreadable)
		r.secret.set("a client's secret")
		r.grants.set("configured", "from a file")
		settle(time.Second)
		all := maps.Clone(stored)
		all["configured"] = "ok false 0 10 1"
		r.wantOverview(s, "a second later", 9, all)
		r.wantOverview(s, "after that", 0, all)
		path := filepath.Join(dir, "grants.db")
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		lost := map[string]string{"configured": all["configured"]}
		for account := range stored {
			lost[account] = unreadable[account]
		}
		if got := r.overview(); fmt.Sprint(got) != fmt.Sprint(lost) {
			t.Errorf("lost: got %v", got)
		}
		if err := os.Rename(path+".away", path); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		if got := r.overview(); fmt.Sprint(got) != fmt.Sprint(all) {
			t.Errorf("back: got %v", got)
		}
		r.wantOverview(s, "after that", 0, all)
	})
}

// However many grants cannot be read and however often somebody looks: a hundredth of the time.
func TestOverviewOfMissingGrantsIsCheap(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &countedStore{Store: openBolt(t, dir)}
		r := newRig(t, func(o *tokencache.Options) { o.Store = s })
		for i := range 50 {
			mustSave(t, s, fmt.Sprint(i), r.secret.get())
		}
		r.secret.set("another secret")
		r.overview()
		s.reads.Store(0)
		s.takes = 10 * time.Millisecond
		for start := time.Now(); time.Since(start) < 10*time.Minute; settle(100 * time.Millisecond) {
			r.overview()
		}
		if n := int(s.reads.Load()); n < 100 || n > 50*20 {
			t.Errorf("%d reads of 10 ms in ten minutes", n)
		}
	})
}
