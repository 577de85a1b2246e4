package onboard

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// answers is an accounts server that gives each request the same answer.
type answers string

func (a answers) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Request: req, Body: io.NopCloser(strings.NewReader(string(a))),
		Header: http.Header{"Content-Type": {"application/json"}},
	}, nil
}

// narrowClient has an account default that lacks Desk.tickets.READ.
func narrowClient(t *testing.T) (*Flow, *Client) {
	t.Helper()
	flow, cl := testClient(t)
	cl.Scopes = []string{"ZohoCRM.modules.READ", "Desk.tickets.READ"}
	cl.Cache.Fetch = func(context.Context, tokencache.Key, tokencache.Grant) (tokencache.Fetched, error) {
		return tokencache.Fetched{AccessToken: "token", Scope: "ZohoCRM.modules.ALL"}, nil
	}
	grant := tokencache.Grant{RefreshToken: "1000.r", AccountsServer: cl.Centers[1].Accounts, Scopes: []string{"zohocrm.modules.all"}}
	if err := flow.store.SaveGrant(cl.key("default"), cl.Cache.Secrets(), grant); err != nil {
		t.Fatal(err)
	}
	via(cl, answers(`{"access_token":"1000.enhance","token_type":"update_scope","expires_in":600}`))
	return flow, cl
}

var accepted = Callback{Status: "success", Enhanced: "true"}

// TestWideningExpires: an answer waits for ten minutes, is taken once, by whom it is for, and a denial uses nothing up.
func TestWideningExpires(t *testing.T) {
	flow, cl := narrowClient(t)
	synctest.Test(t, func(t *testing.T) {
		begin := func(browser string) string {
			t.Helper()
			w, err := flow.Widen(context.Background(), cl, Start{Account: "default", RedirectURI: cl.RedirectURI, Browser: browser})
			if err != nil {
				t.Fatal(err)
			}
			to, err := url.Parse(w.URL)
			if err != nil || to.Host != "accounts.zoho.eu" || to.Query().Get("redirect_uri") != cl.RedirectURI ||
				to.Query().Get("scope") != "Desk.tickets.READ" || to.Query().Has("state") || !slices.Equal(w.Scopes, []string{"Desk.tickets.READ"}) {
				t.Errorf("%+v", w)
			}
			return w.ID
		}
		refused := func(code, what string, cb Callback, id, browser string) {
			t.Helper()
			if _, err := flow.FinishWidening(context.Background(), cl, cb, id, browser); !hasCode(err, code) {
				t.Errorf("%s: %v", what, err)
			}
		}
		id, pasted, late := begin("cookie"), begin(""), begin("cookie")
		refused(codePaste, "an invention", accepted, "AAAAAAAAAAAAAAAAAAAAAAAAAA", "cookie")
		refused(codePaste, "no id", accepted, "", "cookie")
		refused(codePaste, "in a terminal", accepted, id, "")
		refused(codePaste, "in another browser", accepted, id, "another cookie")
		refused(codePaste, "in a browser", accepted, pasted, "cookie")
		refused(codeDenied, "a denial", Callback{Error: "access_denied"}, id, "cookie")
		refused(codeCallback, "a consent", Callback{Code: "1000.a.b", State: "s"}, id, "cookie")
		other := *cl
		other.Name = "other"
		if _, err := flow.FinishWidening(context.Background(), &other, accepted, id, "cookie"); !hasCode(err, codePaste) {
			t.Errorf("another client: %v", err)
		}
		if account, err := flow.AccountOf(cl, pasted); account != "default" || err != nil {
			t.Errorf("it is for account %q: %v", account, err)
		}
		time.Sleep(consentLife)
		if w, err := flow.findWidening(cl, id, "cookie"); err != nil || w.Account != "default" {
			t.Errorf("after ten minutes: %+v, %v", w, err)
		}
		time.Sleep(time.Second)
		refused(codeState, "too late", accepted, late, "cookie")
	})
}

// TestWideningOfAnotherGrant: what was added to a grant that is gone is not believed of the next one.
func TestWideningOfAnotherGrant(t *testing.T) {
	flow, cl := narrowClient(t)
	w, err := flow.Widen(context.Background(), cl, Start{Account: "default", RedirectURI: cl.RedirectURI, Browser: "cookie"})
	if err != nil {
		t.Fatal(err)
	}
	next := tokencache.Grant{RefreshToken: "1000.next", AccountsServer: cl.Centers[0].Accounts, Scopes: []string{"ZohoCRM.modules.ALL"}}
	if err := flow.saveGrant(cl, "default", next); err != nil {
		t.Fatal(err)
	}
	if _, err := flow.FinishWidening(context.Background(), cl, accepted, w.ID, "cookie"); !hasCode(err, "grant-changed") {
		t.Errorf("%v", err)
	}
	if _, err := flow.FinishWidening(context.Background(), cl, accepted, w.ID, "cookie"); !hasCode(err, codeUsed) {
		t.Errorf("once more: %v", err)
	}
	now, _, err := flow.store.LoadGrant(cl.key("default"), cl.Cache.Secrets())
	if err != nil || !slices.Equal(now.Scopes, next.Scopes) {
		t.Errorf("%v, %v", now, err)
	}
}

