package tokencache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// operation is one step of a history, drawn before the bubble begins.
type operation struct {
	Do       string
	Account  string
	Resource string
	Mode     string
	Callers  int
	Wait     time.Duration
	Caller   string
	Likeness uint64
}

func (o operation) String() string {
	return fmt.Sprintf("%s(%s %s %s %d %s %s %d)", o.Do, o.Account, o.Resource, o.Mode, o.Callers, o.Wait, o.Caller, o.Likeness)
}

var resources = []string{"crm", "desk", "books"}

func drawOperation(t *rapid.T) operation {
	return operation{
		Do: rapid.SampledFrom([]string{"get", "get", "get", "get fresh", "wait", "wait", "refused", "refused", "late", "ambiguous", "unknown", "silent", "hopeless",
			"accepted", "hang up", "refresh", "server", "server", "reload", "grant", "restart", "crash", "crash in flight", "secret",
			"clock", "suspend", "connect", "connect", "forget", "connect in flight", "forget in flight"}).Draw(t, "do"),
		Account:  rapid.SampledFrom([]string{"default", "default", "default", "twin", "other", "stored", "stored"}).Draw(t, "account"),
		Resource: rapid.SampledFrom(resources).Draw(t, "resource"),
		Mode: rapid.SampledFrom([]string{"ok", "ok", "ok", "short", "negative", "absurd", "down", "retry after", "lost", "throttled",
			"dead", "rejected", "panic", "slow", "late", "stuck"}).Draw(t, "mode"),
		Callers:  rapid.IntRange(1, 20).Draw(t, "callers"),
		Caller:   rapid.SampledFrom([]string{"", "app", "app", "hostile"}).Draw(t, "caller"),
		Likeness: rapid.Uint64Range(0, 2).Draw(t, "likeness"),
		Wait: rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 7 * time.Second, time.Minute,
			3 * time.Minute, 11 * time.Minute, 54 * time.Minute, 61 * time.Minute, 2 * time.Hour}).Draw(t, "wait"),
	}
}

func (w *world) do(o operation, dir string) {
	switch o.Do {
	case "wait":
		time.Sleep(o.Wait)
	case "server":
		w.mu.Lock()
		w.mode = o.Mode
		w.mu.Unlock()
	case "reload":
		w.reload()
	case "grant":
		w.newGrant()
	case "secret":
		w.secret.set(fmt.Sprint("secret ", o.Callers))
		w.reload()
	case "restart":
		w.restart()
	case "crash":
		w.crash(dir)
	case "crash in flight":
		w.crashInFlight(o, dir)
	case "clock":
		w.setClock(o)
	case "connect":
		w.connect(o)
	case "forget":
		w.forget(o)
	case "connect in flight":
		w.takeOffStored()
		w.connect(o)
	case "forget in flight":
		w.takeOffStored()
		w.forget(o)
	case "suspend":
		w.clocks.sleep(o.Wait)
		w.mu.Lock()
		w.suspended += o.Wait
		w.mu.Unlock()
	default:
		w.use(o)
	}
}

// setClock sets the wall clock ahead, back, or to 1970.
func (w *world) setClock(o operation) {
	d := o.Wait
	switch {
	case o.Callers == 20:
		d = -w.clocks.now().Wall.Sub(time.Unix(0, 0))
	case o.Callers%2 == 0:
		d = -d
	}
	w.setBack = w.setBack || d < 0
	w.clocks.set(d)
	w.forgive()
	clear(w.throttled) // a wait is kept over a restart as a time of that clock
}

// crashInFlight kills the process while a token call may be on its way, answered or not.
func (w *world) crashInFlight(o operation, dir string) {
	n := w.conn(o)
	if n == nil {
		return
	}
	go func() { _, _ = n.Resource("crash", "").Get(context.Background(), w.client) }()
	if o.Callers%2 == 0 {
		go func(cl *tokencache.Client) { _, _ = n.Refresh(context.Background(), cl) }(w.client)
	}
	time.Sleep(min(o.Wait, 7*time.Second))
	w.crash(dir)
}

