package tokencache

import (
	"errors"
	"hash/maphash"
	"time"
)

// savings are what is held while something is written: by connection for its record, and in the store
// of one process by grant as well, since a ledger is written along with each connection of its grant.
// That of a connection is taken first. Names share them: it is no matter if two wait for each other
// that need not. How many there are is how many may write at once.
type savings struct {
	seed             maphash.Seed
	records, ledgers []saving
}

const (
	savingsAlone = 128 // share a transaction of the embedded store, whose queue is longer than that
	savingsFleet = 16  // each is a command of its own
)

func newSavings(fleet bool) savings {
	n := savingsAlone
	if fleet {
		n = savingsFleet
	}
	s := savings{maphash.MakeSeed(), make([]saving, n), make([]saving, n)}
	for i := range n {
		s.records[i], s.ledgers[i] = newSaving(), newSaving()
	}
	return s
}

func (s *savings) record(of Key) saving {
	return s.records[maphash.Comparable(s.seed, of)%uint64(len(s.records))]
}

func (s *savings) ledger(of Fingerprint) saving {
	return s.ledgers[maphash.Comparable(s.seed, of)%uint64(len(s.ledgers))]
}

// saving admits one write at a time. Each writes the state as it is when its turn comes, so no older
// state displaces a newer one. A store that hangs or is slow does not hold up whoever comes later: what
// cannot be written in time counts in memory, and is written later.
type saving chan struct{}

// savingPatience is how long a write waits for those before it.
const savingPatience = 2 * time.Second

var errBusy = errors.New("the store has taken longer than 2s for the previous write")

func newSaving() saving { return make(saving, 1) }

// begin waits for its turn.
func (s saving) begin() error {
	select {
	case s <- struct{}{}:
		return nil
	default:
	}
	limit := time.NewTimer(savingPatience)
	defer limit.Stop()
	select {
	case s <- struct{}{}:
		return nil
	case <-limit.C:
		return errBusy
	}
}

func (s saving) end() { <-s }
