package access

import (
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"pgregory.net/rapid"

	"github.com/caddy-zoho/caddy-zoho/internal/apikeys"
	"github.com/caddy-zoho/caddy-zoho/internal/policy"
)

// control is one with keys: a line each, NAME [ACCOUNT...].
func control(t *testing.T, account string, lines ...string) (c *Control, keys map[string]string) {
	t.Helper()
	keys = make(map[string]string)
	var file strings.Builder
	for _, line := range lines {
		name, accounts, _ := strings.Cut(line, " ")
		key, digest := apikeys.New()
		keys[name] = key
		file.WriteString(name + " " + digest + " " + accounts + "\n")
	}
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := New(&Config{Account: account, Keys: &apikeys.Config{Files: []string{path}}}, apikeys.NewStore(nil), new(apikeys.Tries))
	if err != nil {
		t.Fatal(err)
	}
	return c, keys
}

// of is what a caller gets that asks for an account.
func (c *Control) of(t testing.TB, key, asked string) (account string, admitted bool) {
	t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+key)
	repl := caddy.NewReplacer()
	repl.Map(func(name string) (any, bool) {
		return asked, name == "http.request.header.Account" || strings.HasSuffix(name, "account")
	})
	who, err := c.Identify(r, repl, func() string { return "10.0.0.1" })
	if err != nil {
		t.Fatal(err)
	}
	return c.AccountOf(who, repl)
}

func TestAccountOf(t *testing.T) {
	const header = "{http.request.header.Account}"
	for _, tt := range []struct {
		configured, line, asked string
		account                 string
		admitted                bool
	}{
		{"", "", "", "default", true},
		{"", "acme", "", "acme", true},
		{"", "acme other", "", "default", false},
		{"", "acme default", "", "default", true},
		{"", "acme*", "", "default", false},
		{"", "*", "", "default", true},
		{"acme", "", "", "acme", true},
		{"acme", "acme", "", "acme", true},
		{"acme", "a*", "", "acme", true},
		{"acme", "other", "", "acme", false},
		{header, "", "acme", "acme", false},
		{header, "acme", "acme", "acme", true},
		{header, "acme", "other", "other", false},
		{header, "*", "other", "other", true},
		{header, "acme", "", "", true}, // which is no account, and said to be none
		{header, "", "", "", true},
		{"{env.NONE}", "acme", "", "", true},
		{"{http.vars.account}", "", "acme", "acme", false}, // whatever sets it may take it from the request
		{"{account}", "", "acme", "acme", false},
	} {
		c, keys := control(t, tt.configured, strings.TrimSpace("erp "+tt.line))
		account, admitted := c.of(t, keys["erp"], tt.asked)
		if account != tt.account || admitted != tt.admitted {
			t.Errorf("account %q, line %q, asked for %q: %q %v", tt.configured, tt.line, tt.asked, account, admitted)
		}
	}
}

// TestOwnAccountsOnly is S-12: whatever is asked for, nothing but an account of the caller's line is
// admitted.
func TestOwnAccountsOnly(t *testing.T) {
	c, keys := control(t, "{http.request.header.Account}", "a acme acme-2", "b other")
	rapid.Check(t, func(t *rapid.T) {
		asked := rapid.OneOf(rapid.StringOf(rapid.RuneFrom([]rune("acme-2 other*%/.,\x00ACME"))), rapid.String()).Draw(t, "account")
		account, admitted := c.of(&testing.T{}, keys["a"], asked)
		if admitted && account != "" && account != "acme" && account != "acme-2" {
			t.Fatalf("%q is admitted as %q", asked, account)
		}
	})
}

