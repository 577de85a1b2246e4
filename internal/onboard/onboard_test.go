package onboard

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

func testClient(t *testing.T) (*Flow, *Client) {
	t.Helper()
	store := boltstore.New(t.TempDir())
	cache := tokencache.New(tokencache.Options{Store: store})
	t.Cleanup(func() { _ = cache.Close(); _ = store.Close() })
	us, _ := zoho.LookupDataCenter("us")
	eu, _ := zoho.LookupDataCenter("eu")
	cl := &Client{
		Name: "main", ID: func() string { return "1000.ID" }, Centers: []zoho.DataCenter{us, eu}, Scopes: []string{"ZohoCRM.modules.ALL"},
		RedirectURI: "https://connect.example/zoho-connect/callback",
		Cache: &tokencache.Client{
			Name: "main", Secrets: func() [][]byte { return [][]byte{[]byte("secret")} }, Accounts: func() []string { return []string{"configured"} },
			Grant: func(account string) (tokencache.Grant, bool, error) {
				return tokencache.Grant{RefreshToken: "1000.configured", AccountsServer: us.Accounts}, account == "configured", nil
			},
		},
		Accounts: func(zoho.DataCenter) []*zoho.Accounts { return nil },
		Siblings: func() []*tokencache.Client { return nil },
		KnownAt:  func(context.Context) []string { return []string{"eu"} },
	}
	return New(cache, store, Hooks{Connected: func(Result) {}, Widened: func(Result) {}, Gone: func(tokencache.Key) {}, Restored: func(string, []string) {}, Guard: func(f func()) { f() }, Clients: func() []*Client { return []*Client{cl} }}), cl
}

// via has a client speak to data centers by a round tripper.
func via(cl *Client, to http.RoundTripper) {
	cl.Accounts = func(dc zoho.DataCenter) []*zoho.Accounts {
		return []*zoho.Accounts{{HTTP: &http.Client{Transport: to}, DataCenter: dc, ClientID: "1000.ID", ClientSecret: "secret"}}
	}
}

// takeConsent does what a callback does first.
func (f *Flow) takeConsent(cl *Client, state, browser string) (*consent, error) {
	c, err := f.findConsent(cl, state, browser)
	if err == nil {
		err = f.useConsent(state, c)
	}
	return c, err
}

// S-22: a consent waits for ten minutes.
func TestConsentExpires(t *testing.T) {
	flow, cl := testClient(t)
	synctest.Test(t, func(t *testing.T) {
		begin := func() string {
			_, state, err := flow.Begin(cl, Start{Account: "default", RedirectURI: cl.RedirectURI, Browser: "cookie"})
			if err != nil {
				t.Fatal(err)
			}
			return state
		}
		late, inTime := begin(), begin()
		time.Sleep(consentLife)
		if _, err := flow.takeConsent(cl, inTime, "cookie"); err != nil {
			t.Errorf("after ten minutes: %v", err)
		}
		time.Sleep(time.Second)
		if _, err := flow.takeConsent(cl, late, "cookie"); err == nil || !strings.Contains(asError(err).Text, "10 minutes ago") {
			t.Errorf("too late: %v", err)
		}
		time.Sleep(2 * consentLife)
		if _, err := flow.takeConsent(cl, late, "cookie"); err == nil || !strings.Contains(asError(err).Text, "forgotten") {
			t.Errorf("much too late: %v", err)
		}
		kept := flow.pending.(*memory)
		flow.dropExpired(time.Now())
		kept.dropExpired(time.Now())
		if n := len(flow.begun) + len(flow.starts) + len(kept.values) + len(kept.nonces); n != 0 {
			t.Errorf("%d are kept for ever", n)
		}
	})
}

