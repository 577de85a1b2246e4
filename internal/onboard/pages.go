package onboard

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"net/url"
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
	// Admit reports whether a request may see the connections and begin a consent. The
	// callback is guarded by its state and a cookie, an invitation by its signature.
	Admit func(*http.Request) bool
	// Caller is the address that a request comes from, by which consents are counted.
	Caller func(*http.Request) string
	// Failed is told of what went wrong on a page.
	Failed func(*http.Request, *Error)
	// Path is the path that the browser asked for, before anything took a prefix off it.
	Path func(*http.Request) string
	// Folder reports whether the pages are in a folder, as the path ends up here.
	Folder func(string) bool
}

func (v *visit) style() {
	v.w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = v.w.Write(styleCSS)
}

// maxForm is more than any form of ours has.
const maxForm = 16 << 10

// readForm takes the fields of a form of ours. Others, whose files net/http would keep on
// disk, are not read.
func (v *visit) readForm() bool {
	if kind, _, _ := mime.ParseMediaType(v.r.Header.Get("Content-Type")); kind != "application/x-www-form-urlencoded" {
		return false
	}
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
	return v.r.ParseForm() == nil
}

// form is a field of the form that was sent.
func (v *visit) form(name string) string { return v.r.PostForm.Get(name) }

// query is a parameter of the address.
func query(r *http.Request, name string) string { return r.URL.Query().Get(name) }

// page is what there is by one name, the last segment of a path.
type page struct {
	get, post func(*visit)
	open      bool // guarded by a state and a cookie, or by a signature, and not by Admit
	private   bool // its address holds a code, a state or an invitation, or leads to Zoho with one
	once      bool // a GET uses something up
}

// visit is one request.
type visit struct {
	*Pages
	w    http.ResponseWriter
	r    *http.Request
	base string // path that all pages are below of

	folder, name string // of the path as it ends up here
	page         page
	known        bool // there is such a page

	// It came by an invitation, and sees nothing else.
	invited bool
}

func (v *visit) setSecurityHeaders() {
	h := v.w.Header()
	// Browsers hold redirects that follow a form to form-action as well.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; "+
		"form-action 'self' "+strings.Join(v.formTargets(), " "))
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

func (v *visit) fail(err error) {
	e := asError(err)
	v.logFailure(e)
	v.failWith(e, "That did not work")
}

// logFailure gives an error a reference, and has it logged.
func (v *visit) logFailure(e *Error) {
	e.Reference = rand.Text()[:8]
	v.Failed(v.r, e)
}

// ErrorHeader has the code of what went wrong on a page.
const ErrorHeader = "Zoho-Connect-Error"

func (v *visit) failWith(e *Error, title string) {
	if v.invited {
		e = e.forInvited()
	}
	if e.RetryAfter > 0 {
		v.w.Header().Set("Retry-After", strconv.Itoa(int(e.RetryAfter/time.Second)+1))
	}
	v.w.Header().Set(ErrorHeader, e.Code)
	v.render(e.Status, "error", map[string]any{"Title": title, "Error": e, "Invited": v.invited || !v.Admit(v.r)})
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
	StateWord  string
	DataCenter string
	Left       string
	Tokens     string
	Remedy     string
	Granted    []string // scopes; none = not known
	Missing    []string // of those that the configuration asks for
}

func (v *visit) list() {
	text := strings.ToLower(strings.TrimSpace(query(v.r, "q")))
	var rows []row
	for s := range v.Flow.cache.Overview(v.Client.Cache) {
		r := v.row(s)
		if text == "" || strings.Contains(strings.ToLower(r.Account+" "+r.User+" "+r.Org+" "+r.StateWord), text) {
			rows = append(rows, r)
		}
	}
	pages := max(1, (len(rows)+perPage-1)/perPage)
	page, _ := strconv.Atoi(query(v.r, "page"))
	page = min(max(page, 1), pages)
	all := len(rows)
	rows = rows[(page-1)*perPage : min(page*perPage, all)]
	v.render(http.StatusOK, "list", map[string]any{
		"Title": "Connections of " + v.Client.Name, "Client": v.Client.Name, "Rows": rows, "All": all, "Query": text,
		"Page": page, "Pages": pages, "Before": page - 1, "After": page + 1, "Limit": RefreshTokenLimit,
	})
}

func (v *visit) row(s tokencache.Status) row {
	r := row{
		Status:    s,
		StateWord: strings.ReplaceAll(s.Shown(), "_", " "),
		Left:      lifeLeft(s),
		Tokens:    "none",
		Remedy:    remedy(s, v.Client.Scopes),
		Granted:   GrantedScopes(s),
		Missing:   ScopesToAdd(s, v.Client.Scopes),
	}
	switch {
	case s.ByClient:
		r.Tokens = "not needed"
	case s.HasGrant:
		r.Tokens = fmt.Sprintf("%d of %d known to us", s.RefreshTokens, RefreshTokenLimit)
	}
	r.DataCenter = v.Client.result(s.Account, tokencache.Grant{AccountsServer: s.AccountsServer}).DataCenter
	return r
}

func lifeLeft(s tokencache.Status) string {
	left := time.Until(s.Expiry).Round(time.Second)
	switch {
	case !s.HasToken:
		return "none"
	case s.Refused:
		return "refused by Zoho"
	case left <= 0:
		return "expired"
	}
	return left.String()
}
