// Package notify tells a program of the operator's, or a chat, when a connection needs a
// person and when that is over; it never tells a secret. Its queue does things that nobody
// waits for.
package notify

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// Config is what of a configuration notifications go by.
type Config struct {
	Logger *zap.Logger
	To     URL // whom they go to, "" for nobody
	// Explain says of a cause what concerns a connection.
	Explain func(cause.Cause, tokencache.Key) cause.Explanation
}

// notification tells a program of the operator's what happened to a connection. It holds
// no secret.
type notification struct {
	ID      string    `json:"id"`    // the same when it is sent again
	Event   string    `json:"event"` // dead, contended, recovered or connected
	Client  string    `json:"client"`
	Account string    `json:"account"`
	Time    time.Time `json:"time"`
	Text    string    `json:"text"` // all of it in a line: what chat programs show
	Why     string    `json:"why,omitempty"`
	Do      string    `json:"do,omitempty"`

	occurrence
}

const noticeTimeout = 10 * time.Second

// noticeSteps are the waits between tries; after the last one it is given up.
var noticeSteps = []time.Duration{
	time.Second,
	2 * time.Second,
	5 * time.Second,
	10 * time.Second,
	30 * time.Second,
	time.Minute,
}

// Notifier sends notifications, one after the other. It outlives reloads: where they go
// To is asked of the running configuration at each try.
type Notifier struct {
	config func() *Config
	fleet  onboard.Nonces // those of all replicas, nil = this process is alone
	http   *http.Client
	ctx    context.Context
	cancel context.CancelFunc

	queue Queue

	mu       sync.Mutex                                // guards all below
	failing  error                                     // of the last one that was sent, nil = it was taken
	sentTo   URL                                       // where that went to
	unproven map[tokencache.Key]tokencache.Fingerprint // were dead, until another grant came that has brought no token yet
}

// New makes a notifier that asks for the configuration each time: it outlives reloads. Of the replicas that
// share a store one tells.
func New(config func() *Config, store onboard.Store) *Notifier {
	fleet, _ := store.(onboard.Shared)
	n := &Notifier{config: config, fleet: fleet, unproven: make(map[tokencache.Key]tokencache.Fingerprint), http: &http.Client{
		Timeout:       noticeTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSHandshakeTimeout: noticeTimeout,
			IdleConnTimeout:     time.Minute,
		}, // no proxy of the environment
	}}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n
}

// Close ends what is under way, and waits for that.
func (n *Notifier) Close() {
	n.cancel()
	n.queue.Close()
	n.http.CloseIdleConnections()
}

// Observe tells of states that people want to know of.
func (n *Notifier) Observe(e tokencache.Event) {
	bad := func(state string) bool { return state == tokencache.StateDead || state == tokencache.StateContended }
	switch {
	case e.Type == tokencache.EventState && bad(e.State):
		n.prove(e.Key)
		n.needsSomebody(e)
	case e.Type == tokencache.EventState && bad(e.Was) && e.Generation == 0:
		n.doubt(e.Key, e.Grant)
	case e.Type == tokencache.EventState && bad(e.Was):
		n.recovered(e.Key, e.Grant, e.Was)
	case e.Type == tokencache.EventAdopted, // in a fleet another process may have asked
		e.Type == tokencache.EventTokenRequest && e.Err == nil && e.Cause != tokencache.CauseConsent:
		n.proved(e.Key)
	}
}

// Failure is why the last notification that was sent to an address was not taken there.
func (n *Notifier) Failure(to URL) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sentTo != to {
		return nil
	}
	return n.failing
}

// Connected tells of a grant that came in.
func (n *Notifier) Connected(r onboard.Result) {
	key := tokencache.Key{Client: r.Client, Account: r.Account}
	what := "connected"
	if r.User != "" {
		what += " by " + r.User
	}
	n.tell("connected", key, occurrence{}, what+", data center "+r.DataCenter, "", "")
	n.proved(key)
}

func (n *Notifier) recovered(key tokencache.Key, grant tokencache.Fingerprint, from string) {
	what := "recovered: access tokens are available again"
	if from == tokencache.StateContended {
		what = "recovered: no access token was lost early for an hour"
	}
	n.tell("recovered", key, recovery(key, grant), what, "", "")
}

