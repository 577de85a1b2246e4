package onboard

import (
	"fmt"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

const (
	maxConsents = 10_000 // begun here and not forgotten, of all clients
	maxStarts   = 10     // of an account in startWindow: Zoho gives no more codes, and each may cost a slot
	startWindow = 10 * time.Minute
)

// register counts a consent, unless there are too many. What it returns takes that back, for a consent
// that nobody was sent to.
func (f *Flow) register(key tokencache.Key, state string, b begun) (unregister func(), _ error) {
	if err := f.count(key, state, b); err != nil {
		return nil, err
	}
	slot, err := f.startOfAll(key)
	if err != nil {
		f.uncount(key, state)
		return nil, err
	}
	return func() {
		f.uncount(key, state)
		if slot != "" {
			_ = f.pending.ReturnNonce(slot) // or it is free again in ten minutes
		}
	}, nil
}

// count counts what is begun at this process.
func (f *Flow) count(key tokencache.Key, state string, b begun) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	f.dropExpired(now)
	recent := f.starts[key]
	if len(recent) >= maxStarts {
		return errTooManyStarts(recent[0].Add(startWindow).Sub(now))
	}
	if wait := f.shareTaken(b, now); wait > 0 {
		return errTooManyOfCaller(wait)
	}
	if len(f.begun) >= maxConsents {
		return errTooManyStarts(time.Minute)
	}
	f.starts[key] = append(recent, now)
	f.begun[state] = b
	return nil
}

func (f *Flow) uncount(key tokencache.Key, state string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.begun, state)
	if recent := f.starts[key]; len(recent) > 1 {
		f.starts[key] = recent[:len(recent)-1]
	} else {
		delete(f.starts, key)
	}
}

// startOfAll counts a start among those of all replicas: it takes one of so many slots, each of
// which is free again after its time.
func (f *Flow) startOfAll(key tokencache.Key) (slot string, _ error) {
	if !f.fleet {
		return "", nil
	}
	for i := range maxStarts {
		slot = fmt.Sprintf("start %d of %s", i, key)
		first, err := f.pending.ConsumeNonce(slot, time.Now().Add(startWindow))
		if err != nil {
			return "", errStore(err)
		}
		if first {
			return slot, nil
		}
	}
	return "", errTooManyStarts(startWindow) // at most: nobody notes when each was taken
}

// dropExpired drops what has expired. With mu held.
func (f *Flow) dropExpired(now time.Time) {
	for state, b := range f.begun {
		if now.After(b.expires.Add(consentLife)) { // for a while it is told that it has expired
			delete(f.begun, state)
		}
	}
	for key, times := range f.starts {
		for len(times) > 0 && now.Sub(times[0]) >= startWindow {
			times = times[1:]
		}
		if f.starts[key] = times; len(times) == 0 {
			delete(f.starts, key)
		}
	}
}
