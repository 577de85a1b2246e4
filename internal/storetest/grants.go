package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

var (
	secrets = [][]byte{[]byte("first secret of the client")}
	others  = [][]byte{[]byte("second secret of the client")}
	both    = [][]byte{others[0], secrets[0]}
	none    = map[string][][]byte{"another": others, "none": nil, "an empty one": {{}}}

	someTime = time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
)

func key(account string) tokencache.Key { return tokencache.Key{Client: "main", Account: account} }

// grant has something in every field.
func grant(name string) tokencache.Grant {
	return tokencache.Grant{
		RefreshToken:   "1000.refresh." + name,
		AccountsServer: "https://accounts.zoho.eu",
		APIDomain:      "https://www.zohoapis.eu",
		Scopes:         []string{"ZohoCRM.modules.ALL", "offline"},
		GrantedAt:      someTime,
		User:           "owner@example.com",
		Org:            "60001",
		RefreshTokens:  3,
	}
}

func (s *suite) save(key tokencache.Key, g tokencache.Grant) {
	s.Helper()
	if err := s.SaveGrant(key, secrets, g); err != nil {
		s.Fatal(err)
	}
}

// wantGrant fails unless the secrets give the grant back as it was saved.
func (s *suite) wantGrant(key tokencache.Key, secrets [][]byte, want tokencache.Grant) {
	s.Helper()
	got, found, err := s.LoadGrant(key, secrets)
	if err != nil || !found || !reflect.DeepEqual(got, want) || got.RefreshToken != want.RefreshToken {
		s.Errorf("grant of %s: %v, %v, %v, want %v", key, got, found, err, want)
	}
}

// wantUnopened fails unless the error says that it is about a key, and gives nothing away.
func (s *suite) wantUnopened(err error) {
	s.Helper()
	var e *tokencache.StoreError
	if !errors.As(err, &e) || !errors.Is(err, tokencache.ErrWrongKey) || errors.Is(err, tokencache.ErrDamaged) {
		s.Errorf("%v, want a *StoreError of ErrWrongKey", err)
	}
	if text := fmt.Sprint(err); strings.Contains(text, "1000.") || strings.Contains(text, "secret of the client") {
		s.Errorf("a secret is in %q", text)
	}
}

// testEmpty: where nothing is stored, nothing is wrong, and deleting is no error.
func testEmpty(s *suite) {
	k := key("nobody")
	if got := s.Accounts("main"); len(got) != 0 || s.HasGrant(k) {
		s.Errorf("accounts %q", got)
	}
	_, grantFound, err := s.LoadGrant(k, secrets)
	_, recordFound, err2 := s.Load(k, secrets)
	calls, err3 := s.LoadLedger(tokencache.Fingerprint{1})
	if grantFound || recordFound || len(calls.Times) != 0 {
		s.Errorf("found: a grant %v, a record %v, calls %v", grantFound, recordFound, calls)
	}
	if err := errors.Join(err, err2, err3, s.CheckGrants(), s.DeleteGrant(k), s.TryWrite()); err != nil {
		s.Error(err)
	}
	if got := s.UnreportedWarnings(); len(got) != 0 {
		s.Errorf("warnings: %q", got)
	}
}

// testGrants: what was stored last comes back, now and after a restart.
func testGrants(s *suite) {
	second := tokencache.Key{Client: "second", Account: "a"}
	for _, account := range []string{"b", "a", "c"} {
		s.save(key(account), grant(account))
	}
	s.save(second, grant("second"))
	s.save(key("a"), grant("anew"))
	for range 2 {
		if got, want := s.Accounts("main"), []string{"a", "b", "c"}; !slices.Equal(got, want) {
			s.Errorf("accounts %q, want %q", got, want)
		}
		if !s.HasGrant(key("a")) || s.HasGrant(key("d")) || len(s.Accounts("nobody")) != 0 {
			s.Error("HasGrant or Accounts say otherwise")
		}
		s.wantGrant(key("a"), secrets, grant("anew"))
		s.wantGrant(key("c"), secrets, grant("c"))
		s.wantGrant(second, secrets, grant("second"))
		if _, found, err := s.LoadGrant(tokencache.Key{Client: "second", Account: "b"}, secrets); found ||
			err != nil {
			s.Errorf("a grant that nobody gave: %v, %v", found, err)
		}
		if err := s.CheckGrants(); err != nil {
			s.Error(err)
		}
		if got := s.UnreportedWarnings(); len(got) != 0 {
			s.Errorf("warnings: %q", got)
		}
		s.reopen()
	}
}

