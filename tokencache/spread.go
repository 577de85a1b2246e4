package tokencache

import (
	"sync"
	"time"
)

// Tokens that were issued together, as after a start or an outage, end together, and would be
// renewed together for ever. With thousands of connections that is a crowd at Accounts once an
// hour. So a renewal that falls into a crowded minute is put into an earlier one: from then on the
// times of the connections differ. A few connections never are a crowd.

const (
	crowd      = 30  // renewals in a minute that are none, however few connections there are
	crowdRatio = 1.1 // of the mean
	planAhead  = 240 // minutes
)

// plan counts the renewals to come, by minute. One that comes to nothing, since its token was
// replaced before, counts until its minute is over.
type plan struct {
	mu      sync.Mutex
	now     int64            // minute, on the monotonic clock
	minutes [planAhead]int32 // of now and those after it, by their remainder
	total   int
}

// pick plans a renewal between two times, as mono, as late as it is not in a crowd.
func (p *plan) pick(now, earliest, latest int64) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(now / int64(time.Minute))
	first, last := max(earliest/int64(time.Minute), p.now)+1, latest/int64(time.Minute)
	if last <= p.now || last >= p.now+planAhead { // it is due, or too far away to matter
		return latest
	}
	mean := float64(p.total) / float64(last-p.now+1)
	limit := int32(max(crowd, crowdRatio*mean))
	best := last
	for m := last - 1; m >= first && p.minutes[best%planAhead] >= limit; m-- {
		if p.minutes[m%planAhead] < p.minutes[best%planAhead] {
			best = m
		}
	}
	p.minutes[best%planAhead]++
	p.total++
	return latest - (last-best)*int64(time.Minute)
}

// forget drops what is over. With mu held.
func (p *plan) forget(now int64) {
	for m := p.now; m < min(now, p.now+planAhead); m++ {
		p.total -= int(p.minutes[m%planAhead])
		p.minutes[m%planAhead] = 0
	}
	p.now = now
}

// schedule says when the token is renewed. A token of the store was scheduled when it came: then
// it is renewed again, and what other processes have of it a little later, or all would be at once.
func (n *Conn) schedule(l *live, planned int64, now moment) {
	earliest := l.asked + (int64(l.deadline)-l.asked)/10
	latest := l.early
	if planned != 0 {
		earliest, latest = planned, max(earliest, min(l.early, planned+n.jitter(followersLag)))
	}
	l.renewAt.Store(n.cache.plan.pick(now.mono, earliest, latest))
}

// followersLag is how much later than planned a token is renewed at most by a process that has
// not planned that.
const followersLag = 20 * time.Second
