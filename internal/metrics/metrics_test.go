package metrics

import (
	"fmt"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// TestSeriesOfAccounts: as many accounts of a client have series as are documented, and one
// that is gone makes room for another.
func TestSeriesOfAccounts(t *testing.T) {
	m := New(func() (int64, int64) { return 0, 0 })
	key := func(i int) tokencache.Key { return tokencache.Key{Client: "main", Account: fmt.Sprint("a", i)} }
	wantSeries := func(when string, want int) {
		t.Helper()
		if n := countSeries(t, m.creditsLeft); n != want {
			t.Errorf("%s: %d series, want %d", when, n, want)
		}
	}
	for i := range maxAccountSeries + 1 {
		for range 2 {
			m.Credits(key(i), "crm", int64(i))
		}
	}
	wantSeries("one too many", maxAccountSeries)
	m.Credits(key(0), "books", 5)
	m.Observe(tokencache.Event{Type: tokencache.EventLostEarly, Key: key(0)})
	wantSeries("another service", maxAccountSeries+1)
	m.Forget(key(0))
	m.Forget(key(0))
	wantSeries("one is gone", maxAccountSeries-1)
	if n := countSeries(t, m.tokensLostEarly); n != 0 {
		t.Errorf("%d series of tokens lost early are left", n)
	}
	m.Credits(key(maxAccountSeries), "crm", 7)
	m.Credits(key(0), "crm", 7)
	wantSeries("another one came", maxAccountSeries)
}

func countSeries(t *testing.T, c prometheus.Collector) (n int) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		n += len(family.Metric)
	}
	return n
}

// TestBegin: what an alert looks at is there before anything has happened, and is counted on from 0.
func TestBegin(t *testing.T) {
	m := New(func() (int64, int64) { return 0, 0 })
	m.Begin("main", "internal")
	m.Observe(tokencache.Event{Type: tokencache.EventStoreError, Key: tokencache.Key{Client: "main"}, Operation: "save"})
	m.Begin("main", "internal")
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m.storeErrors, m.problems)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []float64
	for _, f := range families {
		for _, series := range f.GetMetric() {
			got = append(got, series.GetCounter().GetValue())
		}
	}
	if want := []float64{0, 0, 0, 1}; !slices.Equal(got, want) { // a problem; load, load_grant, save
		t.Errorf("%v, want %v", got, want)
	}
}
