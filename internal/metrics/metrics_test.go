package metrics

import (
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
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

// TestAccountsInTrouble: of more accounts than have series, those have them that an alert is to ring for.
func TestAccountsInTrouble(t *testing.T) {
	statuses := func(n int, trouble ...tokencache.Status) Connections {
		return func(yield func(string, iter.Seq[tokencache.Status]) bool) {
			yield("main", func(yield func(tokencache.Status) bool) {
				for i := range n {
					s := tokencache.Status{Key: tokencache.Key{Client: "main", Account: fmt.Sprint("a", i)}, State: tokencache.StateOK, BudgetLeft: 10}
					if i >= n-len(trouble) {
						s.State, s.BudgetLeft = trouble[i-n+len(trouble)].State, trouble[i-n+len(trouble)].BudgetLeft
					}
					if !yield(s) {
						return
					}
				}
			})
		}
	}
	accounts := func(c Connections) map[string]bool {
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(c)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		found := make(map[string]bool)
		for _, family := range families {
			for _, series := range family.Metric {
				for _, label := range series.Label {
					if label.GetName() == "account" {
						found[label.GetValue()] = true
					}
				}
			}
		}
		return found
	}
	if n := len(accounts(statuses(maxAccountSeries))); n != maxAccountSeries {
		t.Errorf("%d of %d accounts have series", n, maxAccountSeries)
	}
	got := accounts(statuses(3000,
		tokencache.Status{State: tokencache.StateDead, BudgetLeft: 10}, tokencache.Status{State: tokencache.StateContended, BudgetLeft: 10},
		tokencache.Status{State: tokencache.StateOK, BudgetLeft: 10}, tokencache.Status{State: tokencache.StateOK, BudgetLeft: 2}))
	if want := map[string]bool{"a2996": true, "a2997": true, "a2999": true}; !maps.Equal(got, want) {
		t.Errorf("accounts with series: %v, want %v", got, want)
	}
	all := slices.Repeat([]tokencache.Status{{State: tokencache.StateDead}}, 3000)
	if n := len(accounts(statuses(3000, all...))); n != maxAccountSeries {
		t.Errorf("%d of 3000 dead accounts have series", n)
	}
}

// TestLowBudget: the alert fires for accounts that have series.
func TestLowBudget(t *testing.T) {
	rules, err := os.ReadFile("../../deploy/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if says := fmt.Sprintf("(zoho_token_budget_remaining) <= %d\n", lowBudget); !strings.Contains(string(rules), says) {
		t.Errorf("deploy/alerts.yaml lacks %q", says)
	}
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
