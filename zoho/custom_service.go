package zoho

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/nearest"
)

// CustomService is a service that the table lacks, as an operator describes it.
type CustomService struct {
	// Its hosts: exact names under a domain of Zoho's, at most one for each data center.
	Hosts []string `json:"hosts"`

	// What all its paths at these hosts begin with, such as `/api/v1`. Default: anything.
	Path string `json:"path,omitempty"`
}

// serviceName is what a custom service may be called: it is part of paths and a label of metrics.
var serviceName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// reservedNames begin paths of the proxy's own, or stand for something else in metrics.
var reservedNames = []string{"accounts", "oauth", "other", "zoho-connect", "zoho-health"}

// Check says what is wrong with a service of that name. It brings hosts into lowercase letters.
func (s *CustomService) Check(name string) error {
	switch {
	case !serviceName.MatchString(name):
		return fmt.Errorf("the name %s: 1 to 32 lowercase letters, digits and hyphens are allowed, a letter first", show(name))
	case slices.Contains(reservedNames, name):
		return fmt.Errorf("the proxy itself uses the name %s: choose another one", name)
	case slices.Contains(ServiceNames(), name):
		return fmt.Errorf("%s is already a service: remove the custom_service, or choose another name", name)
	case len(s.Hosts) == 0:
		return fmt.Errorf("%s has no host: write `host NAME...`, one for each data center", name)
	}
	centers := make(map[string]string)
	for i, host := range s.Hosts {
		host = strings.ToLower(host)
		s.Hosts[i] = host
		code, err := customHost(host)
		if err != nil {
			return err
		}
		if first, twice := centers[code]; twice {
			return fmt.Errorf("%s and %s are both in the data center %s: write one host for each", first, host, code)
		}
		centers[code] = host
	}
	s.Path = strings.TrimRight(s.Path, "/")
	if p := s.Path; p != "" && (p[0] != '/' || strings.Contains(p, "//") || HasDotSegment(p) ||
		strings.IndexFunc(p, notInPaths) >= 0) {
		return fmt.Errorf("path %s: write a plain path that begins with /, as in /api/v1", show(p))
	}
	return nil
}

func notInPaths(r rune) bool { return notInNames(r) && r != '/' && r != '~' }

// customHost gives the data center of a host that may get a token, and says why others may not.
func customHost(host string) (code string, err error) {
	switch {
	case strings.ContainsAny(host, "/?#@"):
		return "", fmt.Errorf("host %s: write the name alone, as in sprintsapi.zoho.com, and put the path in `path`", show(host))
	case strings.Contains(host, ":"):
		return "", fmt.Errorf("host %s has a port: leave it out, Zoho's hosts use 443", show(host))
	case strings.ContainsAny(host, "*{"):
		return "", fmt.Errorf("host %s: write an exact name, because the token is sent there", show(host))
	}
	for label := range strings.SplitSeq(host, ".") {
		if whose, ok := published[label]; ok {
			return "", fmt.Errorf("host %s: this host has %s of Zoho's customers, which must not get a token", show(host), whose)
		}
	}
	e, known := hostIndex[host]
	code, domain := customDomain(host)
	switch {
	case strings.Contains(host, "accounts") || strings.HasPrefix(host, "iam.") || known && e.role == roleAccounts:
		return "", fmt.Errorf("host %s is an accounts server, which gets no access token", show(host))
	case known && e.service != "":
		return "", fmt.Errorf("host %s already belongs to the service %s", show(host), e.service)
	case known:
		return "", fmt.Errorf("host %s is already known: several services share it, and the path chooses between them", show(host))
	case code == "":
		return "", fmt.Errorf("host %s is not under a domain of Zoho's data centers, such as %s; for another server use "+
			"`upstream https://HOST` in its own zoho_proxy", show(host), domain)
	case host == domain:
		return "", fmt.Errorf("host %s is a whole domain: write the API's host", show(host))
	}
	for parent := range parents(host) {
		if e, ok := hostIndex[parent]; ok && parent != domain { // the gateway is one of these
			return "", fmt.Errorf("host %s is below %s, where customers' portals are: they must not get a token",
				show(host), e.center.hosts[e.role])
		}
	}
	return code, nil
}

// parents are the names that a host is beneath, short of its domain.
func parents(host string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for {
			_, rest, ok := strings.Cut(host, ".")
			if !ok || !yield(rest) {
				return
			}
			host = rest
		}
	}
}

// manageEngineDomains are those of the products that take tokens of Zoho's accounts servers (their
// services in the table), by data center.
var manageEngineDomains = map[string]string{
	"manageengine.com": "us", "manageengine.eu": "eu", "manageengine.in": "in", "manageengine.com.au": "au",
	"manageengine.cn": "cn", "manageengine.jp": "jp", "manageengine.ca": "ca", "manageengine.uk": "uk",
	"manageengine.sa": "sa", "manageengine.ae": "ae",
}

// customDomain gives the data center of a host, and its domain; without one the domain that was
// probably meant.
func customDomain(host string) (code, domain string) {
	if h := domainOwner(host); h != nil {
		if isUnder(host, h.dc.Suffix) {
			return h.dc.Code, h.dc.Suffix
		}
		return h.dc.Code, gatewayDomain(h.dc)
	}
	for domain, code := range manageEngineDomains {
		if isUnder(host, domain) && !slices.ContainsFunc(strings.Split(host, "."), func(l string) bool { return !plainLabel(l) }) {
			return code, domain
		}
	}
	_, rest, _ := strings.Cut(host, ".")
	var domains []string
	for _, dc := range dataCenters {
		domains = append(domains, dc.Suffix)
	}
	if near := nearest.Word(rest, domains); near != "" {
		return "", near
	}
	return "", "zoho.com or zoho.eu"
}

// published are labels under which Zoho's customers publish what is theirs: whoever answers there may
// be anybody. Those of two words are domains of their own; the others stand before Zoho's.
var published = map[string]string{
	"catalyst":           "functions",
	"catalystapps":       "applications",
	"catalystserverless": "functions",
	"creatorapp":         "applications",
	"creatorportal":      "applications",
	"docs":               "documents",
	"flow":               "webhooks",
	"forms":              "forms",
	"onslate":            "pages",
	"portal":             "portals",
	"public":             "pages",
	"show":               "documents",
	"sites":              "pages",
	"wiki":               "pages",
	"zcodeusers":         "functions",
	"zohobackstage":      "pages",
	"zohobookings":       "pages",
	"zohocreatorportal":  "applications",
	"zohodesk":           "portals",
	"zohoplatform":       "portals",
	"zohoportal":         "portals",
	"zohopublic":         "documents",
	"zohorecruit":        "pages",
	"zohosites":          "pages",
	"zohostatic":         "files",
	"zohostratus":        "files",
}
