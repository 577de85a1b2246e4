package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// of gives the same secrets to every client.
func of(secrets [][]byte) func(string) [][]byte { return func(string) [][]byte { return secrets } }

func (s *suite) dump() *sealed.Dump {
	s.Helper()
	d, err := s.whole().Dump()
	if err != nil {
		s.Fatal(err)
	}
	return d
}

// opened is what is in a dump, by secrets that open it.
func (s *suite) opened(d *sealed.Dump, secrets [][]byte) map[tokencache.Key]tokencache.Grant {
	s.Helper()
	keys, grants := make(map[string]*sealed.DataKey), make(map[tokencache.Key]tokencache.Grant)
	for _, ring := range d.Rings {
		key, err := ring.Open(sealed.Grants, ring.Client, secrets)
		if err != nil {
			s.Fatal(err)
		}
		keys[ring.Client+ring.ID] = key
	}
	for _, g := range d.Grants {
		key := keys[g.Client+g.Grant.Grant.Key]
		if key == nil {
			s.Fatalf("the dump has no data key of %s", g.Key())
		}
		grant, err := g.Open(key, g.Key())
		if err != nil {
			s.Fatal(err)
		}
		grants[g.Key()] = grant
	}
	return grants
}

// written is a backup of a dump, which has to be whole.
func (s *suite) written(d *sealed.Dump) []byte {
	s.Helper()
	var file bytes.Buffer
	if err := sealed.WriteBackup(&file, sealed.BackupHeader{Made: someTime, Store: s.whole().Name()}, d); err != nil {
		s.Fatal(err)
	}
	if _, err := sealed.CheckBackup(bytes.NewReader(file.Bytes())); err != nil {
		s.Fatal(err)
	}
	return file.Bytes()
}

// testDump: grants, what opens them and deletions are there as they are stored, and nothing else.
func testDump(s *suite) {
	if d := s.dump(); len(d.Rings)+len(d.Grants)+len(d.Deletions) != 0 {
		s.Errorf("an empty store has %v", d)
	}
	second := tokencache.Key{Client: "second", Account: "a"}
	s.save(key("a"), grant("a"))
	s.save(key("b"), grant("b"))
	s.save(second, grant("second"))
	err := errors.Join(s.Save(key("a"), secrets, Record()), s.DeleteGrant(key("b")))
	if err != nil {
		s.Fatal(err)
	}
	for range 2 {
		d := s.dump()
		got := s.opened(d, secrets)
		if len(got) != 2 || got[key("a")].RefreshToken != grant("a").RefreshToken ||
			got[second].RefreshToken != grant("second").RefreshToken {
			s.Errorf("%v", got)
		}
		if len(d.Deletions) != 1 || d.Deletions[0].Key() != key("b") || d.Deletions[0].At.IsZero() {
			s.Errorf("deletions %v", d.Deletions)
		}
		text := string(s.written(d))
		for _, secret := range []string{"1000.", "owner@example.com", "secret of the client", Record().Token} {
			if strings.Contains(text, secret) {
				s.Errorf("%s is in it", secret)
			}
		}
		s.reopen()
	}
}

// testDumpWhileWritten, S-45: a dump is one moment of a store that is written to: all that was
// acknowledged before it is there, and what comes one after the other is there without a gap.
func testDumpWhileWritten(s *suite) {
	const rounds = 20
	name := func(i int) string { return fmt.Sprintf("%06d", i) }
	var acknowledged atomic.Int64
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := s.SaveGrant(key(name(i)), secrets, grant(name(i))); err != nil {
				s.Error(err)
				return
			}
			acknowledged.Store(int64(i) + 1)
		}
	})
	defer writer.Wait()
	defer close(stop)
	for range rounds {
		atLeast := int(acknowledged.Load())
		got := s.opened(s.dump(), secrets)
		if len(got) < atLeast {
			s.Errorf("%d grants, want %d at least", len(got), atLeast)
		}
		for i := range len(got) {
			if got[key(name(i))].RefreshToken != grant(name(i)).RefreshToken {
				s.Fatalf("of %d grants that of %s is missing", len(got), name(i))
			}
		}
	}
}

