package tokencache_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// refusedInVain has a resource refuse the current token while no newer one is to be had.
func (r *rig) refusedInVain(name string, kind tokencache.Kind) {
	r.Helper()
	tok, err := r.resource(name).Refused(r.Context(), r.client, r.conn().Peek().Generation, tokencache.RefusalDead)
	r.wantError(tok, err, kind)
}

// wantAtOnce fails unless Get gives that generation without waiting.
func (r *rig) wantAtOnce(name string, generation uint64) {
	r.Helper()
	start := time.Now()
	if g := r.get(name).Generation; g != generation || time.Since(start) != 0 {
		r.Fatalf("generation %d after %s, want %d at once", g, time.Since(start), generation)
	}
}

// inVain are the reasons why no newer token is to be had.
var inVain = map[tokencache.Kind]func(r *rig){
	tokencache.KindBudget:    func(r *rig) { r.client.Budget, r.client.BudgetWindow = 1, 50*time.Minute },
	tokencache.KindTemporary: func(r *rig) { r.server.set(patient(time.Minute)) },
	tokencache.KindThrottled: func(r *rig) { r.server.set(failing(tokencache.KindThrottled, false)) },
	tokencache.KindDead:      func(r *rig) { r.server.set(failing(tokencache.KindDead, true)) },
	tokencache.KindRejected:  func(r *rig) { r.server.set(failing(tokencache.KindRejected, true)) },
}

// A token that was refused, and accepted anywhere since, is offered again while no newer one is
// to be had: one refusal may be wrong.
func TestVouchedTokenIsOfferedAgain(t *testing.T) {
	for kind, break_ := range inVain {
		for _, by := range []string{"desk", "crm"} {
			t.Run(kind.String()+", accepted by "+by, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t)
					r.client.TokenWait = 2 * time.Second
					r.get("crm")
					r.resource("crm").Accepted(1)
					r.resource("desk").Accepted(1)
					settle(10 * time.Minute)
					break_(r)
					r.resource(by).Accepted(1)
					settle(50 * time.Millisecond)
					r.refusedInVain("crm", kind)
					r.refusal("crm", kind) // what was accepted before says nothing
					r.resource(by).Accepted(1)
					r.wantAtOnce("crm", 1)
					settle(time.Second)
					r.wantAtOnce("crm", 1)
					if s := r.cache.Status(r.client)[0]; s.Refused {
						t.Error("it is told as refused still")
					}
					calls := r.server.count()
					tok, err := r.resource("crm").GetFresh(t.Context(), r.client) // for a body that cannot be kept
					r.wantError(tok, err, kind)
					r.wantCalls(calls)
				})
			})
		}
	}
}

// One that is refused once more has to be accepted once more, and the request that was refused
// is not sent again with it.
func TestVouchedTokenThatIsRefusedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		settle(10 * time.Minute)
		inVain[tokencache.KindBudget](r)
		r.refusedInVain("crm", tokencache.KindBudget)
		for range 3 {
			r.resource("desk").Accepted(1)
			r.wantAtOnce("crm", 1)
			r.refusedInVain("crm", tokencache.KindBudget)
			r.refusal("crm", tokencache.KindBudget)
			settle(10 * time.Millisecond)
		}
		r.refusedInVain("books", tokencache.KindBudget)
		r.resource("desk").Accepted(1) // for both
		r.wantAtOnce("crm", 1)
		r.wantAtOnce("books", 1)
	})
}

// A newer token comes first, and is waited for while it is on its way; the older one is never
// had again then, nor another grant's, nor one that has ended.
func TestVouchedTokenAndNewerOnes(t *testing.T) {
	begin := func(t *testing.T) *rig {
		r := newRig(t)
		r.get("crm")
		settle(10 * time.Minute)
		r.server.set(patient(time.Minute))
		r.refusedInVain("crm", tokencache.KindTemporary)
		r.resource("desk").Accepted(1)
		r.wantAtOnce("crm", 1)
		return r
	}
	for name, f := range map[string]func(t *testing.T, r *rig){
		"to be had": func(t *testing.T, r *rig) {
			r.server.set(nil)
			settle(time.Minute)
			r.wantAtOnce("crm", 2)
			r.wantAtOnce("desk", 2)
		},
		"on its way": func(t *testing.T, r *rig) {
			r.server.set(nil)
			r.server.slow(5 * time.Second)
			settle(time.Minute)
			go func() { _, _ = r.resource("crm").Get(t.Context(), r.client) }()
			settle(time.Second)
			if g := r.get("crm").Generation; g != 2 {
				t.Errorf("generation %d", g)
			}
		},
		"of another grant": func(t *testing.T, r *rig) {
			r.grants.set("default", "another one")
			r.client = r.newClient()
			r.refusal("crm", tokencache.KindTemporary)
			r.refusal("desk", tokencache.KindTemporary)
		},
		"of no grant any more": func(t *testing.T, r *rig) {
			r.grants.remove("default")
			r.client = r.newClient()
			r.refusal("crm", tokencache.KindNoGrant)
		},
		"of a grant that cannot be read": func(t *testing.T, r *rig) {
			r.grants.fail(errors.New("no file"))
			r.client = r.newClient()
			r.refusal("crm", tokencache.KindStore)
		},
		"after its end": func(t *testing.T, r *rig) {
			settle(50 * time.Minute)
			r.refusal("crm", tokencache.KindTemporary)
		},
		"after a reload": func(t *testing.T, r *rig) {
			r.client = r.newClient()
			r.wantAtOnce("crm", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, begin(t)) })
		})
	}
}
