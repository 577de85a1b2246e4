package tokencache_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// operation is one step of a history, drawn before the bubble begins.
type operation struct {
	Do       string
	Resource string
	Mode     string
	Callers  int
	Wait     time.Duration
}

func (o operation) String() string {
	return fmt.Sprintf("%s(%s %s %d %s)", o.Do, o.Resource, o.Mode, o.Callers, o.Wait)
}

func drawOperation(t *rapid.T) operation {
	return operation{
		Do: rapid.SampledFrom([]string{"get", "get", "get", "wait", "wait", "refused", "refused", "ambiguous",
			"accepted", "hang up", "refresh", "server", "server", "reload", "grant", "restart", "crash", "secret"}).Draw(t, "do"),
		Resource: rapid.SampledFrom([]string{"crm", "desk", "books"}).Draw(t, "resource"),
		Mode:     rapid.SampledFrom([]string{"ok", "ok", "short", "down", "lost", "throttled", "dead", "rejected", "panic", "slow", "stuck"}).Draw(t, "mode"),
		Callers:  rapid.IntRange(1, 20).Draw(t, "callers"),
		Wait: rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 7 * time.Second, time.Minute,
			3 * time.Minute, 11 * time.Minute, 54 * time.Minute, 61 * time.Minute}).Draw(t, "wait"),
	}
}

// world runs a history and knows what is true of it.
type world struct {
	*rig
	release func() // of Cache.Use
	zombies []*tokencache.Cache
	grant   int
	newest  uint64
	refused map[string]uint64 // by resource: newest generation refused
	rekeyed bool

	mu      sync.Mutex
	mode    string
	made    map[string]minted // by value
	counted map[int][]time.Time
	flying  int
	broken  error // the first violation
}

// minted is what the server knows of a token.
type minted struct {
	grant int
	end   time.Time
}

func (w *world) violation(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken == nil {
		w.broken = fmt.Errorf(format, args...)
	}
}

// called enters a call of the server and says how it is to be answered.
func (w *world) called(grant int) (mode string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flying++
	if w.flying > 1 && w.broken == nil {
		w.broken = fmt.Errorf("%d flights at once", w.flying)
	}
	if w.mode != "down" && w.mode != "dead" && w.mode != "rejected" { // those are plainly no tokens
		w.counted[grant] = append(w.counted[grant], time.Now())
	}
	return w.mode
}

func (w *world) fetch(ctx context.Context, _ tokencache.Key, g tokencache.Grant) (tokencache.Fetched, error) {
	grant, _ := strconv.Atoi(strings.TrimPrefix(g.RefreshToken, "grant "))
	mode := w.called(grant)
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.flying--
	}()
	kinds := map[string]tokencache.Kind{"down": tokencache.KindTemporary, "lost": tokencache.KindTemporary,
		"throttled": tokencache.KindThrottled, "dead": tokencache.KindDead, "rejected": tokencache.KindRejected}
	if kind, fails := kinds[mode]; fails {
		return tokencache.Fetched{}, &tokencache.FetchError{Kind: kind, NoToken: mode != "lost", Err: errors.New(mode)}
	}
	life := time.Hour
	switch mode {
	case "panic":
		panic(mode)
	case "short":
		life = 20 * time.Second
	case "slow":
		time.Sleep(5 * time.Second)
	case "stuck":
		<-ctx.Done()
		return tokencache.Fetched{}, ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	value := fmt.Sprintf("token %d of grant %d", len(w.made)+1, grant)
	w.made[value] = minted{grant, time.Now().Add(life)}
	return tokencache.Fetched{AccessToken: value, Life: life}, nil
}

// check looks at what a call gave, when last and newest were known before it.
func (w *world) check(o operation, last *tokencache.Token, newest uint64, tok *tokencache.Token, err error) {
	now := time.Now()
	if err != nil {
		var e *tokencache.Error
		if !errors.As(err, &e) || e.RetryAfter < 0 || tok != nil {
			w.violation("%s: not an error of ours: %v, %v", o, tok, err)
		}
		if o.Do == "get" && last != nil && last.Generation > w.refused[o.Resource] {
			if m := w.lookUp(last.Value); m.grant == w.grant && now.Before(m.end.Add(-5*time.Second)) {
				w.violation("%s: %v, and generation %d lives for %s", o, err, last.Generation, m.end.Sub(now))
			}
		}
		return
	}
	if tok == nil {
		if o.Do != "refused" && o.Do != "ambiguous" {
			w.violation("%s: neither token nor error", o)
		}
		return
	}
	m := w.lookUp(tok.Value)
	switch {
	case m.grant == 0:
		w.violation("%s: a token that was never made: %v", o, tok)
	case !now.Before(m.end):
		w.violation("%s: generation %d ended %s ago", o, tok.Generation, now.Sub(m.end))
	case m.grant != w.grant:
		w.violation("%s: a token of grant %d, in force is %d", o, m.grant, w.grant)
	case tok.Generation < newest:
		w.violation("%s: generation %d after %d", o, tok.Generation, newest)
	case (o.Do == "refused" || o.Do == "refresh") && last != nil && tok.Generation <= last.Generation:
		w.violation("%s: generation %d again", o, tok.Generation)
	}
	w.newest = max(w.newest, tok.Generation)
}