func (w *world) conn(o operation) *tokencache.Conn {
	n, err := w.cache.Conn(w.client, o.Account)
	if err != nil && w.inForce(o.Account) != "" {
		w.violation("%s: %v", o, err)
	}
	return n
}

// use is what apps and operators do.
func (w *world) use(o operation) {
	n := w.conn(o)
	if n == nil {
		return
	}
	if o.Do == "get" || o.Do == "get fresh" || o.Do == "refresh" {
		defer func() { w.process.read[w.inForce(o.Account)] = true }()
	}
	r, last, ctx, cl := n.Resource(o.Resource, ""), n.Peek(), context.Background(), w.client
	switch o.Do {
	case "get":
		w.burst(o, last, func() (*tokencache.Token, error) { return r.Get(ctx, cl) })
	case "get fresh":
		w.burst(o, last, func() (*tokencache.Token, error) { return r.GetFresh(ctx, cl) })
	case "hang up":
		ctx, cancel := context.WithTimeout(ctx, o.Wait)
		w.burst(o, last, func() (*tokencache.Token, error) { return r.Get(ctx, cl) })
		cancel()
	case "refused", "ambiguous", "unknown", "silent", "hopeless":
		w.refuse(o, n, last)
	case "late":
		w.refuseLate(o, n, last)
	case "accepted":
		if last != nil {
			w.accept(o, r, last.Generation)
		}
	case "refresh":
		tok, err := n.Refresh(ctx, cl)
		w.check(o, last, w.newest[o.Account], tok, err)
	}
}

// accept has a resource accept a generation, which then is offered again wherever it was refused.
func (w *world) accept(o operation, r *tokencache.Resource, generation uint64) {
	tokencache.Call{Resource: r, Likeness: o.Likeness}.Accepted(generation)
	w.fair.accept(o)
	delete(w.unsure, o.Account)
	for _, resource := range resources {
		if place := o.Account + " " + resource; w.refused[place] <= generation {
			delete(w.refused, place)
		}
	}
}

// deny notes that a token which lives was refused while no newer one was to be had: it is none
// for a request that cannot be repeated, whoever accepts it.
func (w *world) deny(o operation, last *tokencache.Token) {
	m, ok := w.lookUp(last.Value)
	if !ok || !w.lives(m) || o.Do != "refused" && o.Do != "hopeless" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	place := o.Account + " " + o.Resource
	w.denied[place] = max(w.denied[place], last.Generation)
}

var refusals = map[string]tokencache.Refusal{"ambiguous": ambiguous, "unknown": unknown, "silent": silent}

// refuse has a resource refuse the current token, and the next one too if that is
// hopeless.
func (w *world) refuse(o operation, n *tokencache.Conn, last *tokencache.Token) {
	if last == nil {
		return
	}
	r, cl := n.Resource(o.Resource, ""), w.client
	c := tokencache.Call{Resource: r, Caller: o.Caller, Likeness: o.Likeness}
	place, sent := o.Account+" "+o.Resource, r.Mark()
	w.refused[place] = max(w.refused[place], last.Generation)
	why, proved := w.needless(o), w.proves(o, last)
	w.burst(o, last, func() (*tokencache.Token, error) {
		tok, err := c.Refused(context.Background(), cl, last.Generation, refusals[o.Do])
		if err != nil {
			w.deny(o, last)
		}
		if proved && tok == nil && err == nil {
			w.violation("%s: generation %d is proved to be dead, and the refusal was passed on", o, last.Generation)
		}
		return tok, err
	})
	now := n.Peek()
	if o.Do == "unknown" || o.Do == "silent" {
		w.guess(o, last, now)
	}
	forced := w.wasForced(last, now)
	if forced && why != "" {
		w.violation("%s: generation %d was replaced, %s", o, last.Generation, why)
	}
	switch {
	case now == nil || now.Generation == last.Generation:
	case o.Do == "hopeless" || o.Callers%4 == 0:
		w.refused[place] = max(w.refused[place], now.Generation)
		c.ReplayRefused(now, sent)
		w.fair.mislead(o)
		if forced {
			w.inVain(o)
		}
	default:
		w.accept(o, r, now.Generation)
		c.ReplayAccepted(now)
	}
}

