package tokencache

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
)

// Record is what tokens.db keeps of a connection, see recordJSON for its
// layout. Printed or marshalled, it leaves the token out.
type Record struct {
	Fingerprint Fingerprint // of the grant that it belongs to
	Generation  uint64
	Token       string // "" if there is none, or if it was sealed under another key
	Issued      time.Time
	Expiry      time.Time
	APIDomain   string
	Scope       string
	Ledger      []time.Time // token calls in the window, intents included
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
	// ErrWrongKey says that none of the secrets opens the data key of a client.
	// The error around it names the key ids wanted and offered.
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
}

// Error names file, reason and remedy.
func (e *StoreError) Error() string {
	return fmt.Sprintf("%s: %s; %s", e.File, e.Reason, e.Remedy)
}

// Unwrap returns the cause.
func (e *StoreError) Unwrap() error { return e.Err }

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
	return fmt.Sprintf("%s is in use by %s; stop it, or give this one a store directory of its own", e.File, holder)
}

// keyError says which keys a client's data key is wrapped by, and which ones
// were offered. Ids reveal nothing of the keys.
type keyError struct{ wanted, offered []string }

func (e *keyError) Error() string {
	return fmt.Sprintf("%v: sealed under key id %s, offered %s", ErrWrongKey, listIDs(e.wanted), listIDs(e.offered))
}

func (e *keyError) Unwrap() error { return ErrWrongKey }

func listIDs(ids []string) string {
	if len(ids) == 0 {
		return "none"
	}
	return strings.Join(ids, ", ")
}