// TestWidened: what the renewal names is stored, whether or not it is all that was asked for.
func TestWidened(t *testing.T) {
	for named, missing := range map[string]bool{"ZohoCRM.modules.ALL Desk.tickets.ALL": false, "ZohoCRM.modules.ALL Desk.basic.READ": true} {
		flow, cl := narrowClient(t)
		var told []Result
		flow.Hooks.Widened = func(r Result) { told = append(told, r) }
		w, err := flow.Widen(context.Background(), cl, Start{Account: "default", RedirectURI: cl.RedirectURI})
		if err != nil {
			t.Fatal(err)
		}
		cl.Cache.Fetch = func(context.Context, tokencache.Key, tokencache.Grant) (tokencache.Fetched, error) {
			return tokencache.Fetched{AccessToken: "token", Scope: named}, nil
		}
		result, err := flow.FinishWidening(context.Background(), cl, accepted, w.ID, "")
		if hasCode(err, "still-missing") != missing || err != nil != missing {
			t.Errorf("%s: %+v, %v", named, result, err)
		}
		if want := !missing; (len(told) == 1 && slices.Equal(told[0].Added, w.Scopes)) != want {
			t.Errorf("%s: told of %+v", named, told)
		}
		now, _, err := flow.store.LoadGrant(cl.key("default"), cl.Cache.Secrets())
		if err != nil || strings.Join(now.Scopes, " ") != named || now.RefreshToken != "1000.r" {
			t.Errorf("%s: stored is %v, %v", named, now, err)
		}
	}
}

// TestCallsThatTell: a call shows a scope only where the grant could not make it before.
func TestCallsThatTell(t *testing.T) {
	us, _ := zoho.LookupDataCenter("us")
	grant := tokencache.Grant{RefreshToken: "1000.r", AccountsServer: us.Accounts}
	for _, test := range []struct {
		granted, wanted, answer string
		tells                   bool
	}{
		{"ZohoCRM.modules.ALL", "Desk.tickets.READ", `{}`, true},
		{"ZohoCRM.modules.ALL", "Desk.tickets.ALL,ZohoBooks.invoices.READ", `{}`, true},
		{"Desk.tickets.READ", "Desk.tickets.ALL", `{}`, false},               // the call was possible before
		{"ZohoCRM.modules.ALL", "Desk.tickets.CREATE", `{}`, false},          // no call shows it
		{"ZohoCRM.modules.ALL", "Desk.tickets.READ,Other.x.READ", ``, false}, // nor one of them
		{"", "Desk.tickets.READ", `{}`, false},                               // what was possible before is not known
	} {
		_, cl := testClient(t)
		via(cl, answers(test.answer))
		w := &widening{Granted: zoho.SplitScopes(test.granted), Scopes: zoho.SplitScopes(test.wanted)}
		if got := cl.tokenHas(context.Background(), grant, &tokencache.Token{Value: "t"}, w); got != test.tells {
			t.Errorf("%+v: got %t", test, got)
		}
	}
}

// TestPastedWidening: what browsers and mail programs make of an answer, and what is none.
func TestPastedWidening(t *testing.T) {
	const address = "https://x.example/callback?status=success&scope_enhanced=true"
	for _, text := range []string{
		address, "<" + address + ">\r\n", address[:30] + "\n" + address[30:], url.QueryEscape(address),
		strings.ReplaceAll(address, "&", "&amp;"), "status=success&scope_enhanced=true",
		"https://x.example/callback?" + url.QueryEscape("status=success&scope_enhanced=true"),
	} {
		if cb, err := ParsePasted(text); err != nil || cb != accepted || cb.checkWidened() != nil {
			t.Errorf("%q: %+v, %v", text, cb, err)
		}
	}
	if _, err := ParsePasted("https://accounts.zoho.com/oauth/v2/token/addextrascope?scope=x&enhance_token=1000.a.b"); err == nil ||
		!strings.Contains(asError(err).Text, "address to open") {
		t.Errorf("the address to open: %v", err)
	}
	for _, text := range []string{"1000.a.b", "status=success", "https://x/?code=1000.a.b&state=s", "status=success&status=success&scope_enhanced=true"} {
		if cb, err := ParsePasted(text); err != nil || cb.checkWidened() == nil {
			t.Errorf("%q: %+v, %v", text, cb, err)
		}
	}
}

// TestPastedWithoutAnswer: who adds scopes is not told to paste a code, which there is none of.
func TestPastedWithoutAnswer(t *testing.T) {
	for text, says := range map[string]string{
		"see the page": "does not say that scopes were added", "https://x.example/callback": "does not say that scopes were added",
		"1000.a.b": "does not say that scopes were added", "": "Nothing was pasted", " \n": "Nothing was pasted",
	} {
		_, err := ParsePastedScopes(text)
		if e := asError(err); err == nil || !strings.Contains(e.Text, says) || strings.Contains(e.Text+e.Remedy, "code") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if cb, err := ParsePastedScopes("https%3A%2F%2Fx%3Fstatus%3Dsuccess%26scope_enhanced%3Dtrue"); err != nil || cb != accepted {
		t.Errorf("%+v, %v", cb, err)
	}
	if cb, err := ParsePastedScopes("https://x/callback?error=access_denied"); err != nil || cb.Error != "access_denied" {
		t.Errorf("%+v, %v", cb, err)
	}
}