// guess looks at a renewal that a refusal in which nothing is understood has caused: there are
// three of a connection in ten minutes, and none where the last one has helped nobody.
func (w *world) guess(o operation, last, now *tokencache.Token) {
	if !w.wasForced(last, now) {
		return
	}
	m, _ := w.lookUp(last.Value)
	if w.unsure[o.Account] == last.Generation {
		w.violation("%s: generation %d came of a guess, and was replaced on a guess", o, last.Generation)
	}
	w.unsure[o.Account] = now.Generation
	place, at := o.Account+" "+m.refreshToken, w.clocks.now().Mono
	w.guessed[place] = append(w.guessed[place], at)
	if all := w.guessed[place]; len(all) > 3 && at-all[len(all)-4] < 10*time.Minute-time.Minute {
		w.violation("%s: four guesses within %s", o, at-all[len(all)-4])
	}
}

// wasForced reports whether the token was replaced because of a refusal, and for no other reason.
func (w *world) wasForced(last, now *tokencache.Token) bool {
	m, ok := w.lookUp(last.Value)
	return ok && now != nil && now.Generation != last.Generation && w.lives(m) && w.early(m)
}

// refuseLate has an answer for an older token trickle in. While the current one lives
// that costs nothing.
func (w *world) refuseLate(o operation, n *tokencache.Conn, last *tokencache.Token) {
	if last == nil || last.Generation < 2 {
		return
	}
	m, ok := w.lookUp(last.Value)
	if !ok || !w.lives(m) || m.refreshToken != w.inForce(o.Account) {
		return
	}
	before, cl := w.calls(), w.client
	w.burst(o, nil, func() (*tokencache.Token, error) {
		return n.Resource(o.Resource+" late", "").Refused(context.Background(), cl, last.Generation-1, tokencache.RefusalDead)
	})
	synctest.Wait()
	if calls := w.calls(); calls != before && w.early(m) {
		w.violation("%s: %d token calls", o, calls-before)
	}
}

// early reports whether the token is not yet due for a renewal in the background.
func (w *world) early(m minted) bool {
	return w.clocks.now().Mono < m.monoEnd-20*time.Minute
}

func (w *world) calls() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, calls := range w.counted {
		n += len(calls)
	}
	return n
}

