package onboard

import (
	"bytes"
	"cmp"
	"crypto/rand"
	_ "embed"
	"html/template"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

//go:embed pages.html
var pagesHTML string

//go:embed style.css
var styleCSS []byte

var templates = template.Must(template.New("pages").Funcs(template.FuncMap{"scope": zoho.ParseScope, "number": withCommas, "sentence": cause.Sentence}).Parse(pagesHTML))

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
	// Failed is told of what went wrong on a page, and with which account as far as that is known.
	Failed func(r *http.Request, account string, e *Error)
	// Manage has the pages invite, revoke and forget as well.
	Manage bool
	// Path is the path that the browser asked for, before anything took a prefix off it.
	Path func(*http.Request) string
	// Folder reports whether the pages are in a folder, as the path ends up here.
	Folder func(string) bool
}

// expiryFormat is how people read a time.
const expiryFormat = "January 2, 2006 at 3:04 PM MST"

// withCommas is how people read large numbers.
func withCommas(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
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

	account string // that it is about as far as it says, which may be any text
	managed string // what it does to that, "" for pages that do not manage

	// It came by an invitation, and sees nothing else.
	invited bool
}

// named is the account that it is about, "" if that is not known.
func (v *visit) named() string {
	if words.Name.MatchString(v.account) {
		return v.account
	}
	return ""
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

func (v *visit) redirect(to string) {
	v.w.Header().Set("Location", to)
	v.w.WriteHeader(http.StatusSeeOther)
}

func (v *visit) fail(err error) {
	e := asError(err)
	v.logFailure(e)
	v.failWith(e)
}

const referenceLength = 8

// logFailure gives an error a reference, and has it logged.
func (v *visit) logFailure(e *Error) {
	e.Reference = rand.Text()[:referenceLength]
	v.Failed(v.r, v.named(), e)
}

// isReference reports whether a text can be one.
func isReference(text string) bool { return len(text) == referenceLength && isBase32(text) }

// ErrorHeader has the code of what went wrong on a page.
const ErrorHeader = "Zoho-Connect-Error"

func (v *visit) failWith(e *Error) {
	if v.invited {
		e = e.forInvited()
	}
	if e.RetryAfter > 0 {
		v.w.Header().Set("Retry-After", strconv.Itoa(int(e.RetryAfter/time.Second)+1))
	}
	v.w.Header().Set(ErrorHeader, e.Code)
	v.render(e.Status, "error", map[string]any{"Title": cmp.Or(e.Title, "That didn’t work"), "Error": e, "Calm": e.Title == titleConnected, "Invited": v.invited || !v.Admit(v.r)})
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
