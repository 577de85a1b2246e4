package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Record has something in every field.
func Record() tokencache.Record {
	return tokencache.Record{
		Fingerprint: tokencache.Fingerprint{1, 2, 3},
		Generation:  7,
		Token:       "1000.access.token",
		Issued:      someTime,
		Expiry:      someTime.Add(time.Hour),
		RenewAt:     someTime.Add(55 * time.Minute),
		APIDomain:   "https://www.zohoapis.eu",
		Scope:       "ZohoCRM.modules.ALL",
		Ledger:      []time.Time{someTime, someTime.Add(time.Minute)},
		State:       "throttled",
		Failures:    3,
		NextTry:     someTime.Add(2 * time.Hour),
		LastError:   "not now",
		LastErrorAt: someTime,
		Used:        someTime,
	}
}

// withoutToken is all of a record that needs no secret.
func withoutToken() tokencache.Record {
	r := Record()
	r.Token = ""
	return r
}

func (s *suite) wantRecord(key tokencache.Key, secrets [][]byte, want tokencache.Record) {
	s.Helper()
	got, found, err := s.Load(key, secrets)
	if calls, err := s.LoadLedger(want.Fingerprint); !isShared(s.Store) && (err != nil || !slices.Equal(calls.Times, want.Ledger)) {
		s.Errorf("ledger of %s: %v, %v, want %v", key, calls, err, want.Ledger)
	}
	want.Ledger = nil
	if err != nil || !found || !reflect.DeepEqual(got, want) || got.Token != want.Token {
		s.Errorf("record of %s: %v, %v, %v, want %v", key, got, found, err, want)
	}
}

// testRecords: the latest comes back whole, now and after a restart. It needs no grant in
// the store: configured ones have records as well.
func testRecords(s *suite) {
	first := Record()
	first.Generation, first.LastError = 6, ""
	if err := errors.Join(s.Save(key("a"), secrets, first), s.Save(key("a"), secrets, Record())); err != nil {
		s.Fatal(err)
	}
	for range 2 {
		s.wantRecord(key("a"), secrets, Record())
		if _, found, err := s.Load(key("other"), secrets); found || err != nil {
			s.Errorf("another account: %v, %v", found, err)
		}
		s.reopen()
	}
	if s.HasGrant(key("a")) {
		s.Error("a record makes a grant")
	}
}

// testTimes: they are kept to the nanosecond, as UTC; none stays none.
func testTimes(s *suite) {
	now := time.Now().In(time.FixedZone("east", 7200))
	if err := s.Save(key("a"), secrets, tokencache.Record{Token: "x", Expiry: now, Ledger: []time.Time{now}}); err != nil {
		s.Fatal(err)
	}
	utc := now.Round(0).UTC()
	s.wantRecord(key("a"), secrets, tokencache.Record{Token: "x", Expiry: utc, Ledger: []time.Time{utc}})
}

// testTokenUnderOtherKeys: the token is left out, all else counts on; the next token takes
// its place, for it is only a cache.
func testTokenUnderOtherKeys(s *suite) {
	if err := s.Save(key("a"), secrets, Record()); err != nil {
		s.Fatal(err)
	}
	for range 2 {
		for _, offered := range none {
			s.wantRecord(key("a"), offered, withoutToken())
		}
		s.wantRecord(key("a"), secrets, Record())
		s.reopen()
	}
	if err := s.Save(key("a"), others, Record()); err != nil {
		s.Error(err)
	}
	s.wantRecord(key("a"), others, Record())
	s.wantRecord(key("a"), secrets, withoutToken())
}

// testNoKeyAtAll: a token that nothing seals is not written, and the error says so. The
// ledger is: what was spent must not be forgotten.
func testNoKeyAtAll(s *suite) {
	s.wantUnopened(s.Save(key("a"), nil, Record()))
	s.wantRecord(key("a"), nil, withoutToken())
	if err := s.Save(key("b"), nil, withoutToken()); err != nil {
		s.Errorf("nothing to seal: %v", err)
	}
}

