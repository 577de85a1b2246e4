package caddyzoho

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/syntax"
)

// The golden pairs of tests/adapt show what each form becomes; here is what they
// cannot show.

func adapt(t testing.TB, text string) (string, error) {
	t.Helper()
	result, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	return string(result), err
}

// Everything that reverse_proxy and its transport understand is either taken or
// refused with a reason: nothing of a newer Caddy slips in or is called unknown.
func TestEveryOptionOfReverseProxyIsKnown(t *testing.T) {
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy").
		Output()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(strings.TrimSpace(string(dir)), "caddyfile.go")
	for _, o := range optionsIn(t, file, "Handler") {
		_, taken := proxyOptions[o]
		if _, refused := syntax.Refused[o]; taken == refused {
			t.Errorf("option %s of reverse_proxy: taken %v, refused %v", o, taken, refused)
		}
	}
	for _, o := range optionsIn(t, file, "HTTPTransport") {
		_, taken := syntax.TransportOptions[o]
		if _, refused := syntax.RefusedOfTransport[o]; taken == refused {
			t.Errorf("option %s of transport http: taken %v, refused %v", o, taken, refused)
		}
	}
}

// optionsIn lists what the UnmarshalCaddyfile of a type switches on.
func optionsIn(t *testing.T, file, receiver string) []string {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var options []string
	for _, declaration := range parsed.Decls {
		f, ok := declaration.(*ast.FuncDecl)
		if !ok || f.Name.Name != "UnmarshalCaddyfile" ||
			f.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name != receiver {
			continue
		}
		for _, statement := range f.Body.List {
			loop, ok := statement.(*ast.ForStmt)
			if !ok {
				continue
			}
			for _, inner := range loop.Body.List {
				if s, ok := inner.(*ast.SwitchStmt); ok {
					options = append(options, cases(s)...)
				}
			}
		}
	}
	if len(options) < 20 {
		t.Fatalf("found only %d options of %s in %s", len(options), receiver, file)
	}
	return options
}

func cases(s *ast.SwitchStmt) []string {
	var listed []string
	for _, clause := range s.Body.List {
		for _, expression := range clause.(*ast.CaseClause).List {
			if literal, ok := expression.(*ast.BasicLit); ok {
				word, _ := strconv.Unquote(literal.Value)
				listed = append(listed, word)
			}
		}
	}
	return listed
}

// A word in the wrong place is told where it belongs.
func TestEveryOptionHasItsPlace(t *testing.T) {
	wantPlace(t, globalOptions, syntax.PlaceGlobal)
	wantPlace(t, client.Options, syntax.PlaceClient)
	wantPlace(t, client.AccountOptions, syntax.PlaceClient)
	wantPlace(t, proxyOptions, syntax.PlaceProxy, "account") // which zoho_proxy takes as well
}

func wantPlace[T any](t *testing.T, options map[string]syntax.Option[T], want syntax.Place, except ...string) {
	t.Helper()
	for word := range options {
		if got := syntax.PlaceOf(word); got != want && !slices.Contains(except, word) {
			t.Errorf("%s: place %v, want %v", word, got, want)
		}
	}
}

// The syntax in the doc comments names every option that exists, and no other.
func TestSyntaxNamesEveryOption(t *testing.T) {
	global := slices.Concat(
		syntax.Available(globalOptions),
		syntax.Available(client.Options),
		syntax.Available(client.AccountOptions),
		syntax.Available(redisOptions),
		syntax.Available(customServiceOptions),
	)
	compareSyntax(t, "caddyfile_global.go", "parseGlobal", global)
	compareSyntax(
		t,
		"caddyfile_proxy.go",
		"parseProxy",
		slices.Concat(
			syntax.Available(proxyOptions), syntax.Available(policyOptions), syntax.Available(syntax.TransportOptions)),
	)
}

func compareSyntax(t *testing.T, file, function string, want []string) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]bool)
	for _, declaration := range parsed.Decls {
		f, ok := declaration.(*ast.FuncDecl)
		if !ok || f.Name.Name != function {
			continue
		}
		for _, text := range strings.Split(f.Doc.Text(), "\n") {
			fields := strings.Fields(text)
			if strings.HasPrefix(text, "\t ") && len(fields) > 0 && syntax.OptionShape.MatchString(fields[0]) {
				documented[fields[0]] = true
			}
		}
	}
	got := slices.Sorted(maps.Keys(documented))
	slices.Sort(want)
	if want = slices.Compact(want); !slices.Equal(got, want) {
		t.Errorf("the doc comment of %s:\ngot  %q\nwant %q", function, got, want)
	}
}

