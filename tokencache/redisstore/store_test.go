package redisstore_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-zoho/caddy-zoho/internal/redistest"
	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/redisstore"
)

var (
	secrets = [][]byte{[]byte("an encryption key")}
	others  = [][]byte{[]byte("another encryption key")}
)

const password = "password-of-redis"

func key(account string) tokencache.Key { return tokencache.Key{Client: "main", Account: account} }

func grant(name string) tokencache.Grant {
	return tokencache.Grant{RefreshToken: "1000.refresh." + name, AccountsServer: "https://accounts.zoho.eu"}
}

func record(generation uint64) tokencache.Record {
	return tokencache.Record{
		Fingerprint: tokencache.Fingerprint{1}, Generation: generation, Token: "1000.access.token",
		Expiry: time.Now().Add(time.Hour).Round(0).UTC(),
	}
}

func save(tb testing.TB, s *redisstore.Store, accounts ...string) {
	tb.Helper()
	for _, account := range accounts {
		if err := s.SaveGrant(key(account), secrets, grant(account)); err != nil {
			tb.Fatal(err)
		}
	}
}

func wantGrant(tb testing.TB, s *redisstore.Store, account, token string) {
	tb.Helper()
	g, found, err := s.LoadGrant(key(account), secrets)
	if err != nil || !found || g.RefreshToken != grant(token).RefreshToken {
		tb.Errorf("grant of %s: %v, %v, %v", account, g, found, err)
	}
}

const patience = time.Minute

func waitFor(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("it did not come to this: %s", what)
		}
	}
}

// wantError wants a *tokencache.StoreError that names the server, says something, and shows no secret.
func wantError(tb testing.TB, err error, away bool, says string) {
	tb.Helper()
	var e *tokencache.StoreError
	if !errors.As(err, &e) {
		tb.Fatalf("%v, want a *StoreError", err)
	}
	if errors.Is(err, tokencache.ErrAway) != away {
		tb.Errorf("%v: away is %v, want %v", err, !away, away)
	}
	text := err.Error()
	if !strings.Contains(text, says) || !strings.Contains(e.File, "redis") || e.Remedy == "" {
		tb.Errorf("%q, want it to say %q", text, says)
	}
	for _, secret := range []string{password, "1000.", "encryption key"} {
		if strings.Contains(text, secret) {
			tb.Errorf("a secret is in %q", text)
		}
	}
}

// TestRefusals: each way in which Redis refuses is told with its remedy; what may pass counts
// as being away (S-54).
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		settings []string
		access   redisstore.Access
		address  func(s *redistest.Server) string
		another  bool                      // a second address is given
		after    func(s *redistest.Server) // the store is open
		call     func(s *redisstore.Store) error
		away     bool
		says     string
	}{
		"no password": {
			settings: []string{"requirepass", password}, away: true, says: "requires a password",
		},
		"wrong password": {
			settings: []string{"requirepass", password}, access: redisstore.Access{Password: password + "x"}, away: true,
			says: "refuses the user name and password",
		},
		"wrong user": {
			access: redisstore.Access{Username: "nobody", Password: password}, away: true, says: "refuses the user name and password",
		},
		"no permission": {
			after: func(s *redistest.Server) {
				s.CLI("ACL", "SETUSER", "default", "-@all", "+get", "+hello", "+auth", "+select")
			},
			away: true, says: "lacks permissions",
		},
		"no scripts": {
			after: func(s *redistest.Server) { s.CLI("ACL", "SETUSER", "default", "-@scripting") },
			away:  true, says: "lacks permissions",
		},
		"no streams": {
			after: func(s *redistest.Server) { s.CLI("ACL", "SETUSER", "default", "-@stream") },
			away:  true, says: "lacks permissions",
		},
		"a command within scripts": {
			after: func(s *redistest.Server) { s.CLI("ACL", "SETUSER", "default", "-zadd") },
			away:  true, says: "lacks permissions",
		},
		"a sentinel": {
			address: func(s *redistest.Server) string { return s.Sentinel("main")[0].Addr }, says: "add `sentinel NAME`",
		},
		"not a node of a cluster": {
			another: true, away: true, says: "not a node of a cluster",
		},
		"nobody listens": {
			address: func(*redistest.Server) string { return "127.0.0.1:1" }, away: true, says: "cannot be reached",
		},
		"stopped":   {after: func(s *redistest.Server) { s.Stop() }, away: true, says: "cannot be reached"},
		"paused":    {after: func(s *redistest.Server) { s.Pause() }, away: true, says: "did not answer in time"},
		"read-only": {after: func(s *redistest.Server) { s.CLI("REPLICAOF", "127.0.0.1", "1") }, away: true, says: "is a replica"},
		"full":      {after: func(s *redistest.Server) { s.Config("maxmemory", "1") }, away: true, says: "memory is full"},
		"too few replicas": {
			after: func(s *redistest.Server) { s.Config("min-replicas-to-write", "1") }, away: true, says: "too few replicas",
		},
		"a node of a cluster": {
			settings: []string{"cluster-enabled", "yes"}, away: true, says: "cluster is down",
		},
		"another program's": {
			after: func(s *redistest.Server) { s.CLI("SET", "p:about", "password-of-redis") },
			call:  (*redisstore.Store).CheckGrants, says: "p:about is not what was written there",
		},
		"a newer version's": {
			after: func(s *redistest.Server) { s.CLI("SET", "p:about", `{"program":"caddy-zoho","schema":99,"id":"x"}`) },
			call:  (*redisstore.Store).CheckGrants, says: "newer version (schema 99",
		},
		"another kind of value": {
			after: func(s *redistest.Server) { s.CLI("SET", "p:{main/a}:record", "1000.secret") }, says: "was not written by Caddy",
			call: func(s *redisstore.Store) error { return s.Save(key("a"), secrets, record(1)) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, test.settings...)
			config := configOf(server.Addr, "p:")
			if test.address != nil {
				config.Addresses[0] = test.address(server)
			}
			if test.another {
				config.Addresses = append(config.Addresses, redistest.Start(t).Addr)
			}
			config.Access = func() (redisstore.Access, error) { return test.access, nil }
			s := open(t, config)
			if test.after != nil {
				test.after(server)
			}
			call := test.call
			if call == nil {
				call = (*redisstore.Store).TryWrite
			}
			for range 3 {
				wantError(t, call(s), test.away, test.says)
			}
		})
	}
}