// TestStateOfAnotherClient, S-22: a state is good for its client alone, in its browser alone, and
// who comes with it otherwise does not use it up.
func TestStateOfAnotherClient(t *testing.T) {
	flow, cl := testClient(t)
	other := *cl
	other.Name = "other"
	_, state, err := flow.Begin(cl, Start{Account: "default", RedirectURI: cl.RedirectURI, Browser: "cookie"})
	if err != nil {
		t.Fatal(err)
	}
	id := asError(flow.askFirst(cl, newPending("shop", tokencache.Grant{RefreshToken: "1000.r"}), Result{}, Result{})).Confirm
	for what, account := range map[string]string{state: "default", id: "shop", "x": ""} {
		if got, err := flow.AccountOf(cl, what); got != account || err != nil {
			t.Errorf("of %s: account %q, want %q: %v", what, got, account, err)
		}
		if got, _ := flow.AccountOf(&other, what); got != "" {
			t.Errorf("another client is told the account %s", got)
		}
	}
	for name, take := range map[string]func() (*consent, error){
		"another client":  func() (*consent, error) { return flow.takeConsent(&other, state, "cookie") },
		"another browser": func() (*consent, error) { return flow.takeConsent(cl, state, "another cookie") },
		"no browser":      func() (*consent, error) { return flow.takeConsent(cl, state, "") },
		"no state":        func() (*consent, error) { return flow.takeConsent(cl, "", "cookie") },
	} {
		if c, err := take(); err == nil || c != nil {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
	if c, err := flow.takeConsent(cl, state, "cookie"); err != nil || c.Account != "default" {
		t.Errorf("%v, %v", c, err)
	}
	if _, err := flow.takeConsent(cl, state, "cookie"); err == nil || asError(err).Code != asError(errUsed()).Code {
		t.Errorf("once more: %v", err)
	}
	_, pasted, err := flow.Begin(cl, Start{Account: "default", RedirectURI: cl.RedirectURI})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := flow.takeConsent(cl, pasted, "cookie"); err == nil {
		t.Error("what is to be pasted was taken from a browser")
	}
	if _, err := flow.takeConsent(cl, pasted, ""); err != nil {
		t.Errorf("pasted: %v", err)
	}
}

// S-26: starts are limited by account and time.
func TestStartsAreLimited(t *testing.T) {
	flow, cl := testClient(t)
	synctest.Test(t, func(t *testing.T) {
		begin := func(account string) error {
			_, _, err := flow.Begin(cl, Start{Account: account, RedirectURI: cl.RedirectURI})
			return err
		}
		for range maxStarts {
			if err := begin("default"); err != nil {
				t.Fatal(err)
			}
		}
		if err := begin("default"); err == nil || asError(err).RetryAfter != startWindow {
			t.Errorf("one more: %+v", err)
		}
		if err := begin("other"); err != nil {
			t.Errorf("another account: %v", err)
		}
		time.Sleep(startWindow)
		if err := begin("default"); err != nil {
			t.Errorf("later: %v", err)
		}
		if err := begin("configured"); err == nil || asError(err).Code != "configured" {
			t.Errorf("a configured account: %v", err)
		}
	})
}

func TestInvitationsExpire(t *testing.T) {
	flow, cl := testClient(t)
	link, inv, failure := cl.Invite("acme", time.Minute, "https://app.example/done", false)
	if failure != nil {
		t.Fatal(failure)
	}
	u, err := url.Parse(link)
	if err != nil || u.Path != "/zoho-connect/invite" {
		t.Fatalf("%s: %v", link, err)
	}
	if got, err := flow.readInvitation(cl, u.Query().Get("token")); err != nil || got.ReturnTo != inv.ReturnTo || got.Account != "acme" {
		t.Errorf("%+v, %v", got, err)
	}
	inv.Expires = time.Now().Add(-time.Second)
	if err := flow.checkInvitation(cl, &inv); err == nil || !strings.Contains(asError(err).Text, "expired") {
		t.Errorf("too late: %v", err)
	}
	other := *cl
	other.Cache = &tokencache.Client{Name: "main", Secrets: func() [][]byte { return [][]byte{[]byte("another secret")} }}
	if _, err := flow.readInvitation(&other, u.Query().Get("token")); err == nil {
		t.Error("signed by a stranger, and taken")
	}
}

// TestInvitationWithoutStore: an invitation is used up by a grant that was stored, and by none
// that could not be.
func TestInvitationWithoutStore(t *testing.T) {
	flow, cl := testClient(t)
	_, inv, failure := cl.Invite("acme", time.Hour, "", false)
	if failure != nil {
		t.Fatal(failure)
	}
	adopt := func() error {
		p := newPending("acme", tokencache.Grant{RefreshToken: "1000.refresh", AccountsServer: cl.Centers[0].Accounts, GrantedAt: time.Now()})
		p.invited = &inv
		_, err := flow.storeGrant(t.Context(), cl, p)
		return err
	}
	secrets := cl.Cache.Secrets
	cl.Cache.Secrets = func() [][]byte { return nil } // so that nothing can be sealed
	if err := adopt(); err == nil || asError(err).Code != codeStore {
		t.Fatalf("stored without a secret: %v", err)
	}
	cl.Cache.Secrets = secrets
	if err := adopt(); err != nil {
		t.Errorf("tried again: %v", err)
	}
	if err := adopt(); err == nil || asError(err).Title != titleConnected {
		t.Errorf("a third time: %v", err)
	}
}

// S-23: the operator names where a browser goes on to, and cannot be led astray either.
func FuzzReturnTo(f *testing.F) {
	for _, seed := range []string{"https://app.example/done", "//evil", `/\evil`, "https:evil", "%2f%2fevil", "https://a\r\nb", "https://u@h", "javascript:x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if text == "" || !validReturnTo(text) {
			return
		}
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(text, "\r\n\\ ") {
			t.Errorf("%q is taken", text)
		}
	})
}