// TestNames: whose calls have names, and what that means where policies are.
func TestNames(t *testing.T) {
	any := policy.Policy{Name: "crm", Services: []string{"crm"}}
	call := func(name string) *policy.Call {
		return &policy.Call{Caller: name, Service: "crm", Method: "GET", Path: "/"}
	}
	named, err := New(&Config{Principal: "{http.auth.user.id}", Policies: []policy.Policy{any}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if named.Permit(call("")) == nil || named.Permit(call("ann")) != nil {
		t.Error("a caller without a name is admitted, or one with a name is not")
	}
	open, err := New(&Config{Policies: []policy.Policy{any}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if open.Permit(call("")) != nil {
		t.Error("where nobody has a name, one is asked for")
	}
	none, err := New(new(Config), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if none.Active() || !open.Active() || !named.Active() || none.Permit(&policy.Call{}) != nil {
		t.Error("what is audited")
	}
}

// TestEmptyPrincipal: text around a placeholder is no name.
func TestEmptyPrincipal(t *testing.T) {
	for principal, want := range map[string]string{
		"{http.auth.user.id}": "", "user:{http.auth.user.id}": "", "{http.request.tls.client.subject}/{http.auth.user.id}": "",
		"{http.request.tls.client.subject}": "CN=erp", "app {http.request.tls.client.subject}": "app CN=erp",
	} {
		c, err := New(&Config{Principal: principal}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		repl := caddy.NewReplacer()
		repl.Map(func(name string) (any, bool) { return "CN=erp", name == "http.request.tls.client.subject" })
		if who, err := c.Identify(nil, repl, nil); err != nil || who.Name != want {
			t.Errorf("%s: %q %v", principal, who.Name, err)
		}
	}
}

// TestWarnings: what is likely not meant is said, and nothing else.
func TestWarnings(t *testing.T) {
	const header = "{http.request.header.Account}"
	for name, tt := range map[string]struct {
		c    *Control
		says string
	}{
		"no key":             {first(control(t, "")), "no key"},
		"unbound, chosen":    {first(control(t, header, "erp", "shop acme")), "list none: erp;"},
		"bound":              {first(control(t, header, "shop acme")), ""},
		"unbound":            {first(control(t, "acme", "erp")), ""},
		"own account":        {first(control(t, "{http.zoho.caller}", "erp")), ""},
		"principal, chosen":  {&Control{Config: &Config{Principal: "{http.auth.user.id}"}, chosen: true}, "any account"},
		"unknown principal":  {&Control{Config: &Config{Principal: "{http.vars.user}"}}, "not known"},
		"principal":          {&Control{Config: &Config{Principal: "{http.auth.user.id}"}}, ""},
		"nobody, but chosen": {&Control{Config: new(Config), chosen: true}, ""},
	} {
		got := strings.Join(tt.c.Warnings(), "\n")
		if (got == "") != (tt.says == "") || !strings.Contains(got, tt.says) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func first(c *Control, _ map[string]string) *Control { return c }

func TestCheck(t *testing.T) {
	crm := policy.Policy{Name: "crm", Services: []string{"crm"}}
	for name, tt := range map[string]struct {
		c           Config
		place, says string
	}{
		"nothing":            {Config{}, "", ""},
		"in order":           {Config{Principal: "{http.auth.user.id}", Policies: []policy.Policy{crm, {Name: "b", Principals: []string{"x"}}}, DryRun: true}, "", ""},
		"no file":            {Config{Keys: new(apikeys.Config)}, "api_keys", "no file"},
		"both":               {Config{Keys: &apikeys.Config{Files: []string{"x"}}, Principal: "{http.auth.user.id}"}, "principal", "not both"},
		"no placeholder":     {Config{Principal: "erp"}, "principal", "needs a placeholder"},
		"the caller's own":   {Config{Principal: "{http.request.uri.query.user}"}, "principal", "callers can set"},
		"SNI":                {Config{Principal: "{http.request.tls.server_name}"}, "principal", "callers can set"},
		"a certificate":      {Config{Principal: "{http.request.tls.client.subject}"}, "", ""},
		"a header":           {Config{Principal: "{http.request.header.X-User}"}, "", ""},
		"nothing to dry-run": {Config{DryRun: true}, "dry_run", "needs a policy"},
		"twice":              {Config{Policies: []policy.Policy{crm, crm}}, "policy crm", "twice"},
		"no names":           {Config{Policies: []policy.Policy{{Name: "a", Principals: []string{"x"}}}}, "policy a principals", "callers have no names"},
		"in a policy":        {Config{Policies: []policy.Policy{crm, {Name: "b", Methods: []string{"get"}}}}, "policy b methods", "GET"},
	} {
		m := tt.c.Check()
		switch {
		case m == nil && tt.place == "":
		case m == nil || m.Option != tt.place || !strings.Contains(m.Err.Error(), tt.says):
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// TestKnown: which names may be a label of metrics.
func TestKnown(t *testing.T) {
	c := &Control{Config: &Config{Policies: []policy.Policy{{Principals: []string{"ann", "b*"}}}}}
	for name, want := range map[string]bool{"ann": true, "b*": false, "bob": false, "": false} {
		if c.Known(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
	if c, _ := control(t, "", "erp"); !c.Known("erp") {
		t.Error("names of keys are not known")
	}
}

func TestIdentifyErrors(t *testing.T) {
	c, _ := control(t, "", "erp")
	r := httptest.NewRequest("GET", "/", nil)
	if _, err := c.Identify(r, caddy.NewReplacer(), func() string { return "" }); !errors.Is(err, apikeys.ErrMissing) {
		t.Error(err)
	}
	if who, err := (&Control{Config: new(Config)}).Identify(r, nil, nil); err != nil || who != (Who{}) {
		t.Error(who, err)
	}
}
