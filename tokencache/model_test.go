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
	mu      sync.Mutex
	mode    string
	grant   int
	made    map[string]minted // by value
	counted map[int][]time.Time
	newest  uint64
	banned  map[string]uint64 // per resource: generation refused with no success since
	broken  error             // first violation
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

func (w *world) fetch(ctx context.Context, key tokencache.Key, g tokencache.Grant) (tokencache.Fetched, error) {
	grant, _ := strconv.Atoi(strings.TrimPrefix(g.RefreshToken, "grant "))
	w.mu.Lock()
	mode := w.mode
	if mode != "down" && mode != "dead" && mode != "rejected" { // those are plainly no tokens
		w.counted[grant] = append(w.counted[grant], time.Now())
	}
	w.mu.Unlock()
	fail := func(kind tokencache.Kind, noToken bool) (tokencache.Fetched, error) {
		return tokencache.Fetched{}, &tokencache.FetchError{Kind: kind, NoToken: noToken, Err: errors.New(mode)}
	}
	life := time.Hour
	switch mode {
	case "down":
		return fail(tokencache.KindTemporary, true)
	case "lost":
		return fail(tokencache.KindTemporary, false)
	case "throttled":
		return fail(tokencache.KindThrottled, true)
	case "dead":
		return fail(tokencache.KindDead, true)
	case "rejected":
		return fail(tokencache.KindRejected, true)
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

// check looks at what a call gave, with last as the token known before it.
func (w *world) check(o operation, last *tokencache.Token, tok *tokencache.Token, err error) {
	now := time.Now()
	if tok == nil && err == nil {
		return
	}
	if err != nil {
		var e *tokencache.Error
		if !errors.As(err, &e) || e.RetryAfter < 0 {
			w.violation("%s: not an error of ours: %v", o, err)
		}
		if o.Do == "get" && last != nil && last.Generation > w.banned[o.Resource] {
			if m := w.made[last.Value]; m.grant == w.grant && now.Before(m.end.Add(-5*time.Second)) {
				w.violation("%s: %v, and generation %d lives for %s", o, err, last.Generation, m.end.Sub(now))
			}
		}
		return
	}
	w.mu.Lock()
	m, known := w.made[tok.Value]
	w.mu.Unlock()
	switch {
	case !known:
		w.violation("%s: a token that was never made: %v", o, tok)
	case !now.Before(m.end):
		w.violation("%s: generation %d ended %s ago", o, tok.Generation, now.Sub(m.end))
	case m.grant != w.grant:
		w.violation("%s: a token of grant %d, in force is %d", o, m.grant, w.grant)
	case tok.Generation < w.newest:
		w.violation("%s: generation %d after %d", o, tok.Generation, w.newest)
	case o.Do == "get" && tok.Generation <= w.banned[o.Resource]:
		w.violation("%s: generation %d, which was refused there", o, tok.Generation)
	}
	w.newest = max(w.newest, tok.Generation)
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
	case "refused", "ambiguous":
		if last == nil {
			return
		}
		w.burst(o, last, func() (*tokencache.Token, error) {
			return r.Refused(ctx, w.client, last.Generation, o.Do == "ambiguous")
		})
		if now := n.Peek(); o.Do == "refused" && now != nil && now.Generation > last.Generation && o.Callers%2 == 0 {
			r.ReplayRefused(now.Generation)
		}
	case "accepted":
		if last != nil {
			r.Accepted(last.Generation)
		}
	case "hang up":
		ctx, cancel := context.WithTimeout(ctx, o.Wait)
		w.burst(o, last, func() (*tokencache.Token, error) { return r.Get(ctx, w.client) })
		cancel()
	case "refresh":
		tok, err := n.Refresh(ctx, w.client)
		w.check(o, last, tok, err)
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

// change is what befalls the process and its configuration.
func (w *world) change(o operation) {
	switch o.Do {
	case "reload":
		w.client = w.newClient()
	case "grant":
		w.grant++
		w.grants.set("default", fmt.Sprint("grant ", w.grant))
		w.client = w.newClient()
	case "secret":
		w.secret.set(fmt.Sprint("secret ", o.Callers))
		w.client = w.newClient()
	case "restart":
		_ = w.cache.Close()
		w.cache = tokencache.New(w.opts)
		clear(w.banned)
	case "crash": // with nothing in the air: what flies would fly on
		time.Sleep(20 * time.Second)
		synctest.Wait()
		w.olds = append(w.olds, w.cache)
		w.cache = tokencache.New(w.opts)
		clear(w.banned)
	}
	w.client.Fetch = w.fetch2
}

// burst is many callers at once, all of whom must return.
func (w *world) burst(o operation, last *tokencache.Token, call func() (*tokencache.Token, error)) {
	type result struct {
		tok *tokencache.Token
		err error
	}
	results := make(chan result, o.Callers)
	for range o.Callers {
		go func() {
			tok, err := call()
			results <- result{tok, err}
		}()
	}
	for range o.Callers {
		got := <-results
		w.check(o, last, got.tok, got.err)
	}
}

// closing looks at the whole history.
func (w *world) closing() {
	for grant, calls := range w.counted {
		for i := range calls {
			if i >= 10 && calls[i].Sub(calls[i-10]) < 10*time.Minute {
				w.violation("grant %d: eleven calls within %s", grant, calls[i].Sub(calls[i-10]))
			}
		}
	}
	if w.server.most > 1 {
		w.violation("%d flights at once", w.server.most)
	}
}
