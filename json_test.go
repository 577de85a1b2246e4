package caddyzoho

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

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
