// Callers with names: keys, principals, policies, and what is told of each of their calls.

package tests

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// named is two accounts behind one site, whose callers have keys. The access log is on, with the
// filter that the recipes show.
var named = oneSite(`
	debug
	log audit {
		output file {$AUDIT_FILE}
		include zoho.audit
	}`, `
			refresh_token {env.ZOHO_REFRESH_TOKEN}
			account second {
				refresh_token {env.SECOND_REFRESH_TOKEN}
			}`, `
	log {
		format filter {
			request>headers>Zoho-Proxy-Key delete
			request>uri query {
				delete authtoken
			}
			wrap json
		}
	}
	zoho_proxy {
		{$ZOHO_PROXY_OPTIONS}
	}`)

// callersOf are the keys of a site's callers.
type callersOf struct {
	*proxy
	server *zohosim.Server
	keys   map[string]string
	file   string
	audit  string
}

// startNamed starts the site; lines are NAME [ACCOUNT...], options those of zoho_proxy.
func startNamed(t *testing.T, options string, lines ...string) *callersOf {
	t.Helper()
	server, baseURL, first := sim(t, zohosim.Options{})
	second := server.Grant(clientID, "second@example.com", "us", "ZohoCRM.modules.ALL", "ZohoBooks.fullaccess.all", "Desk.tickets.ALL")
	dir := t.TempDir()
	n := &callersOf{server: server, keys: make(map[string]string), file: filepath.Join(dir, "callers.keys"),
		audit: filepath.Join(dir, "audit.log")}
	n.proxy = newCaddy(t, named, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+first,
		"SECOND_REFRESH_TOKEN="+second, "AUDIT_FILE="+n.audit,
		"ZOHO_PROXY_OPTIONS="+strings.ReplaceAll(options, "KEYS", n.file))
	n.write(lines...)
	n.start()
	return n
}

// write makes the file of keys; callers keep the keys that they have.
func (n *callersOf) write(lines ...string) {
	n.t.Helper()
	var file strings.Builder
	for _, line := range lines {
		fields := strings.Fields(line)
		key, made := n.newKey(fields...)
		file.WriteString(made + "\n")
		n.keys[fields[0]] = key
	}
	if err := os.WriteFile(n.file, []byte(file.String()), 0o600); err != nil {
		n.t.Fatal(err)
	}
}

// newKey makes a key by the command, as an operator does.
func (n *callersOf) newKey(args ...string) (key, line string) {
	n.t.Helper()
	stdout, stderr, code := n.run(append([]string{"zoho", "api-key", "new"}, args...)...)
	key, line, ok := strings.Cut(strings.TrimSpace(stdout), "\n")
	if code != 0 || !ok {
		n.t.Fatalf("%d %s %s", code, stdout, stderr)
	}
	n.secrets = append(n.secrets, key)
	return key, line
}

// as calls with the key of a caller.
func (n *callersOf) as(caller, method, path string, header ...string) answer {
	n.t.Helper()
	return n.call(method, path, nil, append(header, "Authorization", "Bearer "+n.keys[caller])...)
}

// auditLine is what stands in the audit.
type auditLine struct {
	Msg, Caller, Peer, Account, Service, Method, Path, Code, Why, Action, Client, By, Result, Error string
	Names                                                                                           []string
	NearestPolicy                                                                                   string `json:"nearest_policy"`
	Status                                                                                          int
	Generation                                                                                      uint64
	DryRun                                                                                          bool `json:"dry_run"`
}

func (n *callersOf) audited() (lines []auditLine) {
	n.t.Helper()
	content, err := os.ReadFile(n.audit)
	if err != nil {
		n.t.Fatal(err)
	}
	n.checkSecrets("the audit", content)
	for text := range bytes.Lines(content) {
		var line auditLine
		if err := json.Unmarshal(text, &line); err != nil {
			n.t.Fatalf("%s: %v", text, err)
		}
		lines = append(lines, line)
	}
	return lines
}

// wantAudit looks for a line.
func (n *callersOf) wantAudit(what string, is func(auditLine) bool) {
	n.t.Helper()
	if lines := n.audited(); !slices.ContainsFunc(lines, is) {
		n.t.Errorf("the audit has no line of %s: %+v", what, lines)
	}
}

// served reports whether Zoho has carried the call out.
func (a answer) served() bool { return a.StatusCode >= 200 && a.StatusCode < 300 }

