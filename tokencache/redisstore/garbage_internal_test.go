package redisstore

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// FuzzStored reads what somebody else has put into Redis, in every place, as it is and behind a
// right checksum (S-56): no panic, nothing of it in an error, and a grant is never "none".
func FuzzStored(f *testing.F) {
	for _, seed := range []string{
		"", "x", `00000000 {"grant":{"key":"secret","sealed":"c2VjcmV0"}}`, `{"id":"secret","wraps":[{"key":"x","salt":"","sealed":""}]}`,
		`{"program":"caddy-zoho","schema":1,"id":"secret"}`, `{"key":"secret","sealed":"AAAA"}`, `{"wraps":[{}]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		s := New(Config{Addresses: []string{"nowhere:1"}, Prefix: "p:"}) // closed: no call gets through
		key, secrets := tokencache.Key{Client: "c", Account: "a"}, [][]byte{[]byte("key")}
		harmless := func(err error) {
			if err != nil && strings.Contains(data, "secret") && strings.Contains(err.Error(), "secret") {
				t.Errorf("it shows what it was given: %v", err)
			}
		}
		read := func(packed string) {
			_, found, err := s.openGrant(key, packed, secrets)
			harmless(err)
			if found || err == nil {
				t.Errorf("a grant of garbage: %v, %v", found, err)
			}
			ring, err := unpackRing(packed, sealed.Grants, "c")
			harmless(err)
			if err == nil {
				_, err = ring.Open(sealed.Grants, "c", secrets)
				if err == nil {
					t.Error("a key of garbage")
				}
			}
			token, _ := s.openToken(key, sealed.Record{Fingerprint: "00"}, packed, secrets)
			if token != "" {
				t.Errorf("a token of garbage: %q", token)
			}
			_, err = s.checkAbout(packed)
			harmless(err)
			_, _ = s.readChange(redis.XMessage{ID: packed, Values: map[string]any{"by": packed, "client": packed, "account": packed, "what": 7}})
			for _, w := range s.UnreportedWarnings() {
				if strings.Contains(data, "secret") && strings.Contains(w, "secret") {
					t.Errorf("a warning shows what it was given: %q", w)
				}
			}
		}
		read(data)
		for _, place := range [][]string{
			{placeGrants, "c", "a"}, {placeKeys, sealed.Grants, "c"}, {placeTokens, "c", "a", "token"},
		} {
			read(string(sealed.SumText([]byte(data), place...)) + data)
		}
	})
}

// TestEscape: no name looks like two, ends a brace or begins one.
func TestEscape(t *testing.T) {
	t.Parallel()
	seen := make(map[string]tokencache.Key)
	for _, k := range []tokencache.Key{
		{Client: "a", Account: "b/c"}, {Client: "a/b", Account: "c"}, {Client: "a}", Account: "{b"}, {Client: "a%2fb", Account: "c"},
		{Client: "a", Account: "}:grant"}, {Client: "a:", Account: "b"}, {Client: "ü", Account: "\x00\n"},
	} {
		at := layout{"p:"}.grant(k)
		if before, ok := seen[at]; ok || strings.Count(at, "{") != 1 || strings.Count(at, "}") != 1 {
			t.Errorf("%q is at %q, as %q", k, at, before)
		}
		seen[at] = k
	}
}
