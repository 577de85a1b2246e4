package sealed_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

var backupSecrets = [][]byte{[]byte("the key of backups, long enough")}

// someDump has three grants of two clients, and a deletion.
func someDump(tb testing.TB) *sealed.Dump {
	tb.Helper()
	d := &sealed.Dump{Deletions: []sealed.Deletion{{Client: "main", Account: "gone", At: time.Unix(1e9, 0).UTC()}}}
	for _, client := range []string{"second", "main"} {
		ring, key, err := sealed.NewDataKey(sealed.Grants, client, backupSecrets)
		if err != nil {
			tb.Fatal(err)
		}
		d.Rings = append(d.Rings, sealed.ClientRing{Client: client, KeyRing: *ring})
		for _, account := range []string{"b", "a"}[:len(client)/3] {
			g, err := key.SealGrant(tokencache.Key{Client: client, Account: account},
				tokencache.Grant{RefreshToken: "1000.refresh." + client + account, User: "owner@example.com"})
			if err != nil {
				tb.Fatal(err)
			}
			d.Grants = append(d.Grants, sealed.AccountGrant{Client: client, Account: account, Grant: g})
		}
	}
	return d
}

// someBackup is a file of it.
func someBackup(tb testing.TB) []byte {
	tb.Helper()
	var file bytes.Buffer
	header := sealed.BackupHeader{Made: time.Now(), Store: "/var/lib/zoho", Keys: []sealed.NeededKey{{ID: "9a31", What: "encryption_key {env.X}"}}}
	if err := sealed.WriteBackup(&file, header, someDump(tb)); err != nil {
		tb.Fatal(err)
	}
	return file.Bytes()
}

// TestBackup: what was written is read, in order, and opens by the key that sealed it.
func TestBackup(t *testing.T) {
	file := someBackup(t)
	summary, err := sealed.CheckBackup(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	id, _ := sealed.SecretID(backupSecrets[0])
	if summary.Grants != 3 || summary.Rings != 2 || summary.Deletions != 1 || summary.Clients["main"] != 1 ||
		summary.Clients["second"] != 2 || !slices.Equal(summary.OpensBy, []string{id}) || summary.Store != "/var/lib/zoho" {
		t.Errorf("%+v", summary)
	}
	in, err := sealed.NewBackupReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	keys, opened := make(map[string]*sealed.DataKey), 0
	for {
		entry, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if r := entry.Ring; r != nil {
			if keys[r.Client], err = r.Open(sealed.Grants, r.Client, backupSecrets); err != nil {
				t.Fatal(err)
			}
		}
		if g := entry.Grant; g != nil {
			grant, err := g.Open(keys[g.Client], g.Key())
			if err != nil || grant.RefreshToken != "1000.refresh."+g.Client+g.Account {
				t.Errorf("%s: %v, %v", g.Key(), grant, err)
			}
			opened++
		}
	}
	if opened != 3 {
		t.Errorf("%d grants were read", opened)
	}
	if strings.Contains(string(file), "1000.refresh") || strings.Contains(string(file), "owner@") {
		t.Error("a grant can be read without a key")
	}
}

// wantDamage fails unless a file is refused, without a word of what it holds.
func wantDamage(t *testing.T, what string, file []byte) {
	t.Helper()
	_, err := sealed.CheckBackup(bytes.NewReader(file))
	var damaged *sealed.BackupError
	if !errors.As(err, &damaged) || !errors.Is(err, tokencache.ErrDamaged) || damaged.Line < 1 {
		t.Errorf("%s: %v", what, err)
	}
}

// TestDamagedBackup, S-45: a file that was cut off, altered or joined is noticed, wherever that was.
func TestDamagedBackup(t *testing.T) {
	file := someBackup(t)
	for n := range file {
		wantDamage(t, "cut off", file[:n])
		altered := bytes.Clone(file)
		altered[n] ^= 1
		wantDamage(t, "altered", altered)
	}
	other := someBackup(t)
	wantDamage(t, "two backups", append(bytes.Clone(file), other...))
	wantDamage(t, "something follows", append(bytes.Clone(file), '\n'))
	lines := bytes.SplitAfter(file, []byte("\n"))
	otherLines := bytes.SplitAfter(other, []byte("\n"))
	for i := range len(lines) - 1 {
		wantDamage(t, "a line is missing", bytes.Join(slices.Delete(slices.Clone(lines), i, i+1), nil))
		wantDamage(t, "a line is there twice", bytes.Join(slices.Insert(slices.Clone(lines), i, lines[i]), nil))
		if i < len(lines)-3 {
			swapped := slices.Clone(lines)
			swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
			wantDamage(t, "lines are in another order", bytes.Join(swapped, nil))
		}
	}
	wantDamage(t, "the end of another", bytes.Join(append(slices.Clone(lines[:len(lines)-3]), otherLines[len(lines)-3:]...), nil))
	wantDamage(t, "endless", bytes.Repeat([]byte("{"), 3<<20))
}

// TestNewerBackup: it is not read, and is not called damaged.
func TestNewerBackup(t *testing.T) {
	file := bytes.Replace(someBackup(t), []byte(`"schema":1`), []byte(`"schema":2`), 1)
	_, err := sealed.CheckBackup(bytes.NewReader(file))
	if err == nil || errors.Is(err, tokencache.ErrDamaged) || !strings.Contains(err.Error(), "schema 2, this one knows 1") {
		t.Error(err)
	}
}

// TestHostileBackup: what messages show of a backup is bounded, and moves no terminal.
func TestHostileBackup(t *testing.T) {
	header := `{"backup":{"program":"caddy-zoho","schema":1,"rings":1,"grants":%d,"deletions":0,"store":"%s"}}` + "\n"
	ring := `{"ring":{"client":"main","id":"5f0c","wraps":[{"key":"%s"}]}}` + "\n"
	grant := `{"grant":{"client":"main","account":"%s","grant":{"key":"5f0c"}}}` + "\n"
	long := strings.Repeat("a", 5000)
	if _, err := sealed.CheckBackup(bytes.NewReader(withRightEnd(fmt.Appendf(nil, header+ring+grant, 1, "/store", "9a31", "a")))); err != nil {
		t.Fatalf("a good one: %v", err)
	}
	for what, file := range map[string][]byte{
		"a store that moves the cursor": fmt.Appendf(nil, header+ring, 0, `\u001b[2J`, "9a31"),
		"an endless store":              fmt.Appendf(nil, header+ring, 0, long, "9a31"),
		"a key that is none":            fmt.Appendf(nil, header+ring, 0, "/store", `\u001b[2J`),
		"an endless key":                fmt.Appendf(nil, header+ring, 0, "/store", long),
		"an endless account":            fmt.Appendf(nil, header+ring+grant, 1, "/store", "9a31", long),
	} {
		wantDamage(t, what, withRightEnd(file))
	}
}

// FuzzBackup: whatever comes, the reader ends, keeps to its order, and gives out none of what it
// refuses in an error.
func FuzzBackup(f *testing.F) {
	file := someBackup(f)
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add([]byte(`{"backup":{"program":"caddy-zoho","schema":1}}` + "\n" + `{"ring":{"client":"main","id":"5f0c"}}` + "\n" +
		`{"grant":{"client":"main","account":"secretname","grant":{"key":"5f0c"}}}` + "\n" + `{"end":{}}` + "\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, file := range [][]byte{file, withRightEnd(file)} {
			summary, err := sealed.CheckBackup(bytes.NewReader(file))
			if err != nil {
				if len(err.Error()) > 200 || strings.Contains(err.Error(), "secretname") {
					t.Errorf("the error tells %q", err)
				}
				continue
			}
			total := 0
			for _, n := range summary.Clients {
				total += n
			}
			if total != summary.Grants {
				t.Errorf("%d grants were read, and it has %d", total, summary.Grants)
			}
		}
	})
}