func (n *Notifier) doubt(key tokencache.Key, grant tokencache.Fingerprint) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unproven[key] = grant
}

// prove takes a connection from the unproven ones, and reports whether it was among them.
func (n *Notifier) prove(key tokencache.Key) (grant tokencache.Fingerprint, was bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	grant, was = n.unproven[key]
	delete(n.unproven, key)
	return grant, was
}

// proved tells that a grant has brought a token, if that was not sure.
func (n *Notifier) proved(key tokencache.Key) {
	if grant, was := n.prove(key); was {
		n.recovered(key, grant, tokencache.StateDead)
	}
}

// needsSomebody tells of a connection that does not mend by itself.
func (n *Notifier) needsSomebody(e tokencache.Event) {
	why := cause.Dead
	switch {
	case e.State == tokencache.StateContended:
		why = cause.Contended
	case isRejection(e.Err):
		why = zoho.Rejection(e.Err.Error())
	}
	told := n.config().Explain(why, e.Key)
	if e.Err != nil && why != cause.Contended { // which no answer of Zoho's tells
		told.Why = e.Err.Error()
	}
	n.tell(e.State, e.Key, trouble(e.State, e.Key, e.Grant), e.State+": "+told.What, told.Why, told.Do)
}

// isRejection reports whether Zoho rejects the client, and not the grant. Of what another process has met there are
// the words alone.
func isRejection(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), tokencache.KindRejected.String())
}

// tell queues a notification, and holds nobody up.
func (n *Notifier) tell(event string, key tokencache.Key, o occurrence, what, why, do string) {
	config := n.config()
	if config.To == "" {
		return
	}
	text := fmt.Sprintf("Zoho connection %s is %s", key, what)
	for _, more := range []string{why, do} {
		if more != "" {
			text += "; " + more
		}
	}
	x := notification{ID: rand.Text(), Event: event, Client: key.Client, Account: key.Account,
		Time: time.Now().UTC().Truncate(time.Second), Text: text, Why: why, Do: do, occurrence: o}
	n.add(x)
}

func (n *Notifier) add(x notification) {
	n.queue.Add(n.config().Logger, "a notification was dropped: too many are waiting", func() { n.deliver(x) })
}

// deliver tells of it, if this replica is the one that does. While it closes it can send nothing, and claims
// nothing: the other replicas are free to tell.
func (n *Notifier) deliver(x notification) {
	if err := n.ctx.Err(); err != nil {
		n.giveUp(x, err)
		return
	}
	if n.claim(x) && n.send(x) {
		n.note(x.occurrence)
	}
}

// send tries until it is taken, or given up.
func (n *Notifier) send(x notification) (taken bool) {
	for try := 0; ; try++ {
		to := n.config().To
		err := n.post(x, to)
		n.mu.Lock()
		n.failing, n.sentTo = err, to
		n.mu.Unlock()
		if err == nil {
			return true
		}
		if try == len(noticeSteps) || n.ctx.Err() != nil {
			n.giveUp(x, err)
			return false
		}
		n.config().Logger.Warn(
			"a notification was not accepted; it is sent again",
			append(x.fields(err), zap.Duration("in", noticeSteps[try]))...)
		select {
		case <-time.After(noticeSteps[try]):
		case <-n.ctx.Done():
		}
	}
}

func (n *Notifier) giveUp(x notification, why error) {
	n.config().Logger.Error("a notification was given up", x.fields(why)...)
}

// fields are what the log shows of a notification that was not taken.
func (x *notification) fields(why error) []zap.Field {
	return []zap.Field{
		zap.String("event", x.Event),
		zap.String("client", x.Client),
		zap.String("account", x.Account),
		zap.Error(why),
	}
}

// post makes one try. Its errors do not show the address, which may be a secret.
func (n *Notifier) post(x notification, address URL) error {
	to, err := address.Resolve()
	if err != nil || to == nil {
		return err
	}
	body, err := json.Marshal(x)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(n.ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return errURL
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := n.http.Do(req)
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	if err != nil {
		return errors.New("it could not be sent")
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 4<<10) // so that the connection can be used again
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("%s answers %d", to.Host, res.StatusCode)
	}
	return nil
}
