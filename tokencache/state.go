package tokencache

import "time"

const (
	lossesOfContention = 3 // that many tokens lost early ...
	contentionWindow   = time.Hour
)

// losses are the tokens that were lost early: refused well before their end,
// while their successors were accepted. Three in an hour mean that another
// program uses the grant; an hour without means that it has stopped.
type losses struct {
	total      int
	generation uint64                    // newest one lost
	at         [lossesOfContention]int64 // mono of the latest, newest last
	contended  bool
}

// add enters a lost generation, and reports whether it is a new one.
func (l *losses) add(generation uint64, now int64) bool {
	if generation <= l.generation {
		return false
	}
	contended := l.current(now) // it holds as long as losses go on
	l.generation = generation
	l.total++
	copy(l.at[:], l.at[1:])
	l.at[len(l.at)-1] = now
	l.contended = contended || l.total >= lossesOfContention && now-l.at[0] <= int64(contentionWindow)
	return true
}

// current reports whether the grant is contended now.
func (l *losses) current(now int64) bool {
	return l != nil && l.contended && now-l.at[len(l.at)-1] <= int64(contentionWindow)
}

// lose enters a token that was lost early.
func (n *Conn) lose(generation uint64) {
	n.mu.Lock()
	defer n.unlockAndEmit()
	now := n.cache.clock.now()
	if n.lost == nil {
		n.lost = &losses{}
	}
	if n.lost.add(generation, now.mono) {
		n.addEvent(Event{Type: EventLostEarly, Key: n.key, Generation: generation})
		n.report(now)
	}
}

// failure is an error, and when it came up.
type failure struct {
	err error
	at  int64 // wall
}

func (f *failure) cause() error {
	if f == nil {
		return nil
	}
	return f.err
}

// State returns one of the State constants.
func (n *Conn) State() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state(n.cache.clock.now()).String()
}

// state is one of the State constants, in a byte.
type state uint8

const (
	stateOK state = iota
	stateDegraded
	stateContended
	stateDead
)

func (s state) String() string {
	return [...]string{StateOK, StateDegraded, StateContended, StateDead}[s]
}

// state is the worst that holds: what needs a human, then what spends the budget in vain,
// then what may pass. It is worked out anew each time, since contention ends by itself.
func (n *Conn) state(now moment) state {
	switch {
	case n.waiting.kind.needsHand():
		return stateDead
	case n.lost.current(now.mono):
		return stateContended
	case n.failures >= 2:
		return stateDegraded
	}
	return stateOK
}

// report tells of the state if it has changed. With mu held.
func (n *Conn) report(now moment) {
	s := n.state(now)
	if s == n.reported {
		return
	}
	e := Event{Type: EventState, Key: n.key, State: s.String(), Was: n.reported.String(), Grant: n.fingerprint, Err: n.last.cause()}
	if l := n.live.Load(); l != nil && l.alive(now) {
		e.Generation = l.Generation
	}
	n.reported = s
	n.addEvent(e)
}