// withRightEnd gives lines the last one that fits them, so that what stands before it is looked at.
func withRightEnd(file []byte) []byte {
	if i := bytes.LastIndex(file, []byte(`{"end"`)); i >= 0 {
		file = file[:i]
	}
	count := func(kind string) int { return bytes.Count(file, []byte("\n{\""+kind+"\"")) }
	return fmt.Appendf(bytes.Clone(file), "{\"end\":{\"rings\":%d,\"grants\":%d,\"deletions\":%d,\"sha256\":\"%x\"}}\n",
		count("ring"), count("grant"), count("deletion"), sha256.Sum256(file))
}

// TestIncompleteBackup: what is missing is named, some of it; a backup that lacks nothing is as it always was.
func TestIncompleteBackup(t *testing.T) {
	write := func(d *sealed.Dump) string {
		var file bytes.Buffer
		if err := sealed.WriteBackup(&file, sealed.BackupHeader{Made: time.Now(), Store: "/store"}, d); err != nil {
			t.Fatal(err)
		}
		return file.String()
	}
	if text := write(&sealed.Dump{}); strings.Contains(text, "missing") {
		t.Errorf("a complete one says %s", text)
	}
	d := new(sealed.Dump)
	for i := range 1000 {
		d.AddGrant(tokencache.Key{Client: "main", Account: fmt.Sprintf("%06d\x00<%s>", i, strings.Repeat("<", 1000))}, nil, "grants")
	}
	s, err := sealed.CheckBackup(strings.NewReader(write(d)))
	if err != nil {
		t.Fatal(err)
	}
	if s.Incomplete() != 1000 || !strings.HasPrefix(s.Missing[7].Account, "000007\ufffd<") || s.Missing[7].Why == "" {
		t.Errorf("%d are missing, one of them %q", s.Incomplete(), s.Missing[7])
	}
}
