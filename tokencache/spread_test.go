package tokencache_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// perMinute counts token calls from a moment on.
type perMinute struct {
	from  time.Time
	calls map[int]int
	all   int
}

func (p *perMinute) most() (most int) {
	for _, n := range p.calls {
		most = max(most, n)
	}
	return most
}

// Tokens that came all at once are renewed at no more than half above the mean in any minute.
func TestRenewalsSpread(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const count, hours = 10_000, 6
		r := newRig(t, func(o *tokencache.Options) { o.Observe, o.Rand = nil, nil })
		r.client.KeepWarm = 24 * time.Hour
		seen := &perMinute{from: time.Now().Add(time.Minute), calls: make(map[int]int)}
		var fetched = make(chan struct{}, 1)
		fetched <- struct{}{}
		r.client.Fetch = func(context.Context, tokencache.Key, tokencache.Grant) (tokencache.Fetched, error) {
			<-fetched
			defer func() { fetched <- struct{}{} }()
			if d := time.Since(seen.from); d >= 0 {
				seen.calls[int(d/time.Minute)]++
				seen.all++
			}
			return tokencache.Fetched{AccessToken: "token", Life: time.Hour}, nil
		}
		t.Cleanup(r.cache.Use(func(string) *tokencache.Client { return r.client }))
		for i := range count {
			account := fmt.Sprint("account ", i)
			r.grants.set(account, account)
			n, err := r.cache.Conn(r.client, account)
			if err == nil {
				_, err = n.Resource("crm", "").Get(context.Background(), r.client)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(hours * time.Hour)
		synctest.Wait()
		mean := float64(seen.all) / (hours * 60)
		t.Logf("%d calls in %d h: %.0f a minute, at most %d", seen.all, hours, mean, seen.most())
		if float64(seen.most()) > 1.5*mean {
			t.Errorf("at most %d in a minute, %.0f on average", seen.most(), mean)
		}
		if most := count * (hours + 1); seen.all > most {
			t.Errorf("%d token calls, %d are enough", seen.all, most)
		}
	})
}
