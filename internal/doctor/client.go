package doctor

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/egress"
	"github.com/caddy-zoho/caddy-zoho/internal/secret"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// credentials looks at the client's id and secrets as they are configured now.
func (e *exam) credentials() {
	c := e.client
	before := len(e.found)
	e.found.Add(examineSecret("client_id", c.Name, c.ClientID, secret.Ref.Credential)...)
	for _, ref := range c.AllSecrets() {
		e.found.Add(examineSecret("client_secret", c.Name, ref, secret.Ref.Credential)...)
		if value, err := ref.Credential(); err == nil && zoho.LooksLikeClientID(value) {
			e.tell(adminapi.Finding{
				Check:  adminapi.CheckCredentials,
				Result: adminapi.ResultFailed,
				What:   "client_secret looks like a client id",
				Why:    "ids begin with " + zoho.ClientIDForm + ", secrets do not",
				Do:     "see whether client_id and client_secret are swapped",
			})
		}
	}
	if id, err := c.ClientID.Credential(); err == nil && !zoho.LooksLikeClientID(id) && !c.Centers[0].Custom {
		e.tell(adminapi.Finding{
			Check:  adminapi.CheckCredentials,
			Result: adminapi.ResultWarning,
			What:   "client_id does not look like one of Zoho's",
			Why:    "those begin with " + zoho.ClientIDForm,
			Do:     "compare it with the API console",
		})
	}
	for _, account := range c.AccountNames() {
		e.found.Add(examineFile(c.Name, c.GrantRef(account))...)
	}
	if len(e.found) == before {
		e.tell(adminapi.Finding{
			Check:  adminapi.CheckCredentials,
			Result: adminapi.ResultOK,
			What:   "client_id and client_secret have values that look right",
		})
	}
}

// dataCenters asks each authorization server whether it is there, what time it is, and
// whether it knows the client. A throttled client keeps silent.
func (e *exam) dataCenters(ctx context.Context, statuses []tokencache.Status) {
	centers := e.client.Centers
	found := make([]exam, len(centers))
	clocks := make([]*time.Duration, len(centers))
	var running sync.WaitGroup
	for i, center := range centers {
		found[i].client, found[i].known = e.client, e.known
		running.Go(func() {
			found[i].guarded(func() { clocks[i] = found[i].dataCenter(ctx, center, statuses) })
		})
	}
	running.Wait()
	for i := range found {
		e.found.Add(found[i].found...)
		e.down = append(e.down, found[i].down...)
		e.throttling = append(e.throttling, found[i].throttling...)
	}
	e.clock(clocks)
}

// clock tells by how much this machine's clock is ahead of those of the servers that
// have answered.
func (e *exam) clock(clocks []*time.Duration) {
	var told []time.Duration
	for _, ahead := range clocks {
		if ahead != nil {
			told = append(told, *ahead)
		}
	}
	if len(told) == 0 {
		e.tell(adminapi.Finding{
			Check:  adminapi.CheckClock,
			Result: adminapi.ResultSkipped,
			What:   "the clock was not compared",
			Why:    "no authorization server has told the time",
		})
		return
	}
	ahead := slices.MaxFunc(told, func(a, b time.Duration) int { return cmp.Compare(a.Abs(), b.Abs()) })
	if ahead.Abs() <= client.ClockTolerance {
		e.tell(adminapi.Finding{
			Check:  adminapi.CheckClock,
			Result: adminapi.ResultOK,
			What:   fmt.Sprintf("this machine's clock agrees with Zoho's within %s", words.Duration(client.ClockTolerance)),
		})
		return
	}
	direction := "ahead of"
	if ahead < 0 {
		direction = "behind"
	}
	e.tell(adminapi.Finding{
		Check:  adminapi.CheckClock,
		Result: adminapi.ResultFailed,
		What:   fmt.Sprintf("this machine's clock is %s %s Zoho's", words.Duration(ahead.Abs()), direction),
		Why:    "Zoho's answers carry the time; stored expiries, certificates and logs go by this machine's clock",
		Do:     "set up its time service (NTP)",
	})
}

