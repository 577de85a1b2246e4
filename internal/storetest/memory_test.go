package storetest_test

import (
	"path"
	"sync"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/internal/storetest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	stores := make(map[string]*storetest.Memory)
	storetest.Run(t, func(tb testing.TB, name string) storetest.Store {
		mu.Lock()
		defer mu.Unlock()
		name = path.Join(tb.Name(), name)
		if stores[name] == nil {
			stores[name] = storetest.NewMemory()
			return stores[name]
		}
		return stores[name].Replica()
	})
}
