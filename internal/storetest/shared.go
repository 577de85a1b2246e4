package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// sharedStore is what a store of several processes has to be.
type sharedStore interface {
	tokencache.Shared
	onboard.Shared
	Close() error
}

// severable is a handle whose way to the store can be cut. The tests of that are left out
// where a store under test does not have it.
type severable interface{ Away(away bool) }

const (
	patience = 30 * time.Second // reached by a hang alone
	long     = time.Hour        // longer than any test
	short    = 20 * time.Millisecond
)

// shared is the store under test as one of several processes.
func (s *suite) shared() sharedStore { return s.Store.(sharedStore) }

// another is the handle of another process on the same store.
func (s *suite) another() sharedStore {
	other := s.open(s, "store")
	s.Cleanup(func() { _ = other.Close() })
	return other.(sharedStore)
}

func waitFor(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("it did not come to this: %s", what)
		}
	}
}

// sharedTests are for stores that several processes use at once.
var sharedTests = map[string]func(*suite){
	"leases":                   testLeases,
	"lease ends":               testLeaseEnds,
	"generations":              testGenerations,
	"outdated records":         testOutdated,
	"paused holder":            testPausedHolder,
	"deletion overtakes":       testDeletionOvertakes,
	"shared ledger":            testSharedLedger,
	"ledger is left alone":     testLedgerLeftAlone,
	"budget":                   testBudget,
	"seen by others":           testSeenByOthers,
	"changes":                  testChanges,
	"use is no change":         testUseIsNoChange,
	"keys made at once":        testKeysMadeAtOnce,
	"secret added elsewhere":   testSecretAddedElsewhere,
	"nonces of others":         testNoncesOfOthers,
	"values":                   testValues,
	"values are taken once":    testValuesTakenOnce,
	"values under other keys":  testValuesUnderOtherKeys,
	"away":                     testAway,
	"away and back":            testAwayAndBack,
	"watching ends while away": testWatchEndsAway,
}

func (s *suite) lease(of tokencache.Shared, life time.Duration) tokencache.Lease {
	s.Helper()
	l, err := of.Lease(key("a"), life)
	if err != nil {
		s.Fatal(err)
	}
	return l
}

// testLeases: one process at a time has the lease, and it alone extends and releases it.
func testLeases(s *suite) {
	one, two := s.shared(), s.another()
	l := s.lease(one, long)
	for _, asks := range []tokencache.Shared{one, two} {
		_, err := asks.Lease(key("a"), long)
		var leased *tokencache.LeasedError
		if !errors.As(err, &leased) || leased.Left <= 0 || leased.Left > long {
			s.Fatalf("%v, want it leased", err)
		}
	}
	if _, err := two.Lease(key("b"), long); err != nil {
		s.Errorf("another connection: %v", err)
	}
	stranger := tokencache.Lease{ID: "of nobody", Generation: l.Generation}
	if err := two.Extend(key("a"), stranger, long); !errors.Is(err, tokencache.ErrLeaseLost) {
		s.Errorf("extended by a stranger: %v", err)
	}
	if err := errors.Join(two.Release(key("a"), stranger), one.Extend(key("a"), l, long)); err != nil {
		s.Errorf("the lease was lost: %v", err)
	}
	if err := one.Release(key("a"), l); err != nil {
		s.Error(err)
	}
	if err := one.Extend(key("a"), l, long); !errors.Is(err, tokencache.ErrLeaseLost) {
		s.Errorf("extended after its end: %v", err)
	}
	if next := s.lease(two, long); next.ID == l.ID || next.Generation != l.Generation {
		s.Errorf("%v after %v", next, l)
	}
}

// testLeaseEnds: a lease that nobody extends ends by itself, and is then somebody else's.
func testLeaseEnds(s *suite) {
	one, two := s.shared(), s.another()
	lost := s.lease(one, short)
	waitFor(s, "the lease ends", func() bool {
		_, err := two.Lease(key("a"), long)
		return err == nil
	})
	if err := one.Extend(key("a"), lost, long); !errors.Is(err, tokencache.ErrLeaseLost) {
		s.Errorf("extended although it is somebody else's: %v", err)
	}
	if err := one.Release(key("a"), lost); err != nil {
		s.Error(err)
	}
	if _, err := one.Lease(key("a"), long); err == nil {
		s.Error("a lease was ended by who has lost it")
	}
	k := key("extended")
	l, err := one.Lease(k, short)
	if errors.Join(err, one.Extend(k, l, long)) != nil {
		s.Skip("it took longer than the lease")
	}
	time.Sleep(2 * short)
	if _, err := two.Lease(k, long); err == nil {
		s.Error("a lease that was extended has ended")
	}
}

