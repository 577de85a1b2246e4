// Secrets in request targets, where apps put them that know no better, stay out of Caddy's logs, and
// the lines of the access log stay in them.

package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// chatty logs what Caddy can log of a request, short of what comes from handlers in front.
const chatty = `{
	log {
		level DEBUG
		exclude http.handlers.rewrite
	}
	zoho {
		store bolt {$ZOHO_STORE}
		client main {
			data_center   {$ZOHO_DATA_CENTER}
			client_id     {env.ZOHO_CLIENT_ID}
			client_secret {env.ZOHO_CLIENT_SECRET}
			refresh_token {env.ZOHO_REFRESH_TOKEN}
		}
	}
}
http://:{$ZOHO_PORT} {
	bind 127.0.0.1
	log {
		output file {$LOG_DIR}/access.log
		format json
	}
	handle_errors {
		respond "error {err.status_code}" {err.status_code}
	}
	handle /down/* {
		zoho_proxy {
			upstream http://127.0.0.1:{$NOBODY}
		}
	}
	handle_path /strangers/* {
		zoho_proxy {
			callers 192.0.2.1
		}
	}
	handle /answered/* {
		uri strip_prefix /answered
		zoho_proxy {
			answer_token_calls
		}
	}
	handle /rewritten/* {
		rewrite * /crm/v8/Leads
		zoho_proxy
	}
	handle {
		zoho_proxy
	}
}
http://127.0.0.1:{$PLAIN} {
	bind 127.0.0.1
	handle /down/* {
		zoho_proxy {
			upstream http://127.0.0.1:{$NOBODY}
		}
	}
	zoho_proxy
}
`

// TestSecretsInTargets: whatever becomes of the request.
func TestSecretsInTargets(t *testing.T) {
	t.Parallel()
	_, baseURL, grant := sim(t, zohosim.Options{})
	plain := freePort(t)
	c := newCaddy(t, chatty, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant, "NOBODY="+freePort(t), "PLAIN="+plain)
	c.setenv("LOG_DIR=" + c.dir)
	const evil = "EvilSecret7f01"
	c.secrets = append(c.secrets, evil)
	c.start()
	type sent struct{ method, target, header string }
	var requests []sent
	for _, target := range []string{
		"/crm/v8/Leads?authtoken=%s", "/crm/v8/Leads?AuthToken=%s&page=1", "/crm/v8/Leads?%%61uthtoken=%s", "/crm/v8/Leads;authtoken=%s",
		"/crm/v8/Leads?access_token=%s", "/crm/v8/functions/x/actions/execute?auth_type=apikey&zapikey=%s",
		"/oauth/v2/token?client_id=1&client_secret=%s&grant_type=refresh_token", "/oauth/v2/token/revoke?token=%s", "/oauth/v2/revoke/token?token=%s",
		"/oauth/v3/token?anything=%s", "/answered/oauth/v2/token?client_secret=%s", "/crm/callback?code=%s&state=%[1]s&location=us",
		"/nothing?refresh_token=%s", "/crm/a#b?authtoken=%s", "/crm/..;/x?authtoken=%s", "/down/x?authtoken=%s", "/down/x?client_secret=%s",
		"/strangers/crm/v8/Leads?authtoken=%s", "/rewritten/x?authtoken=%s", "http://user:%s@www.zohoapis.com/crm/v8/Leads", "x:/crm?token=%s",
	} {
		target = fmt.Sprintf(target, evil)
		requests = append(requests, sent{"GET", target, ""}, sent{"POST", target, "Content-Length: 1\r\n"}, sent{"GET", target, "Origin: https://evil.example\r\n"})
	}
	requests = append(requests, sent{"TRACE", "/crm?token=" + evil, ""}, sent{"CONNECT", "user:" + evil + "@www.zohoapis.com:443", ""})
	for _, r := range requests {
		if a := c.send(t, r.method+" "+r.target+" HTTP/1.1\r\nHost: x\r\nX-Mark: "+r.method+"\r\n"+r.header+"Connection: close\r\n\r\n"+strings.Repeat("x", strings.Count(r.header, "Length: 1"))); a.StatusCode == 0 {
			t.Errorf("%s %s: no answer", r.method, r.target)
		}
	}
	if a := c.send(t, "GET /down/x?authtoken="+evil+" HTTP/1.1\r\nHost: x\r\n\r\n"); a.StatusCode != http.StatusBadGateway || string(a.body) != "error 502" {
		t.Errorf("the error route answers %s %q", a.Status, a.body)
	}
	site := c.url
	c.url = "http://127.0.0.1:" + plain // a site without logs and error routes
	if a := c.send(t, "GET /down/x?authtoken="+evil+" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); a.StatusCode != http.StatusBadGateway {
		t.Errorf("without an error route: %s %q", a.Status, a.body)
	}
	c.succeed(http.MethodGet, "/crm/v8/Leads?authtoken="+evil, "")
	c.url = site
	c.stop()

	access, err := os.ReadFile(filepath.Join(c.dir, "access.log"))
	if err != nil {
		t.Fatal(err)
	}
	c.checkSecrets("the access log", access)
	lines, hidden := 0, 0
	for text := range strings.Lines(string(access)) {
		var line struct {
			Logger, Msg string
			Status      int
			Request     struct {
				Method, URI, Host string
				Headers           http.Header
			}
			Duration float64
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if line.Msg != "handled request" {
			continue
		}
		lines++
		if strings.Contains(line.Request.URI, "REDACTED") {
			hidden++
			if !strings.HasPrefix(line.Logger, "http.log.access.log") || line.Status == 0 || line.Request.Method == "" || line.Request.Host != "x" && line.Request.Method != "CONNECT" && !strings.Contains(line.Request.URI, "@www") {
				t.Errorf("a line that is not as Caddy's: %s", text)
			}
		}
	}
	if want := len(requests) + 1; lines < want-2 || hidden < lines-2 {
		t.Errorf("%d lines for %d requests, %d of them without a secret", lines, want, hidden)
	}
}

// TestOrdinaryTargetsAreLogged: nothing is taken from a line in which there is no secret, and a secret
// that is taken from one arrives all the same, short of authtoken.
func TestOrdinaryTargetsAreLogged(t *testing.T) {
	t.Parallel()
	startRecorded(t, func(t *testing.T, c *proxy, r *recorder, prefix string) {
		for target, want := range map[string]string{
			"/x?code=a&state=b":           "/x?code=a&state=b",
			"/x?zapikey=k&page=1":         "/x?zapikey=k&page=1",
			"/x?authtoken=a&token=b":      "/x?token=b",
			"/x;authtoken=a?page_token=b": "/x;authtoken=a?page_token=b",
		} {
			if a := c.get(prefix + target); a.StatusCode != http.StatusOK {
				t.Errorf("%s: %s %s", target, a.Status, a.body)
			}
			if got := r.one(t); got.target != prefix+want {
				t.Errorf("%s arrived as %s", target, got.target)
			}
		}
	})
}
