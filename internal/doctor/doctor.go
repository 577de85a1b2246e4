// Package doctor examines a running configuration from within: the store, the sites, each
// client from its credentials to calls of its services. It tells what is wrong, why and what
// to do.
package doctor

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/fault"
	"github.com/caddy-zoho/caddy-zoho/internal/notify"
	"github.com/caddy-zoho/caddy-zoho/internal/sealing"
	"github.com/caddy-zoho/caddy-zoho/internal/secret"
	"github.com/caddy-zoho/caddy-zoho/internal/sites"
	"github.com/caddy-zoho/caddy-zoho/internal/unrecognized"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
)

// Subject is what is examined: the clients of a configuration, and what they share.
type Subject struct {
	Clients []*client.Client
	Sites   []*sites.Walk
	Store   *boltstore.Store
	Dir     string // of the store
	Sealing *sealing.Sealing
	Notify  notify.URL
	Notices *notify.Notifier
	Unknown *unrecognized.Refusals
	Moved   *sync.Map // configured refresh tokens at the wrong data center → code of the right one
}

// Examine is the table of contents: first what all share, then each client, from its
// credentials to calls of its apps' services. Empty names mean all.
func (s *Subject) Examine(ctx context.Context, only, account string) adminapi.Findings {
	found := s.examineStore()
	reach, met := sites.Examine(s.Sites)
	if len(reach) == 0 {
		reach.Add(adminapi.Finding{
			Check:  adminapi.CheckSites,
			Result: adminapi.ResultOK,
			What:   "zoho_proxy can be reached from where it should",
		})
	}
	found.Add(reach.Once()...)
	if met {
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckSites,
			Result: adminapi.ResultNote,
			What:   "Caddy drops request headers whose names hold _ or . before zoho_proxy sees them",
			Why:    "many programs take those signs for a -, so that a caller could pass one header off as another",
			Do:     "if an app needs one, add to the global options: servers { expected_underscore_headers NAME }",
		})
	}
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

func (s *Subject) examineStore() (found adminapi.Findings) {
	store := s.Store
	if err := store.TryWrite(); err != nil {
		told := cause.Of(cause.Unwritten, cause.Facts{})
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckStore,
			Result: adminapi.ResultFailed,
			What:   told.What,
			Why:    err.Error(),
			Do:     told.Do,
		})
	}
	if err := store.CheckGrants(); err != nil {
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckStore,
			Result: adminapi.ResultFailed,
			What:   "the stored grants cannot be read",
			Why:    err.Error(),
			Do:     "mend that: their accounts get no tokens until then",
		})
	}
	found.Add(s.examineMasterKey()...)
	for _, text := range store.TooOpen() {
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckStore,
			Result: adminapi.ResultFailed,
			What:   text,
			Why:    "whoever can copy the store and learns a client secret has the grants",
			Do:     "do that, and see who made it so",
		})
	}
	if text := ReturnedGrants(store); text != "" {
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckStore,
			Result: adminapi.ResultWarning,
			What:   text,
			Why:    "an old grants.db was put in place",
			Do:     "take them away by `caddy zoho forget` or `revoke`, or connect these accounts anew",
		})
	}
	for _, text := range store.Noticed() {
		found.Add(noticed(text))
	}
	for _, key := range s.Sealing.Keys() {
		found.Add(examineSecret("encryption_key", "", key)...)
		if value, err := key.Resolve(); err == nil && secret.Guessable(value) {
			found.Add(adminapi.Finding{
				Check:  adminapi.CheckStore,
				Result: adminapi.ResultWarning,
				What:   "an encryption_key is short enough to be guessed",
				Why:    "whoever has a copy of the store can try all short ones",
				Do:     "make one by `openssl rand -base64 32`",
			})
		}
	}
	if len(found) == 0 {
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckStore,
			Result: adminapi.ResultOK,
			What:   "the store can be written: " + s.Dir,
		})
	}
	return found
}