// manyGrants are as many as a large backup has.
func manyGrants(n int) map[string]tokencache.Grant {
	grants := make(map[string]tokencache.Grant)
	for i := range n {
		name := fmt.Sprint("account", i)
		grants[name] = grant(name)
	}
	return grants
}

// testManyGrants: many are stored as each one is. Those that were deleted are not, any more, and
// one that is there is replaced.
func testManyGrants(s *suite) {
	if err := s.SaveGrants("main", secrets, nil, false); err != nil {
		s.Errorf("none: %v", err)
	}
	s.save(key("account1"), grant("before"))
	s.save(key("other"), grant("other"))
	s.save(key("account2"), grant("deleted"))
	if err := s.DeleteGrant(key("account2")); err != nil {
		s.Fatal(err)
	}
	many := manyGrants(300)
	if err := s.SaveGrants("main", secrets, many, false); err != nil {
		s.Fatal(err)
	}
	for range 2 {
		if got, want := len(s.Accounts("main")), len(many)+1; got != want {
			s.Errorf("%d accounts, want %d", got, want)
		}
		for _, name := range []string{"account0", "account1", "account2", "account299"} {
			s.wantGrant(key(name), secrets, grant(name))
		}
		s.wantGrant(key("other"), secrets, grant("other"))
		if deleted, err := s.Deleted(); err != nil || len(deleted) != 0 {
			s.Errorf("still deleted: %v, %v", deleted, err)
		}
		if err := s.CheckGrants(); err != nil {
			s.Error(err)
		}
		s.reopen()
	}
}

// testManyGrantsRefused: all or none. Under a key that is not at hand nothing is stored unless
// that was asked for, and then what is there waits for its key.
func testManyGrantsRefused(s *suite) {
	withBad := manyGrants(3)
	withBad["bad"] = tokencache.Grant{AccountsServer: "https://accounts.zoho.com"}
	if s.SaveGrants("main", secrets, withBad, false) == nil {
		s.Error("a grant without a refresh token was stored")
	}
	if got := s.Accounts("main"); len(got) != 0 {
		s.Errorf("stored: %q", got)
	}
	s.save(key("a"), grant("a"))
	s.wantUnopened(s.SaveGrants("main", others, manyGrants(3), false))
	if got := s.Accounts("main"); !slices.Equal(got, []string{"a"}) {
		s.Errorf("stored: %q", got)
	}
	if err := s.SaveGrants("main", others, manyGrants(3), true); err != nil {
		s.Fatal(err)
	}
	for range 2 {
		s.wantGrant(key("account2"), others, grant("account2"))
		s.wantGrant(key("a"), secrets, grant("a"))
		s.reopen()
	}
}

// testDeletions: what was deleted elsewhere is noted like what was deleted here, which stays as
// it was noted; and storing a grant ends both.
func testDeletions(s *suite) {
	s.save(key("a"), grant("a"))
	if err := s.DeleteGrant(key("a")); err != nil {
		s.Fatal(err)
	}
	first, err := s.Deleted()
	if err != nil {
		s.Fatal(err)
	}
	elsewhere := map[tokencache.Key]time.Time{key("a"): someTime, key("b"): someTime}
	if err := s.MarkDeleted(elsewhere); err != nil {
		s.Fatal(err)
	}
	want := map[tokencache.Key]time.Time{key("a"): first[key("a")], key("b"): someTime}
	for range 2 {
		if got, err := s.Deleted(); err != nil || !maps.EqualFunc(got, want, time.Time.Equal) {
			s.Errorf("%v, %v, want %v", got, err, want)
		}
		s.reopen()
	}
	s.save(key("b"), grant("b"))
	if got, err := s.Deleted(); err != nil || len(got) != 1 {
		s.Errorf("%v, %v", got, err)
	}
}

func (s *suite) rekey(secrets [][]byte) sealed.Rekeyed {
	s.Helper()
	done, err := s.whole().Rekey(of(secrets))
	if err != nil {
		s.Fatal(err)
	}
	return done
}