// S-62: whatever is pasted is read or refused, and never guessed.
func FuzzParsePasted(f *testing.F) {
	for _, seed := range []string{
		"https://x/callback?state=s&code=1000.a.b&location=us&accounts-server=https%3A%2F%2Faccounts.zoho.com&", "1000.a.b", "code=1000.a.b",
		"code%3D1000.a.b%26location%3Dus", "?error=access_denied", "\"1000.a.b\"\r\n", "%", "a=b&code=%zz",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cb, err := ParsePasted(text)
		if err != nil && (asError(err).Text == "" || asError(err).Remedy == "" || asError(err).Status == 0) {
			t.Errorf("%q: %+v", text, err)
		}
		if err == nil && strings.ContainsAny(cb.State, "\r\n") && !strings.Contains(text, "%0") {
			t.Errorf("%q: %q", text, cb.State)
		}
	})
}

// TestParsePasted: what mail programs, terminals and link checkers do to an address.
func TestParsePasted(t *testing.T) {
	const address = "https://x.example/callback?state=s&code=1000.a.b&location=us&accounts-server=https%3A%2F%2Faccounts.zoho.com&"
	want := Callback{State: "s", Code: "1000.a.b", AccountsServer: "https://accounts.zoho.com"}
	for name, text := range map[string]string{
		"as it is":               address,
		"in angles":              "<" + address + ">\r\n",
		"wrapped":                address[:30] + "\n" + address[30:],
		"the query":              strings.SplitN(address, "?", 2)[1],
		"the query, encoded":     url.QueryEscape(strings.SplitN(address, "?", 2)[1]),
		"its query encoded":      "https://x.example/callback?" + url.QueryEscape(strings.SplitN(address, "?", 2)[1]),
		"all of it encoded":      url.QueryEscape(address),
		"encoded, in lower case": strings.ToLower(url.QueryEscape(address)),
		"from a page's source":   strings.ReplaceAll(address, "&", "&amp;"),
	} {
		if cb, err := ParsePasted(text); err != nil || cb != want {
			t.Errorf("%s: %+v, %v", name, cb, err)
		}
	}
	const toOpen = "https://accounts.zoho.com/oauth/v2/auth?client_id=1000.ID&redirect_uri=https%3A%2F%2Fx.example%2Fcallback&response_type=code&state=s"
	for _, text := range []string{toOpen, toOpen[:60] + "\n" + toOpen[60:], url.QueryEscape(toOpen)} {
		if _, err := ParsePasted(text); err == nil || !strings.Contains(asError(err).Text, "address to open") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestParsePastedPieces, S-62: a code alone, half an address, and what is none of them.
func TestParsePastedPieces(t *testing.T) {
	for text, want := range map[string]Callback{
		"1000.a.b":                              {Code: "1000.a.b"},
		"1000.a%2Eb":                            {Code: "1000.a.b"},
		"1000.a.b\n":                            {Code: "1000.a.b"},
		"1000.a.\nb":                            {Code: "1000.a.b"},
		strings.Repeat("c", 2048):               {Code: strings.Repeat("c", 2048)},
		"code=1000.a.b":                         {Code: "1000.a.b"},
		"error=access_denied&state=s":           {State: "s", Error: "access_denied"},
		"https://x/?error=denied#frag":          {Error: "denied"},
		"https://x/?state=s":                    {State: "s"},
		"https://x/oauth/v2/auth?code=1000.a.b": {Code: "1000.a.b"},
		"code=1&code=2":                         {Code: "1", repeated: true},
		"code=1&state=s":                        {Code: "1", State: "s"},
	} {
		if cb, err := ParsePasted(text); err != nil || cb != want {
			t.Errorf("%.40q: %+v, %v", text, cb, err)
		}
	}
	for text, says := range map[string]string{
		"":                                "Nothing was pasted",
		"\"\" \n":                         "Nothing was pasted",
		"see the page":                    "holds no code",
		"1000.a.b\nor so":                 "holds no code",
		"https://x.example/callback":      "holds no code",
		strings.Repeat("c", 2049):         "holds no code",
		"https://x/?code=1000.a.b&a=%z":   "not a whole address",
		"https://x/oauth/v2/auth?state=s": "address to open",
	} {
		if cb, err := ParsePasted(text); err == nil || !strings.Contains(asError(err).Text, says) {
			t.Errorf("%.40q: %+v, %v", text, cb, err)
		}
	}
}

// TestConsentsAreBounded, S-68: so many are under way at once, of all clients, and no more.
func TestConsentsAreBounded(t *testing.T) {
	flow, cl := testClient(t)
	for i := range maxConsents {
		flow.begun[strconv.Itoa(i)] = begun{expires: time.Now().Add(consentLife)}
	}
	if _, _, err := flow.Begin(cl, Start{Account: "default", RedirectURI: cl.RedirectURI}); err == nil || asError(err).RetryAfter != time.Minute {
		t.Errorf("one too many: %v", err)
	}
	delete(flow.begun, "0")
	if _, _, err := flow.Begin(cl, Start{Account: "default", RedirectURI: cl.RedirectURI}); err != nil {
		t.Errorf("the last one: %v", err)
	}
}

// TestCookieLengths, S-22: what cannot be a cookie of ours counts as none.
func TestCookieLengths(t *testing.T) {
	for length, taken := range map[int]bool{19: false, 20: true, 64: true, 65: false} {
		r := httptest.NewRequest(http.MethodGet, "http://localhost/zoho-connect/", nil)
		r.AddCookie(&http.Cookie{Name: cookieName, Value: strings.Repeat("x", length)})
		v := &visit{Pages: testPages(t), r: r}
		if got := v.browser(); (got != "") != taken {
			t.Errorf("%d characters: %q", length, got)
		}
	}
}

// answering is a server that answers everything alike.
type answering string

func (body answering) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(string(body))), Request: req}, nil
}

