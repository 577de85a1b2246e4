package tokencache_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
)

// server stands for the authorization server behind Client.Fetch.
type server struct {
	mu     sync.Mutex
	calls  []time.Time
	flying map[tokencache.Key]int
	most   int // flights of one connection at the same time
	delay  time.Duration
	answer func(call int) (tokencache.Fetched, error) // nil = a token of an hour
}

func (s *server) fetch(ctx context.Context, key tokencache.Key, g tokencache.Grant) (tokencache.Fetched, error) {
	s.mu.Lock()
	s.calls = append(s.calls, time.Now())
	call, answer, delay := len(s.calls), s.answer, s.delay
	if s.flying == nil {
		s.flying = make(map[tokencache.Key]int)
	}
	s.flying[key]++
	s.most = max(s.most, s.flying[key])
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.flying[key]--
		s.mu.Unlock()
	}()
	if delay > 0 { // to read a timer that is due crashes the race detector in a bubble (go1.26)
		if err := pause(ctx, delay); err != nil {
			return tokencache.Fetched{}, err
		}
	}
	if answer != nil {
		return answer(call)
	}
	return token(call)
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

func (s *server) set(answer func(call int) (tokencache.Fetched, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *server) slow(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

func token(call int) (tokencache.Fetched, error) {
	return tokencache.Fetched{AccessToken: fmt.Sprintf("token-%d", call), Life: time.Hour, APIDomain: "https://api.example", Scope: "all"}, nil
}

// failing answers every call with an error of that kind.
func failing(kind tokencache.Kind, noToken bool) func(int) (tokencache.Fetched, error) {
	return func(int) (tokencache.Fetched, error) {
		return tokencache.Fetched{}, &tokencache.FetchError{Kind: kind, NoToken: noToken, Err: errors.New("as the test wants it")}
	}
}

// journal collects events.
type journal struct {
	mu     sync.Mutex
	events []tokencache.Event
}

func (j *journal) observe(e tokencache.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

func (j *journal) of(t tokencache.EventType) (all []tokencache.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		if e.Type == t {
			all = append(all, e)
		}
	}
	return all
}

// grants are what a configuration knows, to be changed by a test.
type grants struct {
	mu  sync.Mutex
	all map[string]tokencache.Grant
	err error
}

func (g *grants) set(account, refreshToken string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all == nil {
		g.all = make(map[string]tokencache.Grant)
	}
	g.all[account] = tokencache.Grant{RefreshToken: refreshToken, AccountsServer: "https://accounts.example"}
}

func (g *grants) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = err
}

func (g *grants) remove(account string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.all, account)
}

func (g *grants) get(account string) (tokencache.Grant, bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	found, ok := g.all[account]
	return found, ok, g.err
}

func (g *grants) names() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Collect(maps.Keys(g.all))
}

// secretList is what a configuration has, to be changed by a test; "" = none,
// "panic" = what it says.
type secretList struct {
	mu  sync.Mutex
	now string
}

func (s *secretList) set(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = secret
}

func (s *secretList) get() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.now {
	case "":
		return nil
	case "panic":
		panic("in a placeholder")
	}
	return [][]byte{[]byte(s.now)}
}

// rig is a cache with everything around it under the test's control.
type rig struct {
	testing.TB
	cache   *tokencache.Cache
	client  *tokencache.Client
	server  *server
	grants  *grants
	journal *journal
	secret  secretList
	opts    tokencache.Options
}

func newRig(t testing.TB, change ...func(*tokencache.Options)) *rig {
	t.Helper()
	r := &rig{TB: t, server: &server{}, grants: &grants{}, journal: &journal{}}
	r.secret.set("a client's secret")
	r.grants.set("default", "refresh token")
	r.opts = tokencache.Options{Observe: r.journal.observe, Rand: func() float64 { return 0.5 }}
	for _, f := range change {
		f(&r.opts)
	}
	r.client = r.newClient()
	r.cache = tokencache.New(r.opts)
	t.Cleanup(func() { _ = r.cache.Close() })
	return r
}

// newClient is what a reload gives: another client that says the same.
func (r *rig) newClient() *tokencache.Client {
	return &tokencache.Client{
		Name:     "main",
		MaxLife:  time.Hour,
		Accounts: r.grants.names,
		Grant:    r.grants.get,
		ClientID: func() string { return "id" },
		Secrets:  r.secret.get,
		Fetch:    r.server.fetch,
	}
}

// restart ends the cache and begins another one on the same store.
func (r *rig) restart() {
	r.Helper()
	if err := r.cache.Close(); err != nil {
		r.Fatal(err)
	}
	r.cache = tokencache.New(r.opts)
	r.client = r.newClient()
}

func withBolt(b *boltstore.Store) func(*tokencache.Options) {
	return func(o *tokencache.Options) { o.Store = b }
}

func openBolt(t testing.TB, dir string) *boltstore.Store {
	t.Helper()
	b := boltstore.New(dir)
	if err := b.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func (r *rig) conn() *tokencache.Conn {
	r.Helper()
	n, err := r.cache.Conn(r.client, "default")
	if err != nil {
		r.Fatal(err)
	}
	return n
}

func (r *rig) resource(name string) *tokencache.Resource {
	r.Helper()
	return r.conn().Resource(name, "")
}

// get is a call that must give a token.
func (r *rig) get(name string) *tokencache.Token {
	r.Helper()
	tok, err := r.resource(name).Get(context.Background(), r.client)
	if err != nil {
		r.Fatalf("Get: %v", err)
	}
	if tok.Value == "" || tok.Generation == 0 {
		r.Fatalf("Get gave %v", tok)
	}
	return tok
}

// refusal is a call that must give no token, for a reason.
func (r *rig) refusal(name string, kind tokencache.Kind) *tokencache.Error {
	r.Helper()
	tok, err := r.resource(name).Get(context.Background(), r.client)
	return r.wantError(tok, err, kind)
}

func (r *rig) wantError(tok *tokencache.Token, err error, kind tokencache.Kind) *tokencache.Error {
	r.Helper()
	var e *tokencache.Error
	if !errors.As(err, &e) || e.Kind != kind || tok != nil {
		r.Fatalf("got %v, %v, want an error of kind %s", tok, err, kind)
	}
	return e
}

func (r *rig) wantCalls(want int) {
	r.Helper()
	if got := r.server.count(); got != want {
		r.Fatalf("%d token calls, want %d", got, want)
	}
}

func (r *rig) wantState(want string) {
	r.Helper()
	if got := r.conn().State(); got != want {
		r.Fatalf("state %s, want %s", got, want)
	}
}

// settle lets all goroutines of the bubble come to rest.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

var (
	secrets  = [][]byte{[]byte("first secret of the client")} // as storedRig has it
	someTime = time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
)

// grant is one that tells no other but by its refresh token.
func grant(name string) tokencache.Grant {
	return tokencache.Grant{
		RefreshToken:   "1000.refresh." + name,
		AccountsServer: "https://accounts.zoho.eu",
		APIDomain:      "https://www.zohoapis.eu",
		Scopes:         []string{"ZohoCRM.modules.ALL", "offline"},
		GrantedAt:      someTime,
	}
}

func mustSaveGrant(tb testing.TB, s tokencache.Store, key tokencache.Key, g tokencache.Grant) {
	tb.Helper()
	if err := s.SaveGrant(key, secrets, g); err != nil {
		tb.Fatal(err)
	}
}