// TestDeaf: that Redis does not let this user follow changes is told while it lasts, and no longer.
func TestDeaf(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "appendonly", "yes")
	s := open(t, configOf(server.Addr, "p:"))
	told := func() bool {
		return slices.ContainsFunc(s.Concerns(), func(c tokencache.Concern) bool {
			return c.Failed && strings.Contains(c.What, "changes by other replicas")
		})
	}
	if told() {
		t.Error("told before")
	}
	server.CLI("ACL", "SETUSER", "default", "-xread")
	waitFor(t, "it is told", told)
	if log := strings.Join(s.UnreportedWarnings(), "\n"); strings.Count(log, "not noticed") != 1 {
		t.Errorf("the log has %q", log)
	}
	server.CLI("ACL", "SETUSER", "default", "+xread")
	waitFor(t, "it is told no longer", func() bool { return !told() })
}

// TestPausedRedis: while Redis does not answer, only some calls wait for it (S-54).
func TestPausedRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, configOf(server.Addr, "p:"))
	save(t, s, "a")
	server.Pause()
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			for range 1000 { // waits of two seconds each would reach the limit of the test
				if _, _, err := s.Load(key("a"), secrets); !errors.Is(err, tokencache.ErrAway) {
					t.Errorf("%v, want ErrAway", err)
					return
				}
			}
		})
	}
	all.Wait()
	wantGrant(t, s, "a", "a")
	server.Resume()
	waitFor(t, "it is used again", func() bool { return s.TryWrite() == nil })
}

