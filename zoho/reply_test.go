package zoho_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// refreshOf gives what Refresh makes of an answer.
func refreshOf(t testing.TB, status int, contentType, body string) (zoho.Reply, error) {
	t.Helper()
	return answering(status, contentType, strings.NewReader(body)).Refresh(t.Context(), refreshToken)
}

func TestExpiresIn(t *testing.T) {
	tests := []struct {
		members string
		want    time.Duration
	}{
		{`"expires_in":3600`, time.Hour},
		{`"expires_in":300`, 5 * time.Minute},
		{`"expires_in":0.5`, 500 * time.Millisecond},
		{`"expires_in":86400`, 24 * time.Hour},
		{`"expires_in":"3600"`, time.Hour},
		{`"expires_in":" 1800 "`, 30 * time.Minute},
		{`"expires_in":"1800.0"`, 30 * time.Minute},
		{`"expires_in":1.8e3`, 30 * time.Minute},
		// milliseconds, told by expires_in_sec or by their size
		{`"expires_in":3600000`, time.Hour},
		{`"expires_in":"1800000"`, 30 * time.Minute},
		{`"expires_in_sec":1800,"expires_in":1800000`, 30 * time.Minute},
		{`"expires_in":1800000,"expires_in_sec":1800`, 30 * time.Minute},
		{`"expires_in":60000,"expires_in_sec":60`, time.Minute},
		{`"expires_in":60000,"expires_in_sec":null`, time.Minute},
		{`"expires_in":60000,"expires_in_sec":"soon"`, time.Minute},
		{`"expires_in_sec":1800`, 30 * time.Minute},
		// nonsense
		{`"token_type":"Bearer"`, time.Hour},
		{`"expires_in":null`, time.Hour},
		{`"expires_in":0`, time.Hour},
		{`"expires_in":-1`, time.Hour},
		{`"expires_in":-3600000`, time.Hour},
		{`"expires_in":1e308`, time.Hour},
		{`"expires_in":1e999`, time.Hour},
		{`"expires_in":1e-30`, time.Hour},
		{`"expires_in":"NaN"`, time.Hour},
		{`"expires_in":"Inf"`, time.Hour},
		{`"expires_in":"soon"`, time.Hour},
		{`"expires_in":""`, time.Hour},
		{`"expires_in":true`, time.Hour},
		{`"expires_in":[3600]`, time.Hour},
		{`"expires_in":{"s":3600}`, time.Hour},
		{`"expires_in":9223372036854775808`, time.Hour},
		{`"expires_in_sec":99999999`, time.Hour},
	}
	for _, test := range tests {
		r, err := refreshOf(t, 200, "application/json", `{"access_token":"1000.a.b",`+test.members+`}`)
		if err != nil || r.ExpiresIn != test.want {
			t.Errorf("%s: got %v, %v, want %v", test.members, r.ExpiresIn, err, test.want)
		}
	}
}

// TestExpiresInElsewhere: at a server that is not Zoho's a token may live for days; what tells
// milliseconds from seconds is expires_in_sec alone, unless the two URLs are Zoho's own.
func TestExpiresInElsewhere(t *testing.T) {
	const day = 24 * time.Hour
	for _, test := range []struct {
		accounts, members string
		want              time.Duration
	}{
		{"https://idp.example", `"expires_in":604800`, 7 * day},
		{"https://idp.example", `"expires_in":"2592000"`, 30 * day},
		{"https://idp.example/oauth/v2", `"expires_in":3600`, time.Hour},
		{"https://idp.example", `"expires_in":31536000`, 365 * day},
		{"https://idp.example", `"expires_in":3600000`, 1000 * time.Hour},
		{"https://idp.example", `"expires_in":3600000,"expires_in_sec":3600`, time.Hour},
		{"https://idp.example", `"expires_in":604800000,"expires_in_sec":null`, 7 * day},
		{"https://idp.example", `"expires_in_sec":604800`, 7 * day},
		{"https://idp.example", `"expires_in":315360000`, time.Hour},
		{"https://idp.example", `"expires_in":1764374400000`, time.Hour},
		{"https://idp.example", `"expires_in":1e308`, time.Hour},
		{"https://idp.example", `"expires_in":-604800`, time.Hour},
		{"https://accounts.zoho.eu", `"expires_in":3600000`, time.Hour},
		{"https://ACCOUNTS.zoho.com:443/oauth/v2", `"expires_in":604800`, 604800 * time.Millisecond},
		{"https://accounts.zoho.com.example", `"expires_in":604800`, 7 * day},
	} {
		a := answering(200, "application/json", strings.NewReader(`{"access_token":"1000.a.b",`+test.members+`}`))
		var err error
		if a.DataCenter, err = zoho.CustomDataCenter(test.accounts, "https://api.example"); err != nil {
			t.Fatal(err)
		}
		r, err := a.Refresh(t.Context(), refreshToken)
		if err != nil || r.ExpiresIn != test.want {
			t.Errorf("%s %s: got %v, %v, want %v", test.accounts, test.members, r.ExpiresIn, err, test.want)
		}
	}
}