// dataCenter asks one of the authorization servers; ahead is by how much this machine's clock
// is ahead of its own, nil if it has not told the time.
func (e *exam) dataCenter(
	ctx context.Context, center zoho.DataCenter, statuses []tokencache.Status,
) (ahead *time.Duration) {
	ways := e.client.AccountsOf(center)
	if len(ways) == 0 {
		e.tell(adminapi.Finding{
			Check:  adminapi.CheckCredentials,
			Result: adminapi.ResultFailed,
			What:   "there is no client secret for the data center " + center.Code,
			Why:    "each data center has its own unless one was chosen for all",
			Do:     "set `client_secret " + center.Code + " {env.…}`",
		})
		return nil
	}
	reach, cancel := context.WithTimeout(ctx, client.ReachLimit)
	defer cancel()
	ahead, err := ways[0].Reach(reach)
	if err != nil {
		e.down = append(e.down, center.Accounts)
		e.unreachable(center.Accounts, err)
		return nil
	}
	throttled := func(s tokencache.Status) bool {
		return s.Waiting == tokencache.KindThrottled && s.AccountsServer == center.Accounts
	}
	if slices.ContainsFunc(statuses, throttled) {
		e.throttling = append(e.throttling, center.Accounts)
		e.notAsked(center, "Zoho throttles the client, and each call keeps the door shut", "")
		return ahead
	}
	if !e.client.Shared.Asked.AllowN(time.Now(), len(ways)) {
		e.notAsked(center, "doctor was run so often that Zoho might take it for an attack", "wait some minutes")
		return ahead
	}
	e.clientAt(ctx, center, ways)
	return ahead
}

// asks reports whether an authorization server may be called: one that throttles keeps its
// door shut for longer with each call.
func (e *exam) asks(server string) bool {
	return !slices.Contains(e.down, server) && !slices.Contains(e.throttling, server)
}

func (e *exam) unreachable(where string, err error) {
	do := "see firewall, proxy (`network_proxy`) and whether that server is up"
	var authority x509.UnknownAuthorityError
	var name *net.DNSError
	switch {
	case errors.Is(err, egress.ErrLoop):
		do = cause.Of(cause.Loop, cause.Facts{}).Do
	case errors.As(err, &authority):
		do = "if something here inspects TLS, give its certificate authority by `trusted_ca`"
	case errors.As(err, &name):
		do = "see the DNS server of this machine"
	}
	told := cause.Of(cause.Unreachable, cause.Facts{Server: where})
	e.tell(adminapi.Finding{
		Check:  adminapi.CheckDataCenter,
		Result: adminapi.ResultFailed,
		What:   told.What,
		Why:    err.Error(),
		Do:     do,
	})
}

// clientAt reports whether a data center takes the client's id and one of its secrets.
func (e *exam) clientAt(ctx context.Context, center zoho.DataCenter, ways []*zoho.Accounts) {
	var failure *zoho.Failure
	for i, way := range ways {
		failure = nil // of the secret before
		err := way.CheckClient(ctx)
		if err == nil {
			e.knownClient(center, i > 0)
			return
		}
		if !errors.As(err, &failure) || failure.Status == 0 || failure.Kind != zoho.FailureClientRejected {
			e.uncheckedClient(center, err)
			return
		}
	}
	if failure.Code == "invalid_client_secret" {
		e.tell(adminapi.Finding{
			Check:  adminapi.CheckCredentials,
			Result: adminapi.ResultFailed,
			What:   center.Accounts + " refuses the client secret",
			Why:    failure.Error(),
			Do:     e.rightSecret(center),
		})
		return
	}
	e.unknownClient(center, failure, e.elsewhere(center))
}

// notAsked tells that nothing is known of a data center but that it answers.
func (e *exam) notAsked(center zoho.DataCenter, why, do string) {
	e.tell(adminapi.Finding{
		Check:  adminapi.CheckDataCenter,
		Result: adminapi.ResultSkipped,
		What:   center.Accounts + " can be reached; it was asked nothing more",
		Why:    why,
		Do:     do,
	})
}

