// The harness's callers: how tests call the proxy and its admin endpoint, as apps, as browsers
// and by commands, and what they expect of an answer.

package tests

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"html"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/testbed"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// run runs the binary under test with c's environment and returns what it printed.
func (c *proxy) run(args ...string) (stdout, stderr string, code int) {
	c.t.Helper()
	return c.runWith(nil, args...)
}

// runWith is run with something on standard input.
func (c *proxy) runWith(input io.Reader, args ...string) (stdout, stderr string, code int) {
	c.t.Helper()
	var out, errOut bytes.Buffer
	cmd := exec.Command(binary, args...)
	cmd.Env, cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.env, c.dir, input, &out, &errOut
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		c.t.Fatal(err)
	}
	c.checkSecrets("caddy "+strings.Join(args, " "), append(out.Bytes(), errOut.Bytes()...))
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// reload loads the configuration file again, and waits until it alone serves.
func (c *proxy) reload() error {
	c.t.Helper()
	_, stderr, code := c.run("reload", "--config", c.config, "--adapter", "caddyfile", "--address", c.admin, "--force")
	if code != 0 {
		return fmt.Errorf("reload exited with %d: %s", code, stderr)
	}
	c.settled()
	return nil
}

// metric sums the samples of a metric whose labels contain all of labels, as they
// stand in the text format, for example `result="ok"`.
func (c *proxy) metric(name string, labels ...string) float64 {
	c.t.Helper()
	if text, err := os.ReadFile("../internal/metrics/metrics.go"); err != nil || !bytes.Contains(text, []byte(`"`+strings.TrimSuffix(name, "_count")+`"`)) {
		c.t.Fatalf("there is no metric %s (%v)", name, err)
	}
	sum := 0.0
	for line := range strings.Lines(string(c.adminCall(http.MethodGet, "/metrics", "").body)) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || (rest[0] != '{' && rest[0] != ' ') {
			continue
		}
		matches := true
		for _, label := range labels {
			matches = matches && strings.Contains(rest, label)
		}
		var value float64
		if _, err := fmt.Sscan(rest[strings.LastIndexByte(rest, ' '):], &value); matches && err == nil {
			sum += value
		}
	}
	return sum
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body []byte
}

// problem is the code of an answer of the proxy's own, "" if it is Zoho's.
func (a answer) problem() string { return a.Header.Get("Zoho-Proxy-Error") }

func (a answer) decode(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal(a.body, into); err != nil {
		t.Fatalf("%s: %v in %.200s", a.Status, err, a.body)
	}
}

// get calls the proxy.
func (c *proxy) get(path string, header ...string) answer {
	c.t.Helper()
	return c.call(http.MethodGet, path, nil, header...)
}

// call calls the proxy; header holds names and values in turn.
func (c *proxy) call(method, path string, body io.Reader, header ...string) answer {
	c.t.Helper()
	a, err := c.try(method, path, body, header...)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// try is call for goroutines other than the test's.
func (c *proxy) try(method, path string, body io.Reader, header ...string) (answer, error) {
	req, err := http.NewRequest(method, c.url+path, body)
	if err != nil {
		return answer{}, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		if http.CanonicalHeaderKey(header[i]) == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Add(header[i], header[i+1])
	}
	return readAnswer(c.client.Do(req))
}

// readAnswer reads the body of an answer, if there is one.
func readAnswer(res *http.Response, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	return answer{res, content}, err
}

func newClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// tool finds a program that a test drives. Where it is missing the test is skipped, in CI
// it fails.
func tool(t testing.TB, name string) (path string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name+" is not installed")
	}
	return path
}

// missing ends a test that cannot be made here.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// connection is what the admin API tells of one.
type connection struct {
	Client, Account, State string
	DataCenter             string `json:"data_center"`
	Configured             bool
	HasGrant               bool       `json:"has_grant"`
	HasToken               bool       `json:"has_token"`
	Expires                *time.Time `json:"expires"`
	Generation             int
	BudgetLeft             int    `json:"budget_left"`
	NeedsConsent           bool   `json:"needs_consent"`
	LastError              string `json:"last_error"`
	Simulated              bool
	User, Org              string
	Scopes                 []string
	MissingScopes          []string `json:"missing_scopes"`
	RefreshTokensKnown     int      `json:"refresh_tokens_known"`
}