// testNames: whatever a name consists of, it is told from every other one.
func testNames(s *suite) {
	names := []tokencache.Key{
		{
			Client:  "a",
			Account: "b/c",
		}, {Client: "a/b", Account: "c"}, {Client: "a", Account: "B/C"}, {Client: "a", Account: "b:c"},
		{
			Client:  "a:b",
			Account: "c",
		}, {Client: "a", Account: "ü@example.com"}, {Client: "a", Account: " "}, {Client: "*", Account: "?\n"},
	}
	for i, k := range names {
		s.save(k, grant(fmt.Sprint(i)))
		r := Record()
		r.Token = fmt.Sprint("1000.access.", i)
		if err := s.Save(k, secrets, r); err != nil {
			s.Fatal(err)
		}
	}
	s.reopen()
	for i, k := range names {
		s.wantGrant(k, secrets, grant(fmt.Sprint(i)))
		if r, _, err := s.Load(k, secrets); err != nil || r.Token != fmt.Sprint("1000.access.", i) {
			s.Errorf("record of %s: %v, %v", k, r, err)
		}
	}
	if got, want := s.Accounts("a/b"), []string{"c"}; !slices.Equal(got, want) {
		s.Errorf("accounts %q, want %q", got, want)
	}
}

// testNamesRefused: a connection has a client and an account, of some length. What cannot
// be stored is not there either.
func testNamesRefused(s *suite) {
	for _, k := range []tokencache.Key{{}, {Client: "main"}, {Account: "a"}, {Client: "main", Account: strings.Repeat("a", 40000)}} {
		if s.Save(k, secrets, Record()) == nil || s.SaveGrant(k, secrets, grant("x")) == nil {
			s.Errorf("%.50q was stored", k)
		}
		_, record, err := s.Load(k, secrets)
		_, grant, err2 := s.LoadGrant(k, secrets)
		if err := errors.Join(err, err2); record || grant || err != nil {
			s.Errorf("%.50q: %v, %v, %v", k, record, grant, err)
		}
	}
	if err := s.CheckGrants(); err != nil {
		s.Error(err)
	}
}

// testNoRefreshToken: a grant that is none displaces nothing.
func testNoRefreshToken(s *suite) {
	s.save(key("a"), grant("kept"))
	if err := s.SaveGrant(key("a"), secrets, tokencache.Grant{AccountsServer: "https://accounts.zoho.com"}); err == nil {
		s.Error("a grant without a refresh token was stored")
	}
	s.wantGrant(key("a"), secrets, grant("kept"))
}

// testDeletedGrant: its token goes along; what was spent by it stays spent, and
// generations go on.
func testDeletedGrant(s *suite) {
	s.save(key("a"), grant("a"))
	s.save(key("b"), grant("b"))
	was := Record()
	if isShared(s.Store) {
		for range was.Ledger {
			s.enter(was.Fingerprint, 10)
		}
	}
	if err := errors.Join(s.Save(key("a"), secrets, was), s.DeleteGrant(key("a"))); err != nil {
		s.Fatal(err)
	}
	for range 2 {
		_, found, err := s.LoadGrant(key("a"), secrets)
		if found || err != nil || s.HasGrant(key("a")) || !slices.Equal(s.Accounts("main"), []string{"b"}) {
			s.Errorf("it is still there: %v, %v, %q", found, err, s.Accounts("main"))
		}
		r, _, err := s.Load(key("a"), secrets)
		if err != nil || r.Token != "" || r.Generation != was.Generation {
			s.Errorf("its record: %v, %v, want it without the token", r, err)
		}
		if calls, err := s.LoadLedger(was.Fingerprint); err != nil || len(calls.Times) != len(was.Ledger) {
			s.Errorf("its ledger: %v, %v", calls, err)
		}
		s.wantGrant(key("b"), secrets, grant("b"))
		s.reopen()
	}
	s.save(key("a"), grant("anew"))
	s.wantGrant(key("a"), secrets, grant("anew"))
}