// burst is many callers at once, all of whom must return.
func (w *world) burst(o operation, last *tokencache.Token, call func() (*tokencache.Token, error)) {
	type result struct {
		tok *tokencache.Token
		err error
	}
	newest, results := w.newest[o.Account], make(chan result, o.Callers)
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

// check looks at what a call gave, when last and newest were known before it.
func (w *world) check(o operation, last *tokencache.Token, newest uint64, tok *tokencache.Token, err error) {
	if err != nil {
		w.checkError(o, last, tok, err)
		return
	}
	if tok == nil {
		if !slices.Contains([]string{"refused", "ambiguous", "unknown", "silent", "hopeless", "late"}, o.Do) {
			w.violation("%s: neither token nor error", o)
		}
		return
	}
	m, ok := w.lookUp(tok.Value)
	switch {
	case !ok:
		w.violation("%s: a token that was never made: %v", o, tok)
	case w.ended(m):
		w.violation("%s: generation %d has ended", o, tok.Generation)
	case m.refreshToken != w.inForce(o.Account):
		w.violation("%s: a token of %s, in force is %s", o, m.refreshToken, w.inForce(o.Account))
	case tok.Generation < newest:
		w.violation("%s: generation %d after %d", o, tok.Generation, newest)
	case (o.Do == "refused" || o.Do == "hopeless" || o.Do == "refresh") && last != nil && tok.Generation <= last.Generation:
		w.violation("%s: generation %d again", o, tok.Generation)
	case o.Do == "get fresh" && tok.Generation <= w.denied[o.Account+" "+o.Resource]:
		w.violation("%s: generation %d was refused there", o, tok.Generation)
	}
	w.newest[o.Account] = max(w.newest[o.Account], tok.Generation)
}

// checkError looks at why a call gave nothing.
func (w *world) checkError(o operation, last, tok *tokencache.Token, err error) {
	var e *tokencache.Error
	if !errors.As(err, &e) || e.RetryAfter < 0 || tok != nil {
		w.violation("%s: not an error of ours: %v, %v", o, tok, err)
	}
	if o.Do != "get" || last == nil || last.Generation <= w.refused[o.Account+" "+o.Resource] {
		return
	}
	if m, ok := w.lookUp(last.Value); ok && m.refreshToken == w.inForce(o.Account) && w.lives(m) {
		w.violation("%s: %v, and generation %d lives", o, err, last.Generation)
	}
}

func (w *world) inForce(account string) string {
	if account == storedKey.Account {
		return w.stored
	}
	g, _, _ := w.grants.get(account)
	return g.RefreshToken
}

// recover makes everything well and looks how long that takes to tell: 75 s after the
// need for a token, two minutes where a server in trouble has asked for patience, or ten
// where Zoho or a human had to be waited for.
func (w *world) recover() {
	w.mu.Lock()
	w.mode = "ok"
	w.mu.Unlock()
	for _, account := range []string{"default", "twin", "other", "stored"} {
		if w.inForce(account) == "" {
			continue
		}
		o := operation{Do: "get", Account: account, Resource: "recovery", Callers: 1}
		n := w.conn(o)
		_, _ = n.Resource(o.Resource, "").Get(context.Background(), w.client) // what the files have
		if last := n.Peek(); last != nil {                                    // until there is need, at the latest
			time.Sleep(min(max(0, last.Expiry.Sub(w.clocks.now().Wall)), time.Hour))
		}
		limit := 75 * time.Second
		if w.patience {
			limit = 2*time.Minute + 15*time.Second
		}
		for start := time.Now(); ; time.Sleep(time.Second) {
			tok, err := n.Resource(o.Resource, "").Get(context.Background(), w.client)
			w.check(o, nil, w.newest[account], tok, err)
			synctest.Wait()
			if state := n.State(); err == nil && (state == tokencache.StateOK || state == tokencache.StateContended) {
				break
			}
			var e *tokencache.Error
			if errors.As(err, &e) && slices.Contains([]tokencache.Kind{
				tokencache.KindThrottled, tokencache.KindBudget, tokencache.KindDead, tokencache.KindRejected}, e.Kind) {
				limit = 10*time.Minute + 15*time.Second
			}
			if took := time.Since(start); took > limit {
				w.violation("%s is still %s after %s: %v", account, n.State(), took, err)
				return
			}
		}
	}
}

// Whatever happens in whatever order: at most ten calls of a grant in any ten
// minutes, one flight at a time, no ended token and none of another grant, or of one
// that is gone, handed out or kept, no living one withheld because of an error unless it was refused there
// and accepted nowhere since, generations only grow, every caller gets an answer, and all is well soon after
// Zoho is.
func TestHistories(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		history := rapid.SliceOfN(rapid.Custom(drawOperation), 1, 60).Draw(rt, "history")
		if err := live(t, history); err != nil {
			rt.Fatalf("%v\n%s", err, lines(history))
		}
	})
}