type connectionList struct {
	Connections []connection
	Total       int
	Keys        struct{ Further []string }
}

// connections asks the admin API; query is "" or begins with "?".
func (c *proxy) connections(query string) connectionList {
	c.t.Helper()
	var list connectionList
	c.adminCall(http.MethodGet, "/zoho/connections"+query, "").decode(c.t, &list)
	return list
}

// adminCall calls the admin endpoint.
func (c *proxy) adminCall(method, path, body string, header ...string) answer {
	c.t.Helper()
	a, err := c.persistAdmin(method, path, body, header...)
	if err != nil {
		c.t.Fatalf("admin %s %s: %v\n%s", method, path, err, c.output)
	}
	return a
}

// persistAdmin makes a call once more that was cut: a reload puts another server in the place
// of that which is called.
func (c *proxy) persistAdmin(method, path, body string, header ...string) (a answer, err error) {
	for range 5 {
		if a, err = c.tryAdmin(method, path, body, header...); err == nil {
			break
		}
	}
	return a, err
}

func (c *proxy) tryAdmin(method, path, body string, header ...string) (answer, error) {
	req, err := http.NewRequest(method, "http://"+c.admin+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Close = true
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	return answer{res, content}, err
}

// spread has n calls made by so many workers.
func spread(n, workers int, call func(i int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				call(int(i))
			}
		})
	}
	all.Wait()
}

// succeed makes a call from any goroutine that must be answered by Zoho with a success.
func (c *proxy) succeed(method, path, body string, header ...string) answer {
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	a, err := c.try(method, path, content, header...)
	if err != nil {
		c.t.Errorf("%s %s: %v", method, path, err)
		return answer{Response: &http.Response{Header: http.Header{}}}
	}
	if a.StatusCode >= 300 || a.problem() != "" {
		c.t.Errorf("%s %s: %s %s %.300s", method, path, a.Status, a.problem(), a.body)
	}
	return a
}

// wantTokenCalls compares with what the simulator counted.
func wantTokenCalls(t *testing.T, server *zohosim.Server, want int) {
	t.Helper()
	if got := server.Stats().TokenRequests; got != want {
		t.Errorf("%d token calls, want %d; results %v", got, want, server.Stats().TokenResults)
	}
}

var threeServices = []string{"/crm/v8/Leads", "/books/v3/contacts?organization_id=60001234567", "/desk/api/v1/tickets"}

// unknownLength hides how long a body is, so that it is sent in chunks.
type unknownLength struct{ io.Reader }

// patterned makes bytes of which no part equals another.
func patterned(size int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "%08d;", i)
	}
	return b.Bytes()[:size]
}

// wantProblem checks an answer of the proxy's own.
func wantProblem(t *testing.T, a answer, code string, status int) {
	t.Helper()
	if a.problem() != code || a.StatusCode != status {
		t.Errorf("%s %q, want %d %q: %.300s", a.Status, a.problem(), status, code, a.body)
		return
	}
	if got := a.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("%s: Content-Type %q", code, got)
	}
	var p struct {
		Type, Title, Detail, Code, ErrorCode, Message, Status string
		Details                                               map[string]any
	}
	a.decode(t, &p)
	if !strings.HasSuffix(p.Type, "/docs/errors.md#"+code) || p.Title == "" || p.Detail == "" || p.Status != "error" ||
		p.Code != code || p.ErrorCode != code || p.Message == "" || p.Details == nil {
		t.Errorf("%s: %s", code, a.body)
	}
}

// wantRefusal checks that Zoho's own refusal was passed on, marked with a verdict.
func wantRefusal(t *testing.T, a answer, status int, verdict string) {
	t.Helper()
	if a.StatusCode != status || a.Header.Get("Zoho-Proxy-Verdict") != verdict || a.problem() != "" {
		t.Errorf("%s %q, verdict %q, want %d and verdict %q: %.200s",
			a.Status, a.problem(), a.Header.Get("Zoho-Proxy-Verdict"), status, verdict, a.body)
	}
}