// TestKeys is S-10: callers show a key, in the documented places, and it goes nowhere else.
func TestKeys(t *testing.T) {
	t.Parallel()
	n := startNamed(t, "api_keys KEYS in header query", "erp")
	key := n.keys["erp"]
	basic := func(user, password string) []string {
		r, _ := http.NewRequest(http.MethodGet, "/", nil)
		r.SetBasicAuth(user, password)
		return []string{"Authorization", r.Header.Get("Authorization")}
	}
	for name, header := range map[string][]string{
		"basic": basic("erp", key), "another user's name": basic("", key), "bearer": {"Authorization", "Bearer " + key},
		"Zoho's scheme": {"Authorization", "Zoho-oauthtoken " + key}, "alone": {"Authorization", key},
		"header": {"Zoho-Proxy-Key", key}, "beside a token of old": {"Zoho-Proxy-Key", key, "Authorization", "Zoho-oauthtoken 1000.a.b"},
	} {
		if a := n.get("/crm/v8/Leads", header...); !a.served() {
			t.Errorf("%s: %s %s", name, a.Status, a.body)
		}
	}
	if a := n.get("/crm/v8/Leads?fields=id&AuthToken=" + key); !a.served() {
		t.Errorf("query: %s %s", a.Status, a.body)
	}
	for name, test := range map[string]struct {
		header []string
		code   string
	}{
		"none":        {nil, "key-missing"},
		"empty":       {[]string{"Authorization", "", "Zoho-Proxy-Key", ""}, "key-missing"},
		"wrong":       {[]string{"Authorization", "Bearer " + key[:len(key)-1]}, "key-refused"},
		"longer":      {[]string{"Authorization", "Bearer " + key + "A"}, "key-refused"},
		"as the user": {basic(key, "x"), "key-refused"},
	} {
		a := n.get("/crm/v8/Leads", test.header...)
		wantProblem(t, a, test.code, http.StatusUnauthorized)
		if a.Header.Get("Www-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", name)
		}
	}
	for range 40 { // the address has twenty a minute, some of which are gone
		n.get("/crm/v8/Leads", "Authorization", "Bearer wrong")
	}
	a := n.get("/crm/v8/Leads", "Authorization", "Bearer wrong")
	wantProblem(t, a, "key-tries", http.StatusTooManyRequests)
	wantRetryAfter(t, a, true)
	if a := n.as("erp", http.MethodGet, "/crm/v8/Leads"); !a.served() {
		t.Errorf("a right key after wrong ones: %s %s", a.Status, a.body)
	}
	if got := n.metric("zoho_caller_requests_total", "caller=\"erp\"", "code_class=\"2xx\""); got != 9 {
		t.Errorf("%v calls of erp are counted", got)
	}
	for _, code := range []string{"", "key-missing", "key-refused", "key-tries"} {
		n.wantAudit("code "+code, func(l auditLine) bool {
			return l.Msg == "call" && l.Code == code && l.Method == "GET" && l.Path == "/crm/v8/Leads" && l.Status > 0 &&
				(code != "" || l.Caller == "erp" && l.Account == "default" && l.Service == "crm" && l.Generation == 1)
		})
	}
	stdout, _, _ := n.run("zoho", "status", "--json")
	if !strings.Contains(stdout, `"callers": [`) || !strings.Contains(stdout, `"erp"`) {
		t.Errorf("status does not tell the caller: %s", stdout)
	}
}

