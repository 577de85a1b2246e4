package onboard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/storetest"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// accountsServer stands in for Zoho's. A code 1000.X brings the refresh token "of-1000.X", once.
type accountsServer struct {
	mu      sync.Mutex
	codes   []string // that were exchanged, refused ones included
	revoked []string
	down    bool
	proving chan struct{} // if there is one, a refresh token proves itself once it is closed
}

func (z *accountsServer) RoundTrip(r *http.Request) (*http.Response, error) {
	_ = r.ParseForm()
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.down {
		return nil, errors.New("no network")
	}
	answer := `{"status":"success"}`
	if code := r.Form.Get("code"); code != "" {
		answer = `{"access_token":"1000.access","refresh_token":"of-` + code + `","expires_in":3600,"scope":"ZohoCRM.modules.ALL"}`
		if slices.Contains(z.codes, code) {
			answer = `{"error":"invalid_code"}`
		}
		z.codes = append(z.codes, code)
	}
	if token := r.Form.Get("token"); token != "" {
		z.revoked = append(z.revoked, token)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

func (z *accountsServer) setDown(down bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.down = down
}

func (z *accountsServer) exchanged() string {
	z.mu.Lock()
	defer z.mu.Unlock()
	return strings.Join(z.codes, ", ")
}

func (z *accountsServer) givenBack() string {
	z.mu.Lock()
	defer z.mu.Unlock()
	return strings.Join(z.revoked, ", ")
}

// replica is one of several processes.
type replica struct {
	*storetest.Memory
	cache  *tokencache.Cache
	flow   *onboard.Flow
	client *onboard.Client
	pages  *onboard.Pages
	logged log
	told   []string // accounts that were restored
}

// log is what the pages have told of failures.
type log struct {
	mu   sync.Mutex
	text string
}

func (l *log) add(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text += text + "\n"
}

// take is what was told since the last time.
func (l *log) take() (text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text, l.text = l.text, ""
	return text
}

// newReplica starts a process with a store, around which a test may have put something.
func newReplica(t *testing.T, memory *storetest.Memory, store onboard.Shared, server *accountsServer) *replica {
	us, _ := zoho.LookupDataCenter("us")
	eu, _ := zoho.LookupDataCenter("eu")
	cache := tokencache.New(tokencache.Options{Store: store})
	cl := &onboard.Client{
		Name: "main", ID: func() string { return "1000.ID" }, Centers: []zoho.DataCenter{us, eu}, Scopes: []string{"ZohoCRM.modules.ALL"},
		RedirectURI: "https://connect.example/zoho-connect/callback",
		Cache: &tokencache.Client{
			Name: "main", Secrets: func() [][]byte { return [][]byte{[]byte("the key of the fleet")} },
			Accounts: func() []string { return nil },
			Grant:    func(string) (tokencache.Grant, bool, error) { return tokencache.Grant{}, false, nil },
			Fetch: func(context.Context, tokencache.Key, tokencache.Grant) (tokencache.Fetched, error) {
				if server.proving != nil {
					<-server.proving
				}
				return tokencache.Fetched{AccessToken: "1000.proof", Life: time.Hour}, nil
			},
		},
		Accounts: func(dc zoho.DataCenter) []*zoho.Accounts {
			return []*zoho.Accounts{{HTTP: &http.Client{Transport: server}, DataCenter: dc, ClientID: "1000.ID", ClientSecret: "secret"}}
		},
		Siblings: func() []*tokencache.Client { return nil },
		KnownAt:  func(context.Context) []string { return nil },
	}
	r := &replica{Memory: memory, cache: cache, client: cl}
	r.flow = onboard.New(cache, store, onboard.Hooks{
		Connected: func(onboard.Result) {}, Widened: func(onboard.Result) {}, Gone: func(tokencache.Key) {}, Guard: func(f func()) { f() },
		Restored: func(_ string, accounts []string) { r.told = append(r.told, accounts...) },
		Clients:  func() []*onboard.Client { return []*onboard.Client{cl} },
	})
	r.pages = &onboard.Pages{
		Flow: r.flow, Client: cl,
		Admit:  func(r *http.Request) bool { return r.Header.Get("X-Stranger") == "" },
		Failed: func(_ *http.Request, _ string, e *onboard.Error) { r.logged.add(e.Code + " " + e.Text + " " + e.Log) },
		Caller: func(r *http.Request) string { return r.RemoteAddr },
		Path:   func(r *http.Request) string { return r.URL.Path }, Folder: func(f string) bool { return f == "/zoho-connect/" },
	}
	t.Cleanup(func() { r.flow.Close(); _ = cache.Close() })
	return r
}

// newFleet starts so many replicas of one store.
func newFleet(t *testing.T, n int) ([]*replica, *accountsServer) {
	server, memory := new(accountsServer), storetest.NewMemory()
	var all []*replica
	for range n {
		all = append(all, newReplica(t, memory, memory, server))
		memory = memory.Replica()
	}
	return all, server
}

// browser is one with a cookie, behind a load balancer: each request goes where the test says.
type browser struct{ cookie *http.Cookie }

func (b *browser) do(to *replica, r *http.Request) *httptest.ResponseRecorder {
	if b.cookie != nil {
		r.AddCookie(b.cookie)
	}
	w := httptest.NewRecorder()
	to.pages.Serve(w, r)
	if cookies := w.Result().Cookies(); len(cookies) > 0 {
		b.cookie = cookies[0]
	}
	return w
}

func (b *browser) get(to *replica, target string) *httptest.ResponseRecorder {
	return b.do(to, httptest.NewRequest(http.MethodGet, "https://connect.example/zoho-connect/"+target, nil))
}

func (b *browser) post(to *replica, target string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "https://connect.example/zoho-connect/"+target, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(to, r)
}

// begin starts a consent, and gives the callback that Zoho would send the browser to with a code.
func (b *browser) begin(t *testing.T, at *replica, target string, form url.Values, code string) (callback string) {
	t.Helper()
	w := b.post(at, target, form)
	to, err := url.Parse(w.Header().Get("Location"))
	if w.Code != http.StatusSeeOther || err != nil {
		t.Fatalf("begun: %d %s", w.Code, w.Body)
	}
	return "callback?" + url.Values{"state": {to.Query().Get("state")}, "code": {code}}.Encode()
}

// european has a callback be of somebody else: a user of another data center.
func european(callback string) string {
	return callback + "&accounts-server=" + url.QueryEscape("https://accounts.zoho.eu")
}

// grant is what a replica has of an account.
func (r *replica) grant(t *testing.T, account string) tokencache.Grant {
	t.Helper()
	g, _, err := r.LoadGrant(tokencache.Key{Client: "main", Account: account}, r.client.Cache.Secrets())
	if err != nil {
		t.Error(err)
	}
	return g
}

func codeOf(w *httptest.ResponseRecorder) string { return w.Header().Get(onboard.ErrorHeader) }

var shop = url.Values{"account": {"shop"}}

// TestBegunHereFinishedThere, S-22: each step of a consent may be another replica's, a state is good
// once across all, and in its browser alone.
func TestBegunHereFinishedThere(t *testing.T) {
	t.Parallel()
	fleet, server := newFleet(t, 3)
	a, b, c := fleet[0], fleet[1], fleet[2]
	var ann, eve browser
	callback := ann.begin(t, a, "start", shop, "1000.code")
	if w := eve.get(b, callback); codeOf(w) != "state" {
		t.Errorf("in another browser: %d %q", w.Code, codeOf(w))
	}
	w := ann.get(b, callback)
	if w.Code != http.StatusSeeOther {
		t.Fatalf("the callback: %d %s", w.Code, w.Body)
	}
	result := w.Header().Get("Location")
	if w := ann.get(c, result); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Connected") {
		t.Errorf("the result: %d %s", w.Code, w.Body)
	}
	if w := eve.get(c, result); codeOf(w) != "result" {
		t.Errorf("the result in another browser: %d", w.Code)
	}
	for i, r := range fleet {
		if w := ann.get(r, callback); codeOf(w) != "state-used" {
			t.Errorf("once more at %d: %d %q", i, w.Code, codeOf(w))
		}
		if got := r.grant(t, "shop").RefreshToken; got != "of-1000.code" {
			t.Errorf("replica %d has %q", i, got)
		}
	}
	if got := server.exchanged(); got != "1000.code" {
		t.Errorf("exchanged: %s", got)
	}
}

// TestPastedElsewhere: what was begun in a terminal ends at whatever replica the command asks then.
func TestPastedElsewhere(t *testing.T) {
	t.Parallel()
	fleet, _ := newFleet(t, 2)
	a, b := fleet[0], fleet[1]
	_, state, err := a.flow.Begin(a.client, onboard.Start{Account: "shop", RedirectURI: a.client.RedirectURI})
	if err != nil {
		t.Fatal(err)
	}
	if account, err := b.flow.AccountOf(b.client, state); account != "shop" || err != nil {
		t.Errorf("elsewhere it is a consent of %q, %v", account, err)
	}
	if r, err := b.flow.Finish(t.Context(), b.client, onboard.Callback{State: state, Code: "1000.code"}, ""); err != nil || r.Account != "shop" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := a.flow.Finish(t.Context(), a.client, onboard.Callback{State: state, Code: "1000.code"}, ""); err == nil {
		t.Error("used twice")
	}
	_, state, err = b.flow.Begin(b.client, onboard.Start{Account: "shop", RedirectURI: b.client.RedirectURI})
	if err != nil {
		t.Fatal(err)
	}
	other := onboard.Callback{State: state, Code: "1000.other", AccountsServer: "https://accounts.zoho.eu"}
	var e *onboard.Error
	if _, err := a.flow.Finish(t.Context(), a.client, other, ""); !errors.As(err, &e) || e.Confirm == "" {
		t.Fatalf("somebody else: %v", err)
	}
	if account, err := b.flow.AccountOf(b.client, e.Confirm); account != "shop" || err != nil {
		t.Errorf("elsewhere the question is about %q, %v", account, err)
	}
	if r, err := b.flow.Confirm(t.Context(), b.client, e.Confirm, "", true); err != nil || !r.Replaced {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := a.flow.Confirm(t.Context(), a.client, e.Confirm, "", true); err == nil {
		t.Error("confirmed twice")
	}
}

// TestCallbacksAtOnce, S-22: of callbacks that come to several replicas in the same moment one exchanges
// the code.
func TestCallbacksAtOnce(t *testing.T) {
	t.Parallel()
	const clicks = 12
	server, memory := new(accountsServer), storetest.NewMemory()
	var looking sync.WaitGroup // all have found the consent unused before one goes on
	looking.Add(clicks)
	var fleet []*replica
	var stores []*slow
	for range 3 {
		stores = append(stores, &slow{Memory: memory})
		fleet = append(fleet, newReplica(t, memory, stores[len(stores)-1], server))
		memory = memory.Replica()
	}
	var ann browser
	callback := ann.begin(t, fleet[0], "start", shop, "1000.code")
	for _, store := range stores {
		store.try = func() error {
			looking.Done()
			looking.Wait()
			return nil
		}
	}
	var mu sync.Mutex
	outcomes := make(map[string]int)
	var all sync.WaitGroup
	for i := range clicks {
		all.Go(func() {
			tab := ann
			w := tab.get(fleet[i%len(fleet)], callback)
			mu.Lock()
			defer mu.Unlock()
			outcomes[fmt.Sprint(w.Code, " ", codeOf(w))]++
		})
	}
	all.Wait()
	if outcomes["303 "] != 1 || outcomes["303 state-used"] != clicks-1 || server.exchanged() != "1000.code" {
		t.Errorf("%v; exchanged: %s", outcomes, server.exchanged())
	}
}

// TestInvitationOfAFleet: an invitation is opened, accepted and finished anywhere, and used once across all, by
// however many browsers at the same time.
func TestInvitationOfAFleet(t *testing.T) {
	t.Parallel()
	fleet, server := newFleet(t, 2)
	a, b := fleet[0], fleet[1]
	link, _, err := a.client.Invite("acme", time.Hour, "https://app.example/done", false)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(link)
	token := url.Values{"token": {u.Query().Get("token")}}
	var customers [2]browser
	var callbacks [2]string
	for i := range customers {
		if w := customers[i].get(b, "invite?"+token.Encode()); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		callbacks[i] = customers[i].begin(t, a, "invite", token, fmt.Sprint("1000.", i))
	}
	results := make([]string, len(customers))
	var all sync.WaitGroup
	for i := range customers {
		all.Go(func() { // the second one where it is not begun
			results[i] = customers[i].get(fleet[i], callbacks[i]).Header().Get("Location")
		})
	}
	all.Wait()
	var done, used int
	for i := range customers {
		switch w := customers[i].get(fleet[1-i], results[i]); {
		case w.Code == http.StatusOK && strings.Contains(w.Body.String(), "https://app.example/done"):
			done++
		case codeOf(w) == "invitation" && strings.Contains(w.Body.String(), "used already"):
			used++
		default:
			t.Errorf("customer %d: %d %s", i, w.Code, w.Body)
		}
	}
	kept := a.grant(t, "acme").RefreshToken
	other := map[string]string{"of-1000.0": "of-1000.1", "of-1000.1": "of-1000.0"}[kept]
	if done != 1 || used != 1 || server.givenBack() != "" && server.givenBack() != other {
		t.Errorf("%d done, %d used; stored is %q, given back %q", done, used, kept, server.givenBack())
	}
	var late browser
	for i, r := range fleet {
		if w := late.get(r, "invite?"+token.Encode()); codeOf(w) != "invitation" {
			t.Errorf("opened once more at %d: %d", i, w.Code)
		}
	}
}

// asked has somebody else consent for an account than before, which is asked about at the last replica.
func asked(t *testing.T, fleet []*replica, ann *browser) (result string) {
	t.Helper()
	last := fleet[len(fleet)-1]
	if w := ann.get(last, ann.begin(t, fleet[0], "start", shop, "1000.before")); w.Code != http.StatusSeeOther {
		t.Fatal(w.Code, w.Body)
	}
	return ann.get(last, european(ann.begin(t, fleet[0], "start", shop, "1000.after"))).Header().Get("Location")
}

func decision(result, what string) url.Values {
	return url.Values{"id": {strings.TrimPrefix(result, "result?id=")}, "decision": {what}}
}

// TestConfirmElsewhere, S-25: the replica that asks may be gone when the answer comes, which is taken
// once, from the browser that was asked; a second click is led to what came of the first.
func TestConfirmElsewhere(t *testing.T) {
	t.Parallel()
	for what, want := range map[string]struct{ page, stored, givenBack string }{
		"replace": {"Connected", "of-1000.after", ""},
		"keep":    {"Nothing was changed", "of-1000.before", "of-1000.after"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			fleet, server := newFleet(t, 3)
			var ann, eve browser
			result := asked(t, fleet, &ann)
			if w := ann.get(fleet[1], result); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "A different user than before") {
				t.Fatalf("asked: %d %s", w.Code, w.Body)
			}
			fleet[2].flow.Close()
			if got := server.givenBack(); got != "" {
				t.Errorf("one replica has stopped, and given back %s", got)
			}
			if w := eve.post(fleet[0], "confirm", decision(result, what)); codeOf(w) != "state" {
				t.Errorf("another browser: %d", w.Code)
			}
			locations := make([]string, 6)
			var clicks sync.WaitGroup
			for i := range locations {
				clicks.Go(func() {
					tab := ann
					locations[i] = tab.post(fleet[i%2], "confirm", decision(result, what)).Header().Get("Location")
				})
			}
			clicks.Wait()
			for i, to := range locations {
				if to == "" || to != locations[0] {
					t.Errorf("led to %q", locations)
				}
				if w := ann.get(fleet[i%2], to); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want.page) {
					t.Errorf("%d %s", w.Code, w.Body)
				}
			}
			if got := fleet[0].grant(t, "shop").RefreshToken; got != want.stored || server.givenBack() != want.givenBack {
				t.Errorf("stored is %q, given back %q", got, server.givenBack())
			}
		})
	}
}