// TestCrowd: many calls at once wait for each other, and not one takes a slow Redis for one that is away (S-54).
func TestCrowd(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	w := newWay(t, server.Addr)
	s := open(t, configOf(w.addr, "p:"))
	w.hold.Store(int64(20 * time.Millisecond))
	var all sync.WaitGroup
	var failed atomic.Int64
	const many = 10_000
	for i := range many {
		all.Go(func() {
			if _, err := s.Lease(key(strconv.Itoa(i)), time.Minute); err != nil && failed.Add(1) == 1 {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := failed.Load(); n != 0 {
		t.Errorf("%d of %d failed", n, many)
	}
}

// TestSlowConcerns: what doctor looks at takes several commands of a slow Redis, and none is one too many.
func TestSlowConcerns(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	w := newWay(t, server.Addr)
	s := open(t, configOf(w.addr, "p:"))
	save(t, s, "a")
	w.hold.Store(int64(600 * time.Millisecond))
	if got := s.Concerns(); len(got) != 1 || !strings.Contains(got[0].What, "writes nothing to disk") {
		t.Errorf("%+v", got)
	}
	for range 3 {
		wantGrant(t, s, "a", "a")
		if err := s.TryWrite(); err != nil {
			t.Error(err)
		}
	}
}

// TestStartedBefore: a store that cannot be reached at the start is used as soon as it can be.
func TestStartedBefore(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "appendonly", "yes")
	save(t, open(t, configOf(server.Addr, "p:")), "a")
	server.Stop()
	s := open(t, configOf(server.Addr, "p:"))
	var changed atomic.Bool
	defer s.Watch(func(c tokencache.Change) { changed.Store(c == tokencache.Change{}) })()
	wantError(t, s.CheckGrants(), true, "cannot be reached")
	server.Restart()
	waitFor(t, "its grants are known", func() bool { return changed.Load() && s.HasGrant(key("a")) })
	wantGrant(t, s, "a", "a")
}

// TestFlushed: grants that Redis has lost are named, and are served on by who has read them until they
// are settled; for the others they are errors. Nobody begins anew as if nothing had been there (S-54).
func TestFlushed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, two := open(t, configOf(server.Addr, "p:")), open(t, configOf(server.Addr, "p:"))
	save(t, one, "a", "b", "c", "deleted")
	if err := one.DeleteGrant(key("deleted")); err != nil {
		t.Fatal(err)
	}
	var told atomic.Bool
	defer two.Watch(func(c tokencache.Change) { told.CompareAndSwap(false, c == tokencache.Change{}) })()
	waitFor(t, "both know them", func() bool { return slices.Equal(two.Accounts("main"), []string{"a", "b", "c"}) })
	wantGrant(t, two, "a", "a")
	server.Flush()
	for _, s := range []*redisstore.Store{one, two} {
		var warnings []string
		waitFor(t, "it is noticed", func() bool {
			warnings = append(warnings, s.UnreportedWarnings()...)
			text := strings.Join(warnings, "\n")
			return strings.Contains(text, "emptied or replaced while") && strings.Contains(text, "main/a") && strings.Contains(text, "main/c")
		})
		wantError(t, s.CheckGrants(), false, "has lost 3 stored grants: main/a, main/b, main/c")
		wantError(t, s.Check(), false, "caddy zoho restore FILE")
		if c := s.Concerns()[0]; !c.Failed || !strings.Contains(c.What, "main/a, main/b, main/c") {
			t.Errorf("%+v", c)
		}
		if !slices.Equal(s.Accounts("main"), []string{"a", "b", "c"}) || !s.Lost(key("a")) || s.Lost(key("configured")) {
			t.Errorf("accounts %q", s.Accounts("main"))
		}
		wantGrant(t, s, "a", "a")
		if err := s.Save(key("configured"), secrets, record(1)); err != nil {
			t.Errorf("others are stopped as well: %v", err)
		}
	}
	wantGrant(t, one, "b", "b") // it has stored that one
	_, found, err := two.LoadGrant(key("b"), secrets)
	if wantError(t, err, false, "main/b"); found {
		t.Error("found, and was never read")
	}
	_, found, err = one.LoadGrant(key("a"), others)
	if found || !errors.Is(err, tokencache.ErrWrongKey) {
		t.Errorf("a lost grant opens by another key: %v, %v", found, err)
	}
	waitFor(t, "it is told", told.Load)
	save(t, one, "a") // as restore does
	if err := one.ReplaceGrant(key("b"), secrets, grant("anew")); err != nil {
		t.Fatal(err)
	}
	if err := one.DeleteGrant(key("c")); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*redisstore.Store{one, two} {
		waitFor(t, "all is settled", func() bool { return s.CheckGrants() == nil && !s.HasGrant(key("c")) })
		wantGrant(t, s, "a", "a")
		wantGrant(t, s, "b", "anew")
	}
	server.Flush()
	waitFor(t, "it is noticed once more", func() bool { return one.CheckGrants() != nil })
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	if again := open(t, configOf(server.Addr, "p:")); again.CheckGrants() != nil || len(again.Accounts("main")) != 0 {
		t.Errorf("a restart does not begin without them: %v", again.CheckGrants())
	}
}

// TestDeletedBeforeFlush: a grant that was deleted before Redis was emptied is not served on by a process
// that has not heard of it, as long as one lives that has (S-54).
func TestDeletedBeforeFlush(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	w := newWay(t, server.Addr)
	one, two := open(t, configOf(server.Addr, "p:")), open(t, configOf(w.addr, "p:"))
	save(t, one, "deleted", "anew", "lost")
	for _, account := range []string{"deleted", "anew", "lost"} {
		waitFor(t, "the other knows it", func() bool { return two.HasGrant(key(account)) })
		wantGrant(t, two, account, account)
	}
	w.Away(true)
	if err := errors.Join(one.DeleteGrant(key("deleted")), one.DeleteGrant(key("anew"))); err != nil {
		t.Fatal(err)
	}
	save(t, one, "anew")
	wantGrant(t, two, "deleted", "deleted") // it cannot know
	server.Flush()
	waitFor(t, "the deletion is known again", func() bool {
		deleted, err := one.Deleted()
		return err == nil && len(deleted) == 1 && !deleted[key("deleted")].IsZero()
	})
	w.Away(false)
	waitFor(t, "it is heard of", func() bool { return !two.HasGrant(key("deleted")) })
	_, found, err := two.LoadGrant(key("deleted"), secrets)
	if found || err != nil {
		t.Errorf("a deleted grant is served on: %v, %v", found, err)
	}
	wantError(t, two.CheckGrants(), false, "2 stored grants: main/anew, main/lost")
	wantGrant(t, two, "lost", "lost")
}

// TestBackupOfLostGrants: what Redis has lost is in a backup of who has read it, with the key that opens
// it. Who has not makes none: it would pass for complete, and displace a good one.
func TestBackupOfLostGrants(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, two := open(t, configOf(server.Addr, "p:")), open(t, configOf(server.Addr, "p:"))
	save(t, one, "a", "b")
	waitFor(t, "both know them", func() bool { return two.HasGrant(key("a")) && two.HasGrant(key("b")) })
	server.Flush()
	_, err := two.Dump()
	wantError(t, err, false, "has lost 2 stored grants: main/a, main/b")
	save(t, one, "c")
	d, err := one.Dump()
	if err != nil {
		t.Fatal(err)
	}
	opened := make(map[string]string)
	for _, g := range d.Grants {
		for _, ring := range d.Rings {
			if ring.ID != g.Grant.Grant.Key {
				continue
			}
			dataKey, err := ring.Open(sealed.Grants, ring.Client, secrets)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := g.Open(dataKey, g.Key())
			if err != nil {
				t.Fatal(err)
			}
			opened[g.Account] = plain.RefreshToken
		}
	}
	want := map[string]string{"a": "1000.refresh.a", "b": "1000.refresh.b", "c": "1000.refresh.c"}
	if !maps.Equal(opened, want) || len(d.Rings) != 2 {
		t.Errorf("%v by %d keys, want %v by two", opened, len(d.Rings), want)
	}
}

// TestBackupOfDamagedGrants: what is sound is in a backup, and what is not is named. Without anything
// sound there is none, and rekeying waits until it is mended.
func TestBackupOfDamagedGrants(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, configOf(server.Addr, "p:"))
	save(t, s, "a", "b", "lost")
	second := tokencache.Key{Client: "second", Account: "c"}
	if err := s.SaveGrant(second, secrets, grant("c")); err != nil {
		t.Fatal(err)
	}
	fresh := open(t, configOf(server.Addr, "p:")) // has read none
	waitFor(t, "it knows them", func() bool { return fresh.HasGrant(key("lost")) && fresh.HasGrant(second) })
	want := func(sound, missing []string) {
		t.Helper()
		d, err := fresh.Dump()
		if err != nil {
			t.Fatal(err)
		}
		var has, lacks []string
		for _, g := range d.Grants {
			has = append(has, g.Key().String())
		}
		for _, m := range d.Missing {
			lacks = append(lacks, m.String())
		}
		slices.Sort(has)
		if slices.Sort(lacks); !slices.Equal(has, sound) || !slices.Equal(lacks, missing) {
			t.Errorf("got %q without %q, want %q without %q", has, lacks, sound, missing)
		}
	}
	server.CLI("SETRANGE", "p:{main/b}:grant", "60", "?")
	server.CLI("DEL", "p:{main/lost}:grant")
	want([]string{"main/a", "second/c"}, []string{
		"main/b: its record is damaged",
		"main/lost: Redis has lost it, and this Caddy had not read it before",
	})
	server.CLI("SETRANGE", "p:keys:grants:main", "60", "?")
	want([]string{"second/c"}, []string{
		"main/a: its data key is missing or damaged",
		"main/b: its record is damaged",
		"main/lost: Redis has lost it, and this Caddy had not read it before",
	})
	_, err := fresh.Rekey(func(string) [][]byte { return secrets })
	wantError(t, err, false, "grant of main/")
	server.CLI("SETRANGE", "p:{second/c}:grant", "60", "?")
	_, err = fresh.Dump()
	wantError(t, err, false, "main/lost")
}

// TestFlushedCache: where no grant is stored Redis is a cache, and goes on by itself.
func TestFlushedCache(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, two := open(t, configOf(server.Addr, "p:")), open(t, configOf(server.Addr, "p:"))
	if err := one.Save(key("a"), secrets, record(1)); err != nil {
		t.Fatal(err)
	}
	var told atomic.Bool
	defer one.Watch(func(c tokencache.Change) { told.CompareAndSwap(false, c == tokencache.Change{}) })()
	server.Flush()
	waitFor(t, "it is told", told.Load)
	if err := errors.Join(one.CheckGrants(), one.Check()); err != nil {
		t.Error(err)
	}
	l, err := one.Lease(key("a"), time.Minute)
	if err != nil || l.Generation <= 1 {
		t.Errorf("%v, %v, want a generation after those of before", l, err)
	}
	if err := one.Save(key("a"), secrets, record(2)); err != nil {
		t.Fatal(err)
	}
	if r, _, err := two.Load(key("a"), secrets); err != nil || r.Token == "" {
		t.Errorf("what is sealed by the new key is not opened by the other: %v, %v", r, err)
	}
	for _, c := range one.Concerns() {
		if c.Failed {
			t.Errorf("%+v", c)
		}
	}
}

// TestEvicted: a grant that was dropped behind our back is lost, and not "none".
func TestEvicted(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, configOf(server.Addr, "p:"))
	save(t, s, "a", "b")
	other := open(t, configOf(server.Addr, "p:"))
	server.CLI("DEL", "p:{main/a}:grant")
	wantGrant(t, s, "a", "a") // from memory
	wantError(t, s.CheckGrants(), false, "main/a")
	wantGrant(t, s, "b", "b")
	_, found, err := other.LoadGrant(key("a"), secrets)
	if wantError(t, err, false, "lost 1 stored grant: main/a"); found {
		t.Error("found")
	}
	wantError(t, other.CheckGrants(), false, "main/a")
	var e *tokencache.StoreError
	if !errors.As(err, &e) || !e.Replaceable {
		t.Errorf("%v, want it to be replaceable", err)
	}
}

