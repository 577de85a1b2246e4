package redisstore_test

import (
	"io"
	"net"
	"path"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/redistest"
	"github.com/caddy-zoho/caddy-zoho/internal/storetest"
	"github.com/caddy-zoho/caddy-zoho/tokencache/redisstore"
)

var _ onboard.Shared = (*redisstore.Store)(nil)

// TestConformance has all tests on one server, each behind a prefix of its own.
func TestConformance(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "appendonly", "yes")
	storetest.Run(t, func(tb testing.TB, name string) storetest.Store {
		w := newWay(tb, server.Addr)
		config := configOf(w.addr, path.Join(tb.Name(), name)+":")
		return &severed{Store: open(tb, config), way: w}
	})
}

func TestConformanceOfCluster(t *testing.T) {
	t.Parallel()
	nodes := redistest.Cluster(t)
	storetest.Run(t, func(tb testing.TB, name string) storetest.Store {
		config := configOf(nodes[0].Addr, path.Join(tb.Name(), name)+":")
		config.Addresses = append(config.Addresses, nodes[1].Addr)
		return open(tb, config)
	})
}

func configOf(address, prefix string) redisstore.Config {
	return redisstore.Config{
		Addresses: []string{address}, Prefix: prefix,
		Access: func() (redisstore.Access, error) { return redisstore.Access{}, nil },
	}
}

func open(tb testing.TB, config redisstore.Config) *redisstore.Store {
	tb.Helper()
	s := redisstore.New(config)
	if err := s.Open(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// severed is a store whose way to Redis can be cut.
type severed struct {
	*redisstore.Store
	*way
}

// way passes connections on, until it is cut.
type way struct {
	addr   string
	to     string
	listen net.Listener

	hold  atomic.Int64 // nanoseconds before each answer
	trips atomic.Int64 // answers, or parts of them

	mu   sync.Mutex
	away bool
	open map[net.Conn]bool
}

func newWay(tb testing.TB, to string) *way {
	tb.Helper()
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	w := &way{addr: listen.Addr().String(), to: to, listen: listen, open: make(map[net.Conn]bool)}
	var running sync.WaitGroup
	running.Go(func() { w.accept(&running) })
	tb.Cleanup(func() {
		_ = listen.Close()
		w.Away(true)
		running.Wait()
	})
	return w
}

func (w *way) accept(running *sync.WaitGroup) {
	for {
		from, err := w.listen.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", w.to)
		if err != nil || !w.keep(from, to) {
			_ = from.Close()
			continue
		}
		running.Go(func() { _, _ = io.Copy(to, from); _ = to.Close() })
		running.Go(func() { w.answer(from, to) })
	}
}

// answer passes answers on.
func (w *way) answer(from, to net.Conn) {
	defer from.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := to.Read(b)
		if err != nil {
			return
		}
		w.trips.Add(1)
		time.Sleep(time.Duration(w.hold.Load()))
		if _, err := from.Write(b[:n]); err != nil {
			return
		}
	}
}

func (w *way) keep(from, to net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away {
		_ = to.Close()
		return false
	}
	w.open[from], w.open[to] = true, true
	return true
}

// Away cuts the way, or ends that.
func (w *way) Away(away bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = away
	if away {
		for conn := range w.open {
			_ = conn.Close()
		}
		clear(w.open)
	}
}