// knownClient tells that a data center takes the client, and whether it has refused a secret.
func (e *exam) knownClient(center zoho.DataCenter, refusedOne bool) {
	if refusedOne {
		e.tell(adminapi.Finding{
			Check:  adminapi.CheckCredentials,
			Result: adminapi.ResultNote,
			What:   center.Accounts + " takes one of the client's secrets, and refuses another",
			Why:    "several are configured",
			Do:     "when one of them is retired everywhere, remove it",
		})
	}
	e.tell(adminapi.Finding{
		Check:  adminapi.CheckDataCenter,
		Result: adminapi.ResultOK,
		What:   center.Accounts + " knows the client and takes its secret",
	})
}

// uncheckedClient tells why a data center did not say whether it takes the client.
func (e *exam) uncheckedClient(center zoho.DataCenter, err error) {
	var failure *zoho.Failure
	switch {
	case errors.As(err, &failure) && failure.Kind == zoho.FailureThrottled:
		e.throttling = append(e.throttling, center.Accounts)
		e.tell(adminapi.Finding{
			Check:  adminapi.CheckBudget,
			Result: adminapi.ResultFailed,
			What:   "Zoho throttles: " + center.Accounts + " answers nothing for a while",
			Why:    err.Error(),
			Do:     failure.Hint(),
		})
	case failure != nil && failure.Status == 0:
		e.unreachable(center.Accounts, err)
	case failure != nil && failure.FromOAuth(): // which need not be about the client
		e.tell(adminapi.Finding{
			Check:  adminapi.CheckDataCenter,
			Result: adminapi.ResultOK,
			What:   fmt.Sprintf("%s answers as an authorization server does (%s)", center.Accounts, failure.Code),
		})
	default:
		told := cause.Of(cause.NoAccounts, cause.Facts{Server: center.Accounts})
		e.tell(adminapi.Finding{
			Check:  adminapi.CheckDataCenter,
			Result: adminapi.ResultFailed,
			What:   told.What,
			Why:    err.Error(),
			Do:     hintOf(err),
		})
	}
}

// rightSecret is how to come by the secret that a data center takes, the likeliest first.
func (e *exam) rightSecret(center zoho.DataCenter) string {
	do := cause.Of(cause.WrongSecret, cause.Facts{}).Do
	if len(e.client.Centers) > 1 {
		do += fmt.Sprintf("; each data center has its own, unless the console is told to use one everywhere: "+
			"see `client_secret %s …`", center.Code)
	}
	return do
}

func hintOf(err error) string {
	var failure *zoho.Failure
	if errors.As(err, &failure) {
		return failure.Hint()
	}
	return ""
}

// unknownClient explains a data center that does not know the client by those that do.
func (e *exam) unknownClient(center zoho.DataCenter, failure *zoho.Failure, known []string) {
	home := e.client.Centers[0]
	const console = "Each data center is enabled separately, in the API console of its home"
	switch {
	case len(known) == 0:
		e.tell(adminapi.Finding{
			Check:  adminapi.CheckCredentials,
			Result: adminapi.ResultFailed,
			What: "the client id is unknown at " + center.Accounts +
				", and none of Zoho's data centers that answered knows it",
			Why: failure.Error(),
			Do: "see whether client_id is mistyped: compare it with the API console, it is case sensitive " +
				"and begins with " + zoho.ClientIDForm,
		})
	case center == home:
		e.tell(adminapi.Finding{
			Check:  adminapi.CheckDataCenter,
			Result: adminapi.ResultFailed,
			What: fmt.Sprintf("wrong data center: the client id is unknown at %s, but known at %s",
				center.Code, strings.Join(known, ", ")),
			Why: "the client was registered there, or this data center is not enabled for it " +
				"(" + failure.Error() + ")",
			Do: fmt.Sprintf("write `data_center %s` if it was registered there. %s", known[0], console),
		})
	default:
		e.tell(adminapi.Finding{
			Check:  adminapi.CheckDataCenter,
			Result: adminapi.ResultFailed,
			What: fmt.Sprintf("the data center %s is not enabled for the client, which is known at %s",
				center.Code, strings.Join(known, ", ")),
			Why: failure.Error(),
			Do:  "switch it on, or take it out of `data_center`. " + console,
		})
	}
}

// elsewhere lists the codes of Zoho's other data centers that know the client's id, as far
// as they answer.
func (e *exam) elsewhere(here zoho.DataCenter) (known []string) {
	for _, code := range e.known() {
		if code != here.Code {
			known = append(known, code)
		}
	}
	return known
}