// TestTokenWaitsAlong: the token that has proved a grant is older by the time that a person has taken.
func TestTokenWaitsAlong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fleet, _ := newFleet(t, 2)
		var ann browser
		result := asked(t, fleet, &ann)
		time.Sleep(9 * time.Minute)
		if w := ann.post(fleet[0], "confirm", decision(result, "replace")); w.Code != http.StatusSeeOther {
			t.Fatal(w.Code, w.Body)
		}
		s := fleet[0].cache.Status(fleet[0].client.Cache, "shop")[0]
		if left := time.Until(s.Expiry); !s.HasToken || left > 51*time.Minute || left < 50*time.Minute {
			t.Errorf("%v, %s left", s.HasToken, left)
		}
	})
}

// TestNobodyConfirms: what nobody confirms is given back once, by the replica that has asked or, if that is
// gone, by another one.
func TestNobodyConfirms(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]struct{ gone, down bool }{
		"all run":                        {},
		"the one that has asked is gone": {gone: true},
		"Zoho is down":                   {down: true},
		"both":                           {gone: true, down: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fleet, server := newFleet(t, 3)
				var ann browser
				result := asked(t, fleet, &ann)
				if is.gone {
					fleet[2].flow.Close()
				}
				time.Sleep(9 * time.Minute)
				if got := server.givenBack(); got != "" {
					t.Errorf("too early: %s", got)
				}
				server.setDown(is.down)
				time.Sleep(time.Hour)
				server.setDown(false)
				time.Sleep(time.Hour)
				synctest.Wait()
				if got := server.givenBack(); got != "of-1000.after" {
					t.Errorf("given back: %q", got)
				}
				if w := ann.post(fleet[0], "confirm", decision(result, "replace")); w.Code == http.StatusSeeOther {
					t.Error("confirmed after all")
				}
				if got := fleet[0].grant(t, "shop").RefreshToken; got != "of-1000.before" {
					t.Errorf("stored is %q", got)
				}
			})
		})
	}
}

