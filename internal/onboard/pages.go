package onboard

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

//go:embed pages.html
var pagesHTML string

//go:embed style.css
var styleCSS []byte

var templates = template.Must(template.New("pages").Funcs(template.FuncMap{"scope": zoho.ParseScope}).Parse(pagesHTML))

// Pages is what a browser sees: the connections of a client, the start of consent, its
// callback and what became of it. Safe for concurrent use.
type Pages struct {
	Flow   *Flow
	Client *Client
	// Admit tells whether a request may see the connections and begin a consent. The
	// callback is guarded by its state and a cookie, an invitation by its signature.
	Admit func(*http.Request) bool
	// Path is the path that the browser asked for, before anything took a prefix off it.
	Path func(*http.Request) string
	// Reach tells why a data center cannot be reached, nil if it can.
	Reach func(context.Context, zoho.DataCenter) error
}

const cookieName = "zoho-connect"

// ServeHTTP answers by the last segment of the path, so that it does not matter where
// the pages are served.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := p.Path(r)
	v := &visit{Pages: p, w: w, r: r, base: path[:strings.LastIndexByte(path, '/')+1]}
	v.secure()
	page := path[len(v.base):]
	open := page == "callback" || page == "result" || page == "invite" || page == "confirm" || page == "style.css"
	switch {
	case r.Method == http.MethodPost && http.NewCrossOriginProtection().Check(r) != nil:
		v.fail(&Error{Status: http.StatusForbidden, Code: "origin", Text: "This form was sent by a page of another site.", Remedy: "Use the form of this page."})
		return
	case !open && !p.Admit(r):
		v.fail(&Error{Status: http.StatusForbidden, Code: "caller", Text: "Your address is not admitted here.", Remedy: "The operator can admit it by `callers` of zoho_connect; the default is this machine alone."})
		return
	case !open && p.rebound(r):
		v.fail(&Error{Status: http.StatusForbidden, Code: "host", Text: "These pages are not known by the name " + shown64(r.Host) + ".",
			Remedy: "Open them by an address, by https, or by the name that stands in the client's redirect_uri."})
		return
	}
	switch r.Method + " " + page {
	case "GET ", "HEAD ":
		v.list()
	case "GET connect", "HEAD connect":
		v.prepare()
	case "POST start":
		v.start()
	case "GET callback":
		v.callback()
	case "GET result", "HEAD result":
		v.result()
	case "POST confirm":
		v.confirm()
	case "GET invite", "HEAD invite":
		v.invite()
	case "POST invite":
		v.accept()
	case "GET style.css", "HEAD style.css":
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		_, _ = w.Write(styleCSS)
	default:
		v.fail(&Error{Status: http.StatusNotFound, Code: "page", Text: "There is no such page.", Remedy: "Go back to the list of connections."})
	}
}

// Private tells the pages whose requests and answers must not be logged: their addresses
// hold a code or an invitation, or they lead to Zoho with a state.
func Private(r *http.Request) (page string, private bool) {
	page = r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	return page, page == "callback" || page == "invite" || page == "start"
}

// rebound tells names that a stranger can point at this machine, so that a page of his
// in an operator's browser reads these. Over TLS the certificate would not fit.
func (p *Pages) rebound(r *http.Request) bool {
	host := (&url.URL{Host: r.Host}).Hostname()
	if r.TLS != nil || !strings.Contains(host, ".") || strings.Trim(host, "0123456789.") == "" {
		return false
	}
	u, err := url.Parse(p.Client.RedirectURI)
	return err != nil || !strings.EqualFold(u.Hostname(), host)
}

// visit is one request.
type visit struct {
	*Pages
	w    http.ResponseWriter
	r    *http.Request
	base string // path that all pages are below of
}

func (v *visit) secure() {
	h := v.w.Header()
	// Browsers hold redirects that follow a form to form-action as well.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' "+strings.Join(v.formTargets(), " "))
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
}