// TestRefusedCodes: what to do depends on where the code is from, and the page says what it
// has cost.
func TestRefusedCodes(t *testing.T) {
	flow, cl := testClient(t)
	refuse := func(code string) {
		cl.Accounts = func(dc zoho.DataCenter) []*zoho.Accounts {
			return []*zoho.Accounts{{
				HTTP:         &http.Client{Transport: answering(`{"error":"` + code + `"}`)},
				DataCenter:   dc,
				ClientID:     "1000.ID",
				ClientSecret: "secret",
			}}
		}
	}
	selfClient := func() error {
		_, err := flow.SelfClient(t.Context(), cl, cl.Centers[0], "default", "1000.a.b", false, false)
		return err
	}
	callback := func(server string) error {
		_, state, failure := flow.Begin(cl, Start{Account: "default", RedirectURI: cl.RedirectURI})
		if failure != nil {
			t.Fatal(failure)
		}
		_, err := flow.Finish(t.Context(), cl, Callback{State: state, Code: "1000.a.b", AccountsServer: server}, "")
		return err
	}
	for _, test := range []struct {
		name, code string
		try        func() error
		says       []string
		not        string
	}{
		{"a self client's code", "invalid_code", selfClient, []string{"Generate a new code", "10 minutes", "tried at us", "--data-center", "us, eu", "Zoho did not accept the code (Zoho says invalid_code)."}, "start the consent"},
		{"a self client of elsewhere", "invalid_client", selfClient, []string{"unknown at us", "--data-center", "It is known at eu."}, "consent"},
		{"a code of elsewhere", "invalid_code", func() error { return callback("") }, []string{"named no accounts-server", "accounts.zoho.com", quotaUntouched}, "self client"},
		{"a used code", "invalid_code", func() error { return callback("https://accounts.zoho.eu") }, []string{"start the consent again", quotaUntouched}, "named no accounts-server"},
	} {
		refuse(test.code)
		err := test.try()
		if err == nil || asError(err).Code != codeExchange {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		for _, words := range test.says {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("%s: without %q: %v", test.name, words, err)
			}
		}
		if strings.Contains(err.Error(), test.not) {
			t.Errorf("%s: with %q: %v", test.name, test.not, err)
		}
	}
}

