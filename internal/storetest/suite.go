package storetest

import (
	"testing"

	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/stores"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Store is all that this program asks of a store, and its end.
type Store interface {
	onboard.Store
	Close() error
}

// Open opens the store of a name, which is empty at first. After Close, the same name
// opens what was stored under it: a restart.
type Open func(tb testing.TB, name string) Store

// suite is one store under test.
type suite struct {
	*testing.T
	open Open
	Store
}

func isShared(s Store) bool {
	_, ok := s.(tokencache.Shared)
	return ok
}

func isWhole(s Store) bool {
	_, ok := s.(stores.Store)
	return ok
}

// whole is the store as a configuration names it.
func (s *suite) whole() stores.Store { return s.Store.(stores.Store) }

// reopen is a restart.
func (s *suite) reopen() {
	s.Helper()
	if err := s.Close(); err != nil {
		s.Fatal(err)
	}
	s.Store = s.open(s.T, "store")
}
