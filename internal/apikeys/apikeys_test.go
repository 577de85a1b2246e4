package apikeys

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func sha(key string) string {
	d := sha256.Sum256([]byte(key))
	return hex.EncodeToString(d[:])
}

func writeKeys(t *testing.T, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func opened(t *testing.T, files ...string) *Keys {
	t.Helper()
	k, err := open(files, func(c Change) { t.Errorf("changed: %+v", c) })
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestFind is S-10: a key is found by all of it and by nothing else.
func TestFind(t *testing.T) {
	erp, old, shop := "erp-"+strings.Repeat("k", 40), "old-"+strings.Repeat("k", 40), "shop"+strings.Repeat("k", 40)
	k := opened(t, writeKeys(t,
		"\ufeff# callers", "", "erp "+sha(erp)+","+strings.ToUpper(sha(old))+"\t# two", "  shop   "+sha(shop)+" customer-* acme  "))
	for key, want := range map[string]string{
		erp: "erp", old: "erp", shop: "shop",
		"": "", erp[:len(erp)-1]: "", erp + "k": "", erp[1:]: "", strings.ToUpper(erp): "", " " + erp: "", erp + "\n": "",
		sha(erp): "", strings.Repeat("k", 1<<20): "",
	} {
		got := ""
		if o := k.Find(key); o != nil {
			got = o.Name
		}
		if got != want {
			t.Errorf("%.60q is of %q, want %q", key, got, want)
		}
	}
	o := k.Find(shop)
	for account, want := range map[string]bool{"acme": true, "customer-": true, "customer-17": true, "Acme": false, "": false, "default": false, "xcustomer-1": false} {
		if o.Has(account) != want {
			t.Errorf("shop has %q: %v", account, !want)
		}
	}
	if !o.Bound() || o.Only() != "" || k.Find(erp).Bound() {
		t.Error("accounts")
	}
	if got := k.Unbound(); !slices.Equal(got, []string{"erp"}) {
		t.Errorf("unbound %v", got)
	}
}

// TestLengths: what is shorter than a random key is none, and nothing endless is hashed.
func TestLengths(t *testing.T) {
	for length, want := range map[int]bool{31: false, 32: true, 512: true, 513: false} {
		key := strings.Repeat("k", length)
		if got := opened(t, writeKeys(t, "erp "+sha(key))).Find(key) != nil; got != want {
			t.Errorf("%d characters: %v", length, got)
		}
	}
}

// TestNoPasswords: what people think of is no key, whatever a file says.
func TestNoPasswords(t *testing.T) {
	if opened(t, writeKeys(t, "erp "+sha("correct horse"))).Find("correct horse") != nil {
		t.Error("a password is a key")
	}
}

func TestNew(t *testing.T) {
	key, digest := New()
	other, _ := New()
	if key == other || sha(key) != digest || len(key) != len(prefix)+43 || !LooksLikeKey(key) {
		t.Errorf("%s %s", key, digest)
	}
	if opened(t, writeKeys(t, "erp "+digest)).Find(key) == nil {
		t.Error("a new key is not found")
	}
}

func TestMask(t *testing.T) {
	key, _ := New()
	if got := Mask("/crm/" + key + "/x"); got != "/crm/REDACTED/x" {
		t.Error(got)
	}
	if got := Mask("/crm/v8/Leads"); got != "/crm/v8/Leads" {
		t.Error(got)
	}
}

func TestBadFiles(t *testing.T) {
	key, digest := New()
	_, another := New()
	for text, want := range map[string]string{
		"erp":                                  "keys:1: erp has no digest",
		"erp 123":                              "keys:1: erp: a digest is 64 hexadecimal digits",
		"erp " + key:                           "keys:1: erp: this is a key, not its digest",
		key + " " + digest:                     "keys:1: this is a key where a name belongs",
		digest + " erp":                        "keys:1: this is a digest where a name belongs",
		key + " " + digest:                     "keys:1: this is a key where a name belongs",
		digest + " erp":                        "keys:1: this is a digest where a name belongs",
		"erp " + digest + " a/b":               "keys:1: erp: invalid account name:",
		"er/p " + digest:                       "keys:1: invalid caller name:",
		"\nerp " + digest + "\nerp " + another: "keys:3: erp is already at ",
		"erp " + digest + "\nshop " + digest:   "keys:2: a key of shop belongs to erp too",
		"erp " + digest + "," + digest:         "keys:1: a key of erp belongs to erp too",
		"erp " + digest + "," + another + "," + sha("x"): "has 3 keys",
		"erp " + digest + ",":                            "a digest is 64",
		"erp\x00 " + digest:                              "invalid caller name",
	} {
		_, err := readFiles([]string{writeKeys(t, text)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), key) || strings.Contains(err.Error(), digest)) {
			t.Errorf("%q: the error shows it: %v", text, err)
		}
	}
	if _, err := readFiles([]string{t.TempDir()}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Error(err)
	}
	if _, err := readFiles([]string{filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a missing file is taken")
	}
}

// TestReadAnew: a line that is added, changed or taken off counts within a second, and a file
// that is damaged changes nothing but the log.
func TestReadAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		erp, erpDigest := New()
		shop, shopDigest := New()
		file := writeKeys(t, "erp "+erpDigest)
		var changes []Change
		k, err := open([]string{file}, func(c Change) { changes = append(changes, c) })
		if err != nil {
			t.Fatal(err)
		}
		steps := 0
		write := func(text string) {
			steps++
			at := time.Now().Add(time.Duration(steps) * time.Hour)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(file, at, at); err != nil {
				t.Fatal(err)
			}
		}
		holds := func(key string) bool { return k.Find(key) != nil }
		later := func() { time.Sleep(lookEvery); k.Find(erp) }

		write("erp " + erpDigest + "\nshop " + shopDigest)
		if later(); !holds(shop) || !holds(erp) {
			t.Error("a new line does not count")
		}
		write("erp " + erpDigest + " acme\nshop " + shopDigest)
		if later(); !k.Find(erp).Has("acme") {
			t.Error("new accounts do not count")
		}
		write("erp nonsense")
		if later(); !holds(erp) || !holds(shop) {
			t.Error("a damaged file takes keys away")
		}
		later()
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if later(); !holds(erp) {
			t.Error("a file that is gone takes keys away")
		}
		write("shop " + shopDigest)
		if later(); holds(erp) || !holds(shop) {
			t.Error("a line that is gone counts still")
		}
		var told []string
		for _, c := range changes {
			told = append(told, fmt.Sprint(c.Added, c.Changed, c.Removed, c.Err != nil))
		}
		want := []string{"[shop] [] [] false", "[] [erp] [] false", "[] [] [] true", "[] [] [] true", "[] [] [erp] false"}
		if !slices.Equal(told, want) {
			t.Errorf("told %q", told)
		}
	})
}

