package onboard

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// fresh is what a code of a user's has brought.
func fresh(cl *Client, account, token, user string) *pendingGrant {
	p := newPending(account, tokencache.Grant{RefreshToken: token, AccountsServer: cl.Centers[0].Accounts, User: user})
	p.fresh = true
	return p
}

// has has an account connected, by a grant that may be there already.
func (f *Flow) has(t *testing.T, cl *Client, account, token, user string) {
	t.Helper()
	grant := tokencache.Grant{RefreshToken: token, AccountsServer: cl.Centers[0].Accounts, User: user, RefreshTokens: 1}
	if err := f.saveGrant(cl, account, grant); err != nil {
		t.Fatal(err)
	}
}

func (f *Flow) now(t *testing.T, cl *Client, account string) tokencache.Grant {
	t.Helper()
	g, _, err := f.store.LoadGrant(cl.key(account), cl.Cache.Secrets())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// zohoIs answers calls of a test's.
type zohoIs func(*http.Request) (*http.Response, error)

func (f zohoIs) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestTwoConsentsAtOnce: of two users who consent for a new account at the same time, the
// second is asked about, not lost.
func TestTwoConsentsAtOnce(t *testing.T) {
	flow, cl := testClient(t)
	given := new(revocations)
	via(cl, given)
	proving, on := make(chan struct{}), make(chan struct{})
	cl.Cache.Fetch = func(_ context.Context, _ tokencache.Key, g tokencache.Grant) (tokencache.Fetched, error) {
		if g.RefreshToken == "of bob" {
			close(proving)
			<-on
		}
		return tokencache.Fetched{AccessToken: "1000.proof"}, nil
	}
	outcome := make(chan error)
	go func() {
		bob := fresh(cl, "new", "of bob", "")
		bob.grant.AccountsServer = cl.Centers[1].Accounts // which says that it is somebody else
		_, err := flow.complete(t.Context(), cl, bob)
		outcome <- err
	}()
	<-proving
	if _, err := flow.complete(t.Context(), cl, fresh(cl, "new", "of carol", "")); err != nil {
		t.Error(err)
	}
	close(on)
	if err := <-outcome; err == nil || asError(err).Confirm == "" || len(flow.unconfirmed) != 1 {
		t.Errorf("the second one: %v, %d are held", err, len(flow.unconfirmed))
	}
	if got := flow.now(t, cl, "new").RefreshToken; got != "of carol" || given.String() != "" {
		t.Errorf("stored is the grant %q, given back %q", got, given)
	}
}

// TestConfirmMeansTheGrantThatWasShown: if the account has another one by now, that is asked about.
func TestConfirmMeansTheGrantThatWasShown(t *testing.T) {
	flow, cl := testClient(t)
	given := new(revocations)
	via(cl, given)
	flow.has(t, cl, "a", "of alice", "alice")
	p := fresh(cl, "a", "of carol", "carol")
	p.revokeOld = true
	_, asked := flow.storeGrant(t.Context(), cl, p)
	if asked == nil || asError(asked).Before.User != "alice" {
		t.Fatal(asked)
	}
	flow.has(t, cl, "a", "of bob", "bob")
	_, again := flow.Confirm(t.Context(), cl, asError(asked).Confirm, "", true)
	if again == nil || asError(again).Confirm == "" || asError(again).Before.User != "bob" || given.String() != "" {
		t.Fatalf("%v, given back %q", again, given)
	}
	r, err := flow.Confirm(t.Context(), cl, asError(again).Confirm, "", true)
	if err != nil || !r.Replaced || !r.Revoked || given.String() != "of bob" || flow.now(t, cl, "a").User != "carol" {
		t.Errorf("%+v, %v, given back %q", r, err, given)
	}
}

// TestDropWithoutBrowser: what was declined is given back though the browser is gone.
func TestDropWithoutBrowser(t *testing.T) {
	flow, cl := testClient(t)
	given := new(revocations)
	via(cl, given)
	flow.has(t, cl, "a", "of alice", "alice")
	_, asked := flow.storeGrant(t.Context(), cl, fresh(cl, "a", "of carol", "carol"))
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	if r, err := flow.Confirm(gone, cl, asError(asked).Confirm, "", false); err != nil || !r.Revoked || given.String() != "of carol" {
		t.Errorf("%+v, %v, given back %q", r, err, given)
	}
}

// TestRevocationTakesItsTime: what happens to the account meanwhile is not undone by it.
func TestRevocationTakesItsTime(t *testing.T) {
	for what, meanwhile := range map[string]func(*testing.T, *Flow, *Client){
		"forgotten": func(t *testing.T, f *Flow, cl *Client) {
			if _, err := f.Forget(cl, "a"); err != nil {
				t.Error(err)
			}
		},
		"connected anew": func(t *testing.T, f *Flow, cl *Client) {
			if _, err := f.storeGrant(t.Context(), cl, fresh(cl, "a", "newest", "alice")); err != nil {
				t.Error(err)
			}
		},
	} {
		for _, fails := range []bool{false, true} {
			once := func(t *testing.T, flow *Flow, cl *Client) {
				done := false
				via(cl, zohoIs(func(r *http.Request) (*http.Response, error) {
					if !done {
						done = true
						meanwhile(t, flow, cl)
					}
					if fails {
						return nil, errors.New("no network")
					}
					return new(revocations).RoundTrip(r)
				}))
			}
			want := map[string]string{"forgotten": "", "connected anew": "newest"}[what]
			check := func(t *testing.T, flow *Flow, cl *Client, places int) {
				t.Helper()
				if got := flow.now(t, cl, "a"); got.RefreshToken != want || got.RefreshToken != "" && got.RefreshTokens != places {
					t.Errorf("stored is %q, with %d known, want %d", got.RefreshToken, got.RefreshTokens, places)
				}
			}
			t.Run(what, func(t *testing.T) {
				flow, cl := testClient(t)
				flow.has(t, cl, "a", "old", "alice")
				once(t, flow, cl)
				p := fresh(cl, "a", "new", "alice")
				p.revokeOld = true
				if r, err := flow.storeGrant(t.Context(), cl, p); err != nil || r.Revoked == fails {
					t.Errorf("%+v, %v", r, err)
				}
				places := 2 // the new one and the newest
				if fails {
					places = 3
				}
				check(t, flow, cl, places)
			})
			t.Run(what+" while it is revoked", func(t *testing.T) {
				flow, cl := testClient(t)
				flow.has(t, cl, "a", "old", "alice")
				once(t, flow, cl)
				if _, err := flow.Revoke(t.Context(), cl, "a", false); (err != nil) != fails {
					t.Error(err)
				}
				check(t, flow, cl, 2)
			})
		}
	}
}

// TestConfiguredMeanwhile: a consent that ends when the account's grant comes from the
// configuration costs nothing and stores nothing.
func TestConfiguredMeanwhile(t *testing.T) {
	flow, cl := testClient(t)
	via(cl, zohoIs(func(*http.Request) (*http.Response, error) {
		t.Error("Zoho is asked")
		return nil, errors.New("no network")
	}))
	_, state, err := flow.Begin(cl, Start{Account: "late", RedirectURI: cl.RedirectURI})
	if err != nil {
		t.Fatal(err)
	}
	cl.Cache.Grant = func(string) (tokencache.Grant, bool, error) {
		return tokencache.Grant{RefreshToken: "configured"}, true, nil
	}
	if _, err := flow.Finish(t.Context(), cl, Callback{State: state, Code: "1000.code"}, ""); err == nil || asError(err).Code != codeConfigured {
		t.Errorf("%v", err)
	}
	given := new(revocations)
	via(cl, given)
	flow.has(t, cl, "late", "before", "alice")
	p := fresh(cl, "late", "of alice", "alice")
	cl.Cache.Fetch = func(context.Context, tokencache.Key, tokencache.Grant) (tokencache.Fetched, error) {
		return tokencache.Fetched{AccessToken: "1000.proof"}, nil
	}
	if _, err := flow.complete(t.Context(), cl, p); err == nil || asError(err).Code != codeConfigured || given.String() != "of alice" {
		t.Errorf("%v, given back %q", err, given)
	}
}

// TestNothingIsAskedForInVain: a code is not spent, and a consent not begun, if what it brings
// could not be stored.
func TestNothingIsAskedForInVain(t *testing.T) {
	flow, cl := testClient(t)
	via(cl, zohoIs(func(*http.Request) (*http.Response, error) {
		t.Error("Zoho is asked")
		return nil, errors.New("no network")
	}))
	_, state, err := flow.Begin(cl, Start{Account: "a", RedirectURI: cl.RedirectURI})
	if err != nil {
		t.Fatal(err)
	}
	flow.has(t, cl, "a", "sealed by another key", "alice")
	cl.Cache.Secrets = func() [][]byte { return [][]byte{[]byte("another secret")} }
	_, _, began := flow.Begin(cl, Start{Account: "a", RedirectURI: cl.RedirectURI})
	_, finished := flow.Finish(t.Context(), cl, Callback{State: state, Code: "1000.code"}, "")
	_, took := flow.SelfClient(t.Context(), cl, cl.Centers[0], "a", "1000.code", false, false)
	for what, err := range map[string]error{"begin": began, "finish": finished, "self client": took} {
		if err == nil || asError(err).Code != codeStore {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestReplaceUnreadable: a grant that no key opens is replaced by who agrees to that, an invited
// person excepted, and others that are sealed by the same key stay.
func TestReplaceUnreadable(t *testing.T) {
	flow, cl := testClient(t)
	given := new(revocations)
	via(cl, given)
	flow.has(t, cl, "a", "of alice", "alice")
	flow.has(t, cl, "b", "of bob", "bob")
	key := cl.Cache.Secrets()
	cl.Cache.Secrets = func() [][]byte { return [][]byte{[]byte("another secret")} }
	if !flow.Unreadable(cl, "a") || flow.Unreadable(cl, "new") {
		t.Error("what is unreadable is not told")
	}
	if _, _, err := flow.Begin(cl, Start{Account: "a", RedirectURI: cl.RedirectURI}); err == nil || !asError(err).Replaceable {
		t.Errorf("begun without agreement: %v", err)
	}
	if _, _, err := flow.Begin(cl, Start{Account: "a", RedirectURI: cl.RedirectURI, ReplaceLost: true}); err != nil {
		t.Errorf("with agreement: %v", err)
	}
	invited := fresh(cl, "a", "of a stranger", "")
	invited.invited = &Invitation{ID: "x"}
	for _, p := range []*pendingGrant{fresh(cl, "a", "of carol", "carol"), invited} {
		if _, err := flow.storeGrant(t.Context(), cl, p); err == nil || asError(err).Code != codeStore || !asError(err).Replaceable {
			t.Errorf("adopted without agreement: %v", err)
		}
	}
	p := fresh(cl, "a", "of carol", "carol")
	p.replaceLost, p.revokeOld = true, true
	r, err := flow.storeGrant(t.Context(), cl, p)
	if err != nil || !r.Replaced || r.Revoked || given.String() != "" || !strings.Contains(strings.Join(r.Warnings, ""), "could not be read") {
		t.Errorf("%+v, %v, given back %q", r, err, given)
	}
	if got := flow.now(t, cl, "a").RefreshToken; got != "of carol" {
		t.Errorf("stored is %q", got)
	}
	cl.Cache.Secrets = func() [][]byte { return key }
	if got := flow.now(t, cl, "b").RefreshToken; got != "of bob" {
		t.Errorf("beside it is %q", got)
	}
}

// TestUnreadableOnThePage: a page asks by a check box, and begins nothing without it.
func TestUnreadableOnThePage(t *testing.T) {
	pages := testPages(t)
	pages.Flow.has(t, pages.Client, "a", "of alice", "alice")
	visit := func(method, target, form string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "http://localhost/zoho-connect/"+target, strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		pages.Serve(w, r)
		return w
	}
	if w := visit(http.MethodGet, "connect?account=a", ""); w.Code != http.StatusOK || strings.Contains(w.Body.String(), `name="lost"`) {
		t.Errorf("%d, for a grant that can be read: %s", w.Code, w.Body)
	}
	pages.Client.Cache.Secrets = func() [][]byte { return [][]byte{[]byte("another secret")} }
	asks := visit(http.MethodGet, "connect?account=a", "").Body.String()
	if !strings.Contains(asks, `name="lost"`) || !strings.Contains(asks, "none of the keys opens it") {
		t.Errorf("nothing is asked: %s", asks)
	}
	if w := visit(http.MethodPost, "start", "account=a"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("without the check: %d", w.Code)
	}
	if w := visit(http.MethodPost, "start", "account=a&lost=yes"); w.Code != http.StatusSeeOther {
		t.Errorf("with it: %d", w.Code)
	}
}

// TestRevocationThatIsNotNoted: Zoho has the grant back, and the answer says so.
func TestRevocationThatIsNotNoted(t *testing.T) {
	flow, cl := testClient(t)
	flow.has(t, cl, "a", "of alice", "alice")
	given := new(revocations)
	via(cl, zohoIs(func(r *http.Request) (*http.Response, error) {
		_ = flow.store.(io.Closer).Close()
		return given.RoundTrip(r)
	}))
	_, err := flow.Revoke(t.Context(), cl, "a", false)
	told := refusedBy(err, codeStore, "Zoho has taken the grant back") && refusedBy(err, codeStore, "caddy zoho forget main a")
	if !told || given.String() != "of alice" {
		t.Errorf("%v, given back %q", err, given)
	}
}

// TestWhatLivesOn: whoever takes an account away is told what Zoho still has of it.
func TestWhatLivesOn(t *testing.T) {
	flow, cl := testClient(t)
	via(cl, new(revocations))
	flow.has(t, cl, "a", "first", "alice")
	if _, err := flow.storeGrant(t.Context(), cl, fresh(cl, "a", "second", "alice")); err != nil {
		t.Fatal(err)
	}
	if r, err := flow.Revoke(t.Context(), cl, "a", false); err != nil || !strings.Contains(strings.Join(r.Warnings, " "), "1 older") {
		t.Errorf("revoked: %+v, %v", r, err)
	}
	flow.has(t, cl, "a", "third", "alice")
	if r, err := flow.Forget(cl, "a"); err != nil || !strings.Contains(strings.Join(r.Warnings, " "), "lives on at Zoho") {
		t.Errorf("forgotten: %+v, %v", r, err)
	}
	if _, err := flow.Forget(cl, "a"); err == nil || asError(err).Code != codeNoGrant {
		t.Errorf("forgotten twice: %v", err)
	}
}

// TestQuotaIsSpent: once there are more than Zoho keeps, the oldest are gone.
func TestQuotaIsSpent(t *testing.T) {
	for n, says := range map[int]string{
		RefreshTokenLimit - 2: "",
		RefreshTokenLimit:     "the next one beyond them ends the first",
		RefreshTokenLimit + 1: "so the oldest have ended",
	} {
		all := CountQuota([]tokencache.Status{{User: "ann", RefreshTokens: n}}).Warnings()
		if (len(all) == 0) != (says == "") || !strings.Contains(strings.Join(all, " "), says) {
			t.Errorf("%d: %v", n, all)
		}
	}
}
