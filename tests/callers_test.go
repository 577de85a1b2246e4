// Who calls: peers that are not admitted, browsers, SDKs that ask for tokens, requests that are
// none, and those that are slow.

package tests

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestCallersByAddress is S-08: a peer that callers does not name is told so, and
// nothing leaves.
func TestCallersByAddress(t *testing.T) {
	t.Parallel()
	r := startRecorder(t)
	server, baseURL, grant := sim(t, zohosim.Options{})
	c := startCaddy(t, oneClient, "ZOHO_DATA_CENTER="+baseURL+" "+r.url, "ZOHO_REFRESH_TOKEN="+grant, "ZOHO_PROXY_OPTIONS=callers 127.0.0.1/32")
	for _, header := range []string{"", "X-Forwarded-For: 127.0.0.1\r\n", "Forwarded: for=127.0.0.1\r\n", "X-Real-IP: 127.0.0.1\r\nTrue-Client-IP: 127.0.0.1\r\nVia: 1.1 x\r\n"} {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		conn, err := dialer.Dial("tcp", c.hostport())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "POST /crm/v8/Leads HTTP/1.1\r\nHost: x\r\n"+header+"Content-Length: 2\r\n\r\n{}")
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusForbidden || res.Header.Get("Content-Type") != "application/json" ||
			res.Header.Get("Zoho-Proxy-Error") != "caller-refused" || !bytes.Contains(body, []byte("`callers`")) || !bytes.Contains(body, []byte("127.0.0.2")) {
			t.Errorf("%q: %s %v %s", header, res.Status, res.Header, body)
		}
	}
	if n, tokens := r.connections(), server.Stats().TokenRequests; n != 0 || tokens != 0 {
		t.Errorf("%d connections to Zoho, %d token requests", n, tokens)
	}
	if a := c.get("/crm/v8/Leads"); a.StatusCode != http.StatusOK {
		t.Errorf("127.0.0.1: %s %s", a.Status, a.body)
	}
}

// TestBrowsers is the proxy's half of S-11: what a web page can make a browser send
// is refused, unless the operator wants it.
func TestBrowsers(t *testing.T) {
	t.Parallel()
	pages := []struct {
		name   string
		header []string
	}{
		{"fetch", []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"}},
		{"old browser", []string{"Origin", "https://evil.example"}},
		{"sandboxed frame", []string{"Origin", "null"}},
		{"empty origin", []string{"Origin", ""}},
		{"image", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}},
		{"subdomain", []string{"Sec-Fetch-Site", "same-site"}},
		{"rebound name", []string{"Host", "rebound.evil.example", "Sec-Fetch-Site", "same-origin"}},
		{"rebound name over plain http", []string{"Host", "rebound.evil.example:8080", "User-Agent", "Mozilla/5.0", "Accept-Language", "en"}},
		{"rebound name of one label", []string{"Host", "evilpc:8080", "User-Agent", "Mozilla/5.0", "Accept-Language", "en", "Referer", "http://evilpc:8080/"}},
		{"rebound name of a network", []string{"Host", "printer.local", "User-Agent", "Mozilla/5.0"}},
		{"rebound name of a cluster", []string{"Host", "evil.default.svc.cluster.local", "Accept-Language", ""}},
		{"rebound name, form", []string{"Host", "rebound.evil.example", "Origin", "http://rebound.evil.example"}},
		{"web socket", []string{"Origin", "https://evil.example", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Key", "k"}},
		{"nominated", []string{"Connection", "Origin", "Origin", "https://evil.example"}},
	}
	c, server, _ := startSimulated(t, zohosim.Options{})
	open, _, _ := startSimulated(t, zohosim.Options{}, "ZOHO_PROXY_OPTIONS=allow_browsers")
	for _, page := range pages {
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			a := c.call(method, "/crm/v8/Leads", nil, page.header...)
			if a.StatusCode != http.StatusForbidden || a.problem() != "browser-refused" || !strings.Contains(string(a.body), "`allow_browsers`") || a.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s, %s: %s %s", page.name, method, a.Status, a.body)
			}
			if a := open.call(method, "/crm/v8/Leads", nil, page.header...); a.problem() != "" || a.StatusCode == http.StatusForbidden {
				t.Errorf("allow_browsers: %s, %s: %s %s", page.name, method, a.Status, a.body)
			}
		}
	}
	if n := server.Stats().TokenRequests; n != 0 {
		t.Errorf("%d token requests", n)
	}
	if a := c.get("/crm/v8/Leads", "Sec-Fetch-Site", "none"); a.problem() != "" {
		t.Errorf("typed into the address bar: %s %s", a.Status, a.body)
	}
}