// Histories that have failed once.
func TestFormerFailures(t *testing.T) {
	for name, history := range map[string][]operation{
		"a wait of a second that a clock set back made minutes after a restart": {
			{Do: "server", Mode: "down"},
			{Do: "get", Account: "default", Resource: "crm", Callers: 1},
			{Do: "restart"},
			{Do: "clock", Callers: 2, Wait: 3 * time.Minute},
		},
		"a grant that is forgotten, and a reload, while a token is asked for": {
			{Do: "connect"},
			{Do: "forget in flight"},
			{Do: "reload"},
			{Do: "wait", Wait: time.Minute},
		},
		"a grant that another account has, too, is forgotten while a token is asked for, then a clock set ahead": {
			{Do: "connect", Callers: 4},
			{Do: "forget in flight"},
			{Do: "clock", Callers: 1, Wait: 11 * time.Minute},
			{Do: "restart"},
		},
		"a service that refuses in a way that is not known, again and again": {
			{Do: "get", Account: "default", Resource: "crm", Callers: 1},
			{Do: "accepted", Account: "default", Resource: "crm"},
			{Do: "wait", Wait: time.Minute}, {Do: "unknown", Account: "default", Resource: "crm", Callers: 1},
			{Do: "wait", Wait: time.Minute}, {Do: "unknown", Account: "default", Resource: "crm", Callers: 1},
			{Do: "wait", Wait: time.Minute}, {Do: "unknown", Account: "default", Resource: "crm", Callers: 1},
			{Do: "wait", Wait: time.Minute}, {Do: "unknown", Account: "default", Resource: "crm", Callers: 1},
		},
		"services that refuse in a way that is not known, one after the other": {
			{Do: "get", Account: "default", Resource: "crm", Callers: 1},
			{Do: "wait", Wait: time.Minute}, {Do: "unknown", Account: "default", Resource: "crm", Callers: 4},
			{Do: "wait", Wait: time.Minute}, {Do: "unknown", Account: "default", Resource: "desk", Callers: 1},
		},
		"one caller whose calls are refused whatever their token, at one service after the other": {
			{Do: "get", Account: "default", Resource: "crm", Callers: 1},
			{Do: "accepted", Account: "default", Resource: "crm"},
			{Do: "wait", Wait: time.Minute}, {Do: "hopeless", Account: "default", Resource: "desk", Caller: "hostile", Callers: 1},
			{Do: "accepted", Account: "default", Resource: "crm"},
			{Do: "wait", Wait: time.Minute}, {Do: "hopeless", Account: "default", Resource: "books", Caller: "hostile", Callers: 1},
			{Do: "accepted", Account: "default", Resource: "crm"},
			{Do: "wait", Wait: time.Minute}, {Do: "hopeless", Account: "default", Resource: "desk", Caller: "hostile", Callers: 1},
		},
		"a service that never accepted a token, when seven calls are spent": {
			{Do: "get", Account: "default", Resource: "crm", Callers: 1},
			{Do: "refresh", Account: "default"}, {Do: "refresh", Account: "default"}, {Do: "refresh", Account: "default"},
			{Do: "refresh", Account: "default"}, {Do: "refresh", Account: "default"}, {Do: "refresh", Account: "default"},
			{Do: "refused", Account: "default", Resource: "desk", Callers: 1},
		},
		"a kind of call that has succeeded, at a service that another one has put on hold": {
			{Do: "get", Account: "default", Resource: "books", Callers: 1},
			{Do: "accepted", Account: "default", Resource: "books", Likeness: 1},
			{Do: "wait", Wait: time.Minute}, {Do: "hopeless", Account: "default", Resource: "books", Likeness: 2, Callers: 1},
			{Do: "accepted", Account: "default", Resource: "books", Likeness: 1},
			{Do: "ambiguous", Account: "default", Resource: "books", Likeness: 1, Callers: 1},
		},
		"a refusal while Accounts is down, of a token that others go on accepting": {
			{Do: "get", Account: "default", Resource: "crm", Callers: 1},
			{Do: "server", Mode: "retry after"},
			{Do: "refused", Account: "default", Resource: "crm", Callers: 3},
			{Do: "accepted", Account: "default", Resource: "desk"},
			{Do: "get", Account: "default", Resource: "crm", Callers: 3},
			{Do: "get fresh", Account: "default", Resource: "crm", Callers: 3},
		},
		"a call that was written anew while the clock was set back": {
			{Do: "get", Account: "default", Resource: "crm", Callers: 1},
			{Do: "clock", Callers: 2, Wait: 54 * time.Minute},
			{Do: "get", Account: "twin", Resource: "crm", Callers: 1},
			{Do: "restart"},
			{Do: "clock", Callers: 3, Wait: 54 * time.Minute},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := live(t, history); err != nil {
				t.Error(err)
			}
		})
	}
}
