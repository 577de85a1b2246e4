package doctor

import (
	"iter"
	"sync"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/fault"
	"github.com/caddy-zoho/caddy-zoho/internal/notify"
	"github.com/caddy-zoho/caddy-zoho/internal/sealing"
	"github.com/caddy-zoho/caddy-zoho/internal/sites"
	"github.com/caddy-zoho/caddy-zoho/internal/stores"
	"github.com/caddy-zoho/caddy-zoho/internal/unrecognized"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// Subject is what is examined: the clients of a configuration, and what they share.
type Subject struct {
	Clients []*client.Client
	Sites   []*sites.Walk
	Store   stores.Store
	Sealing *sealing.Sealing
	Secrets func() map[string][][]byte // that shall open what is stored, by client
	Notify  notify.URL
	Notices *notify.Notifier
	Unknown *unrecognized.Refusals
	Moved   *sync.Map     // configured refresh tokens at the wrong data center → code of the right one
	Catalog *zoho.Catalog // of the services that there are
}

// exam is the examination of one client.
type exam struct {
	*Subject
	client     *client.Client
	known      func() []string // data centers that know the client's id, asked when first needed
	down       []string        // authorization servers that cannot be reached, of which that is told already
	throttling []string        // authorization servers that throttle
	found      adminapi.Findings
}

// tell notes what was found; without an account it concerns the client.
func (e *exam) tell(f adminapi.Finding) {
	f.Client = e.client.Name
	e.found.Add(f)
}

// tellConsent is tell for failures that a new consent ends, or where nobody consents, another configuration.
func (e *exam) tellConsent(f adminapi.Finding) {
	f.Result, f.NeedsConsent = adminapi.ResultFailed, e.client.ClientCredentials(f.Account) == nil
	e.tell(f)
}

// guarded makes a finding of a panic of ours: an examination that broke off is not one
// that found nothing.
func (e *exam) guarded(look func()) {
	done := false
	fault.Guard(e.client.Shared.Logger, func() {
		look()
		done = true
	})
	if !done {
		e.tell(adminapi.Finding{
			Check:  adminapi.CheckConfiguration,
			Result: adminapi.ResultFailed,
			What:   "the examination broke off",
			Why:    "a fault of the proxy's own",
			Do:     "see the log, and report it",
		})
	}
}

// proxies are those that serve this client, with where their sites listen.
func (e *exam) proxies() iter.Seq2[sites.Served, []string] {
	return func(yield func(sites.Served, []string) bool) {
		for _, site := range e.Sites {
			for _, p := range site.Proxies {
				if p.Client == e.client && !yield(p, site.Server.Listen) {
					return
				}
			}
		}
	}
}

// services are those that sites name for this client.
func (e *exam) services() (names []string) {
	for p := range e.proxies() {
		names = append(names, p.Services...)
	}
	return names
}
