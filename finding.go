package caddyzoho

import "slices"

// finding is what was found where something was looked at: what it is, why, and what to
// do about it. None holds a secret.
type finding struct {
	Check   string `json:"check"`  // what was looked at, of a closed set
	Result  string `json:"result"` // ok, note, warning, failed or skipped
	Client  string `json:"client,omitempty"`
	Account string `json:"account,omitempty"`
	What    string `json:"what"`
	Why     string `json:"why,omitempty"`
	Do      string `json:"do,omitempty"`
	// A new consent would end it.
	NeedsConsent bool `json:"needs_consent,omitempty"`
}

// What is looked at.
const (
	checkConfiguration = "configuration" // where no Caddy runs, or an examination broke off
	checkStore         = "store"
	checkSites         = "sites"
	checkNotify        = "notify"
	checkCredentials   = "credentials"
	checkDataCenter    = "data-center"
	checkClock         = "clock"
	checkGrant         = "grant"
	checkBudget        = "budget"
	checkContention    = "contention"
	checkScopes        = "scopes"
	checkCall          = "call"
)

// What a look came to.
const (
	resultOK      = "ok"
	resultNote    = "note" // nothing is wrong, but it is good to know
	resultWarning = "warning"
	resultFailed  = "failed"
	resultSkipped = "skipped"
)

// findings are collected in the order in which they are told.
type findings []finding

func (f *findings) add(more ...finding) { *f = append(*f, more...) }

// once leaves out what was told before, as of two handlers of one site.
func (f findings) once() (kept findings) {
	for _, x := range f {
		if !slices.Contains(kept, x) {
			kept.add(x)
		}
	}
	return kept
}

func (f findings) failed() bool {
	return f.has(func(x finding) bool { return x.Result == resultFailed })
}

func (f findings) has(which func(finding) bool) bool { return slices.ContainsFunc(f, which) }

// line is the finding as a log line.
func (f finding) line() string {
	text := f.What
	if f.Why != "" {
		text += ": " + f.Why
	}
	if f.Do != "" {
		text += "; " + f.Do
	}
	return text
}