// TestKeysInAccessLog: load and doctor warn of an access log that shows keys, and of no other.
func TestKeysInAccessLog(t *testing.T) {
	t.Parallel()
	const warning = "no filter removes the keys"
	filtered := startNamed(t, "api_keys KEYS in header query", "erp")
	if text := filtered.output.String(); strings.Contains(text, warning) || strings.Contains(text, "cannot be seen from here") {
		t.Error("a log with the filter is warned of")
	}
	_, baseURL, grant := sim(t, zohosim.Options{})
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for where, want := range map[string]int{"": 0, "in header": 1, "in query": 1, "in header query": 2} {
		c := startCaddy(t, oneSite("", "\nrefresh_token {env.ZOHO_REFRESH_TOKEN}", "\nlog\nzoho_proxy {\napi_keys "+file+" "+where+"\n}"),
			"ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
		key, line := (&callersOf{proxy: c}).newKey("erp")
		if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, code := range []int{http.StatusOK, http.StatusUnauthorized} {
			a := c.get("/crm/v8/Leads?authtoken="+key+fmt.Sprint(code), "Zoho-Proxy-Key", key)
			c.checkSecrets("an answer", a.body)
		}
		c.logs("handled request", "REDACTED")
		if got := strings.Count(c.output.String(), warning); got != want {
			t.Errorf("%q: %d warnings, want %d\n%s", where, got, want, c.output)
		}
		if stdout, _, _ := c.run("zoho", "doctor"); strings.Contains(stdout, warning) != (want > 0) {
			t.Errorf("%q: doctor says %s", where, stdout)
		}
	}
}

// TestKeyStaysHere is S-10: what leaves for Zoho has no trace of a caller's key.
func TestKeyStaysHere(t *testing.T) {
	t.Parallel()
	r := startRecorder(t)
	_, baseURL, grant := sim(t, zohosim.Options{})
	file := filepath.Join(t.TempDir(), "keys")
	c := newCaddy(t, oneClient, "ZOHO_DATA_CENTER="+baseURL+" "+r.url, "ZOHO_REFRESH_TOKEN="+grant,
		"ZOHO_PROXY_OPTIONS=api_keys "+file+" in header query")
	n := &callersOf{proxy: c}
	key, line := n.newKey("erp")
	if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	c.start()
	for _, header := range []string{
		"Authorization: Bearer " + key, "Zoho-Proxy-Key: " + key, "zoho-proxy-key: " + key + "\r\nZoho-Proxy-Key: " + key,
		"Authorization: " + key + "\r\nConnection: Authorization, Zoho-Proxy-Key\r\nZoho-Proxy-Key: " + key,
	} {
		c.rawAnswers(t, "GET /crm/v8/Leads?a=%31&authToken="+key+"&b HTTP/1.1\r\nHost: x\r\n"+header+"\r\n\r\n", 1, "GET")
		sent := r.one(t)
		sent.checkToken(t)
		if text := fmt.Sprint(sent); strings.Contains(text, key) || !strings.Contains(text, "/crm/v8/Leads?a=%31&b ") {
			t.Errorf("%s\nleft as %s", header, text)
		}
	}
}

// TestKeysAnew: a line that is added or taken off counts without a reload, and what is wrong with
// the file is told and takes nothing away.
func TestKeysAnew(t *testing.T) {
	t.Parallel()
	n := startNamed(t, "api_keys KEYS", "erp")
	old := n.keys["erp"]
	works := func(key string) bool {
		a, err := n.try(http.MethodGet, "/crm/v8/Leads", nil, "Authorization", "Bearer "+key)
		return err == nil && a.served()
	}
	if !works(old) {
		t.Fatal("the first key does not work")
	}
	first, err := os.ReadFile(n.file)
	if err != nil {
		t.Fatal(err)
	}
	next, line := n.newKey("erp")
	both := strings.TrimSpace(string(first)) + "," + strings.Fields(line)[1] + "\n"
	if err := os.WriteFile(n.file, []byte(both), 0o600); err != nil {
		t.Fatal(err)
	}
	n.waitFor("the second key to work", func() bool { return works(next) })
	if !works(old) {
		t.Error("the first key does not work beside the second")
	}
	if err := os.WriteFile(n.file, []byte("erp "+next), 0o600); err != nil { // as people do
		t.Fatal(err)
	}
	n.waitFor("the damage to be told", func() bool {
		works(next)
		return strings.Contains(n.output.String(), "this is a key, not its digest")
	})
	if !works(old) || !works(next) {
		t.Error("a damaged file takes keys away")
	}
	if err := os.WriteFile(n.file, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	n.waitFor("the first key to be refused", func() bool { return !works(old) })
	if !works(next) {
		t.Error("the second key does not work alone")
	}
	n.wantAudit("the change", func(l auditLine) bool {
		return l.Msg == "administration" && l.Action == "api-key changed" && slices.Equal(l.Names, []string{"erp"})
	})
}

// TestKeyOfTokenCalls: an SDK that fetches tokens shows its key as the client secret, and brings
// it back as the token.
func TestKeyOfTokenCalls(t *testing.T) {
	t.Parallel()
	n := startNamed(t, "answer_token_calls\napi_keys KEYS", "sdk")
	ask := func(form url.Values, header ...string) answer {
		return n.call(http.MethodPost, "/oauth/v2/token", strings.NewReader(form.Encode()),
			append(header, "Content-Type", "application/x-www-form-urlencoded")...)
	}
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {"1000.X"}, "refresh_token": {"1000.a.b"}}
	wantProblem(t, ask(form), "key-missing", http.StatusUnauthorized)
	form.Set("client_secret", "wrong")
	wantProblem(t, ask(form), "key-refused", http.StatusUnauthorized)
	form.Set("client_secret", n.keys["sdk"])
	var reply struct {
		AccessToken string `json:"access_token"`
	}
	ask(form).decode(t, &reply)
	if a := n.get("/crm/v8/Leads", "Authorization", "Zoho-oauthtoken "+reply.AccessToken); !a.served() {
		t.Errorf("with the token: %s %s", a.Status, a.body)
	}
	form.Del("client_secret")
	r, _ := http.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth("1000.X", n.keys["sdk"])
	if a := ask(form, "Authorization", r.Header.Get("Authorization")); !a.served() {
		t.Errorf("secret by basic authentication: %s %s", a.Status, a.body)
	}
}

// TestOwnAccounts is S-12: a caller reaches its own accounts alone, however it spells another's,
// and is not told which there are.
func TestOwnAccounts(t *testing.T) {
	t.Parallel()
	n := startNamed(t, "account {http.request.header.Zoho-Proxy-Account}\napi_keys KEYS", "a default", "b second", "none", "all *")
	call := func(caller, account string) answer {
		return n.as(caller, http.MethodGet, "/crm/v8/Leads", "Zoho-Proxy-Account", account)
	}
	for caller, account := range map[string]string{"a": "default", "b": "second"} {
		if a := call(caller, account); !a.served() {
			t.Errorf("%s at %s: %s %s", caller, account, a.Status, a.body)
		}
	}
	for _, account := range []string{"default", "second"} {
		if a := call("all", account); !a.served() {
			t.Errorf("all at %s: %s %s", account, a.Status, a.body)
		}
	}
	refused := string(call("a", "second").body)
	try := func(caller, account string) {
		a := call(caller, account)
		wantProblem(t, a, "not-allowed", http.StatusForbidden)
		if string(a.body) != refused {
			t.Errorf("%s at %q is told something else: %s", caller, account, a.body)
		}
	}
	for _, account := range []string{
		"second", "unknown", "SECOND", "Second", "second ", "%73econd", "second%00", "../second", "second/", "default,second",
		"default second", "*", "{http.zoho.account}", "sec\tond", "ｓecond", "default;second",
	} {
		if strings.TrimSpace(account) == account {
			try("a", account)
		}
		try("none", account)
	}
	try("b", "default")
	random := rand.New(rand.NewPCG(1, 2))
	letters := []rune("second default*%27/.;,@-_SD")
	for range 300 {
		account := make([]rune, 1+random.IntN(12))
		for i := range account {
			account[i] = letters[random.IntN(len(letters))]
		}
		if name := strings.TrimSpace(string(account)); name != "" && name != "default" {
			try("a", name)
		}
	}
	before := n.server.Stats()
	if a := n.as("a", http.MethodGet, "/crm/v8/Leads", "Zoho-Proxy-Account", "default", "Zoho-Proxy-Account", "second"); !a.served() {
		wantProblem(t, a, "not-allowed", http.StatusForbidden)
	}
	if after := n.server.Stats(); after.TokenRequests != before.TokenRequests {
		t.Error("a refused account cost a token")
	}
	n.wantAudit("a foreign account", func(l auditLine) bool {
		return l.Caller == "a" && l.Account == "second" && l.Code == "not-allowed" && strings.Contains(l.Why, "account")
	})
}

// TestAccountOfKey: apps that cannot say an account get that of their key.
func TestAccountOfKey(t *testing.T) {
	t.Parallel()
	n := startNamed(t, "api_keys KEYS", "a", "b second", "c second x*")
	for caller, want := range map[string]string{"a": "default", "b": "second"} {
		if a := n.as(caller, http.MethodGet, "/crm/v8/Leads"); !a.served() {
			t.Errorf("%s: %s %s", caller, a.Status, a.body)
		}
		n.wantAudit(caller, func(l auditLine) bool { return l.Caller == caller && l.Account == want && l.Status < 300 })
	}
	wantProblem(t, n.as("c", http.MethodGet, "/crm/v8/Leads"), "not-allowed", http.StatusForbidden)
}

// policies are those of two apps.
const policies = `api_keys KEYS
		policy leads {
			principals erp
			services crm
			methods GET HEAD
			paths /crm/v8/Leads /crm/v8/Leads/*
		}
		policy tickets {
			principals erp shop
			paths /desk/api/v1/tickets*
		}
		policy books {
			principals books-*
			services books
		}`

// TestPolicies: what no policy admits is refused before a token is asked for, whichever way it
// is addressed.
func TestPolicies(t *testing.T) {
	t.Parallel()
	n := startNamed(t, policies, "erp", "shop", "books-eu")
	denied := []struct {
		caller, method, path string
		header               []string
	}{
		{"shop", "GET", "/crm/v8/Leads", nil},
		{"books-eu", "GET", "/crm/v8/Leads", nil},
		{"erp", "POST", "/crm/v8/Leads", nil},
		{"erp", "GET", "/crm/v8/Contacts", nil},
		{"erp", "GET", "/crm/v8/leads", nil},
		{"erp", "GET", "/crm/v8/Leads/%2e%2e/Contacts", nil},
		{"erp", "GET", "/crm/v8/Leads/a%2Fb", nil},
		{"erp", "GET", "/crm/v8/Leads//x", nil},
		{"erp", "GET", "/crm/v8/Leads;x/y", nil},
		{"erp", "GET", "/crm/v8/Leads/%25", nil},
		{"erp", "GET", "/crm/v8/Leads", []string{"X-HTTP-Method-Override", "DELETE"}},
		{"shop", "GET", "/desk/api/v1/contacts", nil},
		{"erp", "POST", "/crm/v8/coql", nil},
		{"erp", "POST", "/crm/v8/__composite_requests", nil},
	}
	for _, test := range denied {
		a := n.as(test.caller, test.method, test.path, test.header...)
		if a.problem() != "not-allowed" || a.StatusCode != http.StatusForbidden {
			t.Errorf("%+v: %s %s", test, a.Status, a.body)
		}
	}
	wantTokenCalls(t, n.server, 0)
	n.logs("this call is not allowed", `"nearest_policy":`)
	n.wantAudit("the nearest policy", func(l auditLine) bool {
		return l.Caller == "erp" && l.Method == "GET" && l.Path == "/crm/v8/Contacts" && l.Service == "crm" &&
			l.NearestPolicy == "leads" && strings.Contains(l.Why, "path")
	})
	for _, test := range []struct{ caller, method, path string }{
		{"erp", "GET", "/crm/v8/Leads"}, {"erp", "GET", "/crm/v8/Leads?fields=a;b//c"}, {"erp", "GET", "/desk/api/v1/tickets"},
		{"shop", "GET", "/desk/api/v1/tickets?limit=1"}, {"books-eu", "GET", "/books/v3/contacts"},
	} {
		if a := n.as(test.caller, test.method, test.path); a.problem() != "" {
			t.Errorf("%+v: %s %s", test, a.Status, a.body)
		}
	}
	stdout, _, code := n.run("zoho", "scopes")
	if code != 0 || !strings.Contains(stdout, "main/default") || !strings.Contains(stdout, "crm") ||
		!strings.Contains(stdout, "GET") {
		t.Errorf("scopes: %d %s", code, stdout)
	}
}

// TestPoliciesByHost: a policy holds for the service, by whatever host or path it is called.
func TestPoliciesByHost(t *testing.T) {
	t.Parallel()
	c, server, _ := startRealNames(t, "us", "policy tickets {\nservices desk\nmethods GET\npaths /desk/api/v1/tickets*\n}\npolicy invoice {\nservices invoice\n}\npolicy leads {\npaths /crm/v8/Leads*\n}")
	for _, test := range []struct {
		host, path string
		want       bool
	}{
		{"", "/desk/api/v1/tickets", true}, {"desk.zoho.com", "/api/v1/tickets", true},
		{"", "/desk/api/v1/contacts", false}, {"desk.zoho.com", "/api/v1/contacts", false},
		{"desk.zoho.com", "/desk/api/v1/tickets", false}, {"", "/desk/desk/api/v1/tickets", false},
		{"", "/crm/v8/Leads", true}, {"www.zohoapis.com", "/crm/v8/Leads", true},
		{"desk.zoho.com", "/crm/v8/Leads", false}, {"", "/desk/crm/v8/Leads", false},
		{"", "/invoice/v3/contacts", true}, {"", "/invoice/../books/v3/contacts", false}, {"", "/invoice/%2e%2e/books/v3/contacts", false},
		{"mail.zoho.com", "/crm/v8/Leads", false}, {"", "/sign/api/v1/requests", false},
	} {
		header := []string{"Host", test.host}
		if test.host == "" {
			header = nil
		}
		a := c.get(test.path, header...)
		if denied := a.problem() == "not-allowed"; denied == test.want || !denied && a.problem() != "" {
			t.Errorf("%s %s: %s %s", test.host, test.path, a.Status, a.body)
		}
	}
	if server.Stats().TokenRequests != 1 {
		t.Errorf("%d token calls", server.Stats().TokenRequests)
	}
}

// TestHangUpIsAudited: a call stands in the audit whether its caller waits for the answer or not.
func TestHangUpIsAudited(t *testing.T) {
	t.Parallel()
	r := startRecorder(t)
	arrived := make(chan struct{}, 4)
	r.handle(func(conn net.Conn, in *bufio.Reader, _ rawRequest) {
		arrived <- struct{}{}
		_, _ = in.ReadByte() // until the proxy hangs up as well
	})
	_, baseURL, grant := sim(t, zohosim.Options{})
	audit := filepath.Join(t.TempDir(), "audit.log")
	c := startCaddy(t, oneSite("\nlog audit {\noutput file {$AUDIT_FILE}\ninclude zoho.audit\n}",
		"\nrefresh_token {env.ZOHO_REFRESH_TOKEN}", "\nzoho_proxy {\npolicy crm {\nservices crm\n}\n}"),
		"ZOHO_DATA_CENTER="+baseURL+" "+r.url, "ZOHO_REFRESH_TOKEN="+grant, "AUDIT_FILE="+audit)
	for i, method := range []string{"GET", "POST", "DELETE"} {
		conn := c.dial(t)
		fmt.Fprint(conn, method+" /crm/v8/Leads HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
		<-arrived
		_ = conn.Close()
		n := &callersOf{proxy: c, audit: audit}
		c.waitFor("the line of "+method, func() bool { return len(n.audited()) == i+1 })
		n.wantAudit(method, func(l auditLine) bool { return l.Method == method && l.Status == 499 && l.Generation == 1 })
	}
}

// TestAuditOnDemand: where callers have no names, calls are audited if a log asks for it.
func TestAuditOnDemand(t *testing.T) {
	t.Parallel()
	for logs, want := range map[string]bool{"": false, "\nlog audit {\noutput stderr\ninclude zoho.audit\n}": true} {
		_, baseURL, grant := sim(t, zohosim.Options{})
		c := startCaddy(t, oneSite(logs, "\nrefresh_token {env.ZOHO_REFRESH_TOKEN}", "\nzoho_proxy"),
			"ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
		c.get("/crm/v8/Leads")
		c.stop()
		if got := strings.Contains(c.output.String(), `"logger":"zoho.audit","msg":"call"`); got != want {
			t.Errorf("%q: %v", logs, got)
		}
	}
}

// TestTokenCallTellsNothing is S-12: nor does a token call tell which accounts there are, and where.
func TestTokenCallTellsNothing(t *testing.T) {
	t.Parallel()
	n := startNamed(t, "answer_token_calls\naccount {http.request.header.Zoho-Proxy-Account}\napi_keys KEYS", "a default")
	ask := func(account string) answer {
		form := url.Values{"grant_type": {"refresh_token"}, "client_secret": {n.keys["a"]}}
		return n.call(http.MethodPost, "/oauth/v2/token", strings.NewReader(form.Encode()),
			"Content-Type", "application/x-www-form-urlencoded", "Zoho-Proxy-Account", account)
	}
	if a := ask("default"); !a.served() {
		t.Errorf("%s %s", a.Status, a.body)
	}
	there, not := ask("second"), ask("unknown")
	wantProblem(t, there, "not-allowed", http.StatusForbidden)
	if !bytes.Equal(there.body, not.body) {
		t.Errorf("%s and %s", there.body, not.body)
	}
}

// TestServicesOfTwoURLs: where one server goes by the path alone, a Host names no other service.
func TestServicesOfTwoURLs(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]string{
		"services": "services desk", "policy": "policy desk {\nservices desk\n}", "paths": "policy desk {\npaths /desk/*\n}",
	} {
		c, _, _ := startSimulated(t, zohosim.Options{}, "ZOHO_PROXY_OPTIONS="+options)
		if a := c.get("/desk/api/v1/tickets", "Host", "desk.zoho.com"); a.problem() != "" {
			t.Errorf("%s: %s %s", name, a.Status, a.body)
		}
		for _, host := range []string{"desk.zoho.com", "www.zohoapis.com", "x"} {
			if a := c.get("/crm/v8/Leads", "Host", host); a.problem() == "" {
				t.Errorf("%s: Host %s: %s %s", name, host, a.Status, a.body)
			}
		}
	}
}

// TestDryRun: what would be refused is told and counted, and done.
func TestDryRun(t *testing.T) {
	t.Parallel()
	n := startNamed(t, policies+"\n\t\tdry_run", "shop", "b second")
	if a := n.as("shop", http.MethodGet, "/crm/v8/Leads"); !a.served() {
		t.Errorf("%s %s", a.Status, a.body)
	}
	n.wantAudit("what would be refused", func(l auditLine) bool {
		return l.DryRun && l.Status < 300 && l.Caller == "shop" && l.NearestPolicy != ""
	})
	if got := n.metric("zoho_policy_dry_run_total"); got != 1 {
		t.Errorf("%v are counted", got)
	}
}

// TestPrincipal: the name comes from what the operator has; without one nothing is admitted where
// policies are.
func TestPrincipal(t *testing.T) {
	t.Parallel()
	_, baseURL, grant := sim(t, zohosim.Options{})
	c := newCaddy(t, oneSite("", `
			refresh_token {env.ZOHO_REFRESH_TOKEN}`, `
	@known header X-Try-Auth *
	basic_auth @known {
		erp {$HASH}
		shop {$HASH}
	}
	zoho_proxy {
		principal {http.auth.user.id}
		policy leads {
			principals erp
			services crm
		}
	}`), "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant, "HASH="+hashedPassword(t, "a-long-password"))
	c.start()
	auth := func(user string) []string {
		r, _ := http.NewRequest(http.MethodGet, "/", nil)
		r.SetBasicAuth(user, "a-long-password")
		return []string{"Authorization", r.Header.Get("Authorization"), "X-Try-Auth", "1"}
	}
	if a := c.get("/crm/v8/Leads", auth("erp")...); !a.served() {
		t.Errorf("erp: %s %s", a.Status, a.body)
	}
	wantProblem(t, c.get("/crm/v8/Leads", auth("shop")...), "not-allowed", http.StatusForbidden)
	wantProblem(t, c.get("/crm/v8/Leads"), "not-allowed", http.StatusForbidden)
	wantProblem(t, c.get("/crm/v8/Leads", "X-Remote-User", "erp"), "not-allowed", http.StatusForbidden)
	if got := c.metric("zoho_caller_requests_total", `caller="other"`, `code_class="4xx"`); got != 1 {
		t.Errorf("%v calls of a caller that no policy names are counted", got)
	}
}

// hashedPassword makes one as the command of Caddy does.
func hashedPassword(t *testing.T, password string) string {
	t.Helper()
	c := newCaddy(t, oneClient)
	stdout, stderr, code := c.run("hash-password", "--plaintext", password)
	if code != 0 {
		t.Fatal(stderr)
	}
	return strings.TrimSpace(stdout)
}

// TestAuditThatCannotBeWritten is S-61: a full disk costs lines and no calls, and is told of.
func TestAuditThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		missing(t, "there is no /dev/full here")
	}
	_, baseURL, grant := sim(t, zohosim.Options{})
	c := startCaddy(t, oneSite(`
	log audit {
		output file /dev/full
		include zoho.audit
	}`, "\nrefresh_token {env.ZOHO_REFRESH_TOKEN}", "\nzoho_proxy {\npolicy crm {\nservices crm\n}\n}"),
		"ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
	if a := c.get("/crm/v8/Leads"); !a.served() {
		t.Errorf("%s %s", a.Status, a.body)
	}
	c.logs("write error: write /dev/full: no space left on device")
}

// TestAuditOfAdministration: who did what to a connection is told, and by which user.
func TestAuditOfAdministration(t *testing.T) {
	t.Parallel()
	n := startNamed(t, "api_keys KEYS", "erp")
	n.secrets = append(n.secrets, "1000.nobody.knows")
	_, _, _ = n.run("zoho", "refresh", "main", "second")
	_, _ = n.runInput("1000.nobody.knows\n", 1, "zoho", "import", "main", "third")
	_, _, _ = n.run("zoho", "connect", "main", "third", "--json")
	for _, action := range []string{"refresh", "import"} {
		n.wantAudit(action, func(l auditLine) bool {
			return l.Msg == "administration" && l.Action == action && l.Client == "main" &&
				strings.Contains(l.By, fmt.Sprintf("uid %d", os.Getuid())) && (l.Result == "failed") == (action == "import")
		})
	}
}

// TestNeighbours, S-12 and S-61: what one app does with its key, without one, and by whatever it can write, does
// not reach the other's account, and takes nothing from it.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	n := startNamed(t, `account {http.request.header.Zoho-Proxy-Account}
		api_keys KEYS in header query
		policy a {
			principals a
			services crm
			methods GET
			paths /crm/v8/Leads*
		}
		policy b {
			principals b
		}`, "a default", "b second")
	attempts := hostileAttempts(n)
	var failed atomic.Int64
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			a, err := n.try(http.MethodGet, "/crm/v8/Leads", nil, "Authorization", "Bearer "+n.keys["b"], "Zoho-Proxy-Account", "second")
			if err != nil || !a.served() {
				failed.Add(1)
			}
		}
	}()
	spread(4000, 8, func(i int) {
		text := attempts[i%len(attempts)]
		a := n.send(t, text)
		if a.served() {
			t.Errorf("%q: %s %s", text, a.Status, a.body)
		}
	})
	close(stop)
	<-done
	if failed.Load() != 0 {
		t.Errorf("%d calls of b have failed", failed.Load())
	}
	kinds := make(map[string]bool)
	for _, l := range n.audited() {
		if l.Caller != "b" && l.Account == "second" && l.Status < 400 {
			t.Errorf("a call on b's account: %+v", l)
		}
		kinds[l.Code] = true
	}
	for _, code := range []string{"key-missing", "key-refused", "key-tries", "not-allowed", "browser-refused", "request-target", "target"} {
		if !kinds[code] {
			t.Errorf("no attempt of the kind %s is in the audit", code)
		}
	}
}

// hostileAttempts are requests of a caller that has the key of a, and wants b's account.
func hostileAttempts(n *callersOf) (texts []string) {
	key := n.keys["a"]
	request := func(method, target string, header ...string) {
		texts = append(texts, method+" "+target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+strings.Join(header, "\r\n")+"\r\n\r\n")
	}
	mine := "Authorization: Bearer " + key
	for _, account := range []string{"second", "SECOND", "%73econd", "unknown", "*", "second,default", "{http.zoho.account}"} {
		request("GET", "/crm/v8/Leads", mine, "Zoho-Proxy-Account: "+account)
	}
	request("GET", "/crm/v8/Leads", mine, "Zoho-Proxy-Account: second", "Zoho-Proxy-Account: default")
	request("GET", "/crm/v8/Leads", "Zoho-Proxy-Account: second")
	request("GET", "/crm/v8/Leads", "Authorization: Bearer "+key[:20], "Zoho-Proxy-Account: second")
	request("GET", "/crm/v8/Leads?authtoken=b", "Zoho-Proxy-Account: second")
	request("GET", "/crm/v8/Leads", "Zoho-Proxy-Key: b", "Zoho-Proxy-Account: second")
	request("GET", "/crm/v8/Contacts", mine, "Zoho-Proxy-Account: default")
	request("DELETE", "/crm/v8/Leads/1", mine, "Zoho-Proxy-Account: default")
	request("GET", "/crm/v8/Leads/..%2fContacts", mine, "Zoho-Proxy-Account: default")
	request("GET", "/crm/v8/Leads/../Contacts", mine, "Zoho-Proxy-Account: default")
	request("GET", "/crm/v8/Leads#x", mine, "Zoho-Proxy-Account: default")
	request("GET", "/books/v3/contacts", mine, "Zoho-Proxy-Account: default")
	request("GET", "http://www.evil.example/crm/v8/Leads", mine, "Zoho-Proxy-Account: default")
	request("GET", "/crm/v8/Leads", mine, "Origin: https://evil.example", "Zoho-Proxy-Account: default")
	return texts
}

// recipeOf is the Caddyfile below a heading of the recipes.
func recipeOf(t *testing.T, heading string) string {
	t.Helper()
	_, below, _ := strings.Cut(readDoc(t, "docs/recipes.md"), "\n## "+heading+"\n")
	_, below, ok := strings.Cut(below, "\n```caddyfile\n")
	text, _, ended := strings.Cut(below, "```\n")
	if !ok || !ended {
		t.Fatalf("the recipe %q has no Caddyfile", heading)
	}
	return text
}

// TestRecipeOfOneApp: the recipe for one app at a socket, as it is written.
func TestRecipeOfOneApp(t *testing.T) {
	t.Parallel()
	me, err := user.Current()
	if err != nil || runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		missing(t, "users of sockets are not told here")
	}
	other := "root"
	if me.Username == other {
		other = "daemon"
	}
	for name, want := range map[string]string{me.Username: "", other: "caller-refused"} {
		_, baseURL, grant := sim(t, zohosim.Options{})
		dir := t.TempDir()
		socket := filepath.Join(dir, "api.sock")
		c := startCaddy(t, recipeOf(t, "One app and nobody else"), "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant,
			"ZOHO_ENCRYPTION_KEY=0123456789abcdef0123456789abcdef", "ZOHO_SOCKET="+socket, "APP_USER="+name, "XDG_DATA_HOME="+dir)
		c.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}}
		t.Cleanup(c.client.CloseIdleConnections)
		a := c.get("/crm/v8/Leads", "Host", "localhost")
		if a.problem() != want || (want == "") != a.served() {
			t.Errorf("callers user %s: %s %s", name, a.Status, a.body)
		}
	}
}