// The times after which the next try may follow a failed one at the earliest: a tenth of the
// steps that are documented.
var (
	temporaryTries = []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 3 * time.Second, 6 * time.Second}
	handTries      = []time.Duration{time.Second, 3 * time.Second, 6 * time.Second, 12 * time.Second, 30 * time.Second, time.Minute}
)

// mostTries is how often something may have been tried in that time, however slow the machine is.
func mostTries(took time.Duration, after []time.Duration) int {
	tries := 1
	for ; took >= after[0]; tries++ {
		took -= after[0]
		after = after[min(1, len(after)-1):]
	}
	return tries
}

func wantRetryAfter(t *testing.T, a answer, want bool) {
	t.Helper()
	seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
	if want && (err != nil || seconds < 1 || seconds > 3600) || !want && a.Header.Get("Retry-After") != "" {
		t.Errorf("%s: Retry-After %q", a.problem(), a.Header.Get("Retry-After"))
	}
}

// wantHealth asks a health endpoint and compares status and counts.
func (c *proxy) wantHealth(path string, status int, counts map[string]int) {
	c.t.Helper()
	a := c.get(path)
	var summary struct {
		Status      string
		Connections map[string]int
	}
	a.decode(c.t, &summary)
	word := map[int]string{200: "ok", 503: "unavailable"}[status]
	if a.StatusCode != status || summary.Status != word || !maps.Equal(summary.Connections, counts) {
		c.t.Errorf("%s: %s %s, want %d and %v", path, a.Status, a.body, status, counts)
	}
	if got := a.Header.Get("Content-Type") + " " + a.Header.Get("Cache-Control"); got != "application/json no-store" {
		c.t.Errorf("%s: header %s", path, got)
	}
}

func (c *proxy) persist(path string) {
	var err error
	for range 20 {
		var a answer
		if a, err = c.try(http.MethodGet, path, nil); err != nil {
			continue
		}
		if a.StatusCode >= 300 || a.problem() != "" {
			c.t.Errorf("GET %s: %s %s %.200s", path, a.Status, a.problem(), a.body)
		}
		return
	}
	c.t.Errorf("GET %s: %v", path, err)
}

// pattern is a body of a given size that tells whether all of it arrived.
type pattern struct {
	left int64
	at   int64
	hash hash.Hash
}

func newPattern(size int64) *pattern { return &pattern{left: size, hash: sha256.New()} }

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), p.left)]
	for i := range b {
		b[i] = byte((p.at + int64(i)) * 31 >> 3)
	}
	p.at, p.left = p.at+int64(len(b)), p.left-int64(len(b))
	p.hash.Write(b)
	return len(b), nil
}

// sum is the SHA-256 of what was read.
func (p *pattern) sum() string { return hex.EncodeToString(p.hash.Sum(nil)) }

// rawAnswers sends text over one connection and reads n answers, methods being those
// of the requests in it (GET if there are fewer).
func (c *proxy) rawAnswers(t *testing.T, text string, n int, methods ...string) []answer {
	t.Helper()
	conn := c.dial(t)
	defer conn.Close()
	go io.WriteString(conn, text) // the answer may come before all of it is taken
	var answers []answer
	in := bufio.NewReader(conn)
	for i := range n {
		method := http.MethodGet
		if i < len(methods) {
			method = methods[i]
		}
		res, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("answer %d to %.100q: %v", i+1, text, err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatalf("answer %d to %.100q: %v", i+1, text, err)
		}
		answers = append(answers, answer{res, body})
	}
	return answers
}

func (c *proxy) send(t *testing.T, text string) answer {
	t.Helper()
	method, _, _ := strings.Cut(text, " ")
	return c.rawAnswers(t, text, 1, method)[0]
}

// dial opens a connection to the site, with a deadline that only a hang meets.
func (c *proxy) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", c.hostport())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

