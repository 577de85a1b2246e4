package tokencache

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestForgottenAccountsLeaveNothing: an account that is gone is not in memory two hours later, nor is
// the ledger of its grant. Until its window has passed the ledger counts, and the generations of an
// account that comes back grow on.
func TestForgottenAccountsLeaveNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		grants := make(map[string]bool)
		calls := 0
		cl := &Client{
			Name: "main",
			Grant: func(account string) (Grant, bool, error) {
				return Grant{RefreshToken: "1000." + account}, grants[account], nil
			},
			Fetch: func(context.Context, Key, Grant) (Fetched, error) {
				calls++
				return Fetched{AccessToken: fmt.Sprint("token-", calls)}, nil
			},
		}
		c := New(Options{})
		defer c.Close()
		defer c.Use(func(string) *Client { return cl })()
		get := func(account string) *Token {
			t.Helper()
			n, err := c.Conn(cl, account)
			if err != nil {
				t.Fatal(err)
			}
			token, err := n.Resource("crm", "").Get(t.Context(), cl)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		for i := range 100 {
			account := fmt.Sprint("account-", i)
			grants[account] = true
			get(account)
		}
		grants["kept"] = true
		get("kept")
		n, err := c.Conn(cl, "account-7")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Refresh(t.Context(), cl); err != nil {
			t.Fatal(err)
		}
		last := n.Peek().Generation
		synctest.Wait() // the flights have ended
		for account := range grants {
			if account != "kept" {
				delete(grants, account)
			}
			c.GrantChanged(Key{Client: "main", Account: account})
		}
		time.Sleep(leftoverLife / 2)
		synctest.Wait()
		want := func(when string, conns, ledgers, noted int) {
			t.Helper()
			c.mu.Lock()
			defer c.mu.Unlock()
			c.ledgers.mu.Lock()
			defer c.ledgers.mu.Unlock()
			c.leftovers.mu.Lock()
			defer c.leftovers.mu.Unlock()
			if len(c.conns) != conns || len(c.ledgers.byID) != ledgers || len(c.leftovers.keys) != noted {
				t.Errorf("%s: %d connections, %d ledgers, %d noted; want %d, %d, %d", when,
					len(c.conns), len(c.ledgers.byID), len(c.leftovers.keys), conns, ledgers, noted)
			}
		}
		want("half an hour later", 101, 101, 101)
		time.Sleep(2 * leftoverLife)
		synctest.Wait()
		want("hours later", 1, 1, 0)
		grants["account-7"] = true
		if token := get("account-7"); token.Generation <= last {
			t.Errorf("generation %d after %d", token.Generation, last)
		}
	})
}

// TestLedgerCountsInItsWindow: the ledger of a grant that is gone counts for as long as the longest
// window that anybody counts by.
func TestLedgerCountsInItsWindow(t *testing.T) {
	t.Parallel()
	l := &ledgers{byID: make(map[Fingerprint]*sharedLedger)}
	cl := &Client{Budget: 1, BudgetWindow: 5 * leftoverLife}
	s := l.of(Fingerprint{1}, false, 0)
	s.enter(0, cl, 1)
	for now, want := range map[int64]bool{int64(4 * leftoverLife): true, int64(5 * leftoverLife): false} {
		if s.counts(now) != want {
			t.Errorf("after %s: %v", time.Duration(now), !want)
		}
	}
	if !l.sweep(int64(4*leftoverLife), nil) || l.of(Fingerprint{1}, false, int64(4*leftoverLife)) != s {
		t.Error("it went too early")
	}
	if l.sweep(int64(6*leftoverLife), nil) || len(l.byID) != 0 {
		t.Error("it stays")
	}
}
