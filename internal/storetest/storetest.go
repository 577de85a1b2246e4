// Package storetest says by tests what every store of grants and records promises. A
// package that has one runs them:
//
//	storetest.Run(t, func(tb testing.TB, name string) storetest.Store { … })
//
// What only some stores can do or suffer (files, locks, damage) they test themselves.
package storetest

import (
	"maps"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
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

// Run runs each test on an empty store of its own. A tokencache.Shared is opened several times
// under one name, as by the replicas of a fleet.
func Run(t *testing.T, open Open) {
	tests := maps.Clone(commonTests)
	first := open(t, "kind")
	if isShared(first) {
		maps.Copy(tests, sharedTests)
	} else {
		tests["ledgers"] = testLedgers
	}
	_ = first.Close()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &suite{T: t, open: open, Store: open(t, "store")}
			t.Cleanup(func() { _ = s.Close() })
			test(s)
		})
	}
}

func isShared(s Store) bool {
	_, ok := s.(tokencache.Shared)
	return ok
}

// commonTests are for every store.
var commonTests = map[string]func(*suite){
	"empty":                  testEmpty,
	"grants":                 testGrants,
	"names":                  testNames,
	"names refused":          testNamesRefused,
	"no refresh token":       testNoRefreshToken,
	"deleted grant":          testDeletedGrant,
	"grant under other keys": testGrantUnderOtherKeys,
	"lost key forgotten":     testLostKeyForgotten,
	"rollover":               testRollover,
	"replaced grant":         testReplacedGrant,
	"records":                testRecords,
	"times":                  testTimes,
	"token under other keys": testTokenUnderOtherKeys,
	"no key at all":          testNoKeyAtAll,
	"warnings":               testWarnings,
	"nonces":                 testNonces,
	"many at once":           testManyAtOnce,
}

// reopen is a restart.
func (s *suite) reopen() {
	s.Helper()
	if err := s.Close(); err != nil {
		s.Fatal(err)
	}
	s.Store = s.open(s, "store")
}