func (c *proxy) hostport() string {
	_, hostport, _ := strings.Cut(c.url, "://")
	return hostport
}

// oddTargets are request targets that real clients send, and odder ones.
var oddTargets = []string{
	"/", "/?", "/v8/Leads?", "/a?a&", "/a?&&a=1&", "/a??b", "/a?b?c", "/a//b", "/a///", "//x", "//x//y?z=//w", "/a/",
	"/%2F", "/a%2fb%2Fc", "/%27'%27", "/a,b,(c)?fields=a,b,(c)", "/a+b?q=a+b%20c+", `/{a}|"<>^` + "`" + `\?q={}|"<>^` + "`" + `\`,
	"/é/日本?ü=ß", "/a;b=c;d?x;y=z;", "/./a/../b/./..", "/%2e%2e/a/%2E", "/?q=%zz", "/?q=%", "/~u!$&'()*+,;=:@", "/a:b@c",
	"/[x]?y[]=1&y[0]={1}", "/%00%0d%0aX:%20y", "/%E2%82%AC%e2%82%ac", "/a?criteria=((Last_Name:equals:O\\'Neil)and(x:y))",
	"/a?=", "/a?=b&=c", "/" + strings.Repeat("long/", 13000),
	"/a?q=" + strings.Repeat("0123456789", 50000),
}

// fromZohoOrUs tells the only two kinds of answers that an app may see.
func fromZohoOrUs(a answer) bool {
	return a.Header.Get("X-Sim-Request-Id") != "" || a.problem() != ""
}

func (c *proxy) pages() string { return c.url + "/zoho-connect/" }

// consent begins in b and gives the callback's address, which nobody has opened yet.
func (c *proxy) consent(b *browser, account string) (callback string) {
	return b.stopAt("/callback", func() answer { return b.post(c.pages()+"start", url.Values{"account": {account}}) })
}

// wantPage checks what a page says, and what all pages promise.
func wantPage(t *testing.T, a answer, status int, says string) {
	t.Helper()
	text := html.UnescapeString(string(a.body))
	if a.StatusCode != status || !strings.Contains(text, says) {
		t.Fatalf("%s, want %d with %q:\n%s", a.Status, status, says, text)
	}
	if csp := a.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") ||
		a.Header.Get("Referrer-Policy") != "no-referrer" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers of %s: %v", a.Request.URL.Path, a.Header)
	}
	for _, never := range []string{"<script", " style=", " onclick", "src=\"http", "href=\"http://"} {
		if strings.Contains(strings.ToLower(string(a.body)), never) && !strings.Contains(string(a.body), "class=\"button\"") {
			t.Errorf("%s holds %s", a.Request.URL.Path, never)
		}
	}
}

// wantReference: what a page says that did not work is found in the log.
func (c *proxy) wantReference(a answer) {
	c.t.Helper()
	reference := regexp.MustCompile(`In the log this is <code>([A-Z2-7]{8})</code>`).FindSubmatch(a.body)
	if reference == nil {
		c.t.Fatalf("no reference: %s", a.body)
	}
	c.waitFor("the reference in the log", func() bool { return strings.Contains(c.output.String(), `"reference":"`+string(reference[1])+`"`) })
}

// browser keeps cookies, follows redirects, and sends what browsers send.
type browser struct {
	t testing.TB
	*http.Client
	at *url.URL // where it is
}

func newBrowser(t testing.TB) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, Client: &http.Client{Jar: jar, CheckRedirect: follow}}
}

// follow minds Referrer-Policy, which Go's client does not.
func follow(req *http.Request, _ []*http.Request) error {
	req.Header.Del("Referer")
	return nil
}

func (b *browser) do(method, url string, body io.Reader) answer {
	b.t.Helper()
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if req.Method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", req.URL.Scheme+"://"+req.URL.Host)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	a, err := readAnswer(b.Do(req))
	if err != nil {
		b.t.Fatal(err)
	}
	b.at = a.Request.URL
	return a
}

// with is the browser as it is when it sends a header with each request.
func (b *browser) with(name, value string) *browser {
	client := *b.Client
	client.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
		req.Header.Set(name, value)
		return http.DefaultTransport.RoundTrip(req)
	})
	return &browser{t: b.t, Client: &client}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func (b *browser) get(url string) answer {
	b.t.Helper()
	return b.do(http.MethodGet, url, nil)
}

func (b *browser) post(url string, form url.Values) answer {
	b.t.Helper()
	return b.do(http.MethodPost, url, strings.NewReader(form.Encode()))
}

// stopAt follows redirects as long as they do not lead to a path that ends so, and
// gives that address.
func (b *browser) stopAt(suffix string, do func() answer) string {
	b.t.Helper()
	b.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(req.URL.Path, suffix) {
			return http.ErrUseLastResponse
		}
		return follow(req, nil)
	}
	defer func() { b.CheckRedirect = follow }()
	a := do()
	to, err := a.Request.URL.Parse(a.Header.Get("Location"))
	if err != nil || a.Header.Get("Location") == "" {
		b.t.Fatalf("no way to %s: %s %s", suffix, a.Status, a.body)
	}
	return to.String()
}

// runInput runs the binary with something on its standard input.
func (c *proxy) runInput(input string, code int, args ...string) (stdout, stderr string) {
	c.t.Helper()
	stdout, stderr, got := c.runWith(strings.NewReader(input), args...)
	if got != code {
		c.t.Errorf("caddy %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	return stdout, stderr
}

// cli is one call of `caddy zoho`, and what it must come to.
type cli struct {
	args   string // behind `caddy zoho`, separated by blanks
	code   int
	stdout string // a part of it, "" for anything
	stderr string
}

func (c *proxy) wantCLI(tests ...cli) {
	c.t.Helper()
	for _, test := range tests {
		stdout, stderr, code := c.run(append([]string{"zoho"}, strings.Fields(test.args)...)...)
		if code != test.code || !strings.Contains(stdout, test.stdout) || !strings.Contains(stderr, test.stderr) {
			c.t.Errorf("caddy zoho %s: exit code %d, want %d\nstdout (want %q): %s\nstderr (want %q): %s",
				test.args, code, test.code, test.stdout, stdout, test.stderr, stderr)
		}
	}
}

// terminal is a command of Caddy's at a terminal, as a person uses it.
type terminal struct {
	*proxy
	cmd  *exec.Cmd
	keys io.WriteCloser
	out  testbed.Output
}

func (c *proxy) atTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	// script(1) has a terminal of its own for the command.
	cmd := exec.Command(tool(t, "script"), "-qec", binary+" "+strings.Join(args, " "), "/dev/null")
	term := &terminal{proxy: c, cmd: cmd}
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = c.env, c.dir, &term.out, &term.out
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	term.keys = keys
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return term
}

func (term *terminal) waitsFor(text string) {
	term.waitFor(text, func() bool { return strings.Contains(term.out.String(), text) })
}

func (term *terminal) types(text string) { _, _ = io.WriteString(term.keys, text) }

func (term *terminal) ends(t *testing.T, code int) {
	t.Helper()
	_ = term.cmd.Wait()
	_ = term.keys.Close()
	if got := term.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("exit code %d, want %d:\n%s", got, code, term.out.String())
	}
}

// pasteForms are the ways in which people paste what the browser ended at.
var pasteForms = map[string]func(callback string) string{
	"as-it-is":     func(s string) string { return s },
	"ampersand":    func(s string) string { return s + "&\r\n" },
	"broken-lines": func(s string) string { return "  " + s[:40] + "\n   " + s[40:90] + "\r\n" + s[90:] + "\n" },
	"quoted":       func(s string) string { return `"` + s + `"` },
	"query":        func(s string) string { _, query, _ := strings.Cut(s, "?"); return query },
	"code":         func(s string) string { return valueOf(s, "code") },
	"encoded-twice": func(s string) string {
		base, query, _ := strings.Cut(s, "?")
		return base + "?" + url.QueryEscape(query)
	},
	"nothing":      func(string) string { return "\n" },
	"nonsense":     func(string) string { return "I have no idea\n" },
	"refused":      func(s string) string { return strings.Replace(s, "code="+valueOf(s, "code"), "error=access_denied", 1) },
	"no-code":      func(string) string { return "https://accounts.zoho.com/oauth/v2/auth" },
	"of-another":   func(s string) string { return strings.Replace(s, "state=", "state=X", 1) },
	"unknown-code": func(s string) string { return strings.Replace(s, valueOf(s, "code"), "1000.a.b", 1) },
	"foreign-server": func(s string) string {
		return accountsServer.ReplaceAllString(s, "accounts-server=https%3A%2F%2Faccounts.zoho.eu")
	},
	"evil-server": func(s string) string {
		return accountsServer.ReplaceAllString(s, "accounts-server=https%3A%2F%2Faccounts.zoho.com.evil.example")
	},
	"twice":   func(s string) string { return s + "&code=" + valueOf(s, "code") },
	"endless": func(s string) string { return s + "&x=" + strings.Repeat("x", 64<<10) },
}

var accountsServer = regexp.MustCompile(`accounts-server=[^&]*`)

func valueOf(address, name string) string {
	u, _ := url.Parse(address)
	return u.Query().Get(name)
}

// finding is what `caddy zoho doctor --json` says of one thing.
type finding struct {
	Check, Result, Client, Account, What, Why, Do string
}

// doctor runs the command and checks what all its answers promise.
func (c *proxy) doctor(code int, args ...string) []finding {
	c.t.Helper()
	stdout, stderr, got := c.run(append([]string{"zoho", "doctor", "--json"}, args...)...)
	var answer struct {
		OK       bool
		Findings []finding
	}
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil {
		c.t.Fatalf("doctor says no JSON: %v\n%s\n%s", err, stdout, stderr)
	}
	if got != code {
		c.t.Errorf("doctor exits with %d, want %d\n%s", got, code, stdout)
	}
	for i, f := range answer.Findings {
		if slices.Contains(answer.Findings[:i], f) {
			c.t.Errorf("it says twice %+v", f)
		}
		if f.Check == "grant" && f.Result == "ok" && slices.ContainsFunc(answer.Findings, func(x finding) bool {
			return x.Check == "grant" && x.Result == "failed" && x.Client == f.Client && x.Account == f.Account
		}) {
			c.t.Errorf("it says that a grant is well that has failed: %+v", f)
		}
		if slices.Contains([]string{"failed", "warning", "note"}, f.Result) && (f.What == "" || f.Why == "" || f.Do == "") {
			c.t.Errorf("it does not say what is wrong, why, and what to do: %+v", f)
		}
		if f.Result == "failed" && answer.OK {
			c.t.Errorf("it says that all is well: %+v", f)
		}
	}
	return answer.Findings
}

// want looks for one finding, and for no other failure than those of its check.
func (f found) want(t *testing.T, check, result, words string) {
	t.Helper()
	seen := false
	for _, x := range f {
		seen = seen || x.Check == check && x.Result == result && strings.Contains(x.What+" "+x.Why+" "+x.Do, words)
		if x.Result == "failed" && x.Check != check {
			t.Errorf("it also finds %+v", x)
		}
	}
	if !seen {
		t.Errorf("it does not find a %s of %s that says %q, but %+v", result, check, words, f)
	}
}

type found []finding

func (f found) without(check string) (kept found) {
	for _, x := range f {
		if x.Check != check {
			kept = append(kept, x)
		}
	}
	return kept
}

// invite runs `caddy zoho invite` and gives the link.
func (c *proxy) invite(args ...string) (link string) {
	c.t.Helper()
	stdout, _, _ := c.run(append([]string{"zoho", "invite"}, args...)...)
	return strings.TrimSpace(stdout)
}

func only(set func(*http.Protocols)) *http.Protocols {
	p := new(http.Protocols)
	set(p)
	return p
}

func h2c() *http.Protocols { return only(func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }) }