// TestFleetStandsStill: what waits when the last replica stops is given back by the next one that starts.
func TestFleetStandsStill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fleet, server := newFleet(t, 1)
		var ann browser
		asked(t, fleet, &ann)
		fleet[0].flow.Close()
		time.Sleep(3 * time.Hour)
		memory := fleet[0].Replica()
		newReplica(t, memory, memory, server)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := server.givenBack(); got != "of-1000.after" {
			t.Errorf("given back: %q", got)
		}
	})
}

// TestCloseWhileLooking: a store that is slow holds Close up for one answer, not for a look at all that waits.
func TestCloseWhileLooking(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := storetest.NewMemory()
		store := &slow{Memory: memory}
		looks := 0
		store.used = func() {
			looks++
			time.Sleep(time.Second)
		}
		r := newReplica(t, memory, store, new(accountsServer))
		time.Sleep(time.Minute + time.Millisecond) // it looks for the first time
		synctest.Wait()
		r.flow.Close()
		if looks != 1 {
			t.Errorf("looked %d times", looks)
		}
	})
}

// TestStoreAwayMeanwhile: while the store is away no consent is begun, and a callback or an answer that comes then
// uses nothing up: it can be sent again. Strangers are not told where the store is.
func TestStoreAwayMeanwhile(t *testing.T) {
	t.Parallel()
	fleet, server := newFleet(t, 2)
	a, b := fleet[0], fleet[1]
	var ann browser
	callback := ann.begin(t, a, "start", shop, "1000.before")
	away := func(what string, again func() *httptest.ResponseRecorder) {
		t.Helper()
		b.Away(true)
		w := again()
		b.Away(false)
		if w.Code != http.StatusServiceUnavailable || codeOf(w) != "store" || w.Header().Get("Retry-After") == "" || w.Header().Get("Location") != "" {
			t.Errorf("%s, without the store: %d %q %v", what, w.Code, codeOf(w), w.Header())
		}
		if strings.Contains(w.Body.String(), "cannot be reached") && what != "begin" {
			t.Errorf("%s tells of the store: %s", what, w.Body)
		}
		if said := b.logged.take(); !strings.Contains(said, "cannot be reached") {
			t.Errorf("%s, and the log says %s", what, said)
		}
	}
	away("begin", func() *httptest.ResponseRecorder { return ann.post(b, "start", shop) })
	away("callback", func() *httptest.ResponseRecorder { return ann.get(b, callback) })
	if got := server.exchanged(); got != "" {
		t.Errorf("exchanged without a store: %s", got)
	}
	w := ann.get(b, callback)
	if result := w.Header().Get("Location"); w.Code != http.StatusSeeOther {
		t.Errorf("the same callback again: %d %s", w.Code, w.Body)
	} else {
		away("result", func() *httptest.ResponseRecorder { return ann.get(b, result) })
	}
	question := ann.get(b, european(ann.begin(t, a, "start", shop, "1000.after"))).Header().Get("Location")
	away("answer", func() *httptest.ResponseRecorder { return ann.post(b, "confirm", decision(question, "replace")) })
	if w := ann.post(b, "confirm", decision(question, "replace")); w.Code != http.StatusSeeOther {
		t.Errorf("the same answer again: %d %s", w.Code, w.Body)
	}
	if got := a.grant(t, "shop").RefreshToken; got != "of-1000.after" || server.givenBack() != "" {
		t.Errorf("stored is %q, given back %q", got, server.givenBack())
	}
}

