// Onboarding and notification in a fleet: three Caddys behind a load balancer that knows no affinity,
// one Redis, one simulator.

package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/internal/redistest"
	"github.com/caddy-zoho/caddy-zoho/internal/testbed"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// ofOnboardingFleet is the configuration of each replica.
var ofOnboardingFleet = strings.Replace(onboarding, "store bolt {$ZOHO_STORE}", `store redis {$ZOHO_REDIS}
		encryption_key {env.ZOHO_ENCRYPTION_KEY}
		{$ZOHO_NOTIFY}`, 1)

// onboardingFleet is a fleet behind a load balancer.
type onboardingFleet struct {
	*fleet
	*balancer
}

// balancer gives each request to the next replica, and to another one where that is not there.
type balancer struct {
	*httptest.Server
	replicas []*proxy
	next     atomic.Int64

	mu     sync.Mutex
	served []string // replica and page of each request
}

// turn has the next request go to that replica.
func (b *balancer) turn(replica int) { b.next.Store(int64(replica)) }

// RoundTrip tries one replica after the other.
func (b *balancer) RoundTrip(req *http.Request) (res *http.Response, err error) {
	var body []byte
	if req.Body != nil {
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	for range b.replicas {
		i := int(b.next.Add(1)-1) % len(b.replicas)
		try := req.Clone(req.Context())
		try.Body = io.NopCloser(bytes.NewReader(body))
		try.URL.Scheme, try.URL.Host = "http", b.replicas[i].hostport()
		if res, err = b.replicas[i].client.Transport.RoundTrip(try); err == nil {
			b.mu.Lock()
			b.served = append(b.served, fmt.Sprintf("%c %s", 'A'+i, strings.TrimPrefix(req.URL.Path, "/zoho-connect/")))
			b.mu.Unlock()
			return res, nil
		}
	}
	return nil, err
}

// took gives who has served what since the last call.
func (b *balancer) took() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := b.served
	b.served = nil
	return taken
}

func (b *balancer) pages() string { return b.URL + "/zoho-connect/" }

// startOnboardingFleet starts three replicas. Nobody has consented yet.
func startOnboardingFleet(t *testing.T, o zohosim.Options, env ...string) *onboardingFleet {
	t.Helper()
	f := &onboardingFleet{newFleet(t, o, 0, redistest.Start(t)), new(balancer)}
	f.zoho.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret, SelfClient: true})
	f.Server = httptest.NewServer(&httputil.ReverseProxy{Transport: f.balancer, Rewrite: func(*httputil.ProxyRequest) {}})
	t.Cleanup(f.Close)
	for range 3 {
		c := newCaddy(t, ofOnboardingFleet, append([]string{
			"ZOHO_DATA_CENTER=" + f.base + " " + f.base, "ZOHO_ENCRYPTION_KEY=" + fleetKey, "ZOHO_REDIS=redis://" + f.redis.Addr,
			"ZOHO_CONNECT_OPTIONS=", "ZOHO_NOTIFY=", "ZOHO_CLIENT_OPTIONS=redirect_uri " + f.pages() + "callback"}, env...)...)
		c.zoho, c.secrets = f.zoho, append(c.secrets, fleetKey, "code=1000.")
		c.start()
		f.fleet.replicas = append(f.fleet.replicas, c)
	}
	f.balancer.replicas = f.fleet.replicas
	return f
}

// all are the replicas.
func (f *onboardingFleet) all() (a, b, c *proxy) {
	return f.fleet.replicas[0], f.fleet.replicas[1], f.fleet.replicas[2]
}

// consent begins at a replica and gives the callback's address.
func (f *onboardingFleet) consent(b *browser, at int, account string) (callback string) {
	f.t.Helper()
	f.turn(at)
	return b.stopAt("/callback", func() answer { return b.post(f.pages()+"start", url.Values{"account": {account}}) })
}

// openAt opens an address of the fleet's at one replica.
func (f *onboardingFleet) openAt(c *proxy, person *browser, address string) (answer, error) {
	client := &http.Client{Jar: person.Jar, CheckRedirect: follow}
	return readAnswer(client.Get(strings.Replace(address, f.URL, c.url, 1)))
}

