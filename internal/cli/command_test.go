package cli

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
)

// Where one argument could be either, a client's name wins.
func TestConnectionOf(t *testing.T) {
	known := []adminapi.Connection{
		{Client: "main", Account: "default"}, {Client: "main", Account: "shop"},
		{Client: "other", Account: "default"}, {Client: "other", Account: "main"},
	}
	list := adminapi.List{Clients: []string{"main", "other"}, Connections: known}
	for _, tt := range []struct {
		args            []string
		client, account string // "" = refused
	}{
		{[]string{"other", "shop"}, "other", "shop"},
		{[]string{"main"}, "main", "default"},
		{[]string{"shop"}, "main", "shop"},
		{[]string{"default"}, "", ""}, // whose?
		{[]string{"nobody"}, "", ""},
		{nil, "", ""},
	} {
		client, account, err := connectionOf(tt.args, list)
		if (err != nil) != (tt.client == "") || err == nil && (client != tt.client || account != tt.account) {
			t.Errorf("%q: got %s/%s, %v", tt.args, client, account, err)
		}
	}
	only := adminapi.List{Clients: []string{"main"}, Connections: known[:1]}
	if client, account, err := connectionOf([]string{"shop"}, only); err != nil || client != "main" || account != "shop" {
		t.Errorf("with one client: got %s/%s, %v", client, account, err)
	}
}