// The requests of programs that look like a browser's.
var lookalikes = map[string][]string{
	"Zoho's PHP SDK": {"User-Agent", "Mozilla/5.0 (Windows; U; Windows NT 5.1; en-US; rv:1.8.1.13) Gecko/20080311 Firefox/2.0.0.13", "Accept", "*/*"},
	"PowerShell":     {"User-Agent", "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1"},
	"Node's fetch":   {"Accept", "*/*", "Accept-Language", "*", "Sec-Fetch-Mode", "cors", "User-Agent", "node"},
}

// TestOwnNames is S-69: programs that look like browsers are served by the names that the proxy
// has, and by no other, of which the answer tells.
func TestOwnNames(t *testing.T) {
	t.Parallel()
	const hosts = "localhost zoho.localhost:8080 host.docker.internal:8080 127.0.0.1 127.1 [::1]:80 www.zohoapis.com"
	const containers = "caddy-zoho:8080 caddy-zoho.default.svc caddy-zoho.default.svc.cluster.local"
	const strangers = "evil.example printer.local:8080 x.zoho.corp.example deep.site.example"
	sites := strings.Replace(oneClient, "\tzoho_proxy {", `
	@site host crm.site.example *.site.example {env.ZOHO_STORE}
	handle @site {
		invoke zoho
	}
	zoho_proxy {`, 1)
	sites = strings.Replace(sites, "http://:", "&(zoho) {\n\tzoho_proxy\n}\nhttp://:", 1)
	for _, test := range []struct {
		config, options string
		own, others     string
	}{
		{oneClient, "", hosts, containers + " zoho.corp.example " + strangers},
		{oneClient, "callers 127.0.0.1/32 127.3.0.0/16 uid 1000", hosts, containers},
		{oneClient, "callers loopback private_ranges", hosts + " " + containers, "zoho.corp.example " + strangers},
		{oneClient, "callers any", hosts + " " + containers, strangers},
		{oneClient, "allowed_hosts ZOHO.corp.example caddy-zoho münchen.example", hosts + " zoho.corp.example Zoho.Corp.Example.:8080 caddy-zoho:1 xn--mnchen-3ya.example", "evilpc " + strangers},
		{sites, "", hosts + " crm.site.example CRM.site.example:8080", "any.site.example " + strangers},
	} {
		_, baseURL, grant := sim(t, zohosim.Options{})
		c := startCaddy(t, test.config, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant, "ZOHO_PROXY_OPTIONS="+test.options)
		for who, header := range lookalikes {
			for host := range strings.FieldsSeq(test.own) {
				if a := c.get("/crm/_echo", append(header, "Host", host)...); a.StatusCode != http.StatusOK {
					t.Errorf("%s: %s to %s: %s %s", test.options, who, host, a.Status, a.body)
				}
			}
			for host := range strings.FieldsSeq(test.others) {
				a := c.get("/crm/_echo", append(header, "Host", host)...)
				wantProblem(t, a, "browser-refused", http.StatusForbidden)
				if text := string(a.body); !strings.Contains(text, `\"`+host+`\"`) || !strings.Contains(text, "`allowed_hosts`") || strings.Contains(text, "carries") {
					t.Errorf("%s: %s to %s: %s", test.options, who, host, text)
				}
				if a := c.get("/crm/_echo", "Host", host, "User-Agent", "erp/2012"); test.config == oneClient && a.StatusCode != http.StatusOK {
					t.Errorf("%s: a program to %s: %s %s", test.options, host, a.Status, a.body)
				}
			}
		}
	}
}