func TestReplyAccepted(t *testing.T) {
	tests := []struct {
		name, body string
		want       zoho.Reply
	}{
		{"bare", `{"access_token":"t"}`, zoho.Reply{AccessToken: "t"}},
		{"byte order mark", "\ufeff{\"access_token\":\"t\"}\r\n", zoho.Reply{AccessToken: "t"}},
		{"error null", `{"access_token":"t","error":null}`, zoho.Reply{AccessToken: "t"}},
		{"other members twice", `{"x":1,"x":[2],"access_token":"t"}`, zoho.Reply{AccessToken: "t"}},
		{"names in another case are others", `{"access_token":"t","ERROR":"x","Access_Token":"u"}`, zoho.Reply{AccessToken: "t"}},
		{"another kind of token", `{"access_token":"t","token_type":"mac"}`, zoho.Reply{AccessToken: "t", TokenType: "mac"}},
		{"harmless members of a wrong kind", `{"access_token":"t","token_type":7,"scope":["a"],"api_domain":{}}`, zoho.Reply{AccessToken: "t"}},
		{"api_domain", `{"access_token":"t","api_domain":"https://api.zoho.com"}`, zoho.Reply{AccessToken: "t", APIDomain: "https://api.zoho.com"}},
		{"api_domain without a host", `{"access_token":"t","api_domain":"zohoapis.eu"}`, zoho.Reply{AccessToken: "t"}},
		{"api_domain with a user", `{"access_token":"t","api_domain":"https://u:p@www.zohoapis.eu"}`, zoho.Reply{AccessToken: "t"}},
		{"api_domain with a line break", `{"access_token":"t","api_domain":"https://www.zohoapis.eu\r\nX: y"}`, zoho.Reply{AccessToken: "t"}},
		{"scope", `{"access_token":"t","scope":"A.b.READ,C.d.ALL"}`, zoho.Reply{AccessToken: "t", Scope: "A.b.READ,C.d.ALL"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.want.ExpiresIn = time.Hour
			r, err := refreshOf(t, 200, "text/html", test.body)
			if err != nil || r != test.want {
				t.Errorf("got %q %q %q %q, %v", r.AccessToken, r.APIDomain, r.TokenType, r.Scope, err)
			}
		})
	}
}

