package tokencache

import (
	"errors"
	"sync/atomic"
	"time"
)

const leaseLife = 5 * time.Second // a leader that dies is followed after that

// leadership is a lease that is kept alive until its end, also while the cache closes.
type leadership struct {
	conn  *Conn
	lease Lease
	sure  atomic.Int64  // mono until which the lease is certainly ours
	stop  chan struct{} // closed by end
	done  chan struct{} // closed when it is not kept alive any more
}

// askLease takes the lease, if nobody else has it, and holds it.
func (n *Conn) askLease() (*leadership, error) {
	asked := n.cache.clock.now().mono
	lease, err := n.cache.shared.Lease(n.key, leaseLife)
	if err != nil {
		return nil, err
	}
	s := &leadership{conn: n, lease: lease, stop: make(chan struct{}), done: make(chan struct{})}
	s.sure.Store(asked + int64(leaseLife))
	go s.keepAlive()
	return s, nil
}

// keepAlive extends the lease. One that cannot be extended lapses, and somebody else leads.
func (s *leadership) keepAlive() {
	defer close(s.done)
	defer s.conn.recoverPanic()
	again := time.NewTicker(leaseLife / 3)
	defer again.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-again.C:
		}
		asked := s.conn.cache.clock.now().mono
		switch err := s.conn.cache.shared.Extend(s.conn.key, s.lease, leaseLife); {
		case err == nil:
			s.sure.Store(asked + int64(leaseLife))
		case errors.Is(err, ErrLeaseLost):
			return
		}
	}
}

// lapsed reports whether somebody else may lead by now, as when this process was stopped for a while.
func (s *leadership) lapsed() bool {
	return s != nil && s.conn.cache.clock.now().mono >= s.sure.Load()
}

// generation is that of the token that the lease is for, 0 without one.
func (s *leadership) generation() uint64 {
	if s == nil {
		return 0
	}
	return s.lease.Generation
}

// end gives the lease back, if there is one.
func (s *leadership) end() {
	if s == nil {
		return
	}
	s.lapse()
	_ = s.conn.cache.shared.Release(s.conn.key, s.lease) // or it lapses
}

// lapse lets the lease run out, if there is one: its generation is in use, and not stored yet.
func (s *leadership) lapse() {
	if s == nil {
		return
	}
	close(s.stop)
	<-s.done
}

// takeLease takes the lease for a token that is there already. Without one the token gets the
// next generation all the same, and whoever is asking for another at that moment overtakes it.
func (n *Conn) takeLease() *leadership {
	if n.cache.shared == nil {
		return nil
	}
	for end := n.cache.clock.now().mono + int64(leaseLife); ; {
		leads, err := n.askLease()
		var other *LeasedError
		if !errors.As(err, &other) || n.cache.clock.now().mono >= end || !n.awaitLeader(nil, other.Left) {
			return leads
		}
	}
}