// testLedgers: a ledger belongs to a grant, whichever connection has it. With an account's
// change to another grant that of before stays.
func testLedgers(s *suite) {
	now := someTime
	one, two := tokencache.Fingerprint{1}, tokencache.Fingerprint{2}
	calls := []time.Time{now.Add(-time.Minute), now}
	want := func(of tokencache.Fingerprint, want []time.Time) {
		s.Helper()
		if got, err := s.LoadLedger(of); err != nil || !slices.Equal(got.Times, want) {
			s.Errorf("ledger of %s: %v, %v, want %v", of, got, err, want)
		}
	}
	if err := s.SaveLedger(one, calls, now); err != nil {
		s.Fatal(err)
	}
	r := tokencache.Record{Fingerprint: two, Ledger: calls[:1]}
	if err := s.Save(key("a"), secrets, r); err != nil {
		s.Fatal(err)
	}
	s.reopen()
	want(one, calls)
	want(two, calls[:1])
	s.wantRecord(key("a"), secrets, r)
	if err := s.SaveLedger(two, calls, now); err != nil {
		s.Fatal(err)
	}
	r.Ledger = calls
	s.wantRecord(key("a"), secrets, r)
	for i := range 100 { // none that counts is dropped, whatever else comes in
		if err := s.SaveLedger(tokencache.Fingerprint{3, byte(i)}, calls, now.Add(time.Hour)); err != nil {
			s.Fatal(err)
		}
	}
	want(one, calls)
	if err := s.SaveLedger(one, nil, now); err != nil {
		s.Fatal(err)
	}
	want(one, nil)
}

// testWarnings: what is left out is told of, once.
func testWarnings(s *suite) {
	if err := s.Save(key("a"), secrets, Record()); err != nil {
		s.Fatal(err)
	}
	s.UnreportedWarnings()
	for range 2 {
		s.wantRecord(key("a"), others, withoutToken())
	}
	if got := s.UnreportedWarnings(); len(got) != 1 {
		s.Errorf("%q, want one warning", got)
	}
	if got := s.UnreportedWarnings(); len(got) != 0 {
		s.Errorf("again: %q", got)
	}
}

// testNonces: an id is good once, over restarts too, and forgotten when its time is over.
func testNonces(s *suite) {
	want := func(id string, until time.Time, want bool) {
		s.Helper()
		if first, err := s.ConsumeNonce(id, until); first != want || err != nil {
			s.Errorf("%s: %v, %v", id, first, err)
		}
	}
	consumed := func(id string, want bool) {
		s.Helper()
		if got, err := s.NonceConsumed(id); got != want || err != nil {
			s.Errorf("%s is consumed: %v, %v", id, got, err)
		}
	}
	hour := time.Now().Add(time.Hour)
	consumed("a", false)
	want("a", hour, true)
	want("a", hour, false)
	want("c", hour, true)
	if err := s.ReturnNonce("c"); err != nil {
		s.Error(err)
	}
	consumed("c", false)
	want("past", time.Now().Add(-time.Hour), true)
	want("b", hour, true)
	consumed("past", false)
	s.reopen()
	want("a", hour, false)
	consumed("b", true)
}

// testManyAtOnce: a store is used by many at once, and each of them finds what it wrote.
func testManyAtOnce(s *suite) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			k := tokencache.Key{Client: fmt.Sprint("client", i%2), Account: fmt.Sprint("account", i)}
			for n := range 10 {
				r := Record()
				r.Generation, r.Fingerprint[0] = uint64(n), byte(i)
				if err := s.Save(k, secrets, r); err != nil {
					s.Error(err)
				}
				s.wantRecord(k, secrets, r)
				if n%5 == 0 {
					if err := s.SaveGrant(k, secrets, grant(fmt.Sprint(n))); err != nil {
						s.Error(err)
					}
				}
				s.HasGrant(k)
				s.Accounts(k.Client)
				s.UnreportedWarnings()
			}
			s.wantGrant(k, secrets, grant("5"))
		})
	}
	all.Wait()
}