// TestBrowserRefusedSaysWhy: what gave cause is named, and no value of a header is shown.
func TestBrowserRefusedSaysWhy(t *testing.T) {
	t.Parallel()
	c, _, _ := startSimulated(t, zohosim.Options{})
	long := strings.Repeat("a", 60) + "." + strings.Repeat("b", 60) + ".example"
	for _, test := range []struct {
		header     []string
		says, lack string
	}{
		{[]string{"Origin", "https://evil.example"}, "carries Origin,", "evil"},
		{[]string{"Sec-Fetch-Site", "cross-site"}, "carries Sec-Fetch-Site,", "Origin"},
		{[]string{"Host", "evilpc", "User-Agent", "Mozilla/5.0 (secret)"}, "(User-Agent begins with Mozilla/)", "secret"},
		{[]string{"Host", "evilpc", "Accept-Language", "tlh"}, "(it has Accept-Language)", "tlh"},
		{[]string{"Host", "evilpc", "Referer", "http://elsewhere.example/secret"}, "(it has a Referer of another host)", "elsewhere"},
		{[]string{"Host", long, "Referer", "http://x/"}, strings.Repeat("b", 39), strings.Repeat("b", 40)},
	} {
		a := c.get("/crm/_echo", test.header...)
		wantProblem(t, a, "browser-refused", http.StatusForbidden)
		if text := string(a.body); !strings.Contains(text, test.says) || strings.Contains(text, test.lack) {
			t.Errorf("%v: %s", test.header, text)
		}
	}
}

