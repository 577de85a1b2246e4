package cause

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestTable: each row says what happened and what to do, in pieces of a sentence, and holds
// no placeholder that nobody fills.
func TestTable(t *testing.T) {
	whole := Facts{
		Client:  "main",
		Account: "shop",
		Server:  "https://accounts.zoho.eu",
		Consent: "run `caddy zoho connect main shop`",
		Budget:  10,
		Window:  10 * time.Minute,
		Lost:    3,
	}
	for c := range table {
		for name, facts := range map[string]Facts{"all is known": whole, "nothing is known": {}} {
			e := Of(c, facts)
			if e.What == "" || e.Do == "" {
				t.Errorf("%s says %+v", c, e)
			}
			for _, piece := range []string{e.What, e.Why, e.Do} {
				if regexp.MustCompile(`[{}\n]|  |\.$|^ | $`).MatchString(piece) {
					t.Errorf("%s, where %s, says %q", c, name, piece)
				}
			}
		}
	}
}

// TestFacts: what is known is told, and what is not is told in general words.
func TestFacts(t *testing.T) {
	for _, test := range []struct {
		name  string
		cause Cause
		facts Facts
		says  string
	}{
		{"the server", Unreachable, Facts{Server: "https://accounts.zoho.in"}, "https://accounts.zoho.in cannot be reached: check name"},
		{"no server", Unreachable, Facts{}, "this accounts server cannot be reached"},
		{"a way to consent", Dead, Facts{Consent: "connect it"}, "otherwise connect it"},
		{"no way to consent", Dead, Facts{}, "otherwise connect the account again"},
		{"a connection", Rejected, Facts{Client: "main", Account: "shop"}, "`caddy zoho doctor main shop` shows"},
		{"no account", Rejected, Facts{Client: "main"}, "`caddy zoho doctor main` shows"},
		{"no connection", Rejected, Facts{}, "`caddy zoho doctor` shows"},
		{"a budget", Budget, Facts{Budget: 9, Window: time.Minute}, "9 access tokens were requested within 1 minute"},
		{"one lost", Contended, Facts{Lost: 1}, "1 access token was lost early"},
		{"three lost", Contended, Facts{Lost: 3}, "3 access tokens were lost early"},
		{"braces in a fact", Dead, Facts{Consent: "{server}", Server: "https://x"}, "otherwise {server}"},
		{"an unknown cause", "nothing", Facts{}, ""},
	} {
		if got := Of(test.cause, test.facts).Hint(); !strings.Contains(got, test.says) {
			t.Errorf("%s: %q", test.name, got)
		}
	}
	if got := Sentence("see the log") + Sentence(""); got != "See the log." {
		t.Errorf("%q", got)
	}
}