// A failure is one of before where nothing is wrong now.
func TestErrorWord(t *testing.T) {
	at := time.Date(2026, 11, 27, 20, 45, 34, 0, time.Local)
	for _, tt := range []struct {
		name string
		info adminapi.Connection
		want string
	}{
		{"none", adminapi.Connection{State: "ok", HasToken: true}, "-"},
		{"over", adminapi.Connection{State: "ok", HasToken: true, LastError: "throttled: slow down", LastErrorAt: &at}, "earlier (2026-11-27 20:45): throttled: slow down"},
		{"waiting", adminapi.Connection{State: "ok", HasToken: true, LastError: "throttled: slow down", LastErrorAt: &at, NextTry: &at}, "throttled: slow down"},
		{"contended", adminapi.Connection{State: "contended", HasToken: true, LastError: "throttled: slow down", LastErrorAt: &at}, "earlier (2026-11-27 20:45): throttled: slow down"},
		{"degraded", adminapi.Connection{State: "degraded", HasToken: true, LastError: "temporary: no answer", LastErrorAt: &at}, "temporary: no answer"},
		{"no token", adminapi.Connection{State: "ok", LastError: "temporary: no answer", LastErrorAt: &at}, "temporary: no answer"},
		{"of the store", adminapi.Connection{State: "ok", HasToken: true, LastError: "store: tokens.db: no space left"}, "store: tokens.db: no space left"},
	} {
		if got := errorWord(tt.info, errorWidth); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// Tokens and codes are told from names that only resemble them.
func TestTokenLike(t *testing.T) {
	const long = "1000.0123456789abcdef0123456789abcdef.0123456789abcdef0123456789abcdef"
	for text, want := range map[string]bool{
		long: true, "x" + long: true, "-t" + long: true, "--refresh-token=" + long: true, "https://x/?code=" + long + "&location=us": true,
		"1000.aa.bb": true, "--self-client=1000.aa.bb": true, "-t1000.aa.bb": true, `"1000.aa.bb"`: true, "https://x/?code=1004.a.b&state=s": true,
		"1000.ABCDEFGH": false, "1024.acme.com": false, "store1000.acme.com": false, "shop-1000.a.b": false, "1000.acme.com@example.com": false,
		"/etc/1000.a.b/Caddyfile": false, "default": false, "": false,
	} {
		if got := tokenLike.MatchString(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// A token is taken as it stands in files; another server's stays as it is.
func TestBareToken(t *testing.T) {
	for text, want := range map[string]string{
		"1000.a.b": "1000.a.b", `"1000.a.b"`: "1000.a.b", "'1000.a.b'": "1000.a.b",
		"ZOHO_TOKEN=1000.a.b": "1000.a.b", `ZOHO_REFRESH_TOKEN="1000.a.b"`: "1000.a.b", "refresh_token: 1000.a.b": "1000.a.b",
		`"refresh_token": "1000.a.b"`: "1000.a.b", "REFRESH_TOKEN=hello": "hello", "refreshToken: hello": "hello",
		"hello": "hello", "abc=": "abc=", "abc:def": "abc:def", "refresh_token=": "refresh_token=", "a=b=1000.a.b": "a=b=1000.a.b",
	} {
		if got := bareToken(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// What is wrong with a line of a batch is told without what it holds.
func TestParseBatchLine(t *testing.T) {
	for text, want := range map[string]string{
		`{"account": "a", "refresh_token": "secret"}`:                "",
		`{"client": "c", "account": "a", "refresh_token": "secret"}`: "",
		`{"account": "a", "refresh_token": 'secret'}`:                "this is not JSON (at byte 35)",
		`{"account": "a", "refresh_token": "secret"`:                 "the JSON is cut off",
		`{"account": "a", "refresh_token": ["secret"]}`:              `"refresh_token" must be text in quotes`,
		`{"account": "a", "token": "secret"}`:                        `unknown field "token" (did you mean refresh_token?); known are client, account, refresh_token, data_center`,
		`{"account": "a", "secret` + "\u0001" + `": 1}`:              "this is not JSON",
		`{"account": "a", "refresh_token": ""}`:                      `"refresh_token" is missing`,
		`{"account": "secret/", "refresh_token": "x"}`:               `"account" is no name for an account: 1 to 128 of letters, digits and ._@- are allowed`,
		`"secret"`: `this is not a JSON object: it must be {"account": "…", "refresh_token": "…"}`,
		`{"account": "a", "refresh_token": "x"}secret`: "something follows the JSON object: each account needs a line of its own",
	} {
		line, err := parseBatchLine([]byte(text))
		switch {
		case want == "" && (err != nil || line.RefreshToken != "secret"):
			t.Errorf("%s: %+v, %v", text, line, err)
		case want != "" && (err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "secret")):
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// What is said of another server's answers, and of Caddy's own.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		status int
		answer string
		code   int
		says   string
	}{
		{404, `{"error":"there is no client","code":"unknown-client"}`, exitFailed, "there is no client"},
		{400, `{"error":"no name","code":"account-name","hint":"letters"}`, exitUsage, "no name\nhint: letters"},
		{403, `{"error":"host not allowed: x"}`, exitFailed, "host not allowed: x"},
		{404, "404 page not found", exitUnreachable, "is not Caddy's admin endpoint"},
		{404, `{"error":"not here","code":404}`, exitUnreachable, "is not Caddy's admin endpoint"},
	} {
		code, err := refused("localhost:1", tt.status, []byte(tt.answer))
		if code != tt.code || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%d %s: %d %v, want %d %s", tt.status, tt.answer, code, err, tt.code, tt.says)
		}
	}
}

// What is said where nothing answers, or nothing that speaks HTTP.
func TestNotAnswered(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	go func() {
		for {
			conn, err := other.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "220 mail.example.com ESMTP\r\n")
			_, _ = io.Copy(io.Discard, conn) // closing at once could reset what was said
			_ = conn.Close()
		}
	}()
	socket := filepath.Join(t.TempDir(), "none.sock")
	for address, want := range map[string]struct {
		code int
		says string
	}{
		"127.0.0.1:1":              {exitUnreachable, "no answer from Caddy at 127.0.0.1:1: connection refused"},
		"unix/" + socket + "|0600": {exitUnreachable, "no such file or directory"},
		other.Addr().String():      {exitUnreachable, "is not Caddy's admin endpoint"},
		"x:y":                      {exitUsage, "--address: invalid admin address"},
		"localhost:1-2":            {exitUsage, "it has more than one port"},
	} {
		_, err := callAdmin(address, http.MethodGet, "/zoho/connections", "", nil)
		code, err := notAnswered(address, err)
		if code != want.code || !strings.Contains(err.Error(), want.says) {
			t.Errorf("%s: %d %v, want %d %s", address, code, err, want.code, want.says)
		}
	}
}

// TestKeyWord: an old key may go when nothing needs it, and what no configured key opens is told
// from what rekeying mends.
func TestKeyWord(t *testing.T) {
	t.Parallel()
	for want, keys := range map[string]*adminapi.Keys{
		"": {First: "a"},
		"old encryption_key (key id b): 0 records need it: it may be taken out":                                           {First: "a", Further: []string{"b"}},
		"old encryption_key (key id b): the first one does not open 1 record; `caddy zoho rekey` changes that":            {First: "a", Further: []string{"b"}, RecordsUnderOldKeys: 1},
		"keys that are not configured still open the store: key id c; `caddy zoho rekey` ends that":                       {First: "a", Unconfigured: []string{"c"}},
		"no configured encryption_key opens 2 records; configure the one with key id c again, and run `caddy zoho rekey`": {First: "a", Unconfigured: []string{"c"}, RecordsUnderOldKeys: 2},
	} {
		if got := keyWord(keys); got != want {
			t.Errorf("%+v: %q, want %q", keys, got, want)
		}
	}
	if got := keyWord(nil); got != "" {
		t.Error(got)
	}
}