// as has people consent as that user from now on.
func (f *onboardingFleet) as(user string) { f.zoho.Change(func(o *zohosim.Options) { o.User = user }) }

// grant is one that others have, to import.
func (f *onboardingFleet) grant(user string) string {
	return f.zoho.Grant(clientID, user, "us", "ZohoCRM.modules.ALL", "ZohoCRM.org.READ", "AaaServer.profile.READ", "Desk.tickets.ALL")
}

// everywhereHas waits until each replica that runs has the account as it is to be.
func (f *onboardingFleet) everywhereHas(account, what string, is func(connection) bool) {
	f.t.Helper()
	for i, c := range f.fleet.replicas {
		if c.cmd == nil {
			continue
		}
		c.waitFor(fmt.Sprintf("%s to be %s at replica %d", account, what, i), func() bool {
			list := c.connections("?account=" + account).Connections
			return len(list) == 1 && is(list[0])
		})
	}
}

// TestFleetConsent, S-53: a consent is begun at one replica, comes back to the next one, and is shown
// by the third; the one that has begun it may be gone by then.
func TestFleetConsent(t *testing.T) {
	t.Parallel()
	f := startOnboardingFleet(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	a, b, c := f.all()
	person := newBrowser(t)
	wantPage(t, person.get(f.pages()), 200, "No account of client main is connected yet.")
	callback := f.consent(person, 0, "one")
	f.took()
	f.turn(1)
	wantPage(t, person.get(callback), 200, "The account is connected")
	if took := f.took(); !slices.Equal(took, []string{"B callback", "C result"}) {
		t.Errorf("served by %q", took)
	}
	f.everywhereHas("one", "connected", func(s connection) bool { return s.State == "ok" && s.User == "user@example.com" })
	spent := f.zoho.Stats().TokenRequests
	for _, c := range []*proxy{a, b, c} {
		c.forAccount("one")
	}
	wantTokenCalls(t, f.zoho, spent)

	callback = f.consent(person, 0, "two")
	stranger := newBrowser(t)
	f.consent(stranger, 1, "three") // has a cookie, of its own
	a.kill()
	f.turn(1)
	wantPage(t, stranger.get(callback), http.StatusForbidden, "another browser")
	wantPage(t, person.get(callback), 200, "The account is connected")
	wantPage(t, person.get(callback), http.StatusConflict, "used already")
	a.start()
	a.forAccount("two")
	wantPage(t, person.get(callback), http.StatusConflict, "used already")
	for range 3 {
		wantPage(t, person.get(f.pages()), 200, "2 accounts")
	}
}

// TestFleetCallbackTwice, S-22: an answer that comes to two replicas at the same moment is used by
// one of them; the other says so.
func TestFleetCallbackTwice(t *testing.T) {
	t.Parallel()
	f := startOnboardingFleet(t, zohosim.Options{Consent: zohosim.ConsentAuto, MaxCodes: -1})
	before := f.zoho.Stats().Grants
	for round := range 10 {
		person := newBrowser(t)
		callback := f.consent(person, 0, fmt.Sprint("shop-", round))
		answers, pages := make(chan answer, 2), make(map[int]int)
		var both sync.WaitGroup
		for _, c := range f.fleet.replicas[1:] {
			both.Go(func() {
				a, err := f.openAt(c, person, callback)
				if err != nil {
					t.Error(err)
				}
				answers <- a
			})
		}
		both.Wait()
		close(answers)
		for a := range answers {
			pages[a.StatusCode]++
			switch a.StatusCode {
			case http.StatusOK:
				wantPage(t, a, 200, "The account is connected")
			default:
				wantPage(t, a, http.StatusConflict, "used already")
			}
		}
		if pages[http.StatusOK] != 1 {
			t.Errorf("answers %v", pages)
		}
	}
	if n := f.zoho.Stats().Grants - before; n != 10 {
		t.Errorf("%d grants live at Zoho", n)
	}
}

// TestFleetInTheBrowser drives Chromium through a load balancer from page to page, each of which
// another replica serves.
func TestFleetInTheBrowser(t *testing.T) {
	t.Parallel()
	chromium := startChromium(t)
	f := startOnboardingFleet(t, zohosim.Options{})
	w := newWindow(t, chromium)
	begin := func() *window {
		w.open(f.pages() + "connect?account=default").heading("Connect default").press("Continue to Zoho")
		w.find("#accept", anything)
		return w
	}
	begin()
	a, b, c := f.all()
	a.kill()
	w.accept("").heading("Connected")
	b.forAccount("default")
	c.forAccount("default")
	a.start()
	begin().accept("ben@example.com").heading("A different user than before")
	b.kill()
	w.press("Replace").heading("Connected")
	if got := c.connections("?account=default").Connections[0].User; got != "ben@example.com" {
		t.Errorf("%s holds it", got)
	}
	served := make(map[string]bool)
	for _, page := range f.took() {
		served[page[:1]] = true
	}
	if len(served) != 3 {
		t.Errorf("pages came of %v", served)
	}
}

// TestFleetPasted: a consent that `caddy zoho connect` begins at one replica's admin endpoint ends
// with what is pasted at another's, once.
func TestFleetPasted(t *testing.T) {
	t.Parallel()
	f := startOnboardingFleet(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	a, b, c := f.all()
	var started struct{ URL, State string }
	a.adminCall(http.MethodPost, "/zoho/connections/main/default/connect", "").decode(t, &started)
	person := newBrowser(t)
	callback := person.stopAt("/callback", func() answer { return person.get(started.URL) })
	wantPage(t, person.get(callback), http.StatusForbidden, "Go back to the terminal")
	a.kill()
	body, _ := json.Marshal(map[string]string{"state": started.State, "callback": callback})
	paste := func(c *proxy) answer {
		return c.adminCall(http.MethodPost, "/zoho/connections/main/default/connect", string(body))
	}
	if answer := paste(b); answer.StatusCode != http.StatusOK {
		t.Errorf("%s %s", answer.Status, answer.body)
	}
	if answer := paste(c); answer.StatusCode != http.StatusConflict || !bytes.Contains(answer.body, []byte("used already")) {
		t.Errorf("again: %s %s", answer.Status, answer.body)
	}
	c.forAccount("default")
}

// TestFleetInvitation, S-23: an invitation that was made at one replica is used by way of another, once,
// and all know that it was.
func TestFleetInvitation(t *testing.T) {
	t.Parallel()
	f := startOnboardingFleet(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	a, b, c := f.all()
	link := a.invite("main", "acme")
	token := url.Values{"token": {valueOf(link, "token")}}
	begin := func(at int) (person *browser, callback string) {
		person = newBrowser(t)
		f.turn(at)
		return person, person.stopAt("/callback", func() answer { return person.post(f.pages()+"invite", token) })
	}
	people, callbacks := make([]*browser, 2), make([]string, 2)
	for i := range people {
		people[i], callbacks[i] = begin(1 + i)
	}
	before := f.zoho.Stats().Grants
	f.zoho.AddFault(zohosim.Fault{Where: "accounts", Path: "/token", Kind: zohosim.FaultHang}) // until cleared
	var connected atomic.Int64
	var both sync.WaitGroup
	for i, at := range []*proxy{b, c} {
		both.Go(func() {
			a, err := f.openAt(at, people[i], callbacks[i])
			if err != nil {
				t.Error(err)
			}
			if bytes.Contains(a.body, []byte("Your Zoho account is connected")) {
				connected.Add(1)
			}
		})
	}
	a.waitFor("both codes to be exchanged", func() bool { return f.zoho.Stats().Faults["accounts/hang"] == 2 })
	f.zoho.ClearFaults("")
	both.Wait()
	if n := connected.Load(); n != 1 {
		t.Errorf("%d browsers were connected by one invitation", n)
	}
	if n := f.zoho.Stats().Grants - before; n != 1 {
		t.Errorf("%d grants live at Zoho", n)
	}
	for _, c := range f.fleet.replicas {
		wantPage(t, newBrowser(t).get(strings.Replace(link, f.URL, c.url, 1)), http.StatusConflict, "is connected")
		c.forAccount("acme")
	}
}

// TestFleetSomebodyElse, S-25: who consents instead of somebody else is asked at one replica, and may
// confirm at another when the first ones are gone; by another browser nothing is confirmed.
func TestFleetSomebodyElse(t *testing.T) {
	t.Parallel()
	f := startOnboardingFleet(t, zohosim.Options{Consent: zohosim.ConsentAuto, User: "ann@example.com"})
	a, b, c := f.all()
	person := newBrowser(t)
	wantPage(t, person.get(f.consent(person, 0, "default")), 200, "The account is connected")
	f.as("ben@example.com")
	callback := f.consent(person, 0, "default")
	f.turn(1)
	wantPage(t, person.get(callback), 200, "Do you want to replace")
	answer := url.Values{"id": {person.at.Query().Get("id")}, "decision": {"replace"}}
	a.kill()
	b.kill()
	if a := newBrowser(t).post(f.pages()+"confirm", answer); a.StatusCode < 400 {
		t.Errorf("another browser confirms: %s", a.Status)
	}
	if s := c.connections("").Connections[0]; s.User != "ann@example.com" {
		t.Errorf("%s holds it before anybody confirmed", s.User)
	}
	wantPage(t, person.post(f.pages()+"confirm", answer), 200, "Connected")
	a.start()
	b.start()
	f.everywhereHas("default", "ben's", func(s connection) bool { return s.User == "ben@example.com" && s.State == "ok" })
	for at := range 3 { // a double click, at each
		f.turn(at)
		wantPage(t, person.post(f.pages()+"confirm", answer), 200, "Connected")
	}
	for _, c := range f.fleet.replicas {
		if a := c.forAccount("default"); a.Header.Get("X-Sim-User") != "ben@example.com" {
			t.Errorf("the call was made as %s", a.Header.Get("X-Sim-User"))
		}
	}
}

// TestFleetConsentsAtOnce: of two consents for one account that end at two replicas at the same moment
// the outcome is that of one after the other: the grant of one, and both are counted.
func TestFleetConsentsAtOnce(t *testing.T) {
	t.Parallel()
	for _, revoke := range []string{"", "yes"} {
		t.Run("revoke "+revoke, func(t *testing.T) {
			t.Parallel()
			f := startOnboardingFleet(t, zohosim.Options{Consent: zohosim.ConsentAuto, MaxCodes: -1, MaxTokens: -1})
			for round := range 5 {
				account := fmt.Sprint("shop-", round)
				before := f.zoho.Stats().Grants
				var both sync.WaitGroup
				for at, c := range f.fleet.replicas[1:] {
					person := newBrowser(t)
					f.turn(at)
					callback := person.stopAt("/callback", func() answer {
						return person.post(f.pages()+"start", url.Values{"account": {account}, "revoke": {revoke}})
					})
					both.Go(func() {
						a, err := f.openAt(c, person, callback)
						if err != nil || a.StatusCode != http.StatusOK {
							t.Errorf("%v %.300s", err, a.body)
						}
					})
				}
				both.Wait()
				want := map[string]int{"": 2, "yes": 1}[revoke]
				if n := f.zoho.Stats().Grants - before; n != want {
					t.Errorf("%d grants live at Zoho", n)
				}
				f.everywhereHas(account, "connected", func(s connection) bool { return s.State == "ok" && s.RefreshTokensKnown == want })
				spent := f.zoho.Stats().TokenRequests
				for _, c := range f.fleet.replicas {
					c.forAccount(account)
				}
				wantTokenCalls(t, f.zoho, spent)
			}
		})
	}
}

// flushed waits until all that the replicas had to tell before was told: they tell one after the other.
func (f *onboardingFleet) flushed(r *receiver, name string) {
	f.t.Helper()
	for i, c := range f.fleet.replicas {
		account := fmt.Sprint(name, i)
		c.runInput(f.grant(account+"@example.com"), 0, "zoho", "import", "main", account)
		c.waitFor("replica to have told", func() bool { return strings.Contains(r.events(), "connected "+account) })
	}
}

// of are the events of an account.
func (r *receiver) of(account string) (events []string) {
	for _, event := range strings.Split(r.events(), ", ") {
		if of, ok := strings.CutSuffix(event, " "+account); ok {
			events = append(events, of)
		}
	}
	slices.Sort(events)
	return events
}

// TestFleetNotifications: what all replicas notice is told by one, and each has it in its own metrics and
// events. With Redis away some tell twice, and nobody is silent.
func TestFleetNotifications(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	f := startOnboardingFleet(t, zohosim.Options{MaxTokens: -1, MaxGrants: -1, Consent: zohosim.ConsentAuto, User: "ann@example.com"}, "ZOHO_NOTIFY=notify "+r.URL)
	a, _, _ := f.all()
	grant := f.grant("ann@example.com")
	a.runInput(grant, 0, "zoho", "import", "main", "shop")
	a.runInput(f.grant("eve@example.com"), 0, "zoho", "import", "main", "away")
	f.everywhereHas("shop", "connected", func(s connection) bool { return s.State == "ok" && s.HasToken })
	for _, c := range f.fleet.replicas { // each knows both
		c.forAccount("shop")
		c.forAccount("away")
	}
	f.zoho.Revoke(grant)
	call := func(account, problem string) {
		for i, c := range slices.Repeat(f.fleet.replicas, 3) {
			if answer, err := c.tryAs(account); err != nil || answer.problem() != problem {
				t.Errorf("call %d: %v %q", i, err, answer.problem())
			}
		}
	}
	wantProblem(t, a.get("/crm/v8/Leads", "Zoho-Proxy-Account", "shop"), "grant-dead", http.StatusServiceUnavailable)
	state := func(account, state string, value float64) {
		t.Helper()
		for _, c := range f.fleet.replicas {
			c.waitFor(account+" to be "+state+" in the metrics", func() bool {
				return c.metric("zoho_connection_state", `account="`+account+`"`, `state="`+state+`"`) == value
			})
		}
	}
	state("shop", "dead", 1) // also where nobody has called
	call("shop", "grant-dead")
	f.flushed(r, "one")
	if events := r.of("shop"); !slices.Equal(events, []string{"connected", "dead"}) {
		t.Errorf("told %q", events)
	}
	for _, c := range f.fleet.replicas {
		c.logs(`"name":"zoho_grant_dead"`)
	}

	person := newBrowser(t)
	wantPage(t, person.get(f.consent(person, 1, "shop")), 200, "The account is connected")
	state("shop", "dead", 0)
	state("shop", "ok", 1)
	call("shop", "")
	a.waitFor("the recovery", func() bool { return slices.Contains(r.of("shop"), "recovered") })
	f.flushed(r, "two")
	if events := r.of("shop"); !slices.Equal(events, []string{"connected", "connected", "dead", "recovered"}) {
		t.Errorf("told %q", events)
	}

	f.redis.Stop()
	f.zoho.Revoke("eve@example.com")
	for _, c := range f.fleet.replicas {
		c.waitFor("it to notice", func() bool {
			answer, err := c.tryAs("away")
			return err == nil && answer.problem() == "grant-dead"
		})
	}
	a.waitFor("somebody to tell", func() bool { return slices.Contains(r.of("away"), "dead") })
	f.redis.Restart()
	if n := len(r.of("away")); n > 1+len(f.fleet.replicas) {
		t.Errorf("told %q", r.of("away"))
	}
}

// TestFleetMetrics: what a replica tells of a connection is what the others do: its generation, what is
// left of its budget, its state, and that it is gone.
func TestFleetMetrics(t *testing.T) {
	t.Parallel()
	f := startOnboardingFleet(t, zohosim.Options{})
	a, b, c := f.all()
	grant := f.grant("ann@example.com")
	a.runInput(grant, 0, "zoho", "import", "main", "shop")
	const account = `account="shop"`
	f.everywhereHas("shop", "connected", func(s connection) bool { return s.HasToken })
	for i := range 3 {
		f.zoho.RevokeAccess(grant)
		f.fleet.replicas[(i+1)%3].forAccount("shop")
		for _, c := range f.fleet.replicas {
			c.forAccount("shop")
			c.waitFor("generation and budget", func() bool {
				return c.metric("zoho_token_generation", account) == float64(2+i) && c.metric("zoho_token_budget_remaining", account) == float64(8-i)
			})
		}
	}
	a.wantCLI(cli{"forget shop", 0, "forgotten", ""})
	for _, c := range []*proxy{b, c} {
		c.waitFor("the series to be gone", func() bool {
			return !bytes.Contains(c.adminCall(http.MethodGet, "/metrics", "").body, []byte(`{account="shop"`))
		})
	}
}

// monitored gives what Redis is told, from now on.
func (f *onboardingFleet) monitored() *testbed.Output {
	f.t.Helper()
	out := new(testbed.Output)
	cmd := exec.Command("redis-cli", "-h", "127.0.0.1", "-p", f.redis.Port, "monitor")
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	f.replica().waitFor("the monitor to run", func() bool { return strings.HasPrefix(out.String(), "OK") })
	return out
}

func (f *onboardingFleet) replica() *proxy { return f.fleet.replicas[0] }

// inRedis is all that Redis holds, by key.
func (f *onboardingFleet) inRedis() map[string]string {
	f.t.Helper()
	all := make(map[string]string)
	for _, key := range strings.Fields(f.redis.CLI("KEYS", "*")) {
		read := map[string][]string{
			"string": {"GET", key}, "hash": {"HGETALL", key}, "set": {"SMEMBERS", key}, "zset": {"ZRANGE", key, "0", "-1"}, "stream": {"XRANGE", key, "-", "+"},
			"none": {"EXISTS", key},
		}[f.redis.CLI("TYPE", key)]
		if read == nil {
			f.t.Fatalf("%s is of an unknown kind", key)
		}
		all[key] = f.redis.CLI(read...)
	}
	return all
}

// TestFleetSecrets, S-15: nothing that opens anything stands in Redis or is sent there, nor comes out of any
// replica. What is pending there ends by itself.
func TestFleetSecrets(t *testing.T) {
	t.Parallel()
	f := startOnboardingFleet(t, zohosim.Options{Consent: zohosim.ConsentAuto, MaxTokens: -1, MaxCodes: -1, User: "ann@example.com"})
	a, b, _ := f.all()
	told := f.monitored()
	secrets := map[string][]string{"client secret": {clientSecret}, "key": {fleetKey}}
	site, _ := url.Parse(f.pages())
	begin := func(person *browser, account string) (callback string) {
		callback = f.consent(person, 0, account)
		for _, cookie := range person.Jar.Cookies(site) {
			if strings.Contains(cookie.Name, "zoho-connect") { // the simulator has one on the same host
				secrets["cookie"] = append(secrets["cookie"], cookie.Value)
			}
		}
		return callback
	}
	id := func(person *browser) {
		secrets["id of a page"] = append(secrets["id of a page"], person.at.Query().Get("id"))
	}
	person := newBrowser(t)
	callback := begin(person, "default")
	wantPage(t, person.get(callback), 200, "The account is connected")
	id(person)
	wantPage(t, person.get(callback), http.StatusConflict, "used already")
	wantPage(t, newBrowser(t).get(begin(person, "left")), http.StatusForbidden, "another browser")
	f.as("ben@example.com")
	wantPage(t, person.get(begin(person, "default")), 200, "Do you want to replace")
	id(person)
	for range 2 {
		wantPage(t, person.get(begin(person, "default")), 200, "Do you want to replace")
		id(person)
	}
	wantPage(t, person.post(f.pages()+"confirm", url.Values{"id": {person.at.Query().Get("id")}, "decision": {"replace"}}), 200, "Connected")
	link := a.invite("main", "acme")
	token := valueOf(link, "token")
	_, mac, _ := strings.Cut(token, ".")
	secrets["invitation"] = []string{token, mac}
	guest := newBrowser(t)
	wantPage(t, guest.post(f.pages()+"invite", url.Values{"token": {token}}), 200, "Connected")
	b.runInput(f.grant("eve@example.com"), 0, "zoho", "import", "main", "imported")
	var started struct{ URL, State string }
	a.adminCall(http.MethodPost, "/zoho/connections/main/pasted/connect", "").decode(t, &started)
	terminal := newBrowser(t)
	terminal.stopAt("/callback", func() answer { return terminal.get(started.URL) })
	for _, c := range f.fleet.replicas {
		for _, account := range []string{"default", "acme", "imported"} {
			c.forAccount(account)
		}
		c.wantCLI(cli{"status", 0, "", ""})
	}

	issued := f.zoho.Issued()
	secrets["code"], secrets["state"] = issued.Codes, issued.States
	secrets["refresh token"], secrets["access token"] = issued.RefreshTokens, issued.AccessTokens
	seen := map[string]string{"what Redis was told": told.String()}
	for key, value := range f.inRedis() {
		seen["Redis: "+key] = key + "\n" + value
	}
	for i, c := range f.fleet.replicas {
		seen[fmt.Sprintf("log of %d", i)] = c.output.String()
		for _, path := range []string{"/config/", "/metrics", "/zoho/connections"} {
			seen[fmt.Sprintf("%s of %d", path, i)] = string(c.adminCall(http.MethodGet, path, "").body)
		}
	}
	for kind, least := range map[string]int{"code": 5, "state": 6, "refresh token": 5, "access token": 5, "cookie": 5, "id of a page": 4} {
		if n := len(secrets[kind]); n < least {
			t.Errorf("%d of the kind %s to look for: were the flows driven?", n, kind)
		}
	}
	for where, content := range seen {
		if content == "" {
			t.Errorf("nothing was collected of %s", where)
		}
		for kind, values := range secrets {
			if kind == "id of a page" && !strings.Contains(where, "Redis") { // opens nothing without the cookie
				continue
			}
			if slices.ContainsFunc(values, func(secret string) bool {
				return secret != "" && slices.ContainsFunc(forms(secret), func(form string) bool { return strings.Contains(content, form) })
			}) {
				t.Errorf("%s shows a secret: %s", where, kind)
			}
		}
	}
	f.lives()
}

// lives checks that what is in Redis ends by itself, short of what is kept for good.
func (f *onboardingFleet) lives() {
	f.t.Helper()
	kept := func(key string) bool {
		name := strings.TrimPrefix(key, "caddy-zoho:")
		return name == "about" || name == "clients" || name == "changes" || slices.ContainsFunc([]string{"accounts:", "deletions:", "keys:", "retired:"},
			func(kind string) bool { return strings.HasPrefix(name, kind) }) || strings.HasSuffix(name, "}:grant") || strings.HasSuffix(name, "}:deleted")
	}
	pending := 0
	for key := range f.inRedis() {
		life := f.redis.CLI("PTTL", key)
		if life == "-1" && !kept(key) {
			f.t.Errorf("%s stays for good", key)
		}
		if strings.HasPrefix(key, "caddy-zoho:pending:") {
			pending++
		}
	}
	if pending < 4 {
		f.t.Errorf("%d values are pending", pending)
	}
}

// TestFleetCommands: commands do at any replica what they do at one, also while another replica is
// asked the same.
func TestFleetCommands(t *testing.T) {
	t.Parallel()
	f := startOnboardingFleet(t, zohosim.Options{MaxTokens: -1})
	a, b, c := f.all()
	const many = 8
	batches := make([]strings.Builder, 3)
	for i := range many {
		account := fmt.Sprint("shop-", i)
		same := f.grant(account + "@example.com")
		for n := range batches {
			grant := same
			if i%2 == 1 {
				grant = f.grant(account + "@example.com")
			}
			fmt.Fprintf(&batches[n], "{\"account\": %q, \"refresh_token\": %q}\n", account, grant)
		}
	}
	atAll := func(do func(i int, c *proxy)) {
		var all sync.WaitGroup
		for i, c := range f.fleet.replicas {
			all.Go(func() { do(i, c) })
		}
		all.Wait()
	}
	var mu sync.Mutex
	connected := make(map[string]int)
	atAll(func(i int, c *proxy) {
		stdout, stderr, code := c.runWith(strings.NewReader(batches[i].String()), "zoho", "import", "main", "--batch", "--json")
		if code != 0 {
			t.Errorf("exit code %d: %s %s", code, stdout, stderr)
		}
		for line := range strings.Lines(stdout) {
			var r struct{ Account, Status string }
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Errorf("%v: %s", err, line)
			}
			if r.Status == "connected" {
				mu.Lock()
				connected[r.Account]++
				mu.Unlock()
			}
		}
	})
	for i := range many {
		account := fmt.Sprint("shop-", i)
		want := 1
		if i%2 == 1 {
			want = connected[account]
		}
		f.everywhereHas(account, fmt.Sprint("connected by so many refresh tokens: ", want), func(s connection) bool {
			return s.State == "ok" && s.RefreshTokensKnown == want
		})
	}
	spent := f.zoho.Stats().TokenRequests
	for i := range many {
		for _, c := range f.fleet.replicas {
			c.forAccount(fmt.Sprint("shop-", i))
		}
	}
	wantTokenCalls(t, f.zoho, spent)

	a.wantCLI(cli{"status", 0, "shop-0", ""}, cli{"doctor", 0, "", ""}, cli{"scopes main", 0, "", ""})
	atAll(func(_ int, c *proxy) {
		c.wantCLI(cli{"status --json", 0, "shop-7", ""}, cli{"refresh main shop-0", 0, "", ""})
	})
	b.forAccount("shop-0")
	for account, command := range map[string]string{"shop-1": "revoke", "shop-2": "forget"} {
		var done atomic.Int64
		atAll(func(_ int, c *proxy) {
			switch stdout, stderr, code := c.run("zoho", command, "main", account); {
			case code == 0:
				done.Add(1)
			case !strings.Contains(stderr, "no account "+account) && !strings.Contains(stderr, "no stored grant of an account "+account):
				t.Errorf("%s: %d %s %s", command, code, stdout, stderr)
			}
		})
		if n := done.Load(); n < 1 {
			t.Errorf("%s succeeded %d times", command, n)
		}
		for _, c := range f.fleet.replicas {
			c.waitFor(account+" to be gone", func() bool { return len(c.connections("?account="+account).Connections) == 0 })
		}
	}
	c.forAccount("shop-3")
}

// TestFleetCallers: keys, policies and the audit are each replica's own, with the store in Redis as well;
// what a policy refuses costs no token, and what it admits one for all replicas.
func TestFleetCallers(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	server, baseURL, first := sim(t, zohosim.Options{})
	second := server.Grant(clientID, "second@example.com", "us", "ZohoCRM.modules.ALL")
	config := strings.Replace(named, "store bolt {$ZOHO_STORE}", "store redis redis://"+redis.Addr+"\n\t\tencryption_key {env.ZOHO_ENCRYPTION_KEY}", 1)
	file, keys := filepath.Join(t.TempDir(), "callers.keys"), make(map[string]string)
	var replicas []*callersOf
	for i := range 3 {
		n := &callersOf{server: server, keys: keys, file: file, audit: filepath.Join(t.TempDir(), "audit.log")}
		n.proxy = newCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+first, "SECOND_REFRESH_TOKEN="+second,
			"ZOHO_ENCRYPTION_KEY="+fleetKey, "AUDIT_FILE="+n.audit, "ZOHO_PROXY_OPTIONS="+strings.ReplaceAll(policies, "KEYS", file))
		if i == 0 {
			n.write("erp second", "shop")
		}
		n.secrets = append(n.secrets, fleetKey, keys["erp"], keys["shop"])
		n.start()
		replicas = append(replicas, n)
	}
	for _, n := range replicas {
		if a := n.as("erp", http.MethodGet, "/crm/v8/Leads"); !a.served() {
			t.Errorf("%s %s", a.Status, a.body)
		}
		wantProblem(t, n.as("shop", http.MethodGet, "/crm/v8/Leads"), "not-allowed", http.StatusForbidden)
		if a := n.get("/crm/v8/Leads"); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("without a key: %s %s", a.Status, a.problem())
		}
		n.wantAudit("what was served", func(l auditLine) bool { return l.Caller == "erp" && l.Account == "second" && l.Status < 300 })
		n.wantAudit("what was refused", func(l auditLine) bool { return l.Caller == "shop" && l.Code == "not-allowed" })
	}
	wantTokenCalls(t, server, 1)
}
