package onboard

import (
	"maps"
	"sync"
	"time"
)

// memory is the Pending of one process.
type memory struct {
	mu     sync.Mutex         // guards all below
	values map[[2]string]kept // :: client and name
	nonces map[string]time.Time
}

type kept struct {
	value []byte
	until time.Time
}

func newMemory() *memory {
	return &memory{values: make(map[[2]string]kept), nonces: make(map[string]time.Time)}
}

// dropExpired drops what has expired, before more is kept. With mu held.
func (m *memory) dropExpired(now time.Time) {
	maps.DeleteFunc(m.values, func(_ [2]string, k kept) bool { return now.After(k.until) })
	maps.DeleteFunc(m.nonces, func(_ string, until time.Time) bool { return now.After(until) })
}

func (m *memory) Put(client, name string, _ [][]byte, value []byte, life time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.dropExpired(now)
	m.values[[2]string{client, name}] = kept{value, now.Add(life)}
	return nil
}

func (m *memory) Get(client, name string, _ [][]byte) (value []byte, found bool, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, found = m.get([2]string{client, name})
	return value, found, nil
}

func (m *memory) Take(client, name string, _ [][]byte) (value []byte, found bool, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, found = m.get([2]string{client, name})
	delete(m.values, [2]string{client, name})
	return value, found, nil
}

// get is a value whose life is not over. With mu held.
func (m *memory) get(name [2]string) (value []byte, found bool) {
	k := m.values[name]
	if time.Now().After(k.until) {
		return nil, false
	}
	return k.value, true
}

func (m *memory) ConsumeNonce(id string, until time.Time) (first bool, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropExpired(time.Now())
	if _, used := m.nonces[id]; used {
		return false, nil
	}
	m.nonces[id] = until
	return true, nil
}

func (m *memory) ReturnNonce(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.nonces, id)
	return nil
}

func (m *memory) NonceConsumed(id string) (used bool, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !time.Now().After(m.nonces[id]), nil
}