// TestCrashedWriter: what a process leaves behind that was killed between two steps mends itself.
func TestCrashedWriter(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, configOf(server.Addr, "p:"))
	save(t, s, "a", "b")
	server.CLI("SADD", "p:accounts:main", "listed alone")
	server.CLI("SREM", "p:accounts:main", "b")
	again := open(t, configOf(server.Addr, "p:"))
	if got := again.Accounts("main"); !slices.Equal(got, []string{"a"}) {
		t.Errorf("accounts %q", got)
	}
	wantGrant(t, again, "b", "b")
	if third := open(t, configOf(server.Addr, "p:")); !third.HasGrant(key("b")) {
		t.Error("who finds a grant that is not listed does not list it")
	}
	if err := s.CheckGrants(); err != nil || !s.HasGrant(key("b")) {
		t.Errorf("who knew it does not know it any more: %v", err)
	}
}

// TestListedAnew: a grant that fell off the list is listed again by who knows it, and so served by processes
// that start later, and part of their backups (S-54).
func TestListedAnew(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, configOf(server.Addr, "p:"))
	save(t, s, "a", "b", "c")
	for _, lose := range [][]string{{"SREM", "p:accounts:main", "b"}, {"DEL", "p:accounts:main"}, {"DEL", "p:accounts:main", "p:clients"}} {
		server.CLI(lose...)
		if err := s.CheckGrants(); err != nil {
			t.Fatal(err)
		}
		again := open(t, configOf(server.Addr, "p:"))
		if got := again.Accounts("main"); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("%q: accounts %q", lose, got)
		}
		if d, err := again.Dump(); err != nil || len(d.Grants) != 3 {
			t.Errorf("%q: %v, %v", lose, d, err)
		}
	}
}

