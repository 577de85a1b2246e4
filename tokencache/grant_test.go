package tokencache_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
)

// storedRig has the account default connected by a stored grant, the first.
func storedRig(t *testing.T, dir string) (*rig, *boltstore.Store, tokencache.Key) {
	t.Helper()
	b := openBolt(t, dir)
	r := newRig(t, withBolt(b))
	r.grants.remove("default")
	r.secret.set(string(secrets[0]))
	key := tokencache.Key{Client: "main", Account: "default"}
	mustSaveGrant(t, b, key, grant("first"))
	return r, b, key
}

func TestUnknownAccountsLeaveNothing(t *testing.T) {
	r := newRig(t, withBolt(openBolt(t, t.TempDir())))
	for i := range 100 {
		n, err := r.cache.Conn(r.client, fmt.Sprint("stranger", i))
		var e *tokencache.Error
		if n != nil || !errors.As(err, &e) || e.Kind != tokencache.KindNoGrant || e.RetryAfter != 0 {
			t.Fatalf("got %v, %v", n, err)
		}
	}
	if got := r.cache.Status(r.client); len(got) != 1 {
		t.Errorf("status knows of %v", got)
	}
	if n, again := r.conn(), r.conn(); n != again {
		t.Error("a connection has two states")
	}
}

func TestPlaceholderWithoutValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		gone := errors.New("file is empty")
		r.grants.fail(gone)
		if _, err := r.cache.Conn(r.client, "default"); !errors.Is(err, gone) {
			t.Errorf("Conn: %v", err)
		}
		r.grants.fail(nil)
		r.get("crm")
		r.grants.fail(gone)
		settle(56 * time.Minute)
		r.get("crm") // what lives serves on
		settle(5 * time.Minute)
		if e := r.refusal("crm", tokencache.KindStore); !errors.Is(e, gone) || e.RetryAfter == 0 {
			t.Errorf("got %v", e)
		}
		r.grants.fail(nil)
		settle(time.Second)
		r.get("crm")
	})
}

func TestConsent(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := openBolt(t, dir)
		r := newRig(t, withBolt(b))
		r.grants.remove("default")
		key, secrets := tokencache.Key{Client: "main", Account: "default"}, r.client.Secrets()
		consent := func(refreshToken string) {
			t.Helper()
			g := tokencache.Grant{RefreshToken: refreshToken, AccountsServer: "https://accounts.example", Scopes: []string{"a", "b"}, GrantedAt: time.Now()}
			if err := b.SaveGrant(key, secrets, g); err != nil {
				t.Fatal(err)
			}
			r.cache.GrantChanged(key)
		}
		r.cache.GrantChanged(key) // of a connection that nobody uses
		consent("first")
		first := r.get("crm")
		consent("second")
		if tok := r.get("crm"); tok.Value == first.Value || tok.Generation != 2 {
			t.Errorf("after another consent: %v", tok)
		}
		s := r.cache.Status(r.client)
		if len(s) != 1 || !s[0].HasGrant || s[0].Configured || len(s[0].Scopes) != 2 || s[0].GrantedAt.IsZero() || !s[0].HasToken {
			t.Errorf("status %+v", s)
		}
		if err := b.DeleteGrant(key); err != nil {
			t.Fatal(err)
		}
		r.cache.GrantChanged(key)
		r.refusal("crm", tokencache.KindNoGrant)
		if r.conn().Peek() != nil {
			t.Error("the token outlived its grant")
		}
		consent("of a moment")
		r.get("crm")
		if err := b.DeleteGrant(key); err != nil {
			t.Fatal(err)
		}
		r.client.Accounts = func() []string { return []string{"default"} } // with an empty value, which nobody has asked for since
		r.cache.GrantChanged(key)
		if s := r.cache.Status(r.client)[0]; s.HasToken || !s.Expiry.IsZero() || s.NoGrant != tokencache.KindNoGrant {
			t.Errorf("forgotten: %+v", s)
		}
		consent("third")
		if tok := r.get("crm"); tok.Generation != 4 {
			t.Errorf("after the third consent: %v", tok)
		}
	})
}