func (w *world) lookUp(value string) minted {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.made[value]
}

// burst is many callers at once, all of whom must return.
func (w *world) burst(o operation, last *tokencache.Token, call func() (*tokencache.Token, error)) {
	type result struct {
		tok *tokencache.Token
		err error
	}
	newest, results := w.newest, make(chan result, o.Callers)
	for range o.Callers {
		go func() {
			tok, err := call()
			results <- result{tok, err}
		}()
	}
	for range o.Callers {
		got := <-results
		w.check(o, last, newest, got.tok, got.err)
	}
}

func (w *world) do(o operation) {
	n, err := w.cache.Conn(w.client, "default")
	if err != nil {
		w.violation("%s: %v", o, err)
		return
	}
	r, last, ctx := n.Resource(o.Resource), n.Peek(), context.Background()
	switch o.Do {
	case "get":
		w.burst(o, last, func() (*tokencache.Token, error) { return r.Get(ctx, w.client) })
	case "hang up":
		ctx, cancel := context.WithTimeout(ctx, o.Wait)
		w.burst(o, last, func() (*tokencache.Token, error) { return r.Get(ctx, w.client) })
		cancel()
	case "refused", "ambiguous":
		w.refuse(o, n, last)
	case "accepted":
		if last != nil {
			r.Accepted(last.Generation)
		}
	case "refresh":
		tok, err := n.Refresh(ctx, w.client)
		w.check(o, last, w.newest, tok, err)
	case "wait":
		time.Sleep(o.Wait)
	case "server":
		w.mu.Lock()
		w.mode = o.Mode
		w.mu.Unlock()
	default:
		w.change(o)
	}
}

func (w *world) refuse(o operation, n *tokencache.Conn, last *tokencache.Token) {
	if last == nil {
		return
	}
	r := n.Resource(o.Resource)
	w.refused[o.Resource] = max(w.refused[o.Resource], last.Generation)
	w.burst(o, last, func() (*tokencache.Token, error) {
		return r.Refused(context.Background(), w.client, last.Generation, o.Do == "ambiguous")
	})
	now := n.Peek()
	switch {
	case now == nil || now.Generation == last.Generation:
	case o.Callers%2 == 0:
		r.ReplayRefused(now.Generation)
	default:
		r.Accepted(now.Generation)
	}
}

// change is what befalls the process and its configuration.
func (w *world) change(o operation) {
	switch o.Do {
	case "grant":
		w.grant++
		w.grants.set("default", fmt.Sprint("grant ", w.grant))
	case "secret":
		w.rekeyed = true
		w.secret.set(fmt.Sprint("secret ", o.Callers))
	case "crash":
		if w.rekeyed { // writes may be pending, which a dead process would not make
			return
		}
		w.release()                  // its timers find no client any more
		time.Sleep(20 * time.Second) // what flies would fly on
		synctest.Wait()
		w.zombies = append(w.zombies, w.cache)
		w.begin()
	case "restart":
		w.release()
		_ = w.cache.Close()
		w.begin()
	}
	w.reload()
}

func (w *world) begin() {
	w.cache = tokencache.New(w.opts)
	w.release = func() {}
}

// reload puts another configuration in force, and the old one out of it.
func (w *world) reload() {
	cl := w.newClient()
	cl.Fetch, cl.KeepWarm = w.fetch, time.Hour
	release := w.cache.Use(func(string) *tokencache.Client { return cl })
	w.release()
	w.release, w.client = release, cl
}

// live is a whole history.
func live(t *testing.T, history []operation) error {
	dir := t.TempDir()
	w := &world{mode: "ok", made: make(map[string]minted), counted: make(map[int][]time.Time), refused: make(map[string]uint64)}
	synctest.Test(t, func(t *testing.T) {
		w.rig = newRig(t, withBolt(openBolt(t, dir)), func(o *tokencache.Options) { o.Rand = nil })
		w.release = func() {}
		w.change(operation{Do: "grant"})
		for _, o := range history {
			w.do(o)
			if w.broken != nil {
				break
			}
		}
		for _, c := range append(w.zombies, w.cache) {
			_ = c.Close()
		}
	})
	for grant, calls := range w.counted {
		for i := 10; i < len(calls); i++ {
			if d := calls[i].Sub(calls[i-10]); d < 10*time.Minute {
				w.violation("grant %d: eleven calls within %s", grant, d)
			}
		}
	}
	return w.broken
}

// Whatever happens in whatever order: at most ten calls of a grant in any ten
// minutes, one flight at a time, no ended token and none of another grant
// handed out, no living one withheld because of an error, generations only
// grow, and every caller gets an answer.
func TestHistories(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		history := rapid.SliceOfN(rapid.Custom(drawOperation), 1, 60).Draw(rt, "history")
		if err := live(t, history); err != nil {
			rt.Fatal(err)
		}
	})
}