// TestRecipeOfApps: the recipe for apps that must not share, as it is written.
func TestRecipeOfApps(t *testing.T) {
	t.Parallel()
	server, baseURL, sales := sim(t, zohosim.Options{})
	support := server.Grant(clientID, "support@example.com", "us", "Desk.tickets.ALL", "ZohoCRM.modules.ALL")
	dir := t.TempDir()
	n := &callersOf{server: server, keys: make(map[string]string), file: filepath.Join(dir, "zoho.keys"), audit: filepath.Join(dir, "audit.log")}
	n.proxy = newCaddy(t, recipeOf(t, "Several apps that must not share"), "ZOHO_DATA_CENTER="+baseURL+" "+baseURL,
		"ZOHO_REFRESH_TOKEN_SALES="+sales, "ZOHO_REFRESH_TOKEN_SUPPORT="+support, "ZOHO_ENCRYPTION_KEY=0123456789abcdef0123456789abcdef",
		"ZOHO_API_KEYS="+n.file, "AUDIT_LOG="+n.audit, "ZOHO_STORE="+filepath.Join(dir, "store"), "XDG_DATA_HOME="+dir)
	n.write("erp sales", "helpdesk support")
	n.start()
	basic, _ := http.NewRequest(http.MethodGet, "/", nil)
	basic.SetBasicAuth("", n.keys["erp"])
	for name, test := range map[string]struct {
		path, code, user string
		header           []string
	}{
		"erp":                  {"/crm/v8/Leads", "", "owner@example.com", []string{"Authorization", basic.Header.Get("Authorization")}},
		"helpdesk":             {"/desk/api/v1/tickets", "", "support@example.com", []string{"Zoho-Proxy-Key", n.keys["helpdesk"]}},
		"an authtoken":         {"/desk/api/v1/tickets?authtoken=" + n.keys["helpdesk"], "", "support@example.com", nil},
		"the other's service":  {"/crm/v8/Leads", "not-allowed", "", []string{"Zoho-Proxy-Key", n.keys["helpdesk"]}},
		"the other's account":  {"/desk/api/v1/tickets", "not-allowed", "", []string{"Zoho-Proxy-Key", n.keys["erp"], "Zoho-Proxy-Account", "support"}},
		"nobody":               {"/crm/v8/Leads", "key-missing", "", nil},
		"somebody else's text": {"/crm/v8/Leads", "key-refused", "", []string{"Zoho-Proxy-Key", "erp"}},
	} {
		a := n.get(test.path, test.header...)
		if a.problem() != test.code || test.code == "" && (!a.served() || a.Header.Get("X-Sim-User") != test.user) {
			t.Errorf("%s: %s %v %s", name, a.Status, a.Header, a.body)
		}
	}
	n.wantAudit("erp", func(l auditLine) bool { return l.Caller == "erp" && l.Account == "sales" && l.Status < 300 })
	if stdout, stderr, _ := n.run("zoho", "doctor"); strings.Contains(stdout, "main/default") {
		t.Errorf("doctor looks for an account that nobody is to have: %s%s", stdout, stderr)
	}
	if strings.Contains(n.output.String(), `"logger":"zoho.audit"`) {
		t.Error("the audit is in the default log as well")
	}
}