// testGrantUnderOtherKeys: nothing opens by secrets that did not seal it, and nothing is
// overwritten by them. That somebody had the right ones a moment ago changes nothing.
func testGrantUnderOtherKeys(s *suite) {
	s.save(key("a"), grant("a"))
	for range 2 {
		for what, offered := range none {
			_, found, err := s.LoadGrant(key("a"), offered)
			if s.wantUnopened(err); found {
				s.Errorf("%s: found", what)
			}
			for _, account := range []string{"a", "new"} {
				s.wantUnopened(s.SaveGrant(key(account), offered, grant("other")))
			}
		}
		if !s.HasGrant(key("a")) || s.HasGrant(key("new")) {
			s.Errorf("accounts %q", s.Accounts("main"))
		}
		s.wantGrant(key("a"), secrets, grant("a"))
		s.reopen()
	}
}

// testLostKeyForgotten: with the last grant of a client its key goes, so that another
// secret can begin.
func testLostKeyForgotten(s *suite) {
	s.save(key("a"), grant("a"))
	if err := s.DeleteGrant(key("a")); err != nil {
		s.Fatal(err)
	}
	if err := s.SaveGrant(key("a"), others, grant("b")); err != nil {
		s.Error(err)
	}
	s.wantGrant(key("a"), others, grant("b"))
}

// testRollover: a secret is replaced by offering both for a while. Reading is enough.
func testRollover(s *suite) {
	s.save(key("a"), grant("a"))
	if err := s.Save(key("a"), secrets, Record()); err != nil {
		s.Fatal(err)
	}
	s.wantGrant(key("a"), both, grant("a"))
	if err := s.Save(key("a"), both, Record()); err != nil {
		s.Fatal(err)
	}
	s.reopen()
	for _, offered := range [][][]byte{others, both, secrets} {
		s.wantGrant(key("a"), offered, grant("a"))
		if r, _, err := s.Load(key("a"), offered); err != nil || r.Token != Record().Token {
			s.Errorf("record: %v, %v", r, err)
		}
	}
}

// testReplacedGrant: a grant that no secret opens can be replaced, and what stays behind
// is read again by the secret of before.
func testReplacedGrant(s *suite) {
	s.save(key("a"), grant("a"))
	s.save(key("b"), grant("b"))
	_, _, err := s.LoadGrant(key("a"), others)
	var e *tokencache.StoreError
	if !errors.As(err, &e) || !e.Replaceable {
		s.Fatalf("%v, want it to be replaceable", err)
	}
	for range 2 {
		if err := s.ReplaceGrant(key("a"), others, grant("anew")); err != nil {
			s.Fatal(err)
		}
	}
	if err := s.SaveGrant(key("c"), others, grant("c")); err != nil {
		s.Errorf("a further account: %v", err)
	}
	for range 2 {
		s.wantGrant(key("a"), others, grant("anew"))
		s.wantGrant(key("b"), secrets, grant("b"))
		s.wantGrant(key("c"), others, grant("c"))
		_, _, err := s.LoadGrant(key("b"), others)
		s.wantUnopened(err)
		if err := s.CheckGrants(); err != nil {
			s.Error(err)
		}
		s.reopen()
	}
}
