package onboard

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestExpiredPage, S-22: a browser that comes back from Zoho after ten minutes, with the
// cookie that it still has, is told so. No browser of ours waits that long.
func TestExpiredPage(t *testing.T) {
	pages := testPages(t)
	synctest.Test(t, func(t *testing.T) {
		r := httptest.NewRequest(http.MethodPost, "http://localhost/zoho-connect/start", strings.NewReader("account=default"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		pages.Serve(w, r)
		consent, err := url.Parse(w.Header().Get("Location"))
		if err != nil || len(w.Result().Cookies()) != 1 {
			t.Fatal(w.Code, w.Header(), err)
		}
		cookie := w.Result().Cookies()[0]
		time.Sleep(consentLife + time.Second)
		if lives := time.Duration(cookie.MaxAge) * time.Second; lives < 2*consentLife {
			t.Errorf("the cookie lives for %s", lives)
		}
		r = httptest.NewRequest(http.MethodGet, "http://localhost/zoho-connect/callback?code=1000.a.b&state="+consent.Query().Get("state"), nil)
		r.AddCookie(cookie)
		w = httptest.NewRecorder()
		pages.Serve(w, r)
		if to := w.Header().Get("Location"); w.Code != http.StatusSeeOther || !strings.HasPrefix(to, "result?id=") {
			t.Fatalf("%d, to %q", w.Code, to)
		}
		r = httptest.NewRequest(http.MethodGet, "http://localhost/zoho-connect/"+w.Header().Get("Location"), nil)
		r.AddCookie(cookie)
		w = httptest.NewRecorder()
		pages.Serve(w, r)
		text := html.UnescapeString(w.Body.String())
		for _, says := range []string{"started more than 10 minutes ago", "Nothing was exchanged or stored. Start over."} {
			if w.Code != http.StatusForbidden || !strings.Contains(text, says) {
				t.Errorf("%d without %q: %s", w.Code, says, text)
			}
		}
	})
}