// TestDeletedUnlisted: a grant that is off the list can be deleted, and a backup says so.
func TestDeletedUnlisted(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	first := open(t, configOf(server.Addr, "p:"))
	save(t, first, "a")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	server.CLI("SREM", "p:accounts:main", "a")
	s := open(t, configOf(server.Addr, "p:"))
	if err := s.DeleteGrant(key("a")); err != nil || s.HasGrant(key("a")) {
		t.Fatalf("%v", err)
	}
	if deleted, err := s.Deleted(); err != nil || len(deleted) != 1 {
		t.Errorf("%v, %v", deleted, err)
	}
}

// TestDiedDeleting: a process dies after it has deleted a grant, before it could tell. The others find that
// when they next look (S-54).
func TestDiedDeleting(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, configOf(server.Addr, "p:"))
	save(t, s, "a", "b")
	server.CLI("SADD", "p:deletions:main", "a", "b") // b: it died before
	server.CLI("SET", "p:{main/a}:deleted", time.Now().UTC().Format(time.RFC3339Nano))
	server.CLI("DEL", "p:{main/a}:grant")
	if err := s.CheckGrants(); err != nil {
		t.Fatal(err)
	}
	if s.HasGrant(key("a")) || !s.HasGrant(key("b")) {
		t.Errorf("accounts %q, want b", s.Accounts("main"))
	}
}

// TestUnopenedToken: a process that does not open a token saves what it knows beside it, and the others go on
// with the token. Another generation, or another grant, displaces it (S-53).
func TestUnopenedToken(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s, other := open(t, configOf(server.Addr, "p:")), open(t, configOf(server.Addr, "p:"))
	first := record(1)
	if err := s.Save(key("a"), secrets, first); err != nil {
		t.Fatal(err)
	}
	blind := tokencache.Record{Fingerprint: first.Fingerprint, Generation: 1, LastError: "seen"}
	for range 2 {
		if r, found, err := other.Load(key("a"), others); err != nil || !found || r.Token != "" {
			t.Fatalf("%v, %v, %v", r, found, err)
		}
		if err := other.Save(key("a"), others, blind); err != nil {
			t.Fatal(err)
		}
		r, _, err := s.Load(key("a"), secrets)
		if err != nil || r.Token != first.Token || !r.Expiry.Equal(first.Expiry) || r.LastError != "seen" {
			t.Errorf("%v, %v", r, err)
		}
	}
	stranger := first
	stranger.Token = "1000.access.another"
	if err := other.Save(key("a"), secrets, stranger); !errors.Is(err, tokencache.ErrOutdated) {
		t.Errorf("%v, want ErrOutdated", err)
	}
	again := first
	again.Expiry = first.Expiry.Add(-time.Minute)
	if err := s.Save(key("a"), secrets, again); err != nil {
		t.Fatal(err)
	}
	if r, _, err := s.Load(key("a"), secrets); err != nil || r.Token != first.Token || !r.Expiry.Equal(again.Expiry) || r.LastError != "" {
		t.Errorf("%v, %v", r, err)
	}
	blind.Fingerprint = tokencache.Fingerprint{2}
	if err := s.Save(key("a"), secrets, blind); err != nil {
		t.Fatal(err)
	}
	if r, _, err := s.Load(key("a"), secrets); err != nil || r.Token != "" || !r.Expiry.IsZero() {
		t.Errorf("%v, %v", r, err)
	}
}

// TestGarbage: what strangers write does not end anything, and no grant becomes "none" by it (S-56).
func TestGarbage(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, configOf(server.Addr, "p:"))
	save(t, s, "a", "b")
	if err := s.Save(key("a"), secrets, record(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Put("main", "state", secrets, []byte("x"), time.Hour); err != nil {
		t.Fatal(err)
	}
	server.CLI("SET", "p:{main/a}:grant", "garbage")
	server.CLI("HSET", "p:{main/a}:record", "record", "garbage")
	server.CLI("SET", "p:pending:main:state", "garbage")
	server.CLI("XADD", "p:changes", "*", "garbage", "garbage")
	server.CLI("SADD", "p:accounts:main", "")
	again := open(t, configOf(server.Addr, "p:"))
	_, found, err := again.LoadGrant(key("a"), secrets)
	if wantError(t, err, false, "main/a"); found || !errors.Is(err, tokencache.ErrDamaged) {
		t.Errorf("%v, %v", found, err)
	}
	if _, found, err := again.Load(key("a"), secrets); found || err != nil {
		t.Errorf("record: %v, %v", found, err)
	}
	if _, found, err := again.Get("main", "state", secrets); found || err != nil {
		t.Errorf("pending: %v, %v", found, err)
	}
	if got := again.UnreportedWarnings(); len(got) != 2 {
		t.Errorf("warnings %q", got)
	}
	wantGrant(t, again, "b", "b")
	if err := again.ReplaceGrant(key("a"), secrets, grant("anew")); err != nil {
		t.Error(err)
	}
	wantGrant(t, again, "a", "anew")
	server.CLI("SET", "p:keys:grants:main", "garbage")
	third := open(t, configOf(server.Addr, "p:"))
	if err := third.SaveGrant(key("c"), secrets, grant("c")); err == nil {
		t.Error("a key that cannot be read was replaced although grants are sealed by it")
	}
	_, _, err = third.LoadGrant(key("b"), secrets)
	wantError(t, err, false, "data key")
	waitFor(t, "the entry in the stream is told", func() bool {
		return strings.Contains(strings.Join(s.UnreportedWarnings(), "\n"), "another program")
	})
}

// TestMovedValues: what is sealed for one account does not open at another (S-53).
func TestMovedValues(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, configOf(server.Addr, "p:"))
	save(t, s, "a", "b")
	if err := errors.Join(s.Save(key("a"), secrets, record(1)), s.Save(key("b"), secrets, record(1))); err != nil {
		t.Fatal(err)
	}
	server.CLI("COPY", "p:{main/a}:grant", "p:{main/b}:grant", "REPLACE")
	server.CLI("HSET", "p:{main/b}:record", "token", server.CLI("HGET", "p:{main/a}:record", "token"))
	_, found, err := s.LoadGrant(key("b"), secrets)
	if wantError(t, err, false, "main/b"); found {
		t.Error("found")
	}
	if r, found, err := s.Load(key("b"), secrets); err != nil || !found || r.Token != "" {
		t.Errorf("%v, %v, %v", r, found, err)
	}
}

