package onboard

import (
	"fmt"
	"time"
)

// A process that has asked a person gives the grant back after ten minutes, unless it has ended
// by then. So the fresh ones are listed in the shared store, by the hour and a number that counts
// from 0, and each replica looks from time to time for those whose time is over.

const (
	lapsedKept  = 24 * time.Hour // for a fleet that stands still
	lapsedEvery = consentLife
	lapsedGrace = time.Minute // the one who has asked comes first; clocks may differ
)

func listName(hour int64, n int) string { return fmt.Sprintf("waiting %d %d", hour, n) }

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// list notes a grant that is to be given back.
func (f *Flow) list(cl *Client, id string) error {
	now := time.Now()
	for n := 0; ; n++ {
		name := listName(hourOf(now), n)
		first, err := f.pending.ConsumeNonce(cl.Name+" "+name, now.Add(lapsedKept+time.Hour))
		if err != nil {
			return errStore(err)
		}
		if first {
			return f.keep(cl, name, id, lapsedKept)
		}
	}
}

// lookForLapsed looks from time to time, until Close.
func (f *Flow) lookForLapsed() {
	ticks := time.NewTicker(lapsedEvery)
	defer ticks.Stop()
	for first := time.After(lapsedGrace); ; {
		select {
		case <-first: // who has just started may be the one in whose place
		case <-ticks.C:
		case <-f.ctx.Done():
			return
		}
		for _, cl := range f.Clients() {
			f.Guard(func() { f.discardLapsed(cl) })
		}
	}
}

// discardLapsed gives back what a client's users have not confirmed, until the store fails or Close, which
// waits for no more than the answer that is on its way.
func (f *Flow) discardLapsed(cl *Client) {
	now := time.Now()
	for hour := hourOf(now.Add(-lapsedKept)); hour <= hourOf(now); hour++ {
		for n := 0; f.ctx.Err() == nil; n++ {
			used, err := f.pending.NonceConsumed(cl.Name + " " + listName(hour, n))
			if err != nil {
				return
			}
			if !used {
				break
			}
			f.discardListed(cl, listName(hour, n), now)
		}
	}
}

func (f *Flow) discardListed(cl *Client, name string, now time.Time) {
	var id string
	var w waitingGrant
	if found, err := f.find(cl, name, &id); !found || err != nil {
		return
	}
	found, err := f.find(cl, unconfirmedName(id), &w)
	if found && err == nil && now.Sub(w.Kept) >= consentLife+lapsedGrace && f.ctx.Err() == nil {
		f.discard(f.ctx, cl, id)
	}
}