// TestReboundByOtherMeans: the name counts wherever a request gives it.
func TestReboundByOtherMeans(t *testing.T) {
	t.Parallel()
	c, _, _ := startSimulated(t, zohosim.Options{})
	c.writeConfig(withServers("protocols h1 h2c"))
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	a := c.rawAnswer("GET http://evilpc:8080/crm/_echo HTTP/1.1\r\nHost: localhost\r\nAccept-Language: en\r\nConnection: close\r\n\r\n", http.MethodGet)
	wantProblem(t, a, "browser-refused", http.StatusForbidden)
	a = c.rawAnswer("GET /crm/_echo HTTP/1.0\r\nUser-Agent: Mozilla/5.0\r\n\r\n", http.MethodGet)
	if a.StatusCode != http.StatusOK {
		t.Errorf("without a Host: %s %s", a.Status, a.body)
	}
	transport := &http.Transport{Protocols: h2c()}
	defer transport.CloseIdleConnections()
	for host, want := range map[string]int{"evilpc:8080": http.StatusForbidden, "localhost:8080": http.StatusOK} {
		req, err := http.NewRequest(http.MethodGet, c.url+"/crm/_echo", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		req.Header.Set("User-Agent", "Mozilla/5.0")
		a, err := readAnswer((&http.Client{Transport: transport}).Do(req))
		if err != nil || a.ProtoMajor != 2 || a.StatusCode != want {
			t.Errorf("HTTP/2 to %s: %v %v %s", host, err, a.Response, a.body)
		}
	}
}

// TestReboundInTheBrowser is S-69 in Chromium: a page of a name that leads here by now reads
// nothing, whatever the name; who opens an address of the proxy's own sees what it answers.
func TestReboundInTheBrowser(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	var rules []string
	rebound := []string{"evilpc", "printer.local", "router.lan", "evil.example", "caddy-zoho.default.svc"}
	for _, name := range rebound {
		rules = append(rules, "MAP "+name+" 127.0.0.1")
	}
	browser := startChromium(t, "host-resolver-rules", strings.Join(rules, ", "))
	_, port, _ := net.SplitHostPort(c.hostport())
	for _, name := range rebound {
		w := newWindow(t, browser).open("http://" + name + ":" + port + "/crm/_echo")
		if text := w.find("body", anything).MustText(); !strings.Contains(text, "browser-refused") {
			t.Errorf("%s is opened: %s", name, text)
		}
		read := w.MustEval(`async () => {
			const all = [];
			for (const options of [{}, {method: "POST", body: "{}"}, {headers: {"Accept-Language": "", "User-Agent": "erp"}, referrerPolicy: "no-referrer"}]) {
				const answer = await fetch("/crm/_echo", options);
				all.push(answer.status + " " + answer.headers.get("Zoho-Proxy-Error"));
			}
			return all.join();
		}`).String()
		if read != "403 browser-refused,403 browser-refused,403 browser-refused" {
			t.Errorf("the page of %s reads %s", name, read)
		}
	}
	wantTokenCalls(t, server, 0)
	for _, name := range []string{"localhost", "zoho.localhost", "127.0.0.1"} {
		w := newWindow(t, browser).open("http://" + name + ":" + port + "/crm/_echo")
		if text := w.find("body", anything).MustText(); !strings.Contains(text, "/crm/_echo") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// TestCallersIPv4InIPv6: an address is the same in either way of writing it.
func TestCallersIPv4InIPv6(t *testing.T) {
	t.Parallel()
	for _, rules := range []string{"::ffff:127.0.0.1", "::ffff:127.0.0.0/104"} {
		c, _, _ := startSimulated(t, zohosim.Options{}, "ZOHO_PROXY_OPTIONS=callers "+rules)
		c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	}
	c, _, _ := startSimulated(t, zohosim.Options{}, "ZOHO_PROXY_OPTIONS=callers ::ffff:10.0.0.0/104")
	wantProblem(t, c.get("/crm/v8/Leads"), "caller-refused", http.StatusForbidden)
}

// TestConnect is S-13: a tunnel cannot be given a token, and the answer says so.
func TestConnect(t *testing.T) {
	t.Parallel()
	c, _ := startExample(t, "")
	foreign := startRecorder(t)
	for _, target := range []string{"www.zohoapis.com:443", foreign.addr, "/crm/v8/Leads", "localhost:22", "[::1]:443", c.hostport()} {
		answers := c.rawAnswers(t, "CONNECT "+target+" HTTP/1.1\r\nHost: x\r\n\r\n", 1, "GET")
		if a := answers[0]; a.StatusCode != http.StatusMethodNotAllowed || a.problem() != "connect-unsupported" || !strings.Contains(string(a.body), "base URL") || a.Header.Get("Allow") == "" {
			t.Errorf("%s: %s %v %s", target, a.Status, a.Header, a.body)
		}
	}
	if n := foreign.connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// TestProblemsOfTheRequest: refused before anything is sent or asked.
func TestProblemsOfTheRequest(t *testing.T) {
	t.Parallel()
	c, server, _ := startRealNames(t, "us", "services crm desk")
	cases := []struct {
		path, code string
		status     int
		header     []string
	}{
		{"/nothing/here", "service-unknown", 404, nil},
		{"/", "service-unknown", 404, nil},
		{"/books/v3/contacts", "service-unknown", 404, nil}, // not among services
		{"/crm/v8/Leads", "data-center", 421, []string{"Host", "www.zohoapis.eu"}},
		{"/api/v1/tickets", "data-center", 421, []string{"Host", "desk.zoho.in"}},
		{"/crm/v8/Leads", "browser-refused", 403, []string{"Origin", "https://evil.example"}},
		{"/crm/v8/Leads", "browser-refused", 403, []string{"Sec-Fetch-Site", "cross-site"}},
	}
	for _, test := range cases {
		a := c.get(test.path, test.header...)
		wantProblem(t, a, test.code, test.status)
		wantRetryAfter(t, a, false)
	}
	raw := c.rawAnswer("CONNECT www.zohoapis.com:443 HTTP/1.1\r\nHost: www.zohoapis.com:443\r\n\r\n", http.MethodConnect)
	wantProblem(t, raw, "connect-unsupported", http.StatusMethodNotAllowed)
	raw = c.rawAnswer("GET http://www.evil.example/crm/v8/Leads HTTP/1.1\r\nHost: www.evil.example\r\n\r\n", http.MethodGet)
	wantProblem(t, raw, "target", http.StatusMisdirectedRequest)
	wantTokenCalls(t, server, 0)
}

// rawAnswer sends a request as it is written and reads the answer.
func (c *proxy) rawAnswer(request, method string) answer {
	c.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(conn, request)
	// Of an answer to CONNECT net/http reads no body.
	if method == http.MethodConnect {
		method = http.MethodGet
	}
	a, err := readAnswer(http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method}))
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

// TestCallerRefused: by the peer's address alone.
func TestCallerRefused(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{}, "ZOHO_PROXY_OPTIONS=callers 127.0.0.3 10.0.0.0/8")
	a := c.get("/crm/v8/Leads", "X-Forwarded-For", "127.0.0.3", "Forwarded", "for=127.0.0.3", "X-Real-Ip", "127.0.0.3")
	wantProblem(t, a, "caller-refused", http.StatusForbidden)
	if !strings.Contains(string(a.body), "callers") {
		t.Errorf("the setting is not named: %s", a.body)
	}
	wantTokenCalls(t, server, 0)
	if n := len(server.Stats().APIRequests); n != 0 {
		t.Error("the request went on")
	}
}

// tokenCalls is a token call as Zoho's SDKs and others send it: with the parameters in
// the query, in a form, and as multipart.
func tokenCalls(t *testing.T, parameters url.Values) map[string]func(c *proxy, path string, header ...string) answer {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name := range parameters {
		if err := form.WriteField(name, parameters.Get(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	multiparts := body.String()
	return map[string]func(*proxy, string, ...string) answer{
		"query": func(c *proxy, path string, header ...string) answer {
			return c.call(http.MethodPost, path+"?"+parameters.Encode(), nil, header...)
		},
		"form": func(c *proxy, path string, header ...string) answer {
			return c.call(http.MethodPost, path, strings.NewReader(parameters.Encode()), append(header, "Content-Type", "application/x-www-form-urlencoded")...)
		},
		"multipart": func(c *proxy, path string, header ...string) answer {
			return c.call(http.MethodPost, path, strings.NewReader(multiparts), append(header, "Content-Type", form.FormDataContentType())...)
		},
	}
}

// TestTokenCallsAreAnswered: an SDK that insists on OAuth gets a token that serves, and
// Zoho is asked nothing on its behalf.
func TestTokenCallsAreAnswered(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{}, "ZOHO_PROXY_OPTIONS=answer_token_calls")
	c.secrets = append(c.secrets, "the-apps-own-secret")
	for grantType, refreshToken := range map[string]bool{"refresh_token": false, "client_credentials": false, "authorization_code": true} {
		for where, call := range tokenCalls(t, url.Values{"grant_type": {grantType}, "client_id": {"1000.ANY"}, "client_secret": {"the-apps-own-secret"}, "refresh_token": {"the-apps-own-secret"}, "code": {"x"}}) {
			a := call(c, "/oauth/v2/token")
			var reply struct {
				AccessToken  string `json:"access_token"`
				RefreshToken string `json:"refresh_token"`
				APIDomain    string `json:"api_domain"`
				TokenType    string `json:"token_type"`
				ExpiresIn    int    `json:"expires_in"`
			}
			a.decode(t, &reply)
			if a.StatusCode != http.StatusOK || a.problem() != "" || reply.AccessToken == "" || reply.TokenType != "Bearer" || reply.ExpiresIn != 3600 ||
				reply.APIDomain != c.url || (reply.RefreshToken != "") != refreshToken || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s in a %s: %s %s", grantType, where, a.Status, a.body)
			}
			if strings.Contains(string(a.body), "\n") { // Zoho's PHP SDK reads the last line
				t.Errorf("%s in a %s: more lines than one: %q", grantType, where, a.body)
			}
			wantTokenCalls(t, server, 0)
			if a, err := http.NewRequest(http.MethodGet, reply.APIDomain+"/crm/v8/Leads", nil); err != nil || a.URL.Host == "" {
				t.Errorf("api_domain %q is no origin", reply.APIDomain)
			}
		}
	}
	for _, path := range []string{"/oauth/v2/token/revoke", "/oauth/v2/revoke/token"} {
		for where, call := range tokenCalls(t, url.Values{"token": {"answered-by-caddy-zoho"}}) {
			if a := call(c, path); a.StatusCode != http.StatusOK || strings.TrimSpace(string(a.body)) != `{"status":"success"}` {
				t.Errorf("%s in a %s: %s %s", path, where, a.Status, a.body)
			}
		}
	}
	if n := server.Stats().Revocations + server.Stats().TokenRequests; n != 0 {
		t.Errorf("Zoho was asked %d times", n)
	}
	c.succeed(http.MethodGet, "/crm/v8/Leads", "", "Authorization", "Zoho-oauthtoken answered-by-caddy-zoho")
	wantTokenCalls(t, server, 1)
}

// TestTokenCallsThatAreNone: what Zoho would refuse is refused, and says nothing of what
// was sent.
func TestTokenCallsThatAreNone(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{}, "ZOHO_PROXY_OPTIONS=answer_token_calls")
	c.secrets = append(c.secrets, "the-apps-own-secret")
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	for name, a := range map[string]answer{
		"a GET":           c.get("/oauth/v2/token?grant_type=refresh_token&client_secret=the-apps-own-secret"),
		"no grant_type":   c.call(http.MethodPost, "/oauth/v2/token", strings.NewReader("client_secret=the-apps-own-secret"), form...),
		"another one":     c.call(http.MethodPost, "/oauth/v2/token?grant_type=password&client_secret=the-apps-own-secret", nil),
		"bad escapes":     c.call(http.MethodPost, "/oauth/v2/token", strings.NewReader("grant_type=%zz&client_secret=the-apps-own-secret%"), form...),
		"bad multipart":   c.call(http.MethodPost, "/oauth/v2/token", strings.NewReader("the-apps-own-secret"), "Content-Type", "multipart/form-data; boundary=x"),
		"no boundary":     c.call(http.MethodPost, "/oauth/v2/token", strings.NewReader("the-apps-own-secret"), "Content-Type", "multipart/form-data"),
		"a body too long": c.call(http.MethodPost, "/oauth/v2/token", strings.NewReader("grant_type=refresh_token&x="+strings.Repeat("x", 2<<20)), form...),
	} {
		if a.StatusCode != http.StatusBadRequest || a.problem() != "token-call" {
			t.Errorf("%s: %s %q %s", name, a.Status, a.problem(), a.body)
		}
		c.checkSecrets("the answer to "+name, a.body)
	}
	page := c.call(http.MethodPost, "/oauth/v2/token?grant_type=refresh_token", nil, "Origin", "https://evil.example")
	wantProblem(t, page, "browser-refused", http.StatusForbidden)
	wantTokenCalls(t, server, 0)
}

// TestTokenCallsOfAccountsHosts: an app that a hosts file leads here calls Zoho's names,
// and is told to go on with the API's.
func TestTokenCallsOfAccountsHosts(t *testing.T) {
	t.Parallel()
	c, server := startZoho(t, zohosim.GrantSpec{DataCenter: "eu"}, "ZOHO_PROXY_OPTIONS=answer_token_calls")
	for host, want := range map[string]string{"accounts.zoho.com": "http://www.zohoapis.eu", "accounts.zoho.eu:8080": "http://www.zohoapis.eu:8080", "accounts.zoho.com.:8080": "http://www.zohoapis.eu:8080", "erp.local": "http://erp.local"} {
		a := c.call(http.MethodPost, "/oauth/v2/token?grant_type=refresh_token", nil, "Host", host)
		if !strings.Contains(string(a.body), `"api_domain":"`+want+`"`) {
			t.Errorf("%s: %s %s", host, a.Status, a.body)
		}
	}
	wantProblem(t, c.call(http.MethodGet, "/oauth/v2/auth", nil, "Host", "accounts.zoho.com"), "target", http.StatusMisdirectedRequest)
	wantTokenCalls(t, server, 0)
}

// TestTokenCallsAreNotAnsweredUnlessAskedFor: by default they go nowhere.
func TestTokenCallsAreNotAnsweredUnlessAskedFor(t *testing.T) {
	t.Parallel()
	c, server := startZoho(t, zohosim.GrantSpec{})
	wantProblem(t, c.call(http.MethodPost, "/oauth/v2/token?grant_type=refresh_token", nil), "service-unknown", http.StatusNotFound)
	wantProblem(t, c.call(http.MethodPost, "/oauth/v2/token?grant_type=refresh_token", nil, "Host", "accounts.zoho.com"), "target", http.StatusMisdirectedRequest)
	wantTokenCalls(t, server, 0)
}

// What an app sends to prove itself stays out of the access log, which shows queries.
func TestTokenCallsAreNotLogged(t *testing.T) {
	t.Parallel()
	c, _, _ := startSimulated(t, zohosim.Options{}, "ZOHO_PROXY_OPTIONS=answer_token_calls")
	c.writeConfig(strings.Replace(oneClient, "zoho_proxy", "log\n\tzoho_proxy", 1))
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	c.secrets = append(c.secrets, "the-apps-own-secret")
	c.get("/crm/v8/Leads")
	for _, path := range []string{"/oauth/v2/token?grant_type=refresh_token&", "/oauth/v2/token/revoke?"} {
		if a := c.call(http.MethodPost, path+"client_secret=the-apps-own-secret", nil); a.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %s", path, a.Status, a.body)
		}
	}
	c.stop()
	if log := c.output.String(); !strings.Contains(log, "/crm/v8/Leads") || strings.Contains(log, "the-apps-own-secret") {
		t.Error("the access log is empty, or holds the app's secret")
	}
}

// TRACE would bring the token back in its answer.
func TestTraceIsRefused(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	a := c.call(http.MethodTrace, "/crm/_echo", nil)
	wantProblem(t, a, "connect-unsupported", http.StatusMethodNotAllowed)
	wantTokenCalls(t, server, 0)
}

// TestAnswersOfCaddy: what Caddy answers before the proxy sees a request is as docs/errors.md lists it, and Zoho hears
// nothing of it.
func TestAnswersOfCaddy(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	table, _, _ := strings.Cut(readDoc(t, "docs/errors.md"), "\n## caller-refused")
	_, table, _ = strings.Cut(table, "\n## Answers that Caddy gives")
	host := "Host: " + c.hostport() + "\r\nConnection: close\r\n"
	for _, test := range []struct {
		text   string
		status int
	}{
		{"GET /crm/v8/Leads?" + strings.Repeat("a", 30_000) + " HTTP/1.1\r\n" + host, 431},
		{"GET /crm/v8/Leads HTTP/1.1\r\nConnection: close\r\n", 400},
		{"GET /crm/v8/Leads HTTP/1.1\r\nHost:\r\nConnection: close\r\n", 400},
		{"GET /crm/v8/Leads HTTP/1.1\r\nHost: one\r\n" + host, 400},
		{"GET /crm/v8/Lea ds HTTP/1.1\r\n" + host, 400},
		{"GET /crm/v8/%zz HTTP/1.1\r\n" + host, 400},
		{"GET /crm/v8/Leads HTTP/1.1\r\nX-Text: a\x01b\r\n" + host, 400},
		{"GET /crm/v8/Leads HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + host, 400},
		{"GET /crm/v8/Leads HTTP/1.1\r\nExpect: everything\r\n" + host, 417},
		{"POST /crm/v8/Leads HTTP/1.1\r\nTransfer-Encoding: identity\r\n" + host, 501},
		{"POST /crm/v8/Leads HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n" + host, 501},
		{"GET /crm/v8/Leads HTTP/2.0\r\n" + host, 505},
		{"OPTIONS * HTTP/1.1\r\n" + host, 200},
	} {
		a := c.send(t, test.text+"\r\n")
		if a.StatusCode != test.status || a.problem() != "" {
			t.Errorf("%.80q: %s %q, want %d", test.text, a.Status, a.problem(), test.status)
		}
		if !strings.Contains(table, fmt.Sprintf("\n| %d", test.status)) {
			t.Errorf("docs/errors.md has no row of %d", test.status)
		}
	}
	wantTokenCalls(t, server, 0)
	closes := c.dial(t).(*net.TCPConn)
	defer closes.Close()
	server.AddFault(zohosim.Fault{Where: "books", Kind: zohosim.FaultHang})
	_, _ = io.WriteString(closes, "GET /books/v3/contacts HTTP/1.1\r\n"+host+"\r\n")
	_ = closes.CloseWrite()
	if a, err := readAnswer(http.ReadResponse(bufio.NewReader(closes), nil)); err == nil && a.StatusCode != 499 {
		t.Errorf("who closes the sending side: %s", a.Status)
	}
	server.ClearFaults("")
}

// TestSlowAndIdleCallers, S-59: thousands of idle connections, some that never end a
// header, and an upload without end to a server that does not read: the others are
// served, and memory is bounded.
func TestSlowAndIdleCallers(t *testing.T) {
	server, baseURL, grant := sim(t, zohosim.Options{})
	// Caddy must not cut the slow ones before all are there.
	c := startCaddy(t, withServers("timeouts {\n\t\t\tread_header 1h\n\t\t}"), "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant,
		"ZOHO_PROXY_OPTIONS=replay_buffer 64KiB 64MiB")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	idle := 10_000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil {
		idle = min(idle, int(limit.Cur)/2-500)
	}
	if testing.Short() {
		idle = min(idle, 500)
	}
	t.Logf("%d idle connections", idle)
	for i := range idle {
		conn, err := net.Dial("tcp", c.hostport())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%10 == 0 {
			_, _ = io.WriteString(conn, "GET /crm/v8/Leads HTTP/1.1\r\nHost: x\r\nX-Slow: ")
		}
	}
	if c.descriptors() > 0 {
		c.waitFor("all of them to be accepted", func() bool { return c.descriptors() > idle })
	}
	c.wantSmall("with them", 0, int64(idle)*(64<<10)+128<<20)
	memory := c.residentPeak()
	server.AddFault(zohosim.Fault{Where: "desk", Kind: zohosim.FaultHang, Method: http.MethodPost})
	endless := c.dial(t)
	go func() {
		_, _ = io.WriteString(endless, "POST /desk/api/v1/tickets HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
		chunk := append([]byte("10000\r\n"), append(bytes.Repeat([]byte("x"), 1<<16), "\r\n"...)...)
		for {
			if _, err := endless.Write(chunk); err != nil {
				return
			}
		}
	}()
	c.waitFor("the upload to be stuck", func() bool { return server.Stats().Faults["desk/hang"] == 1 })
	for i := range 500 {
		c.succeed(http.MethodGet, threeServices[i%2], "")
	}
	c.wantSmall("by the upload", memory, 96<<20)
	_ = endless.Close()
	server.ClearFaults("")
	wantTokenCalls(t, server, 1)
}
