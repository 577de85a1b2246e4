package tokencache_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

func TestNothingPrintsASecret(t *testing.T) {
	t.Parallel()
	const secret = "1000.s3cr3ttext.0123456789abcdef"
	g := tokencache.Grant{RefreshToken: secret, AccountsServer: "https://accounts.zoho.com"}
	token := tokencache.Token{Value: secret, Generation: 3}
	record := tokencache.Record{Token: secret, Generation: 3}
	type inside struct{ V any }
	for _, v := range []any{g, &g, token, &token, record, &record} {
		var texts []string
		for _, v := range []any{v, inside{v}, []any{v}, map[string]any{"k": v}, &inside{v}} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3s"} {
				texts = append(texts, fmt.Sprintf(verb, v), fmt.Errorf("failed: "+verb, v).Error())
			}
			text, err := json.Marshal(v)
			texts = append(texts, string(text), fmt.Sprint(err))
			var out bytes.Buffer
			slog.New(slog.NewJSONHandler(&out, nil)).Error("x", "v", v)
			slog.New(slog.NewTextHandler(&out, nil)).Error("x", slog.Any("v", v), slog.Group("g", "v", v))
			texts = append(texts, out.String())
		}
		text, err := xml.Marshal(v)
		texts = append(texts, string(text), fmt.Sprint(err))
		for _, text := range texts {
			for _, form := range []string{secret[5:], hex.EncodeToString([]byte(secret))[10:], secret[:12]} {
				if strings.Contains(strings.ToLower(text), form) {
					t.Errorf("%T: the secret is in %s", v, text)
				}
			}
		}
		if got := fmt.Sprint(v); !strings.Contains(got, "REDACTED") {
			t.Errorf("%T prints %s, want it to say that there is a secret", v, got)
		}
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	g := grant("a")
	same := g
	same.Scopes, same.APIDomain, same.GrantedAt = nil, "", someTime.AddDate(1, 0, 0)
	if tokencache.MakeFingerprint("id", g) != tokencache.MakeFingerprint("id", same) {
		t.Error("what does not tell grants apart changes the fingerprint")
	}
	server, moved := g, g
	server.AccountsServer = "https://accounts.zoho.com"
	moved.AccountsServer += moved.RefreshToken[:1]
	moved.RefreshToken = moved.RefreshToken[1:]
	seen := map[tokencache.Fingerprint]bool{tokencache.MakeFingerprint("id", g): true}
	for _, f := range []tokencache.Fingerprint{
		tokencache.MakeFingerprint("other id", g), tokencache.MakeFingerprint("id", server),
		tokencache.MakeFingerprint("id", grant("b")), tokencache.MakeFingerprint("id", moved),
	} {
		if seen[f] {
			t.Errorf("two grants have the fingerprint %s", f)
		}
		seen[f] = true
	}
}

func TestStoreErrors(t *testing.T) {
	t.Parallel()
	locked := &tokencache.LockedError{File: "/x/tokens.db", PID: 4711}
	if got := locked.Error(); !strings.Contains(got, "/x/tokens.db") || !strings.Contains(got, "4711") {
		t.Errorf("got %q", got)
	}
	if got := (&tokencache.LockedError{File: "/x"}).Error(); !strings.Contains(got, "another process") {
		t.Errorf("got %q", got)
	}
	err := error(&tokencache.StoreError{File: "f", Reason: "r", Remedy: "do", Err: tokencache.ErrDamaged})
	if !errors.Is(err, tokencache.ErrDamaged) || err.Error() != "f: r; do" {
		t.Errorf("got %q", err)
	}
}
