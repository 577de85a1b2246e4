package onboard

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestOneCallerLeavesRoom, S-68: whoever begins consents without end is refused, and nobody else is.
func TestOneCallerLeavesRoom(t *testing.T) {
	for name, caller := range map[string]struct {
		address func(i int) string
		most    int
		others  []string
	}{
		"an address":             {func(int) string { return "198.51.100.7" }, 100, []string{"198.51.100.8", "2001:db8::1"}},
		"with ports":             {func(i int) string { return fmt.Sprintf("198.51.100.7:%d", 1000+i) }, 100, []string{"198.51.100.8:1"}},
		"mapped":                 {func(i int) string { return []string{"198.51.100.7", "::ffff:198.51.100.7"}[i%2] }, 100, []string{"::ffff:198.51.100.8"}},
		"a network":              {func(i int) string { return fmt.Sprintf("198.51.100.%d", i%250) }, 1000, []string{"198.51.101.1"}},
		"IPv6, a /64":            {func(i int) string { return fmt.Sprintf("2001:db8::%x", i) }, 100, []string{"2001:db8:0:1::1", "198.51.100.7"}},
		"IPv6, a /48":            {func(i int) string { return fmt.Sprintf("[2001:db8:0:%x::1]:443", i) }, 1000, []string{"2001:db8:1::1"}},
		"IPv6, with a zone":      {func(i int) string { return fmt.Sprintf("fe80::1%%eth%d", i) }, 100, []string{"2001:db8::1"}},
		"peers of a Unix socket": {func(int) string { return "@" }, 100, []string{"198.51.100.7"}},
	} {
		t.Run(name, func(t *testing.T) {
			flow, cl := testClient(t)
			flow.store = &counting{Store: flow.store}
			synctest.Test(t, func(t *testing.T) {
				begin := func(s Start) error {
					s.RedirectURI = cl.RedirectURI
					_, _, err := flow.Begin(cl, s)
					return err
				}
				begun := 0
				for i := range 2 * caller.most {
					err := begin(Start{Account: fmt.Sprint("a", i), Caller: caller.address(i)})
					if err == nil {
						begun++
					} else if e := asError(err); e.Code != "starts" || e.RetryAfter <= 0 || e.RetryAfter > 2*consentLife+time.Second || !strings.Contains(e.Text, "from your address") {
						t.Fatalf("%d: %+v", i, e)
					}
				}
				if begun != caller.most {
					t.Errorf("%d consents of one caller, want %d", begun, caller.most)
				}
				for _, other := range caller.others {
					if err := begin(Start{Account: "a0", Caller: other}); err != nil {
						t.Errorf("%s: %v", other, err)
					}
				}
				if err := begin(Start{Account: "a0"}); err != nil {
					t.Errorf("the operator's terminal: %v", err)
				}
				if err := begin(Start{Account: "a0", Caller: caller.address(0), invitation: &Invitation{ID: "x"}}); err != nil {
					t.Errorf("an invitation from there: %v", err)
				}
				time.Sleep(2*consentLife + time.Second)
				if err := begin(Start{Account: "a0", Caller: caller.address(0)}); err != nil {
					t.Errorf("later: %v", err)
				}
			})
		})
	}
}

// counting counts what is written of a store.
type counting struct {
	Store
	tried int
}

func (c *counting) TryWrite() error {
	c.tried++
	return nil
}

// TestRefusedStartsWriteNothing: what is refused by its number costs the disk nothing, by an
// invitation or without one, and one that the store refuses does not count.
func TestRefusedStartsWriteNothing(t *testing.T) {
	for name, s := range map[string]Start{
		"by an invitation": {Account: "acme", invitation: &Invitation{ID: "x", Account: "acme"}},
		"by a page":        {Account: "acme", Caller: "198.51.100.7"},
	} {
		flow, cl := testClient(t)
		store := &counting{Store: flow.store}
		flow.store = store
		s.RedirectURI = cl.RedirectURI
		for range 50 {
			_, _, _ = flow.Begin(cl, s)
		}
		if store.tried != maxStarts {
			t.Errorf("%s: %d writes for %d starts", name, store.tried, maxStarts)
		}
		full := &fullStore{Store: flow.store}
		flow.store, s.Account = full, "other"
		for range 2 * maxStarts {
			if _, _, err := flow.Begin(cl, s); err == nil || asError(err).Code == "starts" {
				t.Errorf("%s, with a full disk: %v", name, err)
				break
			}
		}
		flow.store = store
		if s.invitation == nil {
			if _, _, err := flow.Begin(cl, s); err != nil {
				t.Errorf("%s, with room again: %v", name, err)
			}
		}
		if n := len(flow.starts); s.invitation != nil && n != 1 {
			t.Errorf("%s: %d counts of starts", name, n)
		}
	}
}

type fullStore struct{ Store }

func (*fullStore) TryWrite() error { return fmt.Errorf("no space left on device") }
