package tokencache_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// fair is what is true of callers, and of what resources have accepted. It knows less than there
// is to know where that is simpler.
type fair struct {
	ever     map[string]bool // accounts and resources that have accepted anything, in any process
	any      map[string]bool // accounts of which a resource has, in this process
	kinds    map[string]bool // by account, resource and likeness: accepted with this grant, in this process
	misled   map[string]bool // accounts and resources that have refused a replay of such a kind
	renewals map[string][]time.Duration
}

func newFair() *fair {
	f := &fair{ever: make(map[string]bool)}
	f.restart()
	return f
}

func (f *fair) restart() {
	f.any, f.kinds, f.misled = make(map[string]bool), make(map[string]bool), make(map[string]bool)
	f.renewals = make(map[string][]time.Duration)
}

// otherGrant forgets what belongs to a grant of an account.
func (f *fair) otherGrant(account string) {
	for kind := range f.kinds {
		if strings.HasPrefix(kind, account+" ") {
			delete(f.kinds, kind)
		}
	}
}

func (o operation) place() string { return o.Account + " " + o.Resource }
func (o operation) kind() string  { return fmt.Sprint(o.place(), " ", o.Likeness) }

func (f *fair) accept(o operation) {
	f.ever[o.place()], f.any[o.Account] = true, true
	if o.Likeness != 0 {
		f.kinds[o.kind()] = true
	}
}

func (f *fair) mislead(o operation) {
	if f.kinds[o.kind()] {
		f.misled[o.place()] = true
	}
}

// needless says why a refusal is not worth a token, "" if it may be.
func (w *world) needless(o operation) string {
	f := w.fair
	if f.ever[o.place()] {
		return ""
	}
	if o.Do == "silent" && f.any[o.Account] {
		return "where nothing can be said, and others have accepted tokens"
	}
	calls, now := 0, w.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.counted[w.inForce(o.Account)] {
		if now.Sub(c.at) < 9*time.Minute {
			calls++
		}
	}
	if calls >= 7 {
		return fmt.Sprintf("after %d calls, of which three are kept", calls)
	}
	return ""
}

// proves reports whether the refusal of a token means that it is dead.
func (w *world) proves(o operation, last *tokencache.Token) bool {
	m, ok := w.lookUp(last.Value)
	return ok && (o.Do == "refused" || o.Do == "ambiguous") && o.Caller == "" && o.Callers == 1 &&
		w.fair.kinds[o.kind()] && !w.fair.misled[o.place()] && w.lives(m) && w.early(m) &&
		m.refreshToken == w.inForce(o.Account)
}

// inVain looks at a renewal on the account of a caller that has helped nobody: of a grant there
// are two in ten minutes.
func (w *world) inVain(o operation) {
	if o.Caller == "" {
		return
	}
	who, at := o.Caller+" "+w.inForce(o.Account), w.clocks.now().Mono
	all := append(w.fair.renewals[who], at)
	w.fair.renewals[who] = all
	if len(all) > 2 && at-all[len(all)-3] < 10*time.Minute-time.Minute {
		w.violation("%s: three renewals in vain within %s", o, at-all[len(all)-3])
	}
}
