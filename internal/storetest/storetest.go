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
)

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
	if isWhole(first) {
		maps.Copy(tests, wholeTests)
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
	"many grants":            testManyGrants,
	"many grants refused":    testManyGrantsRefused,
	"deletions":              testDeletions,
}

// wholeTests are for stores that a configuration can name, beyond what life of tokens and
// onboarding need.
var wholeTests = map[string]func(*suite){
	"dump":               testDump,
	"dump while written": testDumpWhileWritten,
	"rekey":              testRekey,
	"rekey with unknown": testRekeyWithUnknown,
	"keys in use":        testKeysInUse,
}