// revocations counts what is given back to Zoho.
type revocations struct {
	mu     sync.Mutex
	tokens []string
}

func (r *revocations) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.tokens, ", ")
}

func (r *revocations) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	_ = req.ParseForm()
	if token := req.Form.Get("token"); token != "" {
		r.tokens = append(r.tokens, token)
	}
	return answering(`{"status":"success"}`).RoundTrip(req)
}

// TestUnconfirmedGrants: what nobody confirms within ten minutes is given back to Zoho,
// where it would keep its place for ever, unless it was imported: then it is in use elsewhere.
func TestUnconfirmedGrants(t *testing.T) {
	flow, cl := testClient(t)
	synctest.Test(t, func(t *testing.T) {
		given := new(revocations)
		via(cl, given)
		hold := func(token string, fresh bool) (id string) {
			p := newPending("shop", tokencache.Grant{RefreshToken: token, AccountsServer: cl.Centers[0].Accounts})
			if fresh {
				p.fresh = true
			}
			return asError(flow.askFirst(cl, p, Result{}, Result{})).Confirm
		}
		hold("forgotten", true)
		hold("imported", false)
		dropped, droppedImport := hold("dropped", true), hold("dropped import", false)
		for _, id := range []string{dropped, droppedImport} {
			if _, err := flow.Confirm(t.Context(), cl, id, "", false); err != nil {
				t.Error(err)
			}
		}
		if got := given.String(); got != "dropped" {
			t.Errorf("given back: %s", got)
		}
		time.Sleep(consentLife)
		synctest.Wait()
		if got := given.String(); got != "dropped, forgotten" || len(flow.unconfirmed) != 0 {
			t.Errorf("given back: %s; %d are held", got, len(flow.unconfirmed))
		}
		if _, err := flow.Confirm(t.Context(), cl, dropped, "", true); err == nil {
			t.Error("confirmed twice")
		}
		flow.Close()
		p := newPending("shop", tokencache.Grant{RefreshToken: "late", AccountsServer: cl.Centers[0].Accounts})
		p.fresh = true
		failure := flow.askFirst(cl, p, Result{}, Result{})
		flow.giveBack(t.Context(), cl, p, failure)
		if got := given.String(); got != "dropped, forgotten, late" || len(flow.unconfirmed) != 0 || asError(failure).Confirm != "" {
			t.Errorf("after the end: given back %s, %d are held, %v", got, len(flow.unconfirmed), failure)
		}
	})
}