// TestStartsOfAFleet, S-26: starts of an account are limited across all replicas, and one that was not begun
// after all does not count.
func TestStartsOfAFleet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fleet, _ := newFleet(t, 2)
		begin := func(i int, account string) error {
			r := fleet[i%len(fleet)]
			_, _, err := r.flow.Begin(r.client, onboard.Start{Account: account, RedirectURI: r.client.RedirectURI})
			return err
		}
		for i := range 10 {
			if err := begin(i, "shop"); err != nil {
				t.Fatal(i, err)
			}
		}
		for i := range fleet {
			var e *onboard.Error
			if err := begin(i, "shop"); !errors.As(err, &e) || e.Code != "starts" || e.RetryAfter > 10*time.Minute {
				t.Errorf("one more at %d: %v", i, err)
			}
			if err := begin(i, "other"); err != nil {
				t.Errorf("another account: %v", err)
			}
		}
		time.Sleep(10 * time.Minute)
		fleet[0].Away(true)
		for range 20 {
			if err := begin(0, "shop"); err == nil {
				t.Fatal("begun without a store")
			}
		}
		fleet[0].Away(false)
		for i := range 10 {
			if err := begin(i, "shop"); err != nil {
				t.Errorf("later, %d: %v", i, err)
			}
		}
	})
}

