package zoho

import (
	"fmt"
	"strings"
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
	"reports": "analytics", "bugs": "bugtracker", "docs": "workdrive", "support": "desk", "hr": "people",
}

// NearestDataCenter guesses the code of the data center that s was meant to
// name: a domain, an accounts URL, a country, a slip of the pen. "" if nothing
// is near.
func NearestDataCenter(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	_, rest, ok := strings.Cut(s, "://")
	if ok {
		s = rest
	}
	s, _, _ = strings.Cut(s, "/")
	if g := regionOf(s); g != nil {
		return g.dc.Code
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
	codes := make([]string, len(dataCenters))
	for i, dc := range dataCenters {
		codes[i] = dc.Code
	}
	if len(s) < 3 { // a code of two letters is one slip away from most others
		return exactly(s, codes)
	}
	return nearest(s, codes)
}

// UnknownDataCenter is the error for a code that LookupDataCenter does not
// know: it lists the codes, or proposes the one that was probably meant, with
// the accounts server by which the operator can tell.
func UnknownDataCenter(s string) error {
	if near, ok := LookupDataCenter(NearestDataCenter(s)); ok {
		name := ""
		if near.Code == "ca" {
			name = "Canada is "
		}
		return fmt.Errorf("unknown data center %s: did you mean %q? (%s%s at %s)",
			show(s), near.Code, name, near.Code, strings.TrimPrefix(near.Accounts, "https://"))
	}
	codes := make([]string, len(dataCenters))
	for i, dc := range dataCenters {
		codes[i] = dc.Code
	}
	return fmt.Errorf("unknown data center %s: use one of %s, or two URLs, of accounts server and API", show(s), strings.Join(codes, ", "))
}

// NearestService guesses the service that name was meant to be, "" if nothing
// is near.
func NearestService(name string) string {
	name = strings.TrimPrefix(strings.ToLower(name), "zoho")
	if s, ok := serviceWords[name]; ok {
		return s
	}
	names := make([]string, len(services))
	for i, s := range services {
		names[i] = s.Name
	}
	return nearest(name, names)
}

func exactly(s string, all []string) string {
	for _, c := range all {
		if c == s {
			return c
		}
	}
	return ""
}

// nearest gives the candidate that is at most two slips away, one for short words.
func nearest(s string, all []string) string {
	if len(s) > 32 {
		return ""
	}
	best, limit := "", 3
	if len(s) <= 4 {
		limit = 2
	}
	for _, c := range all {
		if d := distance(s, c); d < limit {
			best, limit = c, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that lead from a to b (optimal string alignment).
func distance(a, b string) int {
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
