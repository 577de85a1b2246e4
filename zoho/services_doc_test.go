package zoho

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/services.md")

const servicesDoc = "../docs/services.md"

// TestServicesDocument: docs/services.md is what the tables say. `go test ./zoho -run
// TestServicesDocument -update` writes it anew.
func TestServicesDocument(t *testing.T) {
	var d document
	d.print("%s", servicesIntro)
	d.services()
	d.refusals()
	d.limits()
	d.leftOut()
	d.hosts()
	if *update {
		if err := os.WriteFile(servicesDoc, []byte(d.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(servicesDoc); err != nil || string(have) != d.String() {
		t.Errorf("docs/services.md is not what the table of services says (%v): "+
			"go test ./zoho -run TestServicesDocument -update", err)
	}
}

// document is Markdown.
type document struct{ strings.Builder }

func (d *document) print(format string, values ...any) { fmt.Fprintf(d, format, values...) }

func (d *document) heading(text, below string) { d.print("\n## %s\n\n%s\n\n", text, below) }

func (d *document) table(head ...string) {
	d.row(head...)
	d.print("|%s\n", strings.Repeat(" --- |", len(head)))
}

func (d *document) row(cells ...string) { d.print("| %s |\n", strings.Join(cells, " | ")) }

// code marks words, joined by a separator.
func code(sep string, words ...string) string {
	if len(words) == 0 {
		return ""
	}
	return "`" + strings.Join(words, "`"+sep+"`") + "`"
}

const servicesIntro = `# Services

<!-- Made from the tables in zoho/ by go test ./zoho -run TestServicesDocument -update -->

The services of Zoho's that the proxy serves, with everything that it knows of them.
[Configuration](configuration.md#how-a-request-finds-its-server) has the rules by which a request finds its server.

Nothing here was tried against Zoho by this project. A base is known *strongly* by a page of Zoho's, by a measurement
that somebody wrote down, or by several programs that agree; *medium* is one source, or the pattern of the others.
`

// services prints what is reached how.
func (d *document) services() {
	d.heading("Paths and hosts", "`GATEWAY` is the API gateway and `SUFFIX` what product hosts end in, of the [data center]"+
		"(configuration.md#data-centers) of the\nconnection. Let the app call the path at the proxy, or Zoho's own URL with the "+
		"proxy as its HTTP proxy. The gateway\nwithout `www.` is understood as well.")
	d.table("service", "path at the proxy", "at Zoho", "scopes begin with", "known")
	for _, s := range services {
		d.row(code("", s.Name), code(" ", s.paths()...), strings.Join(s.places(), "<br>"), code(" ", s.Scopes()...), string(s.Sure))
	}
	d.heading("Not in every data center", "A call to such a service elsewhere is answered 404 [service-unknown](errors.md#service-unknown), "+
		"and `caddy zoho doctor`\nnames it.")
	d.table("service", "data center", "host")
	for _, s := range services {
		for _, dc := range dataCenters {
			switch {
			case s.at != nil && s.at[dc.Code] != "":
				d.row(code("", s.Name), code("", dc.Code), code("", s.at[dc.Code]))
			case s.AbsentAt(dc.Code):
				d.row(code("", s.Name), code("", dc.Code), "not offered")
			}
		}
	}
	d.print("\nNo gateway is known in `inec`, so services behind it are not served there.\n")
}

// paths are what the path of a call at the proxy begins with.
func (s Service) paths() []string {
	var paths []string
	if s.Gateway {
		paths = append(paths, s.Base)
	} else {
		paths = append(paths, strings.TrimPrefix("/"+s.Name+s.Base, "/"+ProfileService))
	}
	for _, base := range s.own {
		paths = append(paths, "/"+s.Name+base)
	}
	return paths
}

// places are the URLs that those paths stand for, without https://.
func (s Service) places() []string {
	own := s.Host + ".SUFFIX"
	if s.at != nil {
		own = "see below"
	}
	var places []string
	switch {
	case s.Gateway:
		places = append(places, code("", "GATEWAY"+s.Base))
	case s.at != nil:
		places = append(places, "[its host](#not-in-every-data-center) and "+code("", s.Base))
		if s.Base == "" {
			places = []string{"[its host](#not-in-every-data-center)"}
		}
	default:
		places = append(places, code("", own+s.Base))
	}
	for _, base := range s.own {
		places = append(places, code("", own+base))
	}
	for _, label := range s.also {
		places = append(places, code("", label+".SUFFIX")+" by host name")
	}
	if s.Gateway && s.Host != "" && s.own == nil {
		places = append(places, code("", own)+" by host name")
	}
	return places
}

// refusals prints the verdict table.
func (d *document) refusals() {
	d.heading("What a refusal looks like", "The proxy renews a token for a dead one, and once for what may be one. A value counts "+
		"under the statuses and at the place\nwhere it stands in JSON or XML; where no place is given, anywhere. Measured: somebody wrote "+
		"down what Zoho answered.\nDocumented: a page of Zoho's has it. Reported: a program in use expects it. By pattern: services of "+
		"its family refuse\nlike that. 429 is a limit everywhere.")
	d.table("service", "no token", "dead token", "dead token or missing right", "missing scope", "missing right, other organization", "limit", "known")
	for _, family := range slices.Sorted(maps.Keys(verdictRows)) {
		cells := make(map[Verdict][]string)
		for _, r := range verdictRows[family] {
			cells[r.verdict] = append(cells[r.verdict], r.text())
		}
		cell := func(verdicts ...Verdict) string {
			var texts []string
			for _, v := range verdicts {
				texts = append(texts, cells[v]...)
			}
			return strings.Join(texts, "<br>")
		}
		names, known := familyOf(family)
		d.row(code(" ", names...), cell(VerdictNoHeader), cell(VerdictRenew), cell(VerdictAmbiguous), cell(VerdictScope),
			cell(VerdictPermission, VerdictOrg), cell(VerdictLimited), known)
	}
	d.print("\nBeside codes: `cliq` answers a missing token by 401 with two blank bytes of HTML, `bookings` a dead one by 401 with the page\n" +
		"that has the title above, `workdrive` of old said `expired_token` in `WWW-Authenticate`. Hosts for files say the code in the\n" +
		"status line of HTTP/1.1.\n\nEverywhere else, and in a 401 of another shape, these count wherever they stand:\n\n")
	d.table("value", "means")
	for _, r := range textualRows {
		d.row(code(" ", r.is...), meaningOf(r.verdict))
	}
	var unknown []string
	for _, s := range services {
		if s.refuses == "" {
			unknown = append(unknown, s.Name)
		}
	}
	d.print("\nNothing more is known of %s. A 401 of theirs without such a code is `ambiguous`\n([errors](errors.md)).\n",
		strings.Join(unknown, ", "))
}

// familyOf are the services with those rows, and how they are known.
func familyOf(family string) (names []string, known string) {
	by := make(map[Evidence][]string)
	for _, s := range services {
		if s.refuses == family {
			names = append(names, s.Name)
			by[s.Refused] = append(by[s.Refused], s.Name)
		}
	}
	if len(by) == 1 {
		for evidence := range by {
			return names, string(evidence)
		}
	}
	var texts []string
	for _, evidence := range []Evidence{Measured, Documented, Reported, ByPattern} {
		if len(by[evidence]) > 0 {
			texts = append(texts, string(evidence)+": "+strings.Join(by[evidence], ", "))
		}
	}
	return names, strings.Join(texts, "; ")
}

// text is a row as people read it.
func (r row) text() string {
	var parts []string
	for _, status := range r.on {
		parts = append(parts, strconv.Itoa(status))
	}
	text := strings.Join(parts, "/")
	switch {
	case r.at == pageTitle:
		text += " page title"
	case r.at != "":
		text += " " + code("", strings.TrimPrefix(r.at, "."))
	}
	switch {
	case r.is != nil:
		text += " " + code(", ", r.is...)
	case r.says == "":
		text += " any"
	}
	if r.says != "" {
		text += " with “" + r.says + "”"
	}
	return text
}

func meaningOf(v Verdict) string {
	return map[Verdict]string{
		VerdictRenew: "dead token", VerdictScope: "missing scope", VerdictPermission: "missing right",
		VerdictOrg: "another organization's token", VerdictNoHeader: "no token arrived", VerdictAmbiguous: "dead token or missing right",
	}[v]
}

// limits prints those that are known.
func (d *document) limits() {
	d.heading("Limits of the APIs", "They count at Zoho, whoever calls. The proxy passes the answers on.")
	d.table("service", "limit")
	for _, s := range services {
		if s.Limits != "" {
			d.row(code("", s.Name), s.Limits)
		}
	}
}

// leftOut prints what is no service here.
func (d *document) leftOut() {
	d.heading("Left out", "The proxy answers these 404 with the reason. If you know of an API that takes OAuth tokens,\n"+
		"[`custom_service`](configuration.md#services-of-your-own) adds it.")
	d.table("product", "why")
	for _, name := range slices.Sorted(maps.Keys(leftOut)) {
		d.row(name, LeftOut(name))
	}
}

// hosts prints what a firewall has to let through.
func (d *document) hosts() {
	d.heading("Outgoing hosts", "What the proxy calls for the connections of a data center, on port 443. The first one is the accounts "+
		"server, which every\nconnection needs. You may close those of services that no app uses. `# files` marks hosts for uploads "+
		"and downloads. A\nclient with two URLs in `data_center` calls these two and no other.")
	for _, dc := range dataCenters {
		d.print("### %s\n\n```\n%s\n", dc.Code, strings.TrimPrefix(dc.Accounts, "https://"))
		for _, h := range dc.Hosts() {
			switch {
			case h.Accounts:
			case h.Files:
				d.print("%s  # files\n", h.Name)
			default:
				d.print("%s\n", h.Name)
			}
		}
		d.print("```\n\n")
	}
}