// TestReplicasChangeAtOnce: of consents for one account that end at several replicas in the same moment one grant
// is stored whole, and the others are replaced by it and counted.
func TestReplicasChangeAtOnce(t *testing.T) {
	t.Parallel()
	fleet, server := newFleet(t, 4)
	server.proving = make(chan struct{})
	var all sync.WaitGroup
	results := make([]onboard.Result, len(fleet))
	for i, r := range fleet {
		_, state, err := r.flow.Begin(r.client, onboard.Start{Account: "shop", RedirectURI: r.client.RedirectURI})
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			var err error
			results[i], err = r.flow.Finish(t.Context(), r.client, onboard.Callback{State: state, Code: fmt.Sprint("1000.", i)}, "")
			if err != nil {
				t.Error(err)
			}
		})
	}
	close(server.proving)
	all.Wait()
	var counts []int
	last := -1
	for i, r := range results {
		counts = append(counts, r.RefreshTokens)
		if r.RefreshTokens == len(fleet) {
			last = i
		}
		if r.Replaced != (r.RefreshTokens > 1) {
			t.Errorf("%+v", r)
		}
	}
	slices.Sort(counts)
	if !slices.Equal(counts, []int{1, 2, 3, 4}) {
		t.Fatalf("counted: %v", counts)
	}
	if got := fleet[0].grant(t, "shop"); got.RefreshToken != fmt.Sprint("of-1000.", last) || got.RefreshTokens != len(fleet) {
		t.Errorf("stored is %q with %d known, the last one was %d", got.RefreshToken, got.RefreshTokens, last)
	}
}