// TestNothingInClear: no secret stands in Redis as it is (S-53).
func TestNothingInClear(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, configOf(server.Addr, "p:"))
	save(t, s, "a")
	if err := errors.Join(s.Save(key("a"), secrets, record(1)),
		s.Put("main", "state", secrets, []byte("1000.pending"), time.Hour)); err != nil {
		t.Fatal(err)
	}
	server.CLI("CONFIG", "SET", "appendonly", "yes")
	for _, name := range strings.Fields(server.CLI("KEYS", "*")) {
		if !strings.HasPrefix(name, "p:") {
			t.Errorf("%s is not behind the prefix", name)
		}
		if dump := server.CLI("DUMP", name); strings.Contains(dump, "1000.") || strings.Contains(dump, "encryption key") {
			t.Errorf("a secret is at %s", name)
		}
	}
	for name, expires := range map[string]bool{
		"p:{main/a}:record": true, "p:pending:main:state": true, "p:{main/a}:grant": false, "p:keys:grants:main": false, "p:about": false,
	} {
		if got := server.CLI("PTTL", name) != "-1"; got != expires {
			t.Errorf("%s expires: %v", name, got)
		}
	}
}

// TestUnconfirmed: a grant that no replica confirms is stored all the same, and a warning says so.
func TestUnconfirmed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	replica := server.Replica()
	s := open(t, configOf(server.Addr, "p:"))
	save(t, s, "a")
	if got := s.UnreportedWarnings(); len(got) != 0 {
		t.Errorf("warnings %q", got)
	}
	replica.Pause()
	save(t, s, "b")
	if got := strings.Join(s.UnreportedWarnings(), "\n"); !strings.Contains(got, "the grant of main/b is stored, but no replica") {
		t.Errorf("warnings %q", got)
	}
	wantGrant(t, s, "b", "b")
	replica.Resume()
}

// TestManyGrants: thousands of grants are written, and sealed by another key, in a few round trips and waits
// for the disk.
func TestManyGrants(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "appendonly", "yes")
	w := newWay(t, server.Addr)
	s := open(t, configOf(w.addr, "p:"))
	const many = 2500
	grants := make(map[string]tokencache.Grant)
	for i := range many {
		account := fmt.Sprintf("shop-%04d", i)
		grants[account] = grant(account)
	}
	trips := w.trips.Load()
	if err := s.SaveGrants("main", secrets, grants, false); err != nil {
		t.Fatal(err)
	}
	d, err := s.Dump()
	if err != nil || len(d.Grants) != many {
		t.Fatalf("%d grants, %v", len(d.Grants), err)
	}
	if got := w.trips.Load() - trips; got > 300 { // an answer of several packets counts as many
		t.Errorf("%d answers for %d grants", got, many)
	}
	wantGrant(t, s, "shop-2499", "shop-2499")
	if err := s.ReplaceGrant(key("anew"), others, grant("anew")); err != nil { // another data key seals from now on
		t.Fatal(err)
	}
	trips = w.trips.Load()
	done, err := s.Rekey(func(string) [][]byte { return append(slices.Clone(others), secrets...) })
	if err != nil || done.Moved != many {
		t.Errorf("%+v, %v", done, err)
	}
	if got := w.trips.Load() - trips; got > 300 {
		t.Errorf("%d answers to seal %d grants anew", got, many)
	}
	g, found, err := s.LoadGrant(key("shop-0007"), others)
	if err != nil || !found || g.RefreshToken != grant("shop-0007").RefreshToken {
		t.Errorf("%v, %v, %v", g, found, err)
	}
}

// TestManyGrantsPartly: where Redis takes a part of them, the error says how many.
func TestManyGrantsPartly(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, configOf(server.Addr, "p:"))
	save(t, s, "first")
	server.CLI("ACL", "SETUSER", "default", "resetkeys", "~p:about", "~p:c*", "~p:accounts*", "~p:deletions*", "~p:keys*", "~p:{main/a}*",
		"~p:{main/c}*", "~p:{main/first}*")
	err := s.SaveGrants("main", secrets, map[string]tokencache.Grant{"a": grant("a"), "b": grant("b"), "c": grant("c")}, false)
	wantError(t, err, true, "2 of 3 grants are stored: ")
	wantGrant(t, s, "a", "a")
	wantGrant(t, s, "c", "c")
}