// formTargets are the servers that consent may lead to: Zoho sends a browser on to the
// data center of its user.
func (v *visit) formTargets() []string {
	centers := v.Client.Centers
	if !centers[0].Custom {
		centers = zoho.DataCenters()
	}
	var origins []string
	for _, center := range centers {
		if u, err := url.Parse(center.Accounts); err == nil {
			origins = append(origins, u.Scheme+"://"+u.Host)
		}
	}
	return origins
}

func (v *visit) render(status int, page string, data any) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, page, data); err != nil {
		http.Error(v.w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	v.w.WriteHeader(status)
	if v.r.Method != http.MethodHead {
		_, _ = b.WriteTo(v.w)
	}
}

func (v *visit) fail(e *Error) {
	if e.RetryAfter > 0 {
		v.w.Header().Set("Retry-After", strconv.Itoa(int(e.RetryAfter/time.Second)+1))
	}
	v.w.Header().Set("Zoho-Connect-Error", e.Code)
	v.render(e.Status, "error", map[string]any{"Title": "That did not work", "Error": e})
}

// origin is where the browser says that it is.
func (v *visit) origin() string {
	scheme := "http"
	if v.r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + v.r.Host
}

// redirectURI is where Zoho sends the browser back to.
func (v *visit) redirectURI() string {
	if v.Client.RedirectURI != "" {
		return v.Client.RedirectURI
	}
	return v.origin() + v.base + "callback"
}

const perPage = 50

// row is a connection in the list.
type row struct {
	tokencache.Status
	Configured bool
	DataCenter string
	Left       string
	Tokens     string
	Remedy     string
}

func (v *visit) list() {
	query := strings.ToLower(strings.TrimSpace(v.r.FormValue("q")))
	var rows []row
	for _, s := range v.Flow.Cache.Status(v.Client.Cache) {
		if query == "" || strings.Contains(strings.ToLower(s.Account+" "+s.User+" "+s.State), query) {
			rows = append(rows, v.row(s))
		}
	}
	pages := max(1, (len(rows)+perPage-1)/perPage)
	page, _ := strconv.Atoi(v.r.FormValue("page"))
	page = min(max(page, 1), pages)
	all := len(rows)
	rows = rows[(page-1)*perPage : min(page*perPage, all)]
	v.render(http.StatusOK, "list", map[string]any{
		"Title": "Connections of " + v.Client.Name, "Client": v.Client.Name, "Rows": rows, "All": all, "Query": query,
		"Page": page, "Pages": pages, "Before": page - 1, "After": page + 1, "Limit": refreshTokenLimit,
	})
}

func (v *visit) row(s tokencache.Status) row {
	r := row{Status: s, Configured: s.Configured, Left: "none", Tokens: "unknown"}
	if s.HasToken {
		r.Left = time.Until(s.Expiry).Round(time.Second).String()
	}
	if s.RefreshTokens > 0 {
		r.Tokens = fmt.Sprintf("%d of %d known to us", s.RefreshTokens, refreshTokenLimit)
	}
	r.DataCenter = v.Client.result(s.Account, tokencache.Grant{AccountsServer: s.AccountsServer}).DataCenter
	switch {
	case !s.HasGrant || s.Waiting == tokencache.KindDead:
		r.Remedy = "Needs consent: connect it."
	case s.Waiting == tokencache.KindRejected:
		r.Remedy = "Compare client id, secret and data center with Zoho's API console."
	case s.State == tokencache.StateContended:
		r.Remedy = "Another program uses this grant: give it a client of its own."
	}
	return r
}

// prepare shows, before consent, what can be checked and what the API console must hold.
func (v *visit) prepare() {
	account := strings.TrimSpace(v.r.FormValue("account"))
	if err := v.Client.mayReplace(account); err != nil {
		v.fail(err)
		return
	}
	status := v.statusOf(account)
	v.render(http.StatusOK, "connect", map[string]any{
		"Title": "Connect " + account, "Client": v.Client.Name, "Account": account, "ClientID": v.Client.ID(),
		"Scopes": v.Client.Scopes, "RedirectURI": v.redirectURI(), "Home": v.Client.Centers[0],
		"Centers": v.Client.Centers, "Checks": v.checks(), "Before": status,
		"Last": status != nil && status.RefreshTokens >= refreshTokenLimit-1, "Limit": refreshTokenLimit,
	})
}

func (v *visit) statusOf(account string) *row {
	for _, s := range v.Flow.Cache.Status(v.Client.Cache) {
		if s.Account == account && s.HasGrant {
			r := v.row(s)
			return &r
		}
	}
	return nil
}

// check is something that was looked at before consent.
type check struct {
	OK     bool
	Text   string
	Remedy string
}

func (v *visit) checks() []check {
	checks := []check{
		{v.redirectURI() == v.origin()+v.base+"callback", "The redirect URI leads to these pages, as this browser sees them.",
			"redirect_uri is " + v.redirectURI() + ", but these pages are at " + v.origin() + v.base + ": if something in between does not map the one to the other, the answer gets lost."},
		{strings.HasPrefix(v.Client.ID(), "1000.") || strings.HasPrefix(v.Client.ID(), "1004."), "The client id looks like one of Zoho's.",
			"Zoho's client ids begin with 1000. or 1004.: compare client_id with the API console."},
		{len(v.Client.Scopes) > 0, "Scopes are configured.", errNoScopes(v.Client).Remedy},
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), 3*time.Second)
	defer cancel()
	home := check{OK: true, Text: v.Client.Centers[0].Accounts + " can be reached."}
	if err := v.Reach(ctx, v.Client.Centers[0]); err != nil {
		home = check{Text: home.Text, Remedy: "It cannot: " + err.Error() + ". See name resolution, firewall, proxy and certificates."}
	}
	return append(checks, home)
}