// slow is a store that a test holds up, or whose answers it loses.
type slow struct {
	*storetest.Memory
	load    func()
	save    func(tokencache.Key, [][]byte, tokencache.Grant) error
	try     func() error
	used    func() // before a nonce is looked for
	planned func() // before the first nonce is used
	many    func(grants map[string]tokencache.Grant) (done bool, err error)
}

func (s *slow) SaveGrants(client string, secrets [][]byte, grants map[string]tokencache.Grant, anew bool) error {
	if s.many != nil {
		if done, err := s.many(grants); done {
			return err
		}
	}
	return s.Memory.SaveGrants(client, secrets, grants, anew)
}

func (s *slow) TryWrite() error {
	if s.try != nil {
		return s.try()
	}
	return s.Memory.TryWrite()
}

func (s *slow) ConsumeNonce(id string, until time.Time) (bool, error) {
	if s.planned != nil {
		s.planned()
	}
	return s.Memory.ConsumeNonce(id, until)
}

func (s *slow) NonceConsumed(id string) (bool, error) {
	if s.used != nil {
		s.used()
	}
	return s.Memory.NonceConsumed(id)
}

func (s *slow) LoadGrant(key tokencache.Key, secrets [][]byte) (tokencache.Grant, bool, error) {
	g, found, err := s.Memory.LoadGrant(key, secrets)
	if s.load != nil {
		s.load()
	}
	return g, found, err
}

func (s *slow) SaveGrant(key tokencache.Key, secrets [][]byte, g tokencache.Grant) error {
	if s.save != nil {
		return s.save(key, secrets, g)
	}
	return s.Memory.SaveGrant(key, secrets, g)
}

// TestHeldUpWhileChanging: a replica that was held up between its look at the grant and its write does not
// overwrite what another one has stored meanwhile, and gives its own grant back.
func TestHeldUpWhileChanging(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, memory := new(accountsServer), storetest.NewMemory()
		paused := &slow{Memory: memory}
		a, other := newReplica(t, memory, paused, server), memory.Replica()
		b := newReplica(t, other, other, server)
		finish := func(r *replica, code string) (onboard.Result, error) {
			_, state, err := r.flow.Begin(r.client, onboard.Start{Account: "shop", RedirectURI: r.client.RedirectURI})
			if err != nil {
				t.Fatal(err)
			}
			return r.flow.Finish(t.Context(), r.client, onboard.Callback{State: state, Code: code}, "")
		}
		looks := 0
		paused.load = func() {
			if looks++; looks == 3 { // at the beginning, at the callback, before the write
				paused.load = nil
				if _, err := finish(b, "1000.b"); err != nil {
					t.Errorf("while the other one stands still: %v", err)
				}
			}
		}
		var e *onboard.Error
		if r, err := finish(a, "1000.a"); !errors.As(err, &e) || e.Code != "store" || !strings.Contains(e.Text, "main/shop") {
			t.Errorf("%+v, %v", r, err)
		}
		if got := a.grant(t, "shop").RefreshToken; got != "of-1000.b" || server.givenBack() != "of-1000.a" {
			t.Errorf("stored is %q, given back %q", got, server.givenBack())
		}
	})
}