// A grant that goes while a token is asked for takes along what comes of that, which
// reaches neither callers nor the files.
func TestGrantGoesInFlight(t *testing.T) {
	for what, then := range map[string]func(r *rig, b *boltstore.Store, key tokencache.Key){
		"forgotten": func(r *rig, b *boltstore.Store, key tokencache.Key) {
			if err := b.DeleteGrant(key); err != nil {
				r.Fatal(err)
			}
		},
		"replaced": func(r *rig, b *boltstore.Store, key tokencache.Key) {
			mustSaveGrant(r, b, key, grant("second"))
		},
	} {
		for _, operator := range []bool{false, true} {
			dir := t.TempDir()
			t.Run(fmt.Sprint(what, " operator=", operator), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r, b, key := storedRig(t, dir)
					r.get("crm")
					r.server.slow(5 * time.Second)
					n := r.conn()
					ask := func() (*tokencache.Token, error) {
						return n.Resource("crm", "").Refused(t.Context(), r.client, 1, tokencache.RefusalDead)
					}
					if operator {
						ask = func() (*tokencache.Token, error) { return n.Refresh(t.Context(), r.client) }
					}
					type answer struct {
						token *tokencache.Token
						err   error
					}
					answers := make(chan answer, 1)
					go func() {
						token, err := ask()
						answers <- answer{token, err}
					}()
					synctest.Wait()
					then(r, b, key)
					r.cache.GrantChanged(key)
					got := <-answers
					settle(0)
					rec, _, err := b.Load(key, secrets)
					switch {
					case err != nil:
						t.Fatal(err)
					case what == "replaced":
						if got.err != nil || got.token.Value != "token-3" || r.get("crm").Value != "token-3" || rec.Token != "token-3" {
							t.Errorf("got %v, %v; stored %s", got.token, got.err, rec)
						}
						r.wantCalls(3)
					default:
						r.wantError(got.token, got.err, tokencache.KindNoGrant)
						r.refusal("crm", tokencache.KindNoGrant)
						if n.Peek() != nil || rec.Token != "" {
							t.Errorf("there is %v, stored %s", n.Peek(), rec)
						}
						r.wantCalls(2)
					}
				})
			})
		}
	}
}

// A grant that is deleted while its token is written leaves none in the files.
func TestGrantGoesWhileItsTokenIsWritten(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r, b, key := storedRig(t, dir)
		deleted := false
		r.client.Secrets = func() [][]byte {
			if !deleted && r.server.count() == 1 && r.conn().Peek() != nil { // about to be written
				deleted = true
				if err := b.DeleteGrant(key); err != nil {
					t.Error(err)
				}
				r.cache.GrantChanged(key)
			}
			return secrets
		}
		// The caller is told of the token or of the end of its grant, whichever it sees first.
		if tok, err := r.resource("crm").Get(t.Context(), r.client); err != nil {
			r.wantError(tok, err, tokencache.KindNoGrant)
		}
		settle(time.Minute)
		if rec, _, err := b.Load(key, secrets); !deleted || err != nil || rec.Token != "" {
			t.Errorf("deleted %v; %v, %v", deleted, rec, err)
		}
		r.refusal("crm", tokencache.KindNoGrant)
	})
}

// A grant that changed and cannot be looked at when a flight lands is left for whoever comes
// next: the flight ends.
func TestFlightEndsThoughItsGrantCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, withBolt(openBolt(t, dir)))
		r.get("crm")
		r.server.slow(5 * time.Second)
		n := r.conn()
		go func() { _, _ = n.Refresh(t.Context(), r.client) }()
		synctest.Wait()
		r.cache.GrantChanged(tokencache.Key{Client: "main", Account: "default"})
		r.grants.fail(errors.New("cannot be read"))
		settle(time.Minute)
		r.refusal("crm", tokencache.KindStore)
		r.grants.fail(nil)
		settle(time.Second)
		if tok := r.get("crm"); tok.Value != "token-2" {
			t.Errorf("got %v", tok)
		}
	})
}

// A look at the grant that fails is repeated: it is not taken for one that found the grant
// of before, and of what has changed nothing is served meanwhile.
func TestFailedLookAtTheGrant(t *testing.T) {
	key := tokencache.Key{Client: "main", Account: "default"}
	for what, test := range map[string]struct {
		change  func(r *rig, b *boltstore.Store)
		served  bool   // while it cannot be looked at
		then    string // token once it can, "" = none
		reloads bool
	}{
		"replaced": {func(r *rig, b *boltstore.Store) {
			mustSaveGrant(r, b, key, grant("second"))
			r.cache.GrantChanged(key)
		}, false, "token-2", false},
		"forgotten": {func(r *rig, b *boltstore.Store) {
			if err := b.DeleteGrant(key); err != nil {
				r.Fatal(err)
			}
			r.cache.GrantChanged(key)
		}, false, "", false},
		"a reload that changes nothing": {func(*rig, *boltstore.Store) {}, true, "token-1", true},
		"configured otherwise": {func(r *rig, _ *boltstore.Store) {
			r.grants.set("default", "another one")
		}, false, "token-2", true},
	} {
		dir := t.TempDir()
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, b, _ := storedRig(t, dir)
				r.get("crm")
				n := r.conn()
				test.change(r, b)
				if test.reloads {
					r.client = r.newClient()
				}
				r.grants.fail(errors.New("cannot be read"))
				if !test.reloads || test.served {
					r.grants.fail(nil)
					_ = b.Close()
				}
				for range 3 {
					tok, err := n.Resource("crm", "").Get(t.Context(), r.client)
					if test.served {
						if err != nil || tok.Value != "token-1" {
							t.Errorf("meanwhile: %v, %v", tok, err)
						}
						continue
					}
					r.wantError(tok, err, tokencache.KindStore)
				}
				r.grants.fail(nil)
				if err := b.Open(); err != nil {
					t.Fatal(err)
				}
				settle(time.Second)
				tok, err := n.Resource("crm", "").Get(t.Context(), r.client)
				switch {
				case test.then == "":
					r.wantError(tok, err, tokencache.KindNoGrant)
				case err != nil || tok.Value != test.then:
					t.Errorf("then: %v, %v", tok, err)
				}
			})
		})
	}
}