// examineMasterKey looks at the key of our own, where one is used.
func (s *Subject) examineMasterKey() (found adminapi.Findings) {
	if !s.Sealing.ByMasterKey() {
		return nil
	}
	key, err := s.Sealing.MasterKey()
	if err == nil && key == nil {
		err = fmt.Errorf("%s is missing", s.Sealing.MasterKeyFile())
	}
	if err != nil {
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckStore,
			Result: adminapi.ResultWarning,
			What:   sealing.WithoutMasterKey,
			Why:    err.Error(),
			Do: "mend that, or put the file back if there is a copy; one that is missing is made at the " +
				"next start or reload, unless stored grants cannot be opened",
		})
	}
	return append(found, examineFile("", s.Sealing.MasterKeyRef())...)
}

// noticed explains what the store has noticed since Caddy opened it.
func noticed(text string) adminapi.Finding {
	f := adminapi.Finding{
		Check:  adminapi.CheckStore,
		Result: adminapi.ResultWarning,
		What:   text,
		Why:    "noticed since Caddy has opened the file: a crash of the machine or a failing disk does that",
		Do: "nothing for tokens, which are asked for anew; what concerns a grant is told with its " +
			"account. If it comes again, see to the disk",
	}
	if strings.Contains(text, tokencache.ErrWrongKey.Error()) {
		f.Why = "it was sealed by another key: an encryption_key, or the client's secret and the master key, were changed and those before were taken away, or the store is another Caddy's"
		f.Do = "add the key of before as a further one, of encryption_key or client_secret; nothing for tokens, which are asked for anew; what concerns a grant is told with its account"
	}
	return f
}

// ReturnedGrants names grants that were deleted here and are stored all the same, some of
// them.
func ReturnedGrants(store *boltstore.Store) string {
	const some = 10
	keys := store.Returned()
	if len(keys) == 0 {
		return ""
	}
	var names []string
	for _, key := range keys[:min(len(keys), some)] {
		names = append(names, key.String())
	}
	text := "grants that were deleted here are stored again: " + strings.Join(names, ", ")
	if len(keys) > some {
		text += fmt.Sprintf(" and %d more", len(keys)-some)
	}
	return text
}

// examineNotify looks at where notifications go, and whether the last one was taken.
func (s *Subject) examineNotify() (found adminapi.Findings) {
	to, err := s.Notify.Resolve()
	switch failed := s.Notices.Failure(s.Notify); {
	case err != nil:
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckNotify,
			Result: adminapi.ResultFailed,
			What:   "notify leads nowhere",
			Why:    err.Error(),
			Do:     "correct that, or nobody is told",
		})
	case to == nil:
	case failed != nil:
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckNotify,
			Result: adminapi.ResultFailed,
			What:   "the last notification was not taken by " + to.Host,
			Why:    failed.Error(),
			Do:     "see whether that address is right and answers 200 to a POST",
		})
	default:
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckNotify,
			Result: adminapi.ResultOK,
			What:   "notifications go to " + to.Host,
		})
	}
	return found
}

// examineSecret looks at a secret and where it comes from, nothing if that is in order.
func examineSecret(option, client string, ref secret.Ref) (found adminapi.Findings) {
	if _, err := ref.Resolve(); err != nil {
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckCredentials,
			Result: adminapi.ResultFailed,
			Client: client,
			What:   option + " has no usable value",
			Why:    err.Error(),
			Do: "see to it that Caddy's own environment has it; a changed file is read without a reload, " +
				"a changed variable takes a restart",
		})
	}
	return append(found, examineFile(client, ref)...)
}

// examineFile looks at who else can read a secret.
func examineFile(client string, ref secret.Ref) (found adminapi.Findings) {
	if text := ref.Exposed(); text != "" {
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckCredentials,
			Result: adminapi.ResultFailed,
			Client: client,
			What:   text,
			Why:    "other users of this machine can take the secret",
			Do:     "roll the secret over if others have been there",
		})
	}
	return found
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

// tellConsent is tell for failures that a new consent ends.
func (e *exam) tellConsent(f adminapi.Finding) {
	f.Result, f.NeedsConsent = adminapi.ResultFailed, true
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
	e.connections(ctx, statuses, account)
	if account == "" && len(statuses) > 0 { // otherwise that nothing is connected is told already
		e.unserved(statuses)
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