// TestAccountsDoNotHoldEachOtherUp: with a store that is slow, consents for several accounts that end at one
// replica in the same moment are all stored.
func TestAccountsDoNotHoldEachOtherUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, memory := new(accountsServer), storetest.NewMemory()
		store := &slow{Memory: memory}
		r := newReplica(t, memory, store, server)
		store.save = func(key tokencache.Key, secrets [][]byte, g tokencache.Grant) error {
			time.Sleep(6 * time.Second)
			return memory.SaveGrant(key, secrets, g)
		}
		var all sync.WaitGroup
		for i := range 4 {
			account := fmt.Sprint("shop", i)
			all.Go(func() {
				_, state, err := r.flow.Begin(r.client, onboard.Start{Account: account, RedirectURI: r.client.RedirectURI})
				if err != nil {
					t.Error(err)
					return
				}
				code := onboard.Callback{State: state, Code: "1000." + account}
				if _, err := r.flow.Finish(t.Context(), r.client, code, ""); err != nil {
					t.Errorf("%s: %v", account, err)
				}
			})
		}
		all.Wait()
		if got := server.givenBack(); got != "" {
			t.Errorf("given back: %s", got)
		}
	})
}

// TestCloseEndsWaiting: a change that waits for another replica ends when its own one stops.
func TestCloseEndsWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, memory := new(accountsServer), storetest.NewMemory()
		store := &slow{Memory: memory}
		a, other := newReplica(t, memory, store, server), memory.Replica()
		b := newReplica(t, other, other, server)
		on := make(chan struct{})
		store.save = func(key tokencache.Key, secrets [][]byte, g tokencache.Grant) error {
			<-on
			return memory.SaveGrant(key, secrets, g)
		}
		var all sync.WaitGroup
		all.Go(func() {
			_, state, err := a.flow.Begin(a.client, onboard.Start{Account: "shop", RedirectURI: a.client.RedirectURI})
			if err == nil {
				_, err = a.flow.Finish(t.Context(), a.client, onboard.Callback{State: state, Code: "1000.a"}, "")
			}
			if err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		var waited error
		all.Go(func() {
			_, waited = b.flow.Forget(b.client, "shop")
			close(on)
		})
		synctest.Wait()
		b.flow.Close()
		all.Wait()
		var e *onboard.Error
		if !errors.As(waited, &e) || e.Code != "closed" {
			t.Errorf("ended with %v", waited)
		}
		if got := a.grant(t, "shop").RefreshToken; got != "of-1000.a" {
			t.Errorf("stored is %q", got)
		}
	})
}

// TestAnswerOfTheStoreIsLost: a grant that may be stored is not given back, though the grant before is all that is
// known then, and what has brought it is not used a second time.
func TestAnswerOfTheStoreIsLost(t *testing.T) {
	t.Parallel()
	server, memory := new(accountsServer), storetest.NewMemory()
	store := &slow{Memory: memory}
	a := newReplica(t, memory, store, server)
	link, _, err := a.client.Invite("shop", time.Hour, "", false)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(link)
	token := url.Values{"token": {u.Query().Get("token")}}
	var customer browser
	customer.get(a, customer.begin(t, a, "start", shop, "1000.before"))
	callback := customer.begin(t, a, "invite", token, "1000.code")
	store.save = func(key tokencache.Key, secrets [][]byte, g tokencache.Grant) error {
		memory.Away(true) // and yet it gets there
		if err := memory.Replica().SaveGrant(key, secrets, g); err != nil {
			t.Error(err)
		}
		return fmt.Errorf("no answer in time: %w", tokencache.ErrAway)
	}
	if w := customer.get(a, callback); codeOf(w) != "store" || strings.Contains(w.Body.String(), "in time") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	memory.Away(false)
	if got := a.grant(t, "shop").RefreshToken; got != "of-1000.code" || server.givenBack() != "" {
		t.Errorf("stored is %q, given back %q", got, server.givenBack())
	}
	if w := customer.get(a, "invite?"+token.Encode()); codeOf(w) != "invitation" {
		t.Errorf("opened once more: %d", w.Code)
	}
}

// TestStoreTakesNoWrites: a store that can be read alone, as one that is failing over, uses up neither a state nor
// one of the starts.
func TestStoreTakesNoWrites(t *testing.T) {
	t.Parallel()
	server, memory := new(accountsServer), storetest.NewMemory()
	store := &slow{Memory: memory}
	a := newReplica(t, memory, store, server)
	var ann browser
	callback := ann.begin(t, a, "start", shop, "1000.code")
	store.try = func() error { return fmt.Errorf("no writes: %w", tokencache.ErrAway) }
	if w := ann.get(a, callback); codeOf(w) != "store" || w.Header().Get("Location") != "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for range 20 {
		if w := ann.post(a, "start", shop); codeOf(w) != "store" {
			t.Fatalf("begun: %d %q", w.Code, codeOf(w))
		}
	}
	store.try = nil
	if w := ann.get(a, callback); w.Code != http.StatusSeeOther || server.exchanged() != "1000.code" {
		t.Errorf("the same callback again: %d %s", w.Code, w.Body)
	}
	ann.begin(t, a, "start", shop, "1000.more")
}