// TestKeeping: that Redis may lose grants is told where some are stored.
func TestKeeping(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		settings []string
		forbid   bool
		says     string
	}{
		"nothing written": {nil, false, "writes nothing to disk"},
		"snapshots":       {[]string{"save", "3600 1"}, false, "only snapshots"},
		"append-only":     {[]string{"appendonly", "yes"}, false, ""},
		"volatile keys":   {[]string{"appendonly", "yes", "maxmemory-policy", "volatile-lru"}, false, ""},
		"eviction":        {[]string{"appendonly", "yes", "maxmemory-policy", "allkeys-lru"}, false, "drops keys"},
		"forbidden":       {nil, true, "was not checked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, test.settings...)
			s := open(t, configOf(server.Addr, "p:"))
			if got := s.Concerns(); len(got) != 0 {
				t.Errorf("a cache is warned of: %+v", got)
			}
			save(t, s, "a")
			if test.forbid {
				server.CLI("ACL", "SETUSER", "default", "-config")
			}
			got := s.Concerns()
			if test.says == "" {
				if len(got) != 0 {
					t.Errorf("%+v", got)
				}
				return
			}
			if len(got) != 1 || !strings.Contains(got[0].What, test.says) || got[0].Failed {
				t.Errorf("%+v, want %q", got, test.says)
			}
		})
	}
}

// TestRotatedPassword: another password is taken by the next connection, and the store stays the same.
func TestRotatedPassword(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "requirepass", password)
	var now atomic.Pointer[redisstore.Access]
	now.Store(&redisstore.Access{Password: password})
	config := configOf(server.Addr, "p:")
	config.Access = func() (redisstore.Access, error) { return *now.Load(), nil }
	s := open(t, config)
	save(t, s, "a")
	server.CLI("-a", password, "ACL", "SETUSER", "another", "on", ">another", "~*", "&*", "+@all")
	server.CLI("-a", password, "CONFIG", "SET", "requirepass", "changed")
	server.TryCLI("-a", "changed", "CLIENT", "KILL", "TYPE", "normal")
	waitFor(t, "it is refused", func() bool {
		err := s.TryWrite()
		return err != nil && strings.Contains(err.Error(), "password")
	})
	now.Store(&redisstore.Access{Username: "another", Password: "another"})
	waitFor(t, "it is let in again", func() bool { return s.TryWrite() == nil })
	wantGrant(t, s, "a", "a")
}

// TestLimitedUser: the user that the documentation makes may do all that is needed, and nothing else.
func TestLimitedUser(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "appendonly", "yes")
	server.Replica()
	server.CLI("ACL", "SETUSER", "zoho", "on", ">"+password, "~p:*", "+@all", "-@dangerous", "+info", "+config|get")
	config := configOf(server.Addr, "p:")
	config.Access = func() (redisstore.Access, error) { return redisstore.Access{Username: "zoho", Password: password}, nil }
	s := open(t, config)
	var told atomic.Bool
	defer s.Watch(func(c tokencache.Change) { told.Store(true) })()
	save(t, s, "a")
	wantGrant(t, s, "a", "a")
	l, err := s.Lease(key("a"), time.Minute)
	e, err2 := s.EnterCall(tokencache.Fingerprint{1}, 10, time.Minute)
	err = errors.Join(err, err2, s.Extend(key("a"), l, time.Minute), s.Save(key("a"), secrets, record(l.Generation)),
		s.CompleteCall(tokencache.Fingerprint{1}, e.ID, true), s.Release(key("a"), l), s.CheckGrants(), s.TryWrite(),
		s.Put("main", "state", secrets, []byte("x"), time.Minute), s.AddWraps(map[string][][]byte{"main": append(others, secrets...)}))
	if err != nil || len(s.Concerns()) != 0 {
		t.Errorf("%v, %+v", err, s.Concerns())
	}
	save(t, open(t, configOf(server.Addr, "p:")), "b")
	waitFor(t, "changes are followed", told.Load)
	config.Prefix = "q:"
	wantError(t, open(t, config).TryWrite(), true, "lacks permissions")
}

// TestNoAccess: that there is no password to give is told as such.
func TestNoAccess(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	config := configOf(server.Addr, "p:")
	config.Access = func() (redisstore.Access, error) { return redisstore.Access{}, errors.New("the password is not there") }
	wantError(t, open(t, config).TryWrite(), true, "the password is not there")
}

// TestTLS: the server is known by its certificate (S-56), and nothing is said to another one.
func TestTLS(t *testing.T) {
	t.Parallel()
	server, ca := redistest.StartTLS(t)
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	config := configOf(server.Addr, "p:")
	config.TLS = true
	wantError(t, open(t, config).TryWrite(), true, "certificate signed by unknown authority")
	config.Access = func() (redisstore.Access, error) {
		return redisstore.Access{TLS: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}, nil
	}
	s := open(t, config)
	save(t, s, "a")
	wantGrant(t, s, "a", "a")
	plain := redistest.Start(t)
	config.Addresses = []string{plain.Addr}
	wantError(t, open(t, config).TryWrite(), true, "")
}

// TestSocket: a Redis of the same machine is reached by its socket.
func TestSocket(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "redis") // short: the path of a socket has few bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	redistest.Start(t, "unixsocket", socket)
	waitFor(t, "the socket, which comes after the port", func() bool {
		_, err := os.Stat(socket)
		return err == nil
	})
	s := open(t, configOf(socket, "p:"))
	save(t, s, "a")
	wantGrant(t, s, "a", "a")
}