// An option that is named in two places must be told apart by its place.
func TestEachRefusalHasAReason(t *testing.T) {
	for _, reasons := range []map[string]string{syntax.Refused, syntax.RefusedOfTransport} {
		for o, reason := range reasons {
			if len(reason) < 20 || strings.HasSuffix(reason, ".") || reason != strings.TrimSpace(reason) {
				t.Errorf("%s: reason %q", o, reason)
			}
		}
	}
}

// What the Caddyfile gives is what JSON gives: nothing is lost on the way back.
func TestAppRoundTrip(t *testing.T) {
	result, err := adapt(t, `{
	zoho {
		store bolt /var/lib/zoho
		encryption_key {env.KEY}
		client main {
			data_center us eu
			client_id insecure_literal 1000.ABC
			client_secret {env.A} {env.B}
			client_secret eu {env.C}
			refresh_token {env.D}
			scopes a,b c
			keep_warm 0
			token_budget 5 1m
			simulator 127.0.0.1:9443 ca.pem
			account sales {
				data_center eu
				refresh_token {env.E}
			}
		}
	}
}
`)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Apps struct {
			Zoho json.RawMessage `json:"zoho"`
		} `json:"apps"`
	}
	if err := json.Unmarshal([]byte(result), &config); err != nil {
		t.Fatal(err)
	}
	var app App
	if err := json.Unmarshal(config.Apps.Zoho, &app); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(&app)
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != string(config.Apps.Zoho) {
		t.Errorf("got  %s\nwant %s", again, config.Apps.Zoho)
	}
	c := app.Clients["main"]
	if c == nil || len(c.ClientSecret) != 2 || c.KeepWarm == nil || *c.KeepWarm != 0 || len(c.Scopes) != 3 {
		t.Errorf("client: %+v", c)
	}
}

// Whatever surrounds a secret, no error shows it, and nothing panics.
func FuzzCaddyfile(f *testing.F) {
	const literal = "LITERAL5ecretValue"
	for _, seed := range []string{
		"data_center us", "client_id {env.A}", "client_secret eu", "client_secret insecure_literal", "account a {", "}",
		"scopes {", "refresh_token", "encryption_key \"", "data_center us \\", "simulator 127.0.0.1:1", "network_proxy http://u:",
		"zoho_proxy {", "transport http {", "@x status 4xx", "keep_warm 5", "import x", "client other {\n", "{$X}", "<<EOF", "",
	} {
		f.Add(seed, "", uint8(len(seed)))
		f.Add(seed, "data_center us\nclient_id {env.A}", uint8(len(seed)+1))
	}
	lines := []string{
		"client_secret ",
		"client_id ",
		"refresh_token ",
		"client_secret eu {env.A} ",
		"client_secret {env.A}\n",
		"network_proxy http://user:",
	}
	f.Fuzz(func(t *testing.T, before, after string, which uint8) {
		// Quotes and continued lines make one token of a secret and what stands around
		// it; which option that then belongs to is the operator's mistake.
		if strings.ContainsAny(before, "\"`\\<\r") || strings.Contains(before, "import") ||
			strings.Contains(before, literal) {
			return
		}
		text := "{\nzoho {\nclient main {\n" + before + "\n" + lines[int(which)%len(lines)] + literal + "\n" + after + "\n}\n}\n}\nhttp://:8080 {\nzoho_proxy\n}\n"
		if _, err := adapt(t, text); err != nil && strings.Contains(err.Error(), literal) {
			t.Errorf("the secret is shown: %v", err)
		}
	})
}