// ofBackup are grants of accounts, as a backup has them.
func ofBackup(accounts ...string) map[string]tokencache.Grant {
	grants := make(map[string]tokencache.Grant)
	for _, account := range accounts {
		grants[account] = tokencache.Grant{RefreshToken: "backup of " + account, AccountsServer: "https://accounts.zoho.com"}
	}
	return grants
}

// TestRestoreBesideOthers: what another replica does to an account while a backup is restored counts: a grant that
// came in is kept, and one that was forgotten stays away.
func TestRestoreBesideOthers(t *testing.T) {
	t.Parallel()
	key := tokencache.Key{Client: "main", Account: "shop"}
	for name, test := range map[string]struct {
		before    bool // there is a grant
		options   onboard.RestoreOptions
		meanwhile func(*replica) error
		want      onboard.Outcome
		stored    string
	}{
		"connected": {false, onboard.RestoreOptions{}, func(b *replica) error {
			return b.SaveGrant(key, b.client.Cache.Secrets(), ofBackup("shop")["shop"])
		}, onboard.Kept, "backup of shop"},
		"forgotten": {true, onboard.RestoreOptions{Replace: true}, func(b *replica) error {
			_, err := b.flow.Forget(b.client, "shop")
			return err
		}, onboard.Gone, ""},
		"forgotten, and wanted": {true, onboard.RestoreOptions{Replace: true, Deleted: true}, func(b *replica) error {
			_, err := b.flow.Forget(b.client, "shop")
			return err
		}, onboard.Restored, "old"},
	} {
		t.Run(name, func(t *testing.T) {
			server, memory := new(accountsServer), storetest.NewMemory()
			store := &slow{Memory: memory}
			a, other := newReplica(t, memory, store, server), memory.Replica()
			b := newReplica(t, other, other, server)
			if test.before {
				if err := b.SaveGrant(key, b.client.Cache.Secrets(), ofBackup("shop")["shop"]); err != nil {
					t.Fatal(err)
				}
			}
			store.planned = func() {
				store.planned = nil
				if err := test.meanwhile(b); err != nil {
					t.Error(err)
				}
			}
			old := map[string]tokencache.Grant{"shop": {RefreshToken: "old", AccountsServer: "https://accounts.zoho.com"}}
			got, err := a.flow.Restore(a.client, old, test.options)
			if err != nil || got["shop"] != test.want {
				t.Errorf("%v, %v, want %q", got, err, test.want)
			}
			if now := a.grant(t, "shop").RefreshToken; now != test.stored || (len(a.told) > 0) != (test.want == onboard.Restored) {
				t.Errorf("stored is %q, told of %q", now, a.told)
			}
		})
	}
}

// TestRestoreFailsMidway: what was stored before the store failed is told of, also where its answer was lost; what
// was not has no outcome, and the error names where it failed.
func TestRestoreFailsMidway(t *testing.T) {
	t.Parallel()
	memory := storetest.NewMemory()
	store := &slow{Memory: memory}
	a := newReplica(t, memory, store, new(accountsServer))
	store.many = func(grants map[string]tokencache.Grant) (bool, error) {
		lost := fmt.Errorf("no answer in time: %w", tokencache.ErrAway)
		if grants["b"].RefreshToken != "" {
			return true, errors.Join(lost, memory.SaveGrants("main", a.client.Cache.Secrets(), grants, false))
		}
		return grants["c"].RefreshToken != "", lost
	}
	got, err := a.flow.Restore(a.client, ofBackup("a", "b", "c", "d"), onboard.RestoreOptions{})
	if !errors.Is(err, tokencache.ErrAway) || !strings.Contains(err.Error(), "main/c was not restored") {
		t.Error(err)
	}
	if len(got) != 2 || got["a"] != onboard.Restored || got["b"] != onboard.Restored || strings.Join(a.told, " ") != "a b" {
		t.Errorf("%v, told of %q", got, a.told)
	}
	if stored := a.Accounts("main"); !slices.Equal(stored, []string{"a", "b"}) {
		t.Errorf("stored: %q", stored)
	}
	store.many = nil
	got, err = a.flow.Restore(a.client, ofBackup("a", "b", "c", "d"), onboard.RestoreOptions{})
	if err != nil || got["a"] != onboard.Kept || got["b"] != onboard.Kept || got["c"] != onboard.Restored || got["d"] != onboard.Restored {
		t.Errorf("once more: %v, %v", got, err)
	}
}