// TestRecipeOfTeam: the recipe for a team, as it is written.
func TestRecipeOfTeam(t *testing.T) {
	t.Parallel()
	_, baseURL, grant := sim(t, zohosim.Options{})
	dir := t.TempDir()
	hash := hashedPassword(t, "a-long-password")
	c := newCaddy(t, recipeOf(t, "A team behind one proxy"), "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant,
		"ZOHO_ENCRYPTION_KEY=0123456789abcdef0123456789abcdef", "APP_HASH_ANN="+hash, "APP_HASH_BOB="+hash,
		"AUDIT_LOG="+filepath.Join(dir, "audit.log"), "XDG_DATA_HOME="+dir)
	c.start()
	for _, test := range []struct{ user, method, code string }{
		{"ann", "GET", ""}, {"bob", "GET", ""}, {"ann", "POST", ""}, {"bob", "POST", "not-allowed"}, {"bob", "DELETE", "not-allowed"},
	} {
		r, _ := http.NewRequest(http.MethodGet, "/", nil)
		r.SetBasicAuth(test.user, "a-long-password")
		a := c.call(test.method, "/crm/v8/Leads", strings.NewReader(`{"data":[{"Last_Name":"x"}]}`),
			"Authorization", r.Header.Get("Authorization"), "Content-Type", "application/json")
		if a.problem() != test.code || a.StatusCode == http.StatusUnauthorized {
			t.Errorf("%+v: %s %s", test, a.Status, a.body)
		}
	}
	if a := c.get("/crm/v8/Leads"); a.StatusCode != http.StatusUnauthorized || a.problem() != "key-refused" {
		t.Errorf("nobody: %s %v", a.Status, a.Header)
	}
}

