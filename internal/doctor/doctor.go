// Package doctor examines a running configuration from within: the store, the sites, each
// client from its credentials to calls of its services. It tells what is wrong, why and what
// to do.
//
// doctor.go is the order of it. connections.go goes through a client's, with connection.go for
// what is known of one and call.go for what a call shows; exam.go is below all: what is
// examined, and what was found.
package doctor

import (
	"context"
	"sync"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/sites"
)

// Examine is the table of contents: first what all share, then each client, from its
// credentials to calls of its apps' services. Empty names mean all.
func (s *Subject) Examine(ctx context.Context, only, account string) adminapi.Findings {
	found := s.examineStore()
	reach := sites.Examine(s.Sites)
	if len(reach) == 0 {
		reach.Add(adminapi.Finding{
			Check:  adminapi.CheckSites,
			Result: adminapi.ResultOK,
			What:   "zoho_proxy can be reached from where it should",
		})
	}
	found.Add(reach.Once()...)
	found.Add(s.examineNotify()...)
	var exams []*exam
	var running sync.WaitGroup
	for _, c := range s.Clients {
		if only != "" && c.Name != only {
			continue
		}
		e := &exam{client: c, Subject: s}
		exams = append(exams, e)
		running.Go(func() {
			e.guarded(func() { e.run(ctx, account) })
		})
	}
	running.Wait()
	for _, e := range exams {
		found.Add(e.found...)
	}
	return found
}

func (e *exam) run(ctx context.Context, account string) {
	c := e.client
	e.known = sync.OnceValue(func() []string { return c.KnownAt(ctx) })
	if c.Simulator != nil {
		e.tell(adminapi.Finding{
			Check:  adminapi.CheckDataCenter,
			Result: adminapi.ResultWarning,
			What:   "a simulator stands in for Zoho: nothing reaches the real one",
			Why:    "the client has the option `simulator`",
			Do:     "remove it for real work",
		})
	}
	// gofail: var inDoctor struct{}
	statuses := c.Shared.Cache.Status(c.Cache, adminapi.Accounts(account)...)
	e.credentials()
	e.dataCenters(ctx, statuses)
	e.scopeNames(ctx)
	e.connections(ctx, statuses, account)
	if account == "" && len(statuses) > 0 { // otherwise that nothing is connected is told already
		e.unserved(statuses)
	}
}