// Whatever holds calls back belongs to the grant that it befell.
func TestAnotherGrantEndsTheWait(t *testing.T) {
	for name, change := range map[string]func(r *rig){
		"reload":  func(r *rig) { r.client = r.newClient() },
		"consent": func(r *rig) { r.cache.GrantChanged(tokencache.Key{Client: "main", Account: "default"}) },
		"operator": func(r *rig) {
			if _, err := r.conn().Refresh(r.Context(), r.client); err != nil {
				r.Errorf("Refresh: %v", err)
			}
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.server.set(failing(tokencache.KindThrottled, false))
			r.refusal("crm", tokencache.KindThrottled)
			r.server.set(nil)
			r.refusal("crm", tokencache.KindThrottled)
			r.grants.set("default", "another one")
			r.refusal("crm", tokencache.KindThrottled) // nobody has looked
			change(r)
			if tok := r.get("crm"); tok.Value != "token-2" {
				t.Errorf("%s: got %v", name, tok)
			}
		})
	}
}

// A store that cannot be read: what is in memory serves, nothing is asked.
func TestUnreadableGrants(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := openBolt(t, dir)
		r := newRig(t, withBolt(b))
		r.grants.remove("default")
		key := tokencache.Key{Client: "main", Account: "default"}
		g := tokencache.Grant{RefreshToken: "one", AccountsServer: "https://accounts.example"}
		if err := b.SaveGrant(key, r.client.Secrets(), g); err != nil {
			t.Fatal(err)
		}
		r.get("crm")
		r.secret.set("a secret that opens nothing")
		r.client = r.newClient()
		r.get("crm")
		settle(56 * time.Minute)
		r.get("crm")
		settle(5 * time.Minute)
		for range 100 {
			if e := r.refusal("crm", tokencache.KindStore); e.RetryAfter == 0 || !errors.Is(e, tokencache.ErrWrongKey) {
				t.Fatalf("got %v", e)
			}
		}
		if n := len(r.journal.of(tokencache.EventStoreError)); n > 5 {
			t.Errorf("told %d times", n)
		}
		s := r.cache.Status(r.client)[0]
		if s.HasGrant || s.LastError == "" {
			t.Errorf("status %+v", s)
		}
		r.wantCalls(1)
		r.secret.set("a client's secret")
		r.client = r.newClient()
		r.get("crm")
	})
}

// tokens.db cannot be read, and a restart loop must not spend the budget: no call.
func TestUnreadableTokens(t *testing.T) {
	dir := t.TempDir()
	openBolt(t, dir) // another process, say
	r := newRig(t, withBolt(boltstore.New(dir)))
	for range 100 {
		if e := r.refusal("crm", tokencache.KindStore); e.RetryAfter == 0 {
			t.Fatalf("got %v", e)
		}
	}
	r.wantCalls(0)
	if n := len(r.journal.of(tokencache.EventStoreError)); n == 0 || n > 3 {
		t.Errorf("told %d times", n)
	}
}

// grants.db is damaged from the start: nobody knows who is connected, so no
// account is told that it is not.
func TestDamagedGrants(t *testing.T) {
	dir := t.TempDir()
	b := openBolt(t, dir)
	key := tokencache.Key{Client: "main", Account: "stored"}
	if err := b.SaveGrant(key, [][]byte{[]byte("x")}, tokencache.Grant{RefreshToken: "y"}); err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	files, _ := filepath.Glob(filepath.Join(dir, "grants.db*")) // the version before, too
	for _, name := range files {
		if err := os.Truncate(name, 5000); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t, withBolt(openBolt(t, dir)))
	n, err := r.cache.Conn(r.client, "stored")
	var e *tokencache.Error
	if n != nil || !errors.As(err, &e) || e.Kind != tokencache.KindStore || e.RetryAfter == 0 {
		t.Errorf("got %v, %v", n, err)
	}
	r.get("crm") // a configured one goes on
}