// TestReplyRefused: what is not plainly a token reply never becomes one, and
// since a token may have been made, it counts.
func TestReplyRefused(t *testing.T) {
	tests := []struct{ name, body, says string }{
		{"empty", ``, "not a JSON object"},
		{"null", `null`, "not a JSON object"},
		{"list", `[{"access_token":"t"}]`, "not a JSON object"},
		{"text", `"access_token"`, "not a JSON object"},
		{"plain words", `access_token=t`, "not a JSON object"},
		{"cut in a token", `{"access_token":"` + accessToken[:30], "incomplete"},
		{"cut after it", `{"access_token":"` + accessToken + `","expires_in"`, "incomplete"},
		{"cut before the end", `{"access_token":"` + accessToken + `"`, "incomplete"},
		{"broken", `{"access_token":"` + accessToken + `" oops}`, "broken"},
		{"goes on", `{"access_token":"` + accessToken + `"}{"error":"x"}`, "more after"},
		{"goes on as HTML", `{"access_token":"` + accessToken + `"}<html>`, "more after"},
		{"two tokens", `{"access_token":"` + accessToken + `","access_token":"u"}`, "access_token twice"},
		{"two lives", `{"access_token":"t","expires_in":1,"expires_in":2}`, "expires_in twice"},
		{"no token", `{"api_domain":"https://www.zohoapis.eu"}`, "neither"},
		{"empty token", `{"access_token":""}`, "neither"},
		{"null token", `{"access_token":null}`, "neither"},
		{"a number", `{"access_token":1000}`, "not text"},
		{"a list", `{"access_token":["t"]}`, "not text"},
		{"CR LF", `{"access_token":"t\r\nX-Evil: y"}`, "blanks"},
		{"blank", `{"access_token":"a b"}`, "blanks"},
		{"blank at the end", `{"access_token":"t "}`, "blanks"},
		{"NUL", `{"access_token":"t\u0000"}`, "blanks"},
		{"DEL", `{"access_token":"t\u007f"}`, "blanks"},
		{"not ASCII", `{"access_token":"tökén"}`, "blanks"},
		{"broken UTF-8", "{\"access_token\":\"t\xff\"}", "blanks"},
		{"too long", `{"access_token":"` + strings.Repeat("x", 9<<10) + `"}`, "longer"},
		{"bad refresh token", `{"access_token":"t","refresh_token":"a\nb"}`, "refresh_token"},
		{"refresh token of a wrong kind", `{"access_token":"t","refresh_token":{}}`, "refresh_token"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, err := refreshOf(t, 200, "application/json", test.body)
			f := mustFail(t, err)
			if f.Kind != zoho.FailureTemporary || f.NoToken || !strings.Contains(f.Error(), test.says) {
				t.Errorf("got %v, no token %v, want a temporary failure that says %q", f, f.NoToken, test.says)
			}
			if r != (zoho.Reply{}) {
				t.Error("there is a reply beside the failure")
			}
		})
	}
}

func TestTokenUnderAnErrorStatus(t *testing.T) {
	for _, status := range []int{199, 400, 401, 500} {
		_, err := refreshOf(t, status, "application/json", okReply)
		if f := mustFail(t, err); f.NoToken || f.Status != status {
			t.Errorf("%d: got %v, no token %v", status, f, f.NoToken)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	const date = "Mon, 02 Jan 2006 15:04:05 GMT"
	tests := []struct {
		header string
		want   time.Duration
	}{
		{"", 0}, {"120", 2 * time.Minute}, {" 5 ", 5 * time.Second}, {"-5", 0}, {"soon", 0},
		{"99999999", 24 * time.Hour}, {"99999999999999999999", 0},
		{"Mon, 02 Jan 2006 15:14:05 GMT", 10 * time.Minute},
		{"Mon, 02 Jan 2006 14:00:00 GMT", 0},
	}
	for _, test := range tests {
		a := accountsAt(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", date)
			w.Header().Set("Retry-After", test.header)
			w.WriteHeader(429)
		})
		_, err := a.Refresh(t.Context(), refreshToken)
		if f := mustFail(t, err); f.RetryAfter != test.want || f.Kind != zoho.FailureThrottled {
			t.Errorf("%q: got %v, %v, want %v", test.header, f.Kind, f.RetryAfter, test.want)
		}
	}
}

// TestPatience: a server in trouble is not left alone for as long as it asks.
func TestPatience(t *testing.T) {
	for header, want := range map[string]time.Duration{"3600": 2 * time.Minute, "90": 90 * time.Second, "0": 0} {
		a := accountsAt(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", header)
			w.WriteHeader(503)
		})
		_, err := a.Refresh(t.Context(), refreshToken)
		if f := mustFail(t, err); f.RetryAfter != want || f.Kind != zoho.FailureTemporary {
			t.Errorf("%s: %v, %v", header, f.Kind, f.RetryAfter)
		}
	}
}