func (v *visit) start() {
	s := Start{Account: strings.TrimSpace(v.r.PostFormValue("account")), RedirectURI: v.redirectURI(), RevokeOld: v.r.PostFormValue("revoke") != ""}
	v.begin(s)
}

// begin sends the browser to Zoho. It keeps its cookie, so that two tabs can be at it.
func (v *visit) begin(s Start) {
	s.Browser = v.cookie()
	if s.Browser == "" {
		s.Browser = rand.Text()
	}
	to, _, err := v.Flow.Begin(v.Client, s)
	if err != nil {
		v.fail(err)
		return
	}
	http.SetCookie(v.w, &http.Cookie{
		Name: cookieName, Value: s.Browser, Path: v.base, MaxAge: 3600,
		HttpOnly: true, Secure: v.r.TLS != nil, SameSite: http.SameSiteLaxMode,
	})
	v.w.Header().Set("Location", to)
	v.w.WriteHeader(http.StatusSeeOther)
}

func (v *visit) cookie() string {
	cookie, err := v.r.Cookie(cookieName)
	if err != nil || len(cookie.Value) < 20 || len(cookie.Value) > 64 {
		return ""
	}
	return cookie.Value
}

// shown is what a browser may see after its consent, for a while.
type shown struct {
	browser  [sha256.Size]byte
	expires  time.Time
	result   Result
	err      *Error
	returnTo string
	invited  bool // it sees this and nothing else
}

// callback exchanges the code and leads to a clean address.
func (v *visit) callback() {
	browser := v.cookie()
	values, err := url.ParseQuery(v.r.URL.RawQuery)
	if err != nil || browser == "" {
		v.fail(errState("This consent was begun in another browser, or the browser does not keep cookies."))
		return
	}
	result, c, failure := v.Flow.finish(v.r.Context(), v.Client, parseCallback(values), browser)
	if c == nil || failure != nil && failure.Code == "state-used" {
		v.fail(failure)
		return
	}
	s := &shown{result: result, err: failure}
	if c.invitation != nil {
		s.invited, s.returnTo = true, c.invitation.ReturnTo
	}
	v.show(s)
}

