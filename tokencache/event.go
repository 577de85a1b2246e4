package tokencache

import "time"

// EventType says what happened to a connection.
type EventType int

const (
	EventTokenRequest EventType = iota + 1 // the authorization server was asked: Cause, Result, Generation (0 = the token is not the connection's yet), Duration, Expiry, Err
	EventWaited                            // a caller waited Duration for flights, and for the next try
	EventState                             // State follows on Was: Generation of the live token, 0 = none, Grant, Err
	EventLostEarly                         // Generation was refused long before its end, its successor was not
	EventStoreError                        // Operation failed with Err
	EventClockStep                         // the wall clock was set, or the machine slept, by Duration (no Key)
	EventAdopted                           // a token of the store was taken over: Generation, Expiry
	EventInstalled                         // the token that has proved a new grant is the connection's now: Cause, Result, Generation, Duration, Expiry
	EventStoreWarning                      // the store goes on, but Err should be looked at (no Key)
	EventGone                              // the account has no grant any more: another process may have forgotten it
)

// String names the type in snake case.
func (t EventType) String() string {
	switch t {
	case EventTokenRequest:
		return "token_request"
	case EventWaited:
		return "waited"
	case EventState:
		return "state"
	case EventLostEarly:
		return "lost_early"
	case EventStoreError:
		return "store_error"
	case EventClockStep:
		return "clock_step"
	case EventAdopted:
		return "adopted"
	case EventInstalled:
		return "installed"
	case EventStoreWarning:
		return "store_warning"
	case EventGone:
		return "gone"
	}
	return "unknown"
}

// What made a token request necessary.
const (
	CauseFirst    = "first"     // there was none
	CauseExpiry   = "expiry"    // it ended, or was about to
	CauseRefused  = "refused"   // a resource server refused it
	CauseKeepWarm = "keep_warm" // the timer
	CauseOperator = "operator"
	CauseConsent  = "consent" // a new grant had to prove itself
)

// The states of a connection. An EventState tells when one is first noticed.
const (
	StateOK        = "ok"
	StateDegraded  = "degraded"  // two failures in a row
	StateContended = "contended" // three tokens lost early within an hour
	StateDead      = "dead"      // grant dead or client rejected

	StateNotConnected = "not_connected" // of Status.Shown alone: nobody has consented, or the configured value is empty
	StateUnreadable   = "unreadable"    // likewise: there may be a grant, which cannot be had
)

// Event is for logs, metrics and notifications. It holds no secret.
type Event struct {
	Type       EventType
	Key        Key
	Cause      string // one of the Cause constants
	Result     string // Kind.String(): ok, temporary, throttled, grant_dead, client_rejected
	Generation uint64
	Grant      Fingerprint
	Duration   time.Duration
	Expiry     time.Time
	Err        error
	Operation  string // of the store: load, save, load_grant; of accounts that it does not know, Key has no Account
	State      string // one of the State constants
	Was        string // likewise
}
