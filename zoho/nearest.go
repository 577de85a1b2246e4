package zoho

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/nearest"
)

// dataCenterWords are names that people give a data center instead of its code.
var dataCenterWords = map[string]string{
	"com": "us", "usa": "us", "america": "us", "unitedstates": "us", "global": "us",
	"europe": "eu", "de": "eu", "nl": "eu", "ie": "eu",
	"india": "in", "ind": "in",
	"com.au": "au", "australia": "au", "aus": "au",
	"japan": "jp", "jpn": "jp",
	"canada": "ca", "can": "ca", "zohocloud": "ca",
	"saudi": "sa", "saudiarabia": "sa", "ksa": "sa",
	"gb": "uk", "gbr": "uk", "co.uk": "uk", "england": "uk", "britain": "uk", "unitedkingdom": "uk",
	"uae": "ae", "emirates": "ae", "dubai": "ae",
	"singapore": "sg", "sgp": "sg",
	"zohohq": "inec", "india-enterprise": "inec",
	"china": "cn", "com.cn": "cn", "chn": "cn",
}

// serviceWords are other names of services: hosts, scopes, former names.
var serviceWords = map[string]string{
	"subscriptions": "billing", "subscription": "billing", "projectsapi": "projects", "analyticsapi": "analytics",
	"sprintsapi": "sprints", "pulse": "connect", "marketing": "marketingautomation", "pay": "payments",
	"sdp": "servicedeskplus", "sdpondemand": "servicedeskplus", "servicedesk": "servicedeskplus",
	"desktopcentral": "endpointcentral", "mdmondemand": "mdm",
	"reports": "analytics", "bugs": "bugtracker", "docs": "workdrive", "support": "desk", "hr": "people",
}

// NearestDataCenter guesses the code of the data center that s was meant to
// name: a domain, an accounts URL, a country, a slip of the pen. "" if nothing
// is near.
func NearestDataCenter(s string) string {
	s = strings.ToLower(strings.Trim(s, " \t\r\n\"'"))
	_, rest, ok := strings.Cut(s, "://")
	if ok {
		s = rest
	}
	s, _, _ = strings.Cut(s, "/")
	if h := domainOwner(s); h != nil {
		return h.dc.Code
	}
	// Canada's domain is the one that everyone gets wrong: zoho.ca.
	if i := strings.LastIndex(s, "zoho."); i >= 0 {
		s = s[i+len("zoho."):]
	} else if i := strings.LastIndex(s, "zohoapis."); i >= 0 {
		s = s[i+len("zohoapis."):]
	}
	s = strings.Trim(s, ".")
	if code, ok := dataCenterWords[strings.ReplaceAll(s, " ", "")]; ok {
		return code
	}
	codes := DataCenterCodes()
	if len(s) == 2 && slices.Contains(codes, s[1:]+s[:1]) { // turned round
		return s[1:] + s[:1]
	}
	if len(s) < 3 && !slices.Contains(codes, s) {
		return "" // a code of two letters is one slip away from most others
	}
	return nearest.Word(s, codes)
}

// DataCenterCodes are the codes of the table, in its order.
func DataCenterCodes() []string {
	codes := make([]string, len(dataCenters))
	for i, dc := range dataCenters {
		codes[i] = dc.Code
	}
	return codes
}

// UnknownDataCenter is the error for a code that LookupDataCenter does not
// know: it lists the codes, or proposes the one that was probably meant, with
// the accounts server by which the operator can tell.
func UnknownDataCenter(s string) error {
	if parts := strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ';' }); len(parts) > 1 {
		return severalDataCenters(s, parts)
	}
	if near, ok := LookupDataCenter(NearestDataCenter(s)); ok {
		name := ""
		if near.Code == "ca" {
			name = "Canada is "
		}
		return fmt.Errorf("unknown data center %s: did you mean %q? (%s%s at %s)",
			show(s), near.Code, name, near.Code, strings.TrimPrefix(near.Accounts, "https://"))
	}
	return fmt.Errorf("unknown data center %s: use one of %s, or two URLs, of accounts server and API",
		show(s), strings.Join(DataCenterCodes(), ", "))
}

// severalDataCenters is the error for codes that were written as one.
func severalDataCenters(s string, parts []string) error {
	codes := make([]string, len(parts))
	for i, part := range parts {
		code := NormalCode(part)
		if _, ok := LookupDataCenter(code); !ok {
			code = NearestDataCenter(part)
		}
		if code == "" {
			return UnknownDataCenter(part)
		}
		codes[i] = code
	}
	return fmt.Errorf("%s names several data centers: write one, as in `data_center %s`; only a client that serves "+
		"accounts of several lists them, its home first, with spaces and no commas: `data_center %s`",
		show(s), codes[0], strings.Join(codes, " "))
}

// NearestService guesses the service that name was meant to be, "" if nothing
// is near.
func NearestService(name string) string {
	name = strings.TrimPrefix(strings.ToLower(name), "zoho")
	if s, ok := serviceWords[name]; ok {
		return s
	}
	if LeftOut(name) != "" {
		return "" // a product, and meant as such
	}
	return nearest.Word(name, ServiceNames())
}
