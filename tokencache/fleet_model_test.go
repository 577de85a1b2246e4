package tokencache_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// issuer stands for Zoho in a random history: it knows which tokens live.
type issuer struct {
	mu     sync.Mutex
	random *rand.Rand
	calls  []time.Time // those that Zoho counts
	issued map[string]time.Time
	newest string
	flying int
	most   int // token calls at the same moment
	broken bool
}

func (z *issuer) fetch(ctx context.Context, _ tokencache.Key, _ tokencache.Grant) (tokencache.Fetched, error) {
	z.mu.Lock()
	z.flying++
	z.most = max(z.most, z.flying)
	delay, broken := time.Duration(z.random.IntN(12_000))*time.Millisecond, z.broken
	z.mu.Unlock()
	err := pause(ctx, delay)
	z.mu.Lock()
	defer z.mu.Unlock()
	z.flying--
	if err != nil || broken {
		return tokencache.Fetched{}, &tokencache.FetchError{Kind: tokencache.KindTemporary, NoToken: err == nil, Err: errors.New("down")}
	}
	z.calls = append(z.calls, time.Now())
	z.newest = fmt.Sprint("token ", len(z.calls))
	z.issued[z.newest] = time.Now()
	return tokencache.Fetched{AccessToken: z.newest, Life: time.Hour}, nil
}

func (z *issuer) lives(token string) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	at, found := z.issued[token]
	return found && time.Since(at) < time.Hour
}

func (z *issuer) revoke() {
	z.mu.Lock()
	defer z.mu.Unlock()
	clear(z.issued)
}

// inWindow is the largest number of calls within ten minutes.
func (z *issuer) inWindow() (most int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for i := range z.calls {
		n := 0
		for _, at := range z.calls[i:] {
			if at.Sub(z.calls[i]) < 10*time.Minute {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// recent is how many calls there were within ten minutes.
func (z *issuer) recent() (n int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, at := range z.calls {
		if time.Since(at) < 10*time.Minute {
			n++
		}
	}
	return n
}

// app is one call of an app by a process: the token is refused if it is dead, and once more.
func (z *issuer) app(r *replica) error {
	ctx := context.Background()
	res := r.resource("crm")
	t, err := res.Get(ctx, r.client)
	for range 2 {
		if err != nil {
			return err
		}
		if z.lives(t.Value) {
			res.Accepted(t.Generation)
			return nil
		}
		t, err = res.Refused(ctx, r.client, t.Generation, tokencache.RefusalDead)
	}
	if err == nil && !z.lives(t.Value) {
		err = fmt.Errorf("generation %d is dead", t.Generation)
	}
	return err
}

// Random histories of a fleet: calls, revocations, restarts, a server that is down, a store that
// is away. What may not be, whatever happens, is looked at after each step. FLEET_HISTORIES says how many.
func TestFleetModel(t *testing.T) {
	t.Parallel()
	histories := 60
	if n, err := strconv.Atoi(os.Getenv("FLEET_HISTORIES")); err == nil {
		histories = n
	}
	for seed := range histories {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { fleetHistory(t, uint64(seed)) })
		})
	}
}

func fleetHistory(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 17))
	faults := seed%2 == 1 // of the store
	z := &issuer{random: rand.New(rand.NewPCG(seed, 18)), issued: make(map[string]time.Time)}
	f := newFleet(t, 3)
	for _, r := range f.replicas {
		r.client.Fetch, r.client.KeepWarm, r.client.TokenWait = z.fetch, 24*time.Hour, 2*time.Second
	}
	away, calm := make(map[*replica]bool), time.Now()
	for step := range 60 {
		r := f.replicas[random.IntN(len(f.replicas))]
		switch do := random.IntN(12); {
		case do < 6:
			var all sync.WaitGroup
			for _, other := range f.replicas {
				for range 1 + random.IntN(3) {
					all.Go(func() {
						err := z.app(other)
						if err != nil && !away[other] && time.Since(calm) > 3*time.Minute && z.recent() < 7 {
							t.Errorf("step %d: %v", step, err)
						}
					})
				}
			}
			all.Wait()
		case do == 6:
			z.revoke()
			if at := time.Now().Add(-2*time.Minute - 50*time.Second); at.After(calm) { // a dead token is renewed in seconds
				calm = at
			}
		case do == 7:
			z.mu.Lock()
			z.broken = !z.broken
			z.mu.Unlock()
		case do == 8 && faults:
			away[r] = !away[r]
			r.store.Away(away[r])
		case do == 9:
			r.restart()
			r.client.Fetch, r.client.KeepWarm, r.client.TokenWait = z.fetch, 24*time.Hour, 2*time.Second
			t.Cleanup(r.cache.Use(func(string) *tokencache.Client { return r.client }))
		default:
			time.Sleep(time.Duration(random.IntN(int(15 * time.Minute))))
		}
		z.mu.Lock()
		if z.broken {
			calm = time.Now()
		}
		z.mu.Unlock()
		if len(away) > 0 {
			calm = time.Now()
		}
		if n, limit := z.inWindow(), 10; !faults && n > limit || n > limit+2*len(f.replicas) {
			t.Fatalf("step %d: %d token calls in ten minutes", step, n)
		}
	}
	for r := range away {
		r.store.Away(false)
	}
	z.mu.Lock()
	z.broken = false
	most := z.most
	z.mu.Unlock()
	if !faults && most > 1 {
		t.Errorf("%d token calls at once", most)
	}
	time.Sleep(15 * time.Minute)
	if faults {
		time.Sleep(time.Hour) // what was asked for alone is in use until it ends
	}
	for _, r := range f.replicas { // all is well again, for all
		if err := z.app(r); err != nil {
			t.Error(err)
		}
	}
	synctest.Wait()
	z.mu.Lock()
	newest := z.newest
	z.mu.Unlock()
	for _, r := range f.replicas {
		if got := r.conn().Peek(); got.Value != newest {
			t.Errorf("%s is in use, %s is the newest", got.Value, newest)
		}
	}
}
