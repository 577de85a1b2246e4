package notify

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/internal/storetest"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// fleetOf are notifiers of so many replicas, who tell one receiver, and their stores.
func fleetOf(t *testing.T, n int) (fleet []*Notifier, stores []*storetest.Memory, r *receiver) {
	r = new(receiver)
	memory := storetest.NewMemory()
	for range n {
		config := &Config{
			Logger: zap.NewNop(),
			To:     "https://alerts.example.com/zoho",
			Explain: func(why cause.Cause, _ tokencache.Key) cause.Explanation {
				return cause.Of(why, cause.Facts{Consent: "give consent"})
			},
		}
		notifier := New(func() *Config { return config }, memory)
		notifier.http.Transport = r
		t.Cleanup(notifier.Close)
		fleet, stores = append(fleet, notifier), append(stores, memory)
		memory = memory.Replica()
	}
	return fleet, stores, r
}

// of has an event be about a grant.
func of(grant byte, e tokencache.Event) tokencache.Event {
	e.Grant = tokencache.Fingerprint{grant}
	return e
}

// hanging is a network that gives no answer while a process lives.
type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// TestFleetTellsOnce: what all replicas notice, at the same time or one after the other, is told by one of them; what
// occurs anew is told anew.
func TestFleetTellsOnce(t *testing.T) {
	t.Parallel()
	const ok, contended, dead = tokencache.StateOK, tokencache.StateContended, tokencache.StateDead
	for name, test := range map[string]struct {
		events []tokencache.Event
		want   string
	}{
		"dead, and back":               {[]tokencache.Event{of(1, stateEvent(ok, dead, 0)), of(1, stateEvent(dead, ok, 2))}, "dead recovered"},
		"the same grant dies again":    {[]tokencache.Event{of(1, stateEvent(ok, dead, 0)), of(1, stateEvent(dead, ok, 2)), of(1, stateEvent(ok, dead, 2)), of(1, stateEvent(dead, ok, 3))}, "dead recovered dead recovered"},
		"another program, and no more": {[]tokencache.Event{of(1, stateEvent(ok, contended, 3)), of(1, stateEvent(contended, ok, 4)), of(1, stateEvent(ok, contended, 9))}, "contended recovered contended"},
		"worse and worse":              {[]tokencache.Event{of(1, stateEvent(ok, contended, 3)), of(1, stateEvent(contended, dead, 3))}, "contended dead"},
		"another grant, by a token":    {[]tokencache.Event{of(1, stateEvent(ok, dead, 0)), of(2, stateEvent(dead, ok, 0)), minted(tokencache.CauseFirst)}, "dead recovered"},
		"by another replica's token":   {[]tokencache.Event{of(1, stateEvent(ok, dead, 0)), of(2, stateEvent(dead, ok, 0)), {Type: tokencache.EventAdopted, Key: shop}}, "dead recovered"},
		"another one, which dies soon": {[]tokencache.Event{of(1, stateEvent(ok, dead, 0)), of(2, stateEvent(dead, ok, 0)), minted(tokencache.CauseFirst), of(2, stateEvent(ok, dead, 0))}, "dead recovered dead"},
		"another grant dies as well":   {[]tokencache.Event{of(1, stateEvent(ok, dead, 0)), of(2, stateEvent(dead, ok, 0)), of(2, stateEvent(ok, dead, 0))}, "dead dead"},
	} {
		for how, wait := range map[string]time.Duration{"at once": 0, "one after the other": 10 * time.Minute} {
			t.Run(name+" "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					fleet, _, r := fleetOf(t, 3)
					for _, e := range test.events {
						for _, n := range fleet {
							n.Observe(e)
							time.Sleep(wait)
						}
						synctest.Wait()
					}
					time.Sleep(time.Hour)
					if got := r.events(); got != test.want {
						t.Errorf("told %q, want %q", got, test.want)
					}
				})
			})
		}
	}
}

// TestTellerDies: what one replica has claimed and not told, another one tells, unless it is old news by then.
func TestTellerDies(t *testing.T) {
	t.Parallel()
	const ok, dead = tokencache.StateOK, tokencache.StateDead
	trouble := of(1, stateEvent(ok, dead, 0))
	for name, test := range map[string]struct {
		transport http.RoundTripper
		recovered bool
		want      []string
	}{
		"it hangs":           {hanging{}, false, []string{"dead"}},
		"it is not answered": {&receiver{statuses: slices.Repeat([]int{500}, 100)}, false, []string{"dead"}},
		"and it is over":     {hanging{}, true, []string{"recovered"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fleet, stores, r := fleetOf(t, 3)
				fleet[0].http.Transport, fleet[0].http.Timeout = test.transport, 0
				fleet[0].Observe(trouble)
				synctest.Wait()
				fleet[1].Observe(trouble)
				fleet[2].Observe(trouble)
				synctest.Wait()
				if test.transport == (hanging{}) {
					stores[0].Away(true) // nothing is heard of it any more
				}
				if test.recovered {
					fleet[2].Observe(of(1, stateEvent(dead, ok, 2)))
				}
				time.Sleep(time.Hour)
				if got := r.events(); got != strings.Join(test.want, " ") {
					t.Errorf("told %q, want %q", got, test.want)
				}
			})
		})
	}
}

// TestClosingClaimsNothing: what waits when a replica stops is told by the next one that notices, at once.
func TestClosingClaimsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fleet, _, r := fleetOf(t, 2)
		fleet[0].http.Transport, fleet[0].http.Timeout = hanging{}, 0
		for grant := range byte(5) { // the first one is on its way, the others wait
			fleet[0].Observe(of(grant, stateEvent(tokencache.StateOK, tokencache.StateDead, 0)))
		}
		synctest.Wait()
		fleet[0].Close()
		for grant := range byte(5) {
			fleet[1].Observe(of(grant, stateEvent(tokencache.StateOK, tokencache.StateDead, 0)))
		}
		synctest.Wait()
		if got := r.events(); got != "dead dead dead dead" {
			t.Errorf("told %q", got)
		}
	})
}

// TestFleetTellsWithoutStore: better twice than never.
func TestFleetTellsWithoutStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fleet, stores, r := fleetOf(t, 2)
		for i, n := range fleet {
			stores[i].Away(true)
			n.Observe(of(1, stateEvent(tokencache.StateOK, tokencache.StateDead, 0)))
		}
		synctest.Wait()
		if got := r.events(); got != "dead dead" {
			t.Errorf("told %q", got)
		}
	})
}