// TestStore: files are kept once, and what has changed is told once, with a reload as without one.
func TestStore(t *testing.T) {
	_, erp := New()
	_, shop := New()
	file := writeKeys(t, "erp "+erp)
	var changes []string
	store := NewStore(func(c Change) { changes = append(changes, fmt.Sprint(c.Added, c.Changed, c.Removed)) })
	first, err := store.Open([]string{file})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("erp "+erp+"\nshop "+shop), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // two sites of the next configuration
		if again, err := store.Open([]string{file}); err != nil || again != first {
			t.Error("the keys are kept twice", err)
		}
	}
	if !slices.Equal(changes, []string{"[shop] [] []"}) {
		t.Errorf("told %q", changes)
	}
	if err := os.WriteFile(file, []byte("erp nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open([]string{file}); err == nil || len(first.index.Load().owners) != 2 {
		t.Error("a damaged file is taken", err)
	}
}

// TestTries is S-10's limit: an address has twenty wrong tries a minute.
func TestTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries Tries
		count := func(peer string, n int) (slowed int) {
			for range n {
				if tries.Wrong(peer) {
					slowed++
				}
			}
			return slowed
		}
		if got := count("10.0.0.1", 1000); got != 980 {
			t.Errorf("%d slowed down of 1000", got)
		}
		if got := count("10.0.0.2", 20); got != 0 {
			t.Errorf("%d slowed down of another address", got)
		}
		time.Sleep(time.Minute)
		if got := count("10.0.0.1", 21); got != 1 {
			t.Errorf("%d slowed down a minute later", got)
		}
		for i := range 3 * maxPeers {
			tries.Wrong(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255))
		}
		if len(tries.peers) > maxPeers {
			t.Errorf("%d addresses are remembered", len(tries.peers))
		}
	})
}

