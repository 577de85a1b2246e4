package adminapi

import "slices"

// Finding is what was found where something was looked at: what it is, why, and what to
// do about it. None holds a secret.
type Finding struct {
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
	CheckConfiguration = "configuration" // where no Caddy runs, or an examination broke off
	CheckStore         = "store"
	CheckSites         = "sites"
	CheckNotify        = "notify"
	CheckCredentials   = "credentials"
	CheckDataCenter    = "data-center"
	CheckClock         = "clock"
	CheckGrant         = "grant"
	CheckBudget        = "budget"
	CheckContention    = "contention"
	CheckScopes        = "scopes"
	CheckCall          = "call"
)

// What a look came to.
const (
	ResultOK      = "ok"
	ResultNote    = "note" // nothing is wrong, but it is good to know
	ResultWarning = "warning"
	ResultFailed  = "failed"
	ResultSkipped = "skipped"
)

// Findings are collected in the order in which they are told.
type Findings []Finding

// Add appends findings.
func (f *Findings) Add(more ...Finding) { *f = append(*f, more...) }

// Once leaves out what was told before, as of two handlers of one site.
func (f Findings) Once() (kept Findings) {
	for _, x := range f {
		if !slices.Contains(kept, x) {
			kept.Add(x)
		}
	}
	return kept
}

// Failed reports whether one of them is a failure.
func (f Findings) Failed() bool {
	return f.Has(func(x Finding) bool { return x.Result == ResultFailed })
}

// Has reports whether one of them is such a finding.
func (f Findings) Has(which func(Finding) bool) bool { return slices.ContainsFunc(f, which) }

// Line is the finding as a log line.
func (f Finding) Line() string {
	text := f.What
	if f.Why != "" {
		text += ": " + f.Why
	}
	if f.Do != "" {
		text += "; " + f.Do
	}
	return text
}

// Examination is the answer of POST /zoho/doctor.
type Examination struct {
	OK       bool     `json:"ok"` // nothing has failed
	Findings Findings `json:"findings"`
}