// testRekey, S-50: the keys of now open all, that of before opens nothing any more, and whoever
// is asked again has nothing to do.
func testRekey(s *suite) {
	s.rekey(secrets) // of nothing
	second := tokencache.Key{Client: "second", Account: "a"}
	s.save(key("a"), grant("a"))
	s.save(second, grant("second"))
	if err := s.Save(key("a"), secrets, Record()); err != nil {
		s.Fatal(err)
	}
	if done := s.rekey(both); done.DataKeys != 3 || done.Added != 3 || done.Dropped != 0 || len(done.Unopened) != 0 {
		s.Errorf("with both keys: %+v", done)
	}
	s.wantGrant(key("a"), secrets, grant("a"))
	s.wantGrant(key("a"), others, grant("a"))
	for i := range 2 {
		if done := s.rekey(others); done.DataKeys != 3 || done.Added != 0 || done.Dropped != 3-3*i || done.Moved != 0 {
			s.Errorf("with the new key: %+v", done)
		}
		s.wantGrant(key("a"), others, grant("a"))
		s.wantGrant(second, others, grant("second"))
		s.wantRecord(key("a"), others, Record())
		_, _, err := s.LoadGrant(key("a"), secrets)
		s.wantUnopened(err)
		if err := s.CheckGrants(); err != nil {
			s.Error(err)
		}
		s.reopen()
	}
	s.UnreportedWarnings()
}

// testRekeyWithUnknown: what no key of now opens stays as it is, with the key that does. When that
// comes back, what it has sealed moves to the data key of today.
func testRekeyWithUnknown(s *suite) {
	s.save(key("lost"), grant("lost"))
	s.save(key("a"), grant("a"))
	if err := s.ReplaceGrant(key("a"), others, grant("anew")); err != nil {
		s.Fatal(err)
	}
	if done := s.rekey(others); done.DataKeys != 1 || done.Dropped != 0 || len(done.Unopened) != 1 ||
		done.Unopened[0].Client != "main" || len(done.Unopened[0].Wanted) != 1 {
		s.Errorf("%+v", done)
	}
	s.wantGrant(key("lost"), secrets, grant("lost"))
	s.wantGrant(key("a"), others, grant("anew"))
	if done := s.rekey(none["none"]); done.DataKeys != 0 || done.Dropped != 0 || len(done.Unopened) != 2 {
		s.Errorf("without any key: %+v", done)
	}
	if done := s.rekey(both); done.Moved != 1 || len(done.Unopened) != 0 {
		s.Errorf("with the key of before: %+v", done)
	}
	s.rekey(others)
	for range 2 {
		s.wantGrant(key("lost"), others, grant("lost"))
		s.wantGrant(key("a"), others, grant("anew"))
		if d := s.dump(); len(d.Rings) != 1 || d.Rings[0].Retired || len(d.Rings[0].Wraps) != 1 {
			s.Errorf("data keys: %+v", d.Rings)
		}
		s.reopen()
	}
}

// testKeysInUse: a record needs an old key as long as the first one does not open it.
func testKeysInUse(s *suite) {
	oldID, _ := sealed.SecretID(secrets[0])
	newID, _ := sealed.SecretID(others[0])
	want := func(without int, ids ...string) {
		s.Helper()
		slices.Sort(ids)
		use, err := s.whole().KeysInUse(newID)
		if err != nil || use.Without != without || !slices.Equal(use.IDs, ids) {
			s.Errorf("%+v, %v, want %d, %q", use, err, without, ids)
		}
	}
	want(0)
	s.save(key("a"), grant("a"))
	s.save(key("b"), grant("b"))
	err := errors.Join(s.Save(key("a"), secrets, Record()), s.Save(key("b"), secrets, withoutToken()))
	if err != nil {
		s.Fatal(err)
	}
	want(3, oldID)
	s.rekey(both)
	want(0, oldID, newID)
	s.rekey(others)
	want(0, newID)
}
