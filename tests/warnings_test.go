package tests

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestWarningsAtLoad: a site where our handler cannot be reached, or by too many, is
// said at load; one that is in order is not.
func TestWarningsAtLoad(t *testing.T) {
	t.Parallel()
	const (
		behindHost = "stands behind a host name"
		everywhere = "listens on every interface"
		nowhere    = "no site holds a zoho_proxy"
		noServer   = "no server is configured"
		strangers  = "zoho_connect admits every caller"
		basicAuth  = "\tbasic_auth {\n\t\tann " + hashOfHiccup + "\n\t}\n"
		pages      = "\tzoho_connect {\n\t\tcallers any\n\t}\n"
	)
	tests := []struct {
		name, sites string
		want        []string
	}{
		{"in order", "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tzoho_proxy\n}", nil},
		{"in order, in routes", "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\thandle_path /x/* {\n\t\troute {\n\t\t\tzoho_proxy\n\t\t}\n\t}\n}", nil},
		{"in order, Unix socket", "http:// {\n\tbind unix/{$ZOHO_STORE}.sock\n\tzoho_proxy\n}", nil},
		{"in order, localhost", "http://:{$ZOHO_PORT} {\n\tbind localhost\n\tzoho_proxy\n}", nil},
		{"in order, beside another site", "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tzoho_proxy\n}\nhttp://other.example:{$OTHER} {\n\tbind 127.0.0.1\n\trespond hello\n}", nil},
		{"host in the address", "http://proxy.example:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tzoho_proxy\n}", []string{behindHost}},
		{"host matcher", "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\t@zoho host www.zohoapis.com\n\thandle @zoho {\n\t\tzoho_proxy\n\t}\n}", []string{behindHost}},
		{"host matcher of the directive", "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\t@zoho host www.zohoapis.com\n\tzoho_proxy @zoho\n}", []string{behindHost}},
		{"wildcard bind", "http://:{$ZOHO_PORT} {\n\tzoho_proxy\n}", []string{everywhere}},
		{"0.0.0.0", "http://:{$ZOHO_PORT} {\n\tbind 0.0.0.0\n\tzoho_proxy\n}", []string{everywhere}},
		{"[::]", "http://:{$ZOHO_PORT} {\n\tbind [::]\n\tzoho_proxy\n}", []string{everywhere}},
		{"host and wildcard", "http://proxy.example:{$ZOHO_PORT} {\n\tzoho_proxy\n}", []string{behindHost, everywhere}},
		{"site without it", "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\trespond hello\n}", []string{nowhere}},
		{"empty bind", "http://:{$ZOHO_PORT} {\n\tbind {$EMPTY}\n\tzoho_proxy\n}", []string{noServer}},
		{"no site", "", []string{noServer}},
		{"pages for everybody", "http://:{$OTHER} {\n" + pages + "}\nhttp://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tzoho_proxy\n}", []string{strangers}},
		{"pages for everybody on this machine", "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n" + pages + "\tzoho_proxy\n}", nil},
		{"pages behind a password", "http://:{$OTHER} {\n" + basicAuth + pages + "}\nhttp://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tzoho_proxy\n}", nil},
		{"pages behind forward_auth", "http://:{$OTHER} {\n\tforward_auth 127.0.0.1:9 {\n\t\turi /\n\t}\n" + pages + "}\nhttp://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tzoho_proxy\n}", nil},
		{"pages for operators", "http://:{$OTHER} {\n\tzoho_connect {\n\t\tcallers 10.0.0.0/8\n\t}\n}\nhttp://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tzoho_proxy\n}", nil},
		{"named route", "&(zoho) {\n\tzoho_proxy\n}\nhttp://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tinvoke zoho\n}", nil},
		{"named route behind a host", "&(zoho) {\n\tzoho_proxy\n}\nhttp://proxy.example:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tinvoke zoho\n}", []string{behindHost}},
		{"named routes in a circle", "&(a) {\n\tinvoke b\n}\n&(b) {\n\tinvoke a\n}\nhttp://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tinvoke a\n}", []string{nowhere}},
		{"named route that nobody invokes", "&(zoho) {\n\tzoho_proxy\n}\nhttp://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\trespond hello\n}", []string{nowhere}},
	}
	global, _, _ := strings.Cut(oneClient, "http://:")
	global = strings.Replace(global, "\tzoho {\n", "\tzoho {\n\t\tencryption_key {env.ZOHO_KEY}\n", 1)
	_, baseURL, grant := sim(t, zohosim.Options{})
	c := newCaddy(t, oneClient, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant, "OTHER="+freePort(t), "EMPTY=", "ZOHO_KEY=0123456789abcdef")
	c.start()
	c.waitFor("the start", func() bool { return strings.Contains(c.output.String(), "serving Zoho connections") })
	for _, test := range tests {
		before := len(c.output.String())
		c.writeConfig(global + test.sites + "\n")
		if err := c.reload(); err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		c.waitFor("what follows the warnings", func() bool { return strings.Contains(c.output.String()[before:], "serving Zoho connections") })
		var got []string
		for line := range strings.Lines(c.output.String()[before:]) {
			var entry struct{ Level, Logger, Msg string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Level == "warn" && entry.Logger == "zoho" {
				got = append(got, entry.Msg)
			}
		}
		for _, want := range test.want {
			if n := strings.Count(strings.Join(got, "\n"), want); n != 1 {
				t.Errorf("%s: warned %d times that it %q: %q", test.name, n, want, got)
			}
		}
		if len(got) != len(test.want) {
			t.Errorf("%s: %d warnings, want %d: %q", test.name, len(got), len(test.want), got)
		}
	}
}