// testPages are the pages of a client in /zoho-connect/, open to everybody.
func testPages(t *testing.T) *Pages {
	flow, cl := testClient(t)
	return &Pages{
		Flow: flow, Client: cl, Admit: func(*http.Request) bool { return true }, Failed: func(*http.Request, string, *Error) {},
		Caller: func(r *http.Request) string { return r.RemoteAddr }, Path: func(r *http.Request) string { return r.URL.Path }, Folder: func(f string) bool { return f == "/zoho-connect/" },
	}
}

// TestCookie, S-22: over TLS no other host can plant the cookie that binds a consent to its
// browser.
func TestCookie(t *testing.T) {
	pages := testPages(t)
	start := func(address string) *http.Cookie {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, address+"/zoho-connect/start", strings.NewReader("account=default"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Cookie", "zoho-connect=PLANTED-BY-A-SUBDOMAIN")
		w := httptest.NewRecorder()
		pages.Serve(w, r)
		cookies := w.Result().Cookies()
		if w.Code != http.StatusSeeOther || len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode {
			t.Fatalf("%s: %d %v", address, w.Code, cookies)
		}
		return cookies[0]
	}
	c := start("https://connect.example")
	if c.Name != "__Host-zoho-connect" || !c.Secure || c.Path != "/" || c.Domain != "" || strings.Contains(c.Value, "PLANTED") {
		t.Errorf("over TLS: %v", c)
	}
	if c := start("http://connect.example"); c.Name != "zoho-connect" || c.Secure || c.Path != "/zoho-connect/" {
		t.Errorf("over plain http: %v", c)
	}
}

// TestPrivate, S-23: what may hold a code or an invitation stays out of the access log, also
// where a mail program has damaged the link.
func TestPrivate(t *testing.T) {
	pages := testPages(t)
	for target, private := range map[string]bool{
		"": false, "?q=ann&page=2": false, "connect?account=default": false, "result?id=X": false, "confirm": false, "style.css": false,
		"callback?code=1": true, "invite?token=T": true, "start": true, "invite%3Ftoken=T": true, "invite&token=T": true, "invite/T": true, "invite/T/": true,
		"callback&code=1": true, "callback%3Fcode=1": true, "?Token=T": true, "?tok%65n=T": true, "connect?account=a;token=T": true, "T": true,
	} {
		if _, got := pages.Private(httptest.NewRequest(http.MethodGet, "http://x/zoho-connect/"+target, nil)); got != private {
			t.Errorf("%q: private %v", target, got)
		}
	}
}

// TestSharedGrant: a refresh token that other accounts have as well is not revoked unless
// that is meant.
func TestSharedGrant(t *testing.T) {
	flow, cl := testClient(t)
	given := new(revocations)
	via(cl, given)
	store := func(account, token string) {
		t.Helper()
		grant := tokencache.Grant{RefreshToken: token, AccountsServer: cl.Centers[0].Accounts}
		if err := flow.store.SaveGrant(cl.key(account), cl.Cache.Secrets(), grant); err != nil {
			t.Fatal(err)
		}
	}
	twin := *cl
	twin.Name, twin.Cache = "twin", &tokencache.Client{Name: "twin", Grant: cl.Cache.Grant, Secrets: cl.Cache.Secrets}
	cl.Siblings = func() []*tokencache.Client { return []*tokencache.Client{twin.Cache} }
	if err := flow.saveGrant(&twin, "x", tokencache.Grant{RefreshToken: "1000.twin", AccountsServer: cl.Centers[0].Accounts}); err != nil {
		t.Fatal(err)
	}
	store("e", "1000.twin")
	store("a", "1000.shared")
	store("b", "1000.shared")
	store("c", "1000.own")
	store("d", "1000.configured")
	readable := cl.Cache.Grant
	cl.Cache.Grant = func(account string) (tokencache.Grant, bool, error) {
		g, configured, err := readable(account)
		if configured {
			g, err = tokencache.Grant{}, errors.New("its file cannot be read")
		}
		return g, configured, err
	}
	if _, err := flow.Revoke(t.Context(), cl, "d", false); !refusedBy(err, codeStore, "configured") {
		t.Errorf("beside an account that cannot be read: %v", err)
	}
	cl.Cache.Grant = readable
	for account, others := range map[string]string{"a": "b", "d": "configured", "e": "twin/x"} {
		if _, err := flow.Revoke(t.Context(), cl, account, false); !refusedBy(err, "shared", "account "+others+",") {
			t.Errorf("%s: %v", account, err)
		}
	}
	if _, err := flow.Revoke(t.Context(), cl, "c", false); err != nil {
		t.Error(err)
	}
	if got := given.String(); got != "1000.own" {
		t.Errorf("revoked: %s", got)
	}
	p := newPending("a", tokencache.Grant{RefreshToken: "1000.new", AccountsServer: cl.Centers[0].Accounts})
	p.revokeOld = true
	if r, err := flow.storeGrant(t.Context(), cl, p); err != nil || r.Revoked || !strings.Contains(strings.Join(r.Warnings, " "), "account b") {
		t.Errorf("replaced: %+v, %v", r, err)
	}
	store("a", "1000.shared")
	if r, err := flow.Revoke(t.Context(), cl, "a", true); err != nil || !r.Revoked || !strings.Contains(strings.Join(r.Warnings, " "), "account b") {
		t.Errorf("though shared: %+v, %v", r, err)
	}
	if got := given.String(); got != "1000.own, 1000.shared" {
		t.Errorf("revoked: %s", got)
	}
}

// TestDoubleClick: whoever confirms twice is led to what came of the first click.
func TestDoubleClick(t *testing.T) {
	pages := testPages(t)
	given := new(revocations)
	via(pages.Client, given)
	const browser = "COOKIE-OF-THIS-BROWSER"
	p := newPending("shop", tokencache.Grant{RefreshToken: "new", AccountsServer: pages.Client.Centers[0].Accounts})
	p.browser, p.fresh = identify(browser), true
	asked := &pageResult{Failure: asError(pages.Flow.askFirst(pages.Client, p, Result{}, Result{}))}
	id, err := pages.Flow.keepResult(pages.Client, "", asked, browser)
	if err != nil {
		t.Fatal(err)
	}
	visit := func(r *http.Request) (status int, to string) {
		r.AddCookie(&http.Cookie{Name: cookieName, Value: browser})
		w := httptest.NewRecorder()
		pages.Serve(w, r)
		return w.Code, w.Header().Get("Location")
	}
	locations := make([]string, 4)
	var clicks sync.WaitGroup
	for i := range locations {
		clicks.Go(func() {
			r := httptest.NewRequest(http.MethodPost, "http://localhost/zoho-connect/confirm", strings.NewReader("decision=keep&id="+id))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			_, locations[i] = visit(r)
			if status, _ := visit(httptest.NewRequest(http.MethodGet, "http://localhost/zoho-connect/"+locations[i], nil)); status != http.StatusOK {
				t.Errorf("click %d is led to a %d", i, status)
			}
		})
	}
	clicks.Wait()
	for _, to := range locations {
		if to == "" || to != locations[0] {
			t.Errorf("led to %q", locations)
		}
	}
	if got := given.String(); got != "new" {
		t.Errorf("given back: %s", got)
	}
}

// TestFolderWithoutSlash: whoever leaves the last slash out is led to the pages, and nowhere else.
func TestFolderWithoutSlash(t *testing.T) {
	pages := testPages(t)
	for target, to := range map[string]string{"/zoho-connect": "./zoho-connect/", "//zoho-connect": "", "/zoho-connect/nothing": "", "/elsewhere": ""} {
		w := httptest.NewRecorder()
		pages.Serve(w, httptest.NewRequest(http.MethodGet, "http://localhost"+target, nil))
		if got := w.Header().Get("Location"); got != to || (to == "") != (w.Code == http.StatusNotFound) {
			t.Errorf("%s: %d, to %q", target, w.Code, got)
		}
	}
}

// TestReturnTo, S-23: where a browser may be sent, at the bounds as well.
func TestReturnTo(t *testing.T) {
	long := func(n int) string { return "https://a.example/" + strings.Repeat("x", n-len("https://a.example/")) }
	for text, want := range map[string]bool{
		"": true, "https://a.example": true, "https://a.example/b?c=d#e": true, long(2000): true, long(2001): false,
		"http://a.example": false, "https://": false, "https:a": false, "https://u@a": false, "https://a/\\b": false,
		"https://a/ b": false, "https://a/\x7f": false, "//a": false, "https://:443/": false,
	} {
		if validReturnTo(text) != want {
			t.Errorf("%.60q: %v", text, !want)
		}
	}
}

func TestInvitationLives(t *testing.T) {
	_, cl := testClient(t)
	for life, want := range map[time.Duration]bool{
		-1: false, 0: false, 1: true, maxInvitationLife: true, maxInvitationLife + 1: false,
	} {
		if _, _, err := cl.Invite("acme", life, "", false); (err == nil) != want {
			t.Errorf("%s: %v", life, err)
		}
	}
}

// TestDiffer, S-25: who is somebody else than before.
func TestDiffer(t *testing.T) {
	old := tokencache.Grant{AccountsServer: "https://accounts.zoho.com", User: "ann", Org: "1"}
	change := func(f func(g *tokencache.Grant)) tokencache.Grant {
		g := old
		f(&g)
		return g
	}
	for name, tt := range map[string]struct {
		old, now tokencache.Grant
		want     bool
	}{
		"the same":            {old, old, false},
		"another server":      {old, change(func(g *tokencache.Grant) { g.AccountsServer = "https://accounts.zoho.eu" }), true},
		"another user":        {old, change(func(g *tokencache.Grant) { g.User = "bob" }), true},
		"a user not known":    {old, change(func(g *tokencache.Grant) { g.User = "" }), true},
		"another one":         {old, change(func(g *tokencache.Grant) { g.Org = "2" }), true},
		"nobody known before": {change(func(g *tokencache.Grant) { g.User, g.Org = "", "" }), old, false},
		"no org known before": {change(func(g *tokencache.Grant) { g.Org = "" }), old, false},
	} {
		if differ(tt.old, tt.now) != tt.want {
			t.Errorf("%s: %v", name, !tt.want)
		}
	}
}

// TestReboundNames: which names a stranger can point at this machine.
func TestReboundNames(t *testing.T) {
	pages := &Pages{Client: &Client{RedirectURI: "http://pages.example/zoho-connect/callback"}}
	for host, want := range map[string]bool{
		"pages.example": false, "PAGES.example.:80": false, "localhost:8080": false, "LOCALHOST.": false, "127.0.0.1": false, "[::1]:80": false, "evil.example": true, "evilpc": true,
	} {
		if got := pages.dnsRebound(&http.Request{Host: host}); got != want {
			t.Errorf("%s: %v", host, got)
		}
		if pages.dnsRebound(&http.Request{Host: host, TLS: new(tls.ConnectionState)}) {
			t.Errorf("%s over TLS", host)
		}
	}
}