// show keeps what is to be seen and sends the browser there.
func (v *visit) show(s *shown) {
	s.browser, s.expires = sha256.Sum256([]byte(v.cookie())), time.Now().Add(consentLife)
	id := rand.Text()
	v.Flow.mu.Lock()
	v.Flow.tidy(time.Now())
	v.Flow.results[id] = s
	v.Flow.mu.Unlock()
	v.w.Header().Set("Location", "result?id="+id)
	v.w.WriteHeader(http.StatusSeeOther)
}

func (v *visit) result() {
	v.Flow.mu.Lock()
	v.Flow.tidy(time.Now())
	s := v.Flow.results[v.r.FormValue("id")]
	v.Flow.mu.Unlock()
	if s == nil || s.browser != sha256.Sum256([]byte(v.cookie())) {
		v.fail(&Error{Status: http.StatusNotFound, Code: "result", Text: "There is nothing to see here any more.", Remedy: "The list shows how the connection is."})
		return
	}
	data := map[string]any{"Result": s.result, "Error": s.err, "ReturnTo": s.returnTo, "Invited": s.invited, "ID": v.r.FormValue("id"), "Limit": refreshTokenLimit}
	switch {
	case s.err != nil && s.err.Confirm != "":
		data["Title"] = "Somebody else than before"
		v.render(http.StatusOK, "confirm", data)
	case s.err != nil:
		data["Title"] = "That did not work"
		v.w.Header().Set("Zoho-Connect-Error", s.err.Code)
		v.render(s.err.Status, "error", data)
	case s.result.Revoked && !s.result.Replaced:
		data["Title"] = "Nothing was changed"
		v.render(http.StatusOK, "dropped", data)
	default:
		data["Title"] = "Connected"
		v.render(http.StatusOK, "done", data)
	}
}

// confirm takes what the person has decided about a grant of somebody else.
func (v *visit) confirm() {
	v.Flow.mu.Lock()
	v.Flow.tidy(time.Now())
	id := v.r.PostFormValue("id")
	s := v.Flow.results[id]
	mine := s != nil && s.browser == sha256.Sum256([]byte(v.cookie())) && s.err != nil && s.err.Confirm != ""
	if mine {
		delete(v.Flow.results, id)
	}
	v.Flow.mu.Unlock()
	if !mine {
		v.fail(errState("There is nothing to confirm here any more."))
		return
	}
	result, err := v.Flow.Confirm(v.r.Context(), v.Client, s.err.Confirm, v.cookie(), v.r.PostFormValue("decision") == "replace")
	v.show(&shown{result: result, err: err, returnTo: s.returnTo, invited: s.invited})
}

// invite shows the invited what is asked of them.
func (v *visit) invite() {
	inv, err := v.Flow.readInvitation(v.Client, v.r.FormValue("token"))
	if err != nil {
		v.fail(err)
		return
	}
	v.render(http.StatusOK, "invite", map[string]any{
		"Title": "Give access to your Zoho account", "Account": inv.Account, "Client": v.Client.Name, "Scopes": v.Client.Scopes,
		"Expires": inv.Expires.Format("2 January 2006 15:04 MST"), "Token": v.r.FormValue("token"),
		"Services": services(v.Client.Scopes),
	})
}

func (v *visit) accept() {
	inv, err := v.Flow.readInvitation(v.Client, v.r.PostFormValue("token"))
	if err != nil {
		v.fail(err)
		return
	}
	v.begin(Start{Account: inv.Account, RedirectURI: v.redirectURI(), invitation: inv})
}

// services are the first parts of scopes.
func services(scopes []string) []string {
	var names []string
	for _, s := range scopes {
		if name := zoho.ParseScope(s).Service; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
