package tokencache

import (
	"errors"
	"time"
)

// saving admits one write at a time. Each writes the state as it is when its turn comes, so no older
// state displaces a newer one. A store that hangs or is slow does not hold up whoever comes later: what
// cannot be written in time counts in memory, and is written later.
type saving chan struct{}

// savingPatience is how long a write waits for those before it.
const savingPatience = 2 * time.Second

var errBusy = errors.New("the store takes longer than 2s to write what came before")

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
