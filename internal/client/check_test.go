package client

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestCheckWithoutLines: what a Caddyfile is refused for, JSON is as well, without a place.
func TestCheckWithoutLines(t *testing.T) {
	for _, tt := range []struct{ fault, says string }{
		{`"data_center": []`, "data_center is missing"},
		{`"data_center": ["mars"]`, `unknown data center "mars"`},
		{`"data_center": ["us", "us"]`, "data_center us is named twice"},
		{`"client_id": ""`, "client_id is missing"},
		{`"client_secret": []`, "client_secret is missing"},
		{`"client_secret": [], "data_center_secret": {"eu": ["{env.A}"]}`, "there is no client_secret for the data center us"},
		{`"data_center_secret": {"mars": ["{env.A}"]}`, `unknown data center "mars"`},
		{`"redirect_uri": "ftp://x"`, "is not a URL that begins with https://"},
		{`"redirect_uri": "http://hooks.example.com/"`, "plain http is for localhost"},
		{`"redirect_uri": "https://hooks.example.com/#x"`, "has a user name or a fragment"},
		{`"authorization_scheme": "two words"`, "takes one word"},
		{`"refresh_before": -1`, "refresh_before must be more than 0"},
		{`"keep_warm": -1`, "keep_warm must not be negative"},
		{`"token_wait": -1`, "token_wait must not be negative"},
		{`"token_budget": {"tokens": 0, "window": 1}`, "must be a number of at least 1"},
		{`"token_budget": {"tokens": 1, "window": 0}`, "the duration must be more than 0"},
		{`"network_proxy": "ftp://x"`, "network_proxy takes a URL"},
		{`"simulator": {"address": "x", "ca": "y"}`, "must be host:port"},
		{`"simulator": {"address": "x:1"}`, "the file of its certificate authority is missing"},
		{`"simulator": {"address": "x:1", "ca": "y"}, "trusted_ca": "z"`, "simulator and trusted_ca cannot be used together"},
		{`"simulator": {"address": "x:1", "ca": "y"}, "network_proxy": "http://p:1"`, "simulator and network_proxy cannot be used together"},
		{`"accounts": {"sales/eu": {"refresh_token": "{env.A}"}}`, `account name "sales/eu"`},
		{`"accounts": {"sales": {}}`, "account sales has no refresh_token"},
		{`"accounts": {"sales": null}`, "account sales has no refresh_token"},
		{`"accounts": {"default": {"refresh_token": "{env.A}"}}`, "refresh_token is that account's"},
		{`"accounts": {"sales": {"data_center": "mars", "refresh_token": "{env.A}"}}`, `account sales: data_center: unknown data center "mars"`},
		{`"data_center": ["https://a.example", "https://b.example"], "accounts": {"sales": {"data_center": "eu", "refresh_token": "{env.A}"}}`,
			"is two URLs and is that of all its accounts"},
	} {
		sound := `{"data_center": ["us"], "client_id": "{env.A}", "client_secret": ["{env.A}"], "refresh_token": "{env.A}"}`
		config := new(Config)
		for _, text := range []string{sound, "{" + tt.fault + "}"} {
			if err := json.Unmarshal([]byte(text), config); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		}
		if err := config.check(nil); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %s", tt.fault, err, tt.says)
		}
	}
	for _, name := range []string{"", "@main", "a b", strings.Repeat("x", 129)} {
		if _, err := New(new(Config), name, new(Shared)); err == nil || !strings.Contains(err.Error(), "@ not at the beginning") {
			t.Errorf("name %q: %v", name, err)
		}
	}
}
