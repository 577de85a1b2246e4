package tokencache

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Store keeps grants and records over restarts. It is all that the life of a token
// knows of where things are kept; storetest says by tests what each method promises.
//
// Secrets are what seals: any one of them opens what was sealed by one of them before.
// A store holds none itself. It is safe for concurrent use, and its errors hold no secret.
//
// There are two kinds of things in it, and they fail in two ways. A grant costs a human to
// bring back: in doubt the answer is an error, never "there is none", and nothing that
// cannot be read is overwritten. A record is a cache: one that cannot be read counts as
// none, and UnreportedWarnings has a word of it.
type Store interface {
	// Accounts lists the accounts of a client that have a stored grant, sorted, and
	// HasGrant says whether one has. Both read memory alone and never fail: while the
	// store cannot be read they say what was there last. CheckGrants says whether to
	// rely on that.
	Accounts(client string) []string
	HasGrant(key Key) bool

	// CheckGrants says why what is stored of grants cannot be relied on, nil if it can.
	// It notices what others have done to the store, and takes a look at it each time.
	CheckGrants() error

	// LoadGrant returns the grant of a connection, and whether there is one.
	LoadGrant(key Key, secrets [][]byte) (g Grant, found bool, err error)
	// SaveGrant stores a grant for good: without an error it is safe from a power cut.
	// It refuses a grant without a refresh token, and one whose client has grants that
	// none of the secrets opens (ErrWrongKey).
	SaveGrant(key Key, secrets [][]byte, g Grant) error
	// ReplaceGrant is SaveGrant where the error of LoadGrant is a Replaceable
	// *StoreError. Grants of other accounts stay as they are.
	ReplaceGrant(key Key, secrets [][]byte, g Grant) error
	// DeleteGrant deletes a grant, and the access token in the record along with it.
	// The ledger and the generation stay: they hold for the next grant.
	DeleteGrant(key Key) error

	// Load returns the record of a connection, and whether there is one. Its ledger is left
	// to LoadLedger. A token that the secrets do not open is left out.
	Load(key Key, secrets [][]byte) (r Record, found bool, err error)
	// Save writes the record, and the ledger of its grant. A token that cannot be sealed
	// is left out of it and the error says so; all else is written.
	Save(key Key, secrets [][]byte, r Record) error

	// LoadLedger returns the ledger of a grant, whichever connections have it.
	LoadLedger(of Fingerprint) (Calls, error)
	// SaveLedger is for the ledger of a grant that no connection has yet. Whoever saves at the
	// time now may drop ledgers that nobody has called by for days.
	SaveLedger(of Fingerprint, calls []time.Time, now time.Time) error

	// UnreportedWarnings are those that have come up since the last call: what does
	// not stop the store, but should be looked at. Each is given out once.
	UnreportedWarnings() []string
}

// Calls are the token calls that the store has in the ledger of a grant.
type Calls struct {
	Times []time.Time // oldest first, by this machine's clock
	Read  int64       // when, by the clock of a shared store, in microseconds; 0 where it is not shared
}

// Record is what a store keeps of a connection. Printed or marshalled, it leaves
// the token out.
type Record struct {
	Fingerprint Fingerprint // of the grant that it belongs to
	Generation  uint64
	Token       string // "" if there is none, or if it was sealed under another key
	Issued      time.Time
	Expiry      time.Time
	APIDomain   string
	Scope       string
	RenewAt     time.Time   // when the token is renewed in the background
	LedgerID    Fingerprint // by which Save keeps Ledger, zero = by Fingerprint
	Ledger      []time.Time // for Save: token calls in the window, intents included
	State       string      // why calls are held back, as waiting.state has it; "" = they are not
	Failures    int         // in a row: the step in the waiting table
	NextTry     time.Time
	LastError   string // without secrets
	LastErrorAt time.Time
	Used        time.Time // when somebody last asked for the token
}

// String describes the record without its token.
func (r Record) String() string {
	return fmt.Sprintf("record{fingerprint:%s token:%s generation:%d expiry:%s ledger:%d state:%q failures:%d}",
		r.Fingerprint, hide(r.Token), r.Generation, r.Expiry.Format(time.RFC3339), len(r.Ledger), r.State, r.Failures)
}

// GoString is String, for %#v.
func (r Record) GoString() string { return r.String() }

// Format prints String under every verb.
func (r Record) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, r.String()) }

// LogValue is String, for slog.
func (r Record) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalText is String, for encoders.
func (r Record) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// MarshalJSON is String as a JSON string.
func (r Record) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }

var (
	// ErrWrongKey says that none of the secrets opens what is stored of a client.
	// The error around it names the ids of the keys wanted and offered.
	ErrWrongKey = errors.New("none of the keys opens it")
	// ErrDamaged says that a file or a record is not what was written.
	ErrDamaged = errors.New("damaged")
)

// StoreError says which file cannot be used, why, and what to do about it.
type StoreError struct {
	File   string
	Reason string
	Remedy string
	Err    error // may be nil

	// Replaceable says that it is about one stored grant, in whose place ReplaceGrant
	// puts another one without harm to any other.
	Replaceable bool

	// Partly says that it is about some of the stored grants: the others can be used.
	Partly bool
}

// Error names file, reason and remedy.
func (e *StoreError) Error() string {
	return fmt.Sprintf("%s: %s; %s", e.File, e.Reason, e.Remedy)
}

// Unwrap returns the cause.
func (e *StoreError) Unwrap() error { return e.Err }

// Concern is what an operator should know of a store that works, or look at in one that
// does not. It holds no secret.
type Concern struct {
	What   string // names file or server
	Why    string
	Do     string
	Failed bool // it is wrong as it is, and not only worth a look
}

// LockedError says that another process holds a file of the store.
type LockedError struct {
	File string
	PID  int // of the holder, 0 if it is not known
}

// Error names the file and, when known, the process that holds it.
func (e *LockedError) Error() string {
	holder := "another process"
	if e.PID != 0 {
		holder = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("%s is in use by %s; stop it, or give this one its own store directory", e.File, holder)
}
