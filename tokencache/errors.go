package tokencache

import (
	"fmt"
	"strings"
	"time"
)

// Kind says why there is no token. The zero Kind is no failure.
type Kind int32

const (
	KindTemporary Kind = iota + 1 // not reachable, or an answer that says nothing
	KindThrottled                 // the server wants silence
	KindDead                      // the grant is revoked or evicted: it needs a new consent
	KindRejected                  // the client's id, secret or server is wrong
	KindBudget                    // the token calls of the running window are spent
	KindStore                     // the store, or a configured grant, cannot be read now: asking could cost more than is known
	KindNoGrant                   // nobody has consented, or the configured value is empty
)

var kindNames = [...]string{"ok", "temporary", "throttled", "grant_dead", "client_rejected", "budget_spent", "store", "no_grant"}

// String returns one of ok, temporary, throttled, grant_dead, client_rejected,
// budget_spent, store, no_grant.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return "unknown"
	}
	return kindNames[k]
}

// parseKind is the inverse of String; an unknown word is no failure.
func parseKind(s string) Kind {
	for k, name := range kindNames {
		if s == name {
			return Kind(k)
		}
	}
	return 0
}

// needsHand reports whether only a human can end the failure.
func (k Kind) needsHand() bool { return k == KindDead || k == KindRejected }

// FetchError is how Client.Fetch fails.
type FetchError struct {
	Kind       Kind          // temporary, throttled, dead or rejected
	NoToken    bool          // plainly no token was made: the call does not count against the budget
	RetryAfter time.Duration // as the server asked, 0 = it did not
	Err        error         // without secrets
}

// Error names the kind and the cause.
func (e *FetchError) Error() string {
	return e.Kind.explain(e.Err)
}

// explain names the kind and the cause, which may name the kind itself.
func (k Kind) explain(cause error) string {
	if cause == nil {
		return k.String()
	}
	text := cause.Error()
	if rest, found := strings.CutPrefix(text, k.String()); found && (rest == "" || rest[0] == ':') {
		return text
	}
	return k.String() + ": " + text
}

// Unwrap returns the cause.
func (e *FetchError) Unwrap() error { return e.Err }

// Error says why a connection has no token to give.
type Error struct {
	Kind       Kind
	Key        Key
	RetryAfter time.Duration // 0 = waiting does not help
	NextTry    time.Duration // until then the server is not asked, nor was it now; 0 = it was, or that is not the reason
	Err        error         // without secrets, may be nil
}

// Error names the connection, the kind and the cause, and what is waited for.
func (e *Error) Error() string {
	text := fmt.Sprintf("no access token for %s: %s", e.Key, e.Kind.explain(e.Err))
	if e.NextTry > 0 {
		seconds := (e.NextTry + time.Second - 1).Truncate(time.Second)
		text += fmt.Sprintf("; next try in %s, the server was not asked", seconds)
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