// testGenerations: whoever gets a lease gets a generation of its own, newer than all before,
// those that were saved included.
func testGenerations(s *suite) {
	handles := []tokencache.Shared{s.shared(), s.another(), s.another()}
	if err := s.Save(key("a"), secrets, Record()); err != nil {
		s.Fatal(err)
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	last, got := Record().Generation, 0
	for _, h := range handles {
		all.Go(func() {
			for {
				l, err := h.Lease(key("a"), long)
				mu.Lock()
				switch {
				case got >= 30 || s.Failed():
					mu.Unlock()
					if err == nil {
						_ = h.Release(key("a"), l)
					}
					return
				case err == nil && l.Generation <= last:
					s.Errorf("generation %d after %d", l.Generation, last)
				case err == nil:
					last = l.Generation
					got++
				}
				mu.Unlock()
				var leased *tokencache.LeasedError
				if err != nil && !errors.As(err, &leased) {
					s.Error(err)
					return
				}
				if err == nil {
					r := Record()
					r.Generation, r.Token = l.Generation, fmt.Sprint("token ", l.Generation)
					err = errors.Join(h.Save(key("a"), secrets, r), h.Release(key("a"), l))
				}
				if err != nil && leased == nil {
					s.Error(err)
				}
			}
		})
	}
	all.Wait()
	for range 3 { // what brought no token leaves no gap
		l, err := handles[1].Lease(key("a"), long)
		if err != nil || l.Generation != last+1 {
			s.Errorf("%v, %v, want generation %d", l, err, last+1)
		}
		if err := handles[1].Release(key("a"), l); err != nil {
			s.Error(err)
		}
	}
}

// testOutdated: what was overtaken is not written (S-54), what was not is.
func testOutdated(s *suite) {
	two := s.another()
	if err := s.Save(key("a"), secrets, Record()); err != nil {
		s.Fatal(err)
	}
	older, other, anothers := Record(), Record(), Record()
	older.Generation--
	other.Token = "1000.access.other"
	anothers.Token, anothers.Fingerprint = "1000.access.anothers", tokencache.Fingerprint{9}
	withoutToken := older
	withoutToken.Token = ""
	for what, r := range map[string]tokencache.Record{
		"an older one": older, "another token": other, "an older one without a token": withoutToken,
	} {
		if err := two.Save(key("a"), secrets, r); !errors.Is(err, tokencache.ErrOutdated) {
			s.Errorf("%s: %v, want ErrOutdated", what, err)
		}
		s.wantRecord(key("a"), secrets, Record())
	}
	same := Record()
	same.LastError = "something else"
	for _, r := range []tokencache.Record{same, anothers, other} { // each belongs to another grant than the one before, or has its token
		if err := two.Save(key("a"), secrets, r); err != nil {
			s.Error(err)
		}
		s.wantRecord(key("a"), secrets, r)
	}
}

// testPausedHolder: a process that was paused beyond its lease does not displace what its
// successor has got (S-54).
func testPausedHolder(s *suite) {
	one, two := s.shared(), s.another()
	paused := s.lease(one, short)
	var next tokencache.Lease
	waitFor(s, "somebody else takes over", func() (got bool) {
		l, err := two.Lease(key("a"), long)
		next = l
		return err == nil
	})
	newer, late := Record(), Record()
	newer.Generation, late.Generation, late.Token = next.Generation, paused.Generation, "1000.access.late"
	if err := two.Save(key("a"), secrets, newer); err != nil {
		s.Fatal(err)
	}
	if err := one.Save(key("a"), secrets, late); !errors.Is(err, tokencache.ErrOutdated) {
		s.Errorf("%v, want ErrOutdated", err)
	}
	s.wantRecord(key("a"), secrets, newer)
}

// testDeletionOvertakes: the token that somebody is asking for while the grant is deleted is
// not stored, nor that of before.
func testDeletionOvertakes(s *suite) {
	one, two := s.shared(), s.another()
	s.save(key("a"), grant("a"))
	if err := s.Save(key("a"), secrets, Record()); err != nil {
		s.Fatal(err)
	}
	l := s.lease(one, long)
	if err := two.DeleteGrant(key("a")); err != nil {
		s.Fatal(err)
	}
	late := Record()
	late.Generation = l.Generation
	for _, r := range []tokencache.Record{late, Record()} {
		if err := one.Save(key("a"), secrets, r); !errors.Is(err, tokencache.ErrOutdated) {
			s.Errorf("generation %d: %v, want ErrOutdated", r.Generation, err)
		}
	}
	if err := one.Extend(key("a"), l, long); !errors.Is(err, tokencache.ErrLeaseLost) {
		s.Errorf("%v, want the lease to be lost", err)
	}
	s.wantRecord(key("a"), secrets, withoutToken())
	next := s.lease(two, long)
	late.Generation = next.Generation
	if err := two.Save(key("a"), secrets, late); err != nil || next.Generation <= l.Generation {
		s.Errorf("the next grant's token, generation %d: %v", next.Generation, err)
	}
	s.wantRecord(key("a"), secrets, late)
}

func (s *suite) enter(of tokencache.Fingerprint, budget int) tokencache.Entry {
	s.Helper()
	e, err := s.shared().EnterCall(of, budget, long)
	if err != nil {
		s.Fatal(err)
	}
	return e
}

// testSharedLedger: calls of all processes are in it, in their order; one that does not count
// makes room, one that does moves to its end.
func testSharedLedger(s *suite) {
	of, two := tokencache.Fingerprint{7}, s.another()
	first, err := two.EnterCall(of, 2, long)
	if err != nil || first.ID == "" || len(first.Times) != 1 {
		s.Fatalf("%v, %v", first, err)
	}
	second := s.enter(of, 2)
	if second.ID == "" || second.ID == first.ID || len(second.Times) != 2 || second.Times[1].Before(second.Times[0]) {
		s.Fatalf("%v after %v", second, first)
	}
	if full := s.enter(of, 2); full.ID != "" || len(full.Times) != 2 {
		s.Fatalf("%v, want no room", full)
	}
	if err := two.CompleteCall(of, first.ID, true); err != nil {
		s.Error(err)
	}
	if err := s.shared().CompleteCall(of, second.ID, false); err != nil {
		s.Error(err)
	}
	if again := s.enter(of, 2); again.ID == "" || len(again.Times) != 2 {
		s.Errorf("%v, want the call that did not count to be gone", again)
	}
	calls, err := two.LoadLedger(of)
	if err != nil || len(calls.Times) != 2 || calls.Times[1].Before(calls.Times[0]) || time.Since(calls.Times[0]).Abs() > long || calls.Read < second.Read {
		s.Errorf("%v, %v", calls, err)
	}
	if other := s.enter(tokencache.Fingerprint{8}, 2); len(other.Times) != 1 {
		s.Errorf("another grant: %v", other)
	}
	waitFor(s, "a call leaves a short window", func() bool {
		e, err := s.shared().EnterCall(tokencache.Fingerprint{9}, 1, short)
		if err != nil {
			s.Fatal(err)
		}
		return e.ID != "" && len(e.Times) == 1 && time.Since(e.Times[0]) < short
	})
}

// testLedgerLeftAlone: Save and SaveLedger do not write it.
func testLedgerLeftAlone(s *suite) {
	of := Record().Fingerprint
	s.enter(of, 10)
	if err := errors.Join(s.Save(key("a"), secrets, Record()), s.SaveLedger(of, nil, time.Now())); err != nil {
		s.Fatal(err)
	}
	if calls, err := s.LoadLedger(of); err != nil || len(calls.Times) != 1 {
		s.Errorf("ledger %v: %v", calls, err)
	}
}

// testBudget: whoever asks, together they never get over it.
func testBudget(s *suite) {
	const budget = 10
	of := tokencache.Fingerprint{5}
	handles := []tokencache.Shared{s.shared(), s.another(), s.another()}
	var mu sync.Mutex
	var all sync.WaitGroup
	entered := 0
	for i := range 30 {
		all.Go(func() {
			for range 3 {
				e, err := handles[i%len(handles)].EnterCall(of, budget, long)
				if err != nil {
					s.Error(err)
				}
				if e.ID != "" {
					mu.Lock()
					entered++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	if entered != budget {
		s.Errorf("%d calls, want %d", entered, budget)
	}
}

// testSeenByOthers: what one process stores the others have, after they were told at the latest.
func testSeenByOthers(s *suite) {
	two := s.another()
	s.save(key("a"), grant("a"))
	waitFor(s, "the grant is listed", func() bool {
		return two.HasGrant(key("a")) && slices.Equal(two.Accounts("main"), []string{"a"})
	})
	g, found, err := two.LoadGrant(key("a"), secrets)
	if err != nil || !found || g.RefreshToken != grant("a").RefreshToken {
		s.Errorf("%v, %v, %v", g, found, err)
	}
	s.save(key("a"), grant("anew"))
	waitFor(s, "the next one is read", func() bool {
		g, _, err := two.LoadGrant(key("a"), secrets)
		return err == nil && g.RefreshToken == grant("anew").RefreshToken
	})
	if err := two.DeleteGrant(key("a")); err != nil {
		s.Fatal(err)
	}
	waitFor(s, "the grant is gone", func() bool {
		_, found, err := s.LoadGrant(key("a"), secrets)
		return err == nil && !found && !s.HasGrant(key("a"))
	})
}

// watched collects what a handle is told.
type watched struct {
	mu   sync.Mutex
	seen []tokencache.Change
}

func (s *suite) watch(h tokencache.Shared) *watched {
	w := new(watched)
	s.Cleanup(h.Watch(func(c tokencache.Change) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.seen = append(w.seen, c)
	}))
	return w
}

func (w *watched) has(c tokencache.Change) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.seen, c)
}

func (w *watched) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = nil
}

// testChanges: the others are told of each change, who made it is not.
func testChanges(s *suite) {
	one, two := s.shared(), s.another()
	own, others := s.watch(one), s.watch(two)
	want := func(w *watched, c tokencache.Change) {
		s.Helper()
		waitFor(s, fmt.Sprintf("they are told %+v", c), func() bool { return w.has(c) })
		w.forget()
	}
	s.save(key("a"), grant("a"))
	want(others, tokencache.Change{Key: key("a"), Grant: true})
	if err := s.Save(key("a"), secrets, Record()); err != nil {
		s.Fatal(err)
	}
	want(others, tokencache.Change{Key: key("a")})
	if err := s.ReplaceGrant(key("a"), secrets, grant("b")); err != nil {
		s.Fatal(err)
	}
	want(others, tokencache.Change{Key: key("a"), Grant: true})
	if err := s.DeleteGrant(key("a")); err != nil {
		s.Fatal(err)
	}
	want(others, tokencache.Change{Key: key("a"), Grant: true})
	if err := two.SaveGrant(key("last"), secrets, grant("last")); err != nil {
		s.Fatal(err)
	}
	waitFor(s, "the change of the other is told", func() bool {
		return own.has(tokencache.Change{Key: key("last"), Grant: true})
	})
	if own.has(tokencache.Change{Key: key("a")}) || own.has(tokencache.Change{Key: key("a"), Grant: true}) {
		s.Errorf("told of its own changes: %+v", own.seen)
	}
}

// testUseIsNoChange: that a token was used is stored, and nobody woken for it.
func testUseIsNoChange(s *suite) {
	two := s.another()
	if err := s.Save(key("a"), secrets, Record()); err != nil {
		s.Fatal(err)
	}
	waitFor(s, "the record is there", func() bool {
		_, found, err := two.Load(key("a"), secrets)
		return found && err == nil
	})
	others := s.watch(two)
	s.save(key("before"), grant("before"))
	waitFor(s, "they watch", func() bool { return others.has(tokencache.Change{Key: key("before"), Grant: true}) })
	others.forget()
	r := Record()
	r.Used = r.Used.Add(time.Minute)
	if err := s.Save(key("a"), secrets, r); err != nil {
		s.Fatal(err)
	}
	s.save(key("after"), grant("after"))
	waitFor(s, "what comes after is told", func() bool { return others.has(tokencache.Change{Key: key("after"), Grant: true}) })
	if others.has(tokencache.Change{Key: key("a")}) {
		s.Error("the others were woken by a use")
	}
	s.wantRecord(key("a"), secrets, r)
}

// testKeysMadeAtOnce: processes that begin at the same moment seal by the same key, so that
// nothing they store is lost (S-53).
func testKeysMadeAtOnce(s *suite) {
	handles := []sharedStore{s.shared(), s.another(), s.another(), s.another()}
	var all sync.WaitGroup
	for i, h := range handles {
		all.Go(func() {
			k := key(fmt.Sprint(i))
			if err := errors.Join(h.SaveGrant(k, secrets, grant(fmt.Sprint(i))), h.Save(k, secrets, Record())); err != nil {
				s.Error(err)
			}
		})
	}
	all.Wait()
	for i := range handles {
		for _, h := range handles {
			k := key(fmt.Sprint(i))
			g, _, err := h.LoadGrant(k, secrets)
			r, _, err2 := h.Load(k, secrets)
			if err := errors.Join(err, err2); err != nil || g.RefreshToken != grant(fmt.Sprint(i)).RefreshToken ||
				r.Token != Record().Token {
				s.Errorf("%s: %v, %v, %v", k, g, r, err)
			}
		}
	}
}

// testSecretAddedElsewhere: what one process has wrapped by a further secret, another opens by
// that alone (S-56).
func testSecretAddedElsewhere(s *suite) {
	two := s.another()
	s.save(key("a"), grant("a"))
	if _, _, err := two.LoadGrant(key("a"), secrets); err != nil {
		s.Fatal(err)
	}
	s.wantGrant(key("a"), both, grant("a"))
	if err := two.SaveGrant(key("b"), others, grant("b")); err != nil {
		s.Error(err)
	}
	for _, offered := range [][][]byte{others, secrets} {
		g, _, err := two.LoadGrant(key("a"), offered)
		if err != nil || g.RefreshToken != grant("a").RefreshToken {
			s.Errorf("%v, %v", g, err)
		}
		s.wantGrant(key("b"), offered, grant("b"))
	}
}

// testNoncesOfOthers: an id is good once across all processes.
func testNoncesOfOthers(s *suite) {
	handles := []sharedStore{s.shared(), s.another(), s.another()}
	var mu sync.Mutex
	var all sync.WaitGroup
	firsts := 0
	for i := range 12 {
		all.Go(func() {
			first, err := handles[i%len(handles)].ConsumeNonce("invitation", time.Now().Add(long))
			if err != nil {
				s.Error(err)
			}
			if first {
				mu.Lock()
				firsts++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if firsts != 1 {
		s.Errorf("it was good %d times", firsts)
	}
}

func (s *suite) put(client, name, value string, life time.Duration) {
	s.Helper()
	if err := s.shared().Put(client, name, secrets, []byte(value), life); err != nil {
		s.Fatal(err)
	}
}

// testValues: what was put comes back at another process, until its life is over.
func testValues(s *suite) {
	two := s.another()
	want := func(client, name, want string) {
		s.Helper()
		got, found, err := two.Get(client, name, secrets)
		if err != nil || found != (want != "") || string(got) != want {
			s.Errorf("%s: %.100q, %v, %v, want %.100q", name, got, found, err, want)
		}
	}
	want("main", "state", "")
	s.put("main", "state", "before", long)
	s.put("main", "state", "now", long)
	large := string(bytes.Repeat([]byte{0, 1, 254, 255}, 5000))
	s.put("main", "odd {name}\n:", large, long)
	want("main", "state", "now")
	want("main", "state", "now")
	want("main", "odd {name}\n:", large)
	want("other", "state", "")
	s.put("main", "brief", "x", short)
	waitFor(s, "its life is over", func() bool {
		_, found, err := two.Get("main", "brief", secrets)
		return err == nil && !found
	})
	if got := two.UnreportedWarnings(); len(got) != 0 {
		s.Errorf("warnings: %q", got)
	}
}

// testValuesTakenOnce: one of all who try gets it.
func testValuesTakenOnce(s *suite) {
	handles := []sharedStore{s.shared(), s.another(), s.another()}
	s.put("main", "state", "value", long)
	var mu sync.Mutex
	var all sync.WaitGroup
	taken := 0
	for i := range 12 {
		all.Go(func() {
			got, found, err := handles[i%len(handles)].Take("main", "state", secrets)
			if err != nil || found && string(got) != "value" {
				s.Errorf("%q, %v", got, err)
			}
			if found {
				mu.Lock()
				taken++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if _, found, err := handles[1].Get("main", "state", secrets); taken != 1 || found || err != nil {
		s.Errorf("taken %d times, still there: %v, %v", taken, found, err)
	}
}

// testValuesUnderOtherKeys: who cannot open a value does not get it, and does not take it away.
func testValuesUnderOtherKeys(s *suite) {
	s.put("main", "state", "value", long)
	for what, offered := range none {
		if _, found, err := s.shared().Take("main", "state", offered); found || err != nil {
			s.Errorf("%s: %v, %v", what, found, err)
		}
	}
	if got := s.UnreportedWarnings(); len(got) == 0 {
		s.Error("nobody is told")
	}
	if got, found, err := s.shared().Take("main", "state", secrets); !found || err != nil || string(got) != "value" {
		s.Errorf("%q, %v, %v", got, found, err)
	}
	s.wantUnopened(s.shared().Put("main", "other", nil, []byte("value"), long))
}

// cut is the store under test as one whose way can be cut.
func (s *suite) cut() severable {
	c, ok := s.Store.(severable)
	if !ok {
		s.Skip("the way to this store cannot be cut")
	}
	return c
}

// testAway: all that has to ask the store says that it is away; what is in memory is known on.
func testAway(s *suite) {
	s.cut()
	for _, account := range []string{"read", "not read"} {
		s.save(key(account), grant(account))
	}
	s.reopen()
	cut, shared := s.cut(), s.shared()
	s.wantGrant(key("read"), secrets, grant("read"))
	l := s.lease(shared, long)
	cut.Away(true)
	defer cut.Away(false)
	s.wantGrant(key("read"), secrets, grant("read"))
	_, _, err := s.LoadGrant(key("read"), others)
	if err == nil {
		s.Error("a grant in memory opens by other secrets")
	}
	if got := s.Accounts("main"); !slices.Equal(got, []string{"not read", "read"}) || !s.HasGrant(key("not read")) {
		s.Errorf("accounts %q", got)
	}
	for what, call := range map[string]func() error{
		"LoadGrant":    func() error { _, _, err := s.LoadGrant(key("not read"), secrets); return err },
		"SaveGrant":    func() error { return s.SaveGrant(key("a"), secrets, grant("a")) },
		"DeleteGrant":  func() error { return s.DeleteGrant(key("read")) },
		"CheckGrants":  s.CheckGrants,
		"TryWrite":     s.TryWrite,
		"Load":         func() error { _, _, err := s.Load(key("a"), secrets); return err },
		"Save":         func() error { return s.Save(key("a"), secrets, Record()) },
		"LoadLedger":   func() error { _, err := s.LoadLedger(tokencache.Fingerprint{1}); return err },
		"Lease":        func() error { _, err := shared.Lease(key("b"), long); return err },
		"Extend":       func() error { return shared.Extend(key("a"), l, long) },
		"Release":      func() error { return shared.Release(key("a"), l) },
		"EnterCall":    func() error { _, err := shared.EnterCall(tokencache.Fingerprint{1}, 1, long); return err },
		"CompleteCall": func() error { return shared.CompleteCall(tokencache.Fingerprint{1}, "x", true) },
		"ConsumeNonce": func() error { _, err := shared.ConsumeNonce("x", time.Now().Add(long)); return err },
		"Put":          func() error { return shared.Put("main", "x", secrets, []byte("x"), long) },
		"Get":          func() error { _, _, err := shared.Get("main", "x", secrets); return err },
		"Take":         func() error { _, _, err := shared.Take("main", "x", secrets); return err },
	} {
		var e *tokencache.StoreError
		if err := call(); !errors.Is(err, tokencache.ErrAway) || !errors.As(err, &e) {
			s.Errorf("%s: %v, want a *StoreError of ErrAway", what, err)
		}
	}
}

// testAwayAndBack: after that anything may have changed, and all of it is seen.
func testAwayAndBack(s *suite) {
	cut, two := s.cut(), s.another()
	s.save(key("a"), grant("a"))
	s.wantGrant(key("a"), secrets, grant("a"))
	w := s.watch(s.shared())
	cut.Away(true)
	waitFor(s, "the store is away", func() bool { return errors.Is(s.CheckGrants(), tokencache.ErrAway) })
	err := errors.Join(two.SaveGrant(key("b"), secrets, grant("b")), two.SaveGrant(key("a"), secrets, grant("anew")))
	if err != nil {
		s.Fatal(err)
	}
	cut.Away(false)
	waitFor(s, "it is told that anything may have changed", func() bool { return w.has(tokencache.Change{}) })
	waitFor(s, "what has changed is seen", func() bool {
		g, _, err := s.LoadGrant(key("a"), secrets)
		return s.HasGrant(key("b")) && err == nil && g.RefreshToken == grant("anew").RefreshToken
	})
	w.forget()
	if err := two.SaveGrant(key("c"), secrets, grant("c")); err != nil {
		s.Fatal(err)
	}
	waitFor(s, "changes are told again", func() bool { return w.has(tokencache.Change{Key: key("c"), Grant: true}) })
}

// testWatchEndsAway: that the store is away does not keep anybody who wants to stop.
func testWatchEndsAway(s *suite) {
	cut := s.cut()
	stop := s.shared().Watch(func(tokencache.Change) {})
	cut.Away(true)
	defer cut.Away(false)
	stop()
}
