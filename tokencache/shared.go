package tokencache

import (
	"errors"
	"fmt"
	"time"
)

// Shared is a Store that several processes use at once, the replicas of a fleet. It counts
// time by a clock of its own, and tells it as ages and lives: the replicas' clocks may differ.
//
// Of a connection it keeps the record, the lease and the generation such that they are compared
// and set in one step. Save therefore refuses (ErrOutdated) what a process writes that was
// overtaken: a record of a lower generation than the stored one, or one of the same generation
// with another token of the same grant. DeleteGrant overtakes whoever is asking for a token at
// that moment. The ledger of a grant is not written by Save or SaveLedger, which leave it
// alone, but by EnterCall and CompleteCall.
//
// While the store cannot be reached, or answers too late, errors are ErrAway. LoadGrant may
// then return a grant that it has read before, if nobody has changed it as far as is known.
type Shared interface {
	Store

	// Lease makes the caller the one process that asks for a token of the connection, for
	// the life given. While another process is that one, the error is a *LeasedError.
	Lease(key Key, life time.Duration) (Lease, error)
	// Extend gives a lease another life; ErrLeaseLost if it is not the caller's any more.
	Extend(key Key, l Lease, life time.Duration) error
	// Release ends a lease. If no record of its generation was saved, the next lease gets that. One
	// that is not the caller's any more is left alone.
	Release(key Key, l Lease) error

	// EnterCall enters a token call into the ledger of a grant if fewer than budget are in
	// the window; otherwise Entry.ID is "".
	EnterCall(of Fingerprint, budget int, window time.Duration) (Entry, error)
	// CompleteCall moves a call to now, or strikes it out if it does not count.
	CompleteCall(of Fingerprint, id string, counts bool) error

	// Watch calls f, one call at a time, for what other processes change, until stop, which
	// waits for the last one. A change is told within about a second, also after the
	// connection to the store was lost.
	Watch(f func(Change)) (stop func())
}

// Lease is the right to ask for a token.
type Lease struct {
	ID         string // of this lease alone
	Generation uint64 // of the token to come: newer than all before, and nobody else's
}

// Entry is a call in the ledger of a grant, and what else the ledger holds.
type Entry struct {
	ID    string // "" = there was no room
	Calls        // all that the ledger remembers, this one included
}

// Change is what another process has changed.
type Change struct {
	Key   Key  // zero: anything may have changed
	Grant bool // the grant was stored or deleted; otherwise the record
}

var (
	// ErrOutdated says that a record was not stored because a newer one is.
	ErrOutdated = errors.New("another process has stored a newer one")
	// ErrLeaseLost says that a lease has ended, or is somebody else's.
	ErrLeaseLost = errors.New("the lease has ended")
	// ErrAway says that a shared store cannot be reached, or not in time.
	ErrAway = errors.New("the store cannot be reached")
)

// LeasedError says that another process asks for a token of the connection.
type LeasedError struct {
	Left time.Duration // of its lease, unless it is extended
}

// Error says how long that can last.
func (e *LeasedError) Error() string {
	return fmt.Sprintf("another process is requesting a token, for %s at most", e.Left)
}