// FuzzProxyBlock looks for panics: of ours, and of Caddy's parsers behind ours.
func FuzzProxyBlock(f *testing.F) {
	for _, seed := range []string{
		"account {header.A}", "callers 10.0.0.0/8", "replay_buffer 1MiB 2MiB", "header_up +X y", "@x {\nstatus 5xx\n}\nhandle_response @x {\nrespond a\n}",
		"transport http {\ndial_timeout 3s\n}", "flush_interval -1", "replace_status 404", "upstream https://[::1]", "services crm", "{", "lb_retries -1", "header_up \"\" x", "header_up + x",
		"api_keys a in header query", "principal {http.auth.user.id}", "policy a {\npaths /crm/*\nmethods GET\nprincipals *\n}\ndry_run",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, block string) {
		if strings.Contains(block, "import") {
			return
		}
		_, _ = adapt(
			t,
			"{\nzoho {\nclient main {\ndata_center us\nclient_id {env.A}\nclient_secret {env.B}\n}\n}\n}\nhttp://:8080 {\nzoho_proxy {\n"+block+"\n}\n}\n",
		)
	})
}

// FuzzJSON, S-62: whatever a configuration in JSON says of a client and a handler, it is taken
// or refused by an error that shows no secret.
func FuzzJSON(f *testing.F) {
	const literal = "LITERAL5ecretValue"
	for _, seed := range []struct{ client, handler string }{
		{`"data_center":["us"],"client_id":"{env.A}"`, `"client":"main"`},
		{`"data_center":["us"],"client_id":"1000.A","scopes":["ZohoCRM.modules.ALL"],"keep_warm":300000000000`, `"account":"{http.auth.user.id}"`},
		{`"data_center":["http://127.0.0.1:1","http://127.0.0.1:1"],"client_id":"{env.A}","accounts":{"a":{"refresh_token":"{env.B}"}}`, `"callers":["loopback","10.0.0.0/8"]`},
		{`"data_center":null,"accounts":null`, `"replay_buffer":-1`},
		{`"accounts":{"a":null,"":{}}`, `"services":["crm","no"],"upstream":"http://10.0.0.1"`},
		{`"refresh_token":{"insecure_literal":"x"}`, `"services":null`},
		{`"client_id":{"insecure_literal":1}`, `"unknown":{}`},
		{`"token_budget":{"calls":-1,"window":"x"}`, `"client":1e999`},
		{`"simulator":{"address":"x","ca":"/nowhere"}`, ``},
		{`"network_proxy":"http://u:p@h"`, `"header":"\ud800"`},
		{`"client_id":"{env.A}"`, `"api_keys":{"files":["a.keys"],"in":["header","query"]},"account":"{http.request.header.A}"`},
		{`"client_id":"{env.A}"`, `"principal":"{http.auth.user.id}","policies":[{"name":"a","principals":["b*"],"paths":["/crm/*"]}],"dry_run":true`},
		{`"redirect_uri":"https://%zz"`, `"client":"main","client":"other"`},
	} {
		f.Add(seed.client, seed.handler)
	}
	f.Fuzz(func(t *testing.T, client, handler string) {
		t.Chdir(t.TempDir())
		t.Setenv("A", "1000.VALUE")
		if strings.TrimSpace(client) != "" {
			client += ","
		}
		if strings.TrimSpace(handler) != "" {
			handler = "," + handler
		}
		if !json.Valid([]byte("{"+client+`"x":0}`)) || !json.Valid([]byte(`{"x":0`+handler+"}")) || strings.Contains(client+handler, literal) {
			return // Caddy refuses it by itself, or nobody can tell where the secret stands
		}
		for _, secret := range []string{`"` + literal + `"`, `{"insecure_literal":"` + literal + `"}`} {
			text := `{"admin":{"disabled":true},"logging":{"logs":{"default":{"writer":{"output":"discard"}}}},"apps":{
				"zoho":{"store":{"bolt":"store"},"clients":{"main":{` + client + `"client_secret":[` + secret + `]}}},
				"http":{"servers":{"site":{"listen":["127.0.0.1:1"],"routes":[{"handle":[{"handler":"zoho"` + handler + `}]}]}}}}}`
			var config caddy.Config
			err := caddy.StrictUnmarshalJSON([]byte(text), &config)
			if err == nil {
				err = caddy.Validate(&config)
			}
			switch {
			case err == nil && secret[0] == '"':
				t.Errorf("a literal secret is taken that was not asked for: %s", text)
			case err != nil && strings.Contains(err.Error(), literal):
				t.Errorf("the secret is shown: %v", err)
			}
		}
	})
}