func peer() string { return "10.0.0.1" }

// TestGate: where a key may stand, and that it does not go on.
func TestGate(t *testing.T) {
	key, digest := New()
	keys := opened(t, writeKeys(t, "erp "+digest))
	request := func(target string, header ...string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Add(header[i], header[i+1])
		}
		return r
	}
	basic := request("/")
	basic.SetBasicAuth("anything", key)
	for name, test := range map[string]struct {
		r             *http.Request
		header, query bool
		other         string
		want          error
	}{
		"basic":                 {r: basic},
		"bearer":                {r: request("/", "Authorization", "Bearer "+key)},
		"bearer, spelled oddly": {r: request("/", "Authorization", "  bEARER   "+key+" ")},
		"Zoho's scheme":         {r: request("/", "Authorization", "Zoho-oauthtoken "+key)},
		"alone":                 {r: request("/", "Authorization", key)},
		"body":                  {r: request("/"), other: key},
		"header":                {r: request("/", HeaderName, key), header: true},
		"header not wanted":     {r: request("/", HeaderName, key), query: true, want: ErrMissing},
		"query":                 {r: request("/x?a=1&AuthToken=" + key + "&b=2"), query: true},
		"query not wanted":      {r: request("/x?authtoken=" + key), header: true, want: ErrMissing},
		"beside an old token":   {r: request("/", "Authorization", "Zoho-oauthtoken 1000.x.y", HeaderName, key), header: true},
		"nothing":               {r: request("/"), header: true, query: true, want: ErrMissing},
		"empty":                 {r: request("/?authtoken=", "Authorization", "", HeaderName, ""), header: true, query: true, want: ErrMissing},
		"wrong":                 {r: request("/", "Authorization", "Bearer "+key+"x"), want: ErrWrong},
		"the name for the key":  {r: request("/", "Authorization", "Bearer erp"), want: ErrWrong},
		"damaged basic":         {r: request("/", "Authorization", "Basic ~~~"), want: ErrWrong},
		"basic without a colon": {r: request("/", "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(key))), want: ErrMissing},
		"encoded, by RFC 6749":  {r: request("/", "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("id:"+strings.ReplaceAll(key, "_", "%5F"))))},
		"the digest":            {r: request("/", "Authorization", "Bearer "+digest), want: ErrWrong},
		"user for password":     {r: func() *http.Request { r := request("/"); r.SetBasicAuth(key, "x"); return r }(), want: ErrWrong},
	} {
		g := &Gate{Keys: keys, Tries: new(Tries), Header: test.header, Query: test.query}
		owner, shown, err := g.Admit(test.r, peer, test.other)
		if err != test.want || err == nil && (owner.Name != "erp" || shown != key) {
			t.Errorf("%s: %v %v", name, owner, err)
		}
		g.Hide(test.r)
		if test.r.Header.Get(HeaderName) != "" {
			t.Errorf("%s: the key goes on: %v", name, test.r.Header)
		}
	}
}

// TestRightKeyAtAnyTime is S-10: what others try wrong is not held against a right key.
func TestRightKeyAtAnyTime(t *testing.T) {
	key, digest := New()
	g := &Gate{Keys: opened(t, writeKeys(t, "erp "+digest)), Tries: new(Tries)}
	for range 1000 {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+strings.Repeat("x", 43))
		_, _, _ = g.Admit(r, peer)
		r.Header.Set("Authorization", "Bearer "+key)
		if _, _, err := g.Admit(r, peer); err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	var lines []string
	key := ""
	for i := range 1000 {
		made, digest := New()
		key, lines = made, append(lines, fmt.Sprintf("caller-%d %s", i, digest))
	}
	file := filepath.Join(b.TempDir(), "keys")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		b.Fatal(err)
	}
	k, err := open([]string{file}, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if k.Find(key) == nil {
			b.Fatal("not found")
		}
	}
}