func TestRetryAfterWithoutServerClock(t *testing.T) {
	a := answering(429, "", strings.NewReader(""))
	a.HTTP.Transport = roundTripper(func(*http.Request) (*http.Response, error) {
		h := http.Header{"Retry-After": {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}}
		return &http.Response{StatusCode: 429, Header: h, Body: http.NoBody}, nil
	})
	_, err := a.Refresh(t.Context(), refreshToken)
	if f := mustFail(t, err); f.RetryAfter < 50*time.Minute || f.RetryAfter > time.Hour {
		t.Errorf("got %v, want about an hour", f.RetryAfter)
	}
}

// ExampleAccounts_Refresh shows how a refusal is told from a token.
func ExampleAccounts_Refresh() {
	eu, _ := zoho.LookupDataCenter("eu")
	accounts := zoho.Accounts{
		DataCenter:   eu,
		ClientID:     "1000.ABC",
		ClientSecret: "of this data center",
		HTTP: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}}, nil
		})},
	}
	reply, err := accounts.Refresh(exampleContext, "1000.refresh.token")
	if f, ok := errors.AsType[*zoho.Failure](err); ok {
		fmt.Println(f.Kind, "-", f)
	} else {
		fmt.Println("a token for", reply.ExpiresIn)
	}
	// Output: temporary - accounts server gave no token (status 200): the reply is not a JSON object
}

// FuzzTokenReply: an answer is either a reply that can be used or a failure
// that can be shown.
func FuzzTokenReply(f *testing.F) {
	for _, body := range []string{
		okReply, throttleEnglish, throttleChinese, `{"error":"invalid_code"}`, `{"access_token":"t","expires_in":"3600000","expires_in_sec":1e308}`,
		`{"access_token":"a\r\nb"}`, `{"error":"` + clientSecret + `\u001b[2J` + refreshToken + `"}`, "<html><title>" + accessToken + "</title>", `{"access_token":"t","access_token":"u"}`,
	} {
		for _, status := range []int{200, 302, 400, 503} {
			f.Add(status, "", []byte(body))
		}
	}
	f.Add(200, "gzip", encode(f, "gzip", strings.NewReader(okReply)))
	f.Fuzz(func(t *testing.T, status int, encoding string, body []byte) {
		a := failing(nil)
		a.HTTP.Transport = roundTripper(func(*http.Request) (*http.Response, error) {
			h := http.Header{"Content-Encoding": {encoding}, "Retry-After": {encoding}, "Date": {encoding}}
			return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(bytes.NewReader(body))}, nil
		})
		for _, g := range []func() (zoho.Reply, error){
			func() (zoho.Reply, error) { return a.Refresh(t.Context(), refreshToken) },
			func() (zoho.Reply, error) { return a.Exchange(t.Context(), "1000.code", "") },
			func() (zoho.Reply, error) { return zoho.Reply{}, a.Revoke(t.Context(), refreshToken) },
		} {
			r, err := g()
			failure, failed := errors.AsType[*zoho.Failure](err)
			switch {
			case failed:
				checkLine(t, failure.Error())
				checkLine(t, failure.Code)
				if r != (zoho.Reply{}) || failure.RetryAfter < 0 || failure.Hint() == "" {
					t.Errorf("%v comes with a reply, a negative wait or no hint", failure)
				}
			case err != nil:
				t.Errorf("got %T, want a Failure", err)
			case r != (zoho.Reply{}):
				checkReply(t, r)
			}
		}
	})
}

func checkReply(t *testing.T, r zoho.Reply) {
	t.Helper()
	for _, token := range []string{r.AccessToken, r.RefreshToken} {
		if strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
			t.Errorf("token %q does not fit into a header", token)
		}
	}
	if r.AccessToken == "" || r.ExpiresIn <= 0 || r.ExpiresIn > 24*time.Hour {
		t.Errorf("got a token of %d bytes for %v", len(r.AccessToken), r.ExpiresIn)
	}
}