// TestFailover: after Sentinel has made the replica the primary the store goes on there, all is
// looked at anew, and what the replica had not heard of is named (S-54).
func TestFailover(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	replica := primary.Replica("appendonly", "yes")
	sentinels := primary.Sentinel("zoho")
	config := configOf(sentinels[0].Addr, "p:")
	config.Addresses, config.Sentinel = []string{sentinels[0].Addr, sentinels[1].Addr, sentinels[2].Addr}, "zoho"
	s := open(t, config)
	save(t, s, "kept")
	replica.Pause()
	save(t, s, "lost") // confirmed by nobody
	primary.Stop()
	replica.Resume()
	var told atomic.Bool
	defer s.Watch(func(c tokencache.Change) { told.CompareAndSwap(false, c == tokencache.Change{}) })()
	wantGrant(t, s, "lost", "lost")
	waitFor(t, "the replica takes over, and that is told", func() bool { return told.Load() && s.TryWrite() == nil })
	wantGrant(t, s, "kept", "kept")
	if err := s.CheckGrants(); err != nil { // the replica may have got it with the end of the pause
		wantError(t, err, false, "lost 1 stored grant: main/lost")
	}
	if err := s.Save(key("kept"), secrets, record(9)); err != nil {
		t.Errorf("a newer generation is not stored again: %v", err)
	}
}

// TestSentinelPassword: sentinels that want the password of the servers get it, also after it was changed.
// One that wants another is named as such.
func TestSentinelPassword(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	sentinels := primary.Sentinel("zoho")
	var now atomic.Pointer[redisstore.Access]
	config := configOf(sentinels[0].Addr, "p:")
	config.Addresses, config.Sentinel = []string{sentinels[0].Addr, sentinels[1].Addr, sentinels[2].Addr}, "zoho"
	config.Access = func() (redisstore.Access, error) { return *now.Load(), nil }
	demand := func(before, password, ofSentinels string) {
		now.Store(&redisstore.Access{Password: password})
		for _, one := range sentinels {
			one.CLI("-a", before, "SENTINEL", "SET", "zoho", "auth-pass", password)
			one.CLI("-a", before, "ACL", "SETUSER", "default", "resetpass", ">"+ofSentinels)
		}
		primary.CLI("-a", before, "CONFIG", "SET", "requirepass", password)
		_, _ = primary.TryCLI("-a", password, "CLIENT", "KILL", "TYPE", "normal")
	}
	demand("none", password, password)
	s := open(t, config)
	waitFor(t, "it is let in", func() bool { return s.TryWrite() == nil })
	save(t, s, "a")
	demand(password, "changed", "changed")
	for _, again := range []*redisstore.Store{s, open(t, config)} {
		waitFor(t, "it is let in again", func() bool { return again.TryWrite() == nil })
		wantGrant(t, again, "a", "a")
	}
	now.Store(&redisstore.Access{Username: "default", Password: "changed"})
	wantGrant(t, open(t, config), "a", "a")
	now.Store(&redisstore.Access{Password: "wrong"})
	wantError(t, open(t, config).TryWrite(), true, "a sentinel refuses the password")
	now.Store(&redisstore.Access{})
	wantError(t, open(t, config).TryWrite(), true, "requires a password")
}

// TestManyChanges: who comes back to a stream that has gone on further than it keeps looks at all.
func TestManyChanges(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, configOf(server.Addr, "p:"))
	var told atomic.Bool
	defer s.Watch(func(c tokencache.Change) { told.CompareAndSwap(false, c == tokencache.Change{}) })()
	server.CLI("EVAL", `for i = 1, 3000 do
		redis.call('XADD', KEYS[1], '*', 'by', 'x', 'client', 'main', 'account', tostring(i), 'what', 'record') end`,
		"1", "p:changes")
	waitFor(t, "it is told that anything may have changed", told.Load)
}

// TestClosed: nothing goes on after the end, and calls say so.
func TestClosed(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	server := redistest.Start(t)
	s := redisstore.New(configOf(server.Addr, "p:"))
	wantError(t, s.TryWrite(), false, "closed")
	for range 2 {
		if err := errors.Join(s.Open(), s.Open()); err != nil {
			t.Fatal(err)
		}
		save(t, s, "a")
		stop := s.Watch(func(tokencache.Change) {})
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
		stop()
		wantError(t, s.TryWrite(), false, "closed")
	}
	server.Stop()
}

// TestName: it tells one Redis from another, and holds no credentials.
func TestName(t *testing.T) {
	t.Parallel()
	config := configOf("host:6379", "p:")
	config.Access = func() (redisstore.Access, error) { return redisstore.Access{Password: password}, nil }
	base := redisstore.New(config).Name()
	if strings.Contains(base, password) || !strings.Contains(base, "host:6379") {
		t.Error(base)
	}
	for what, change := range map[string]func(c *redisstore.Config){
		"prefix": func(c *redisstore.Config) { c.Prefix = "q:" }, "database": func(c *redisstore.Config) { c.Database = 1 },
		"address": func(c *redisstore.Config) { c.Addresses = []string{"other:6379"} }, "tls": func(c *redisstore.Config) { c.TLS = true },
		"sentinel": func(c *redisstore.Config) { c.Sentinel = "x" },
	} {
		other := config
		if change(&other); redisstore.New(other).Name() == base {
			t.Errorf("%s makes no other name", what)
		}
	}
}
