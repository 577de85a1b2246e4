package onboard

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// TestUsedAfterRefusal: who refuses, goes back and accepts is not told that all is well, though the account has been
// connected for long, perhaps by somebody else.
func TestUsedAfterRefusal(t *testing.T) {
	pages := testPages(t)
	p := newPending("acme", tokencache.Grant{RefreshToken: "1000.refresh", AccountsServer: pages.Client.Centers[0].Accounts,
		GrantedAt: time.Now().Add(-time.Hour)})
	if _, err := pages.Flow.storeGrant(t.Context(), pages.Client, p); err != nil {
		t.Fatal(err)
	}
	var cookies []*http.Cookie
	send := func(method, path, form string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "http://localhost/zoho-connect/"+path, strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, c := range cookies {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		pages.Serve(w, r)
		return w
	}
	w := send(http.MethodPost, "start", "account=acme")
	consent, err := url.Parse(w.Header().Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	cookies = w.Result().Cookies()
	state := consent.Query().Get("state")
	for _, test := range []struct{ answer, says string }{{"error=access_denied", "access_denied"}, {"code=1000.a.b", "used already"}} {
		w := send(http.MethodGet, "callback?"+test.answer+"&state="+state, "")
		page := send(http.MethodGet, w.Header().Get("Location"), "").Body.String()
		if !strings.Contains(page, test.says) || strings.Contains(page, "is connected") {
			t.Errorf("%s: %d, %s", test.answer, w.Code, page)
		}
	}
}

// TestAnswersFarBelow: an answer of Zoho's that comes far below the pages costs no more than others.
func TestAnswersFarBelow(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "http://localhost/zoho-connect/"+strings.Repeat("/", 200_000)+"callback?code=a&state=b", nil)
	w := httptest.NewRecorder()
	testPages(t).Serve(w, r)
	if to := w.Header().Get("Location"); len(to) > 1000 {
		t.Errorf("%d, to an address of %d bytes", w.Code, len(to))
	}
}