// TestRecipeOfPasswords: the recipe of a password for each app, as it is written.
func TestRecipeOfPasswords(t *testing.T) {
	t.Parallel()
	server, baseURL, grant := sim(t, zohosim.Options{})
	hash := hashedPassword(t, "a-long-password")
	c := newCaddy(t, strings.NewReplacer("http://:8080", "http://:{$ZOHO_PORT}", "http://:9180", "http://:"+freePort(t), "data_center us",
		"data_center "+baseURL+" "+baseURL).Replace(recipeOf(t, "A password for each app")),
		"ZOHO_REFRESH_TOKEN_SALES="+grant, "ZOHO_REFRESH_TOKEN_SUPPORT="+server.Grant(clientID, "support@example.com", "us"),
		"ZOHO_ENCRYPTION_KEY=0123456789abcdef0123456789abcdef", "APP_HASH_SALES="+hash, "APP_HASH_SUPPORT="+hash)
	c.start()
	for _, test := range []struct{ user, password, served string }{
		{"sales", "a-long-password", "owner@example.com"}, {"support", "a-long-password", "support@example.com"}, {"sales", "another-password", ""}, {"", "", ""},
	} {
		r, _ := http.NewRequest(http.MethodGet, "/", nil)
		if test.user != "" {
			r.SetBasicAuth(test.user, test.password)
		}
		a := c.get("/crm/v8/Leads", "Authorization", r.Header.Get("Authorization"))
		if test.served != "" {
			if !a.served() || a.Header.Get("X-Sim-User") != test.served {
				t.Errorf("%+v: %s %v %s", test, a.Status, a.Header, a.body)
			}
			continue
		}
		wantProblem(t, a, "key-refused", http.StatusUnauthorized)
		if a.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%+v: %v", test, a.Header)
		}
	}
}
