package backup_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/backup"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
)

var secrets = [][]byte{[]byte("the encryption key of both places")}

// place is a store, and what restores into it.
type place struct {
	*boltstore.Store
	backup.Target
	told map[string]int // :: client → accounts that were told of
}

func newPlace(t *testing.T, clients ...string) *place {
	t.Helper()
	p := &place{Store: boltstore.New(t.TempDir()), told: make(map[string]int)}
	t.Cleanup(func() { _ = p.Close() })
	cache := tokencache.New(tokencache.Options{Store: p.Store})
	t.Cleanup(func() { _ = cache.Close() })
	known := make(map[string]*onboard.Client)
	for _, name := range clients {
		known[name] = &onboard.Client{Name: name, Cache: &tokencache.Client{
			Name:    name,
			Grant:   func(string) (tokencache.Grant, bool, error) { return tokencache.Grant{}, false, nil },
			Secrets: func() [][]byte { return secrets },
		}}
	}
	p.Target = backup.Target{
		Flow: onboard.New(cache, p.Store, onboard.Hooks{Restored: func(client string, accounts []string) {
			p.told[client] += len(accounts)
		}}),
		Client:  func(name string) *onboard.Client { return known[name] },
		Secrets: func(string) [][]byte { return secrets },
	}
	return p
}

func (p *place) fill(t *testing.T, client string, n int) {
	t.Helper()
	grants := make(map[string]tokencache.Grant)
	for i := range n {
		grants[fmt.Sprintf("a%d", i)] = tokencache.Grant{RefreshToken: fmt.Sprintf("1000.%s.%d", client, i), User: "u"}
	}
	if err := p.SaveGrants(client, secrets, grants, false); err != nil {
		t.Fatal(err)
	}
}

func (p *place) written(t *testing.T) []byte {
	t.Helper()
	dump, err := p.Dump()
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := sealed.WriteBackup(&file, sealed.BackupHeader{Made: time.Now()}, dump); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// TestRestoreInPieces: more accounts and deletions of several clients than are stored at once
// come in whole, each once.
func TestRestoreInPieces(t *testing.T) {
	t.Parallel()
	from, to := newPlace(t, "main", "second"), newPlace(t, "main", "second")
	sizes := map[string]int{"main": 2500, "second": 3, "third": 1}
	for client, n := range sizes {
		from.fill(t, client, n)
	}
	deleted := make(map[tokencache.Key]time.Time)
	for i := range 1500 {
		deleted[tokencache.Key{Client: "second", Account: fmt.Sprint("gone", i)}] = time.Unix(int64(i), 0)
	}
	if err := from.MarkDeleted(deleted); err != nil {
		t.Fatal(err)
	}
	file := from.written(t)
	for _, dry := range []bool{true, false} {
		done, err := to.Restore(bytes.NewReader(file), onboard.RestoreOptions{DryRun: dry})
		if err != nil {
			t.Fatal(err)
		}
		if done.Counts[onboard.Restored] != 2503 || done.Counts[onboard.LeftOut] != 1 || done.Deletions != 1500 ||
			!done.Whole() || len(done.Accounts) != 2504 {
			t.Errorf("dry %v: %v, %d deletions, %d accounts", dry, done.Counts, done.Deletions, len(done.Accounts))
		}
		if dry && len(to.Accounts("main"))+len(to.told) != 0 {
			t.Error("a dry run has stored something")
		}
	}
	for client, n := range map[string]int{"main": 2500, "second": 3, "third": 0} {
		if got := len(to.Accounts(client)); got != n || to.told[client] != n {
			t.Errorf("%s: %d accounts, %d were told of, want %d", client, got, to.told[client], n)
		}
	}
	g, found, err := to.LoadGrant(tokencache.Key{Client: "main", Account: "a2499"}, secrets)
	if err != nil || !found || g.RefreshToken != "1000.main.2499" {
		t.Errorf("%v, %v, %v", g, found, err)
	}
	if noted, err := to.Deleted(); err != nil || len(noted) != 1500 {
		t.Errorf("%d deletions, %v", len(noted), err)
	}
	done, err := to.Restore(bytes.NewReader(file), onboard.RestoreOptions{})
	if err != nil || done.Counts[onboard.Kept] != 2503 || done.Deletions != 0 {
		t.Errorf("once more: %v, %v, %v", done.Counts, done.Deletions, err)
	}
}

// TestRestoreMoved: what is sealed for one account does not open for another, and no deletion is
// taken from a client that is not configured. The rest comes in.
func TestRestoreMoved(t *testing.T) {
	t.Parallel()
	from, to := newPlace(t, "main"), newPlace(t, "main")
	from.fill(t, "main", 3)
	dump, err := from.Dump()
	if err != nil {
		t.Fatal(err)
	}
	dump.Grants[0].Grant, dump.Grants[1].Grant = dump.Grants[1].Grant, dump.Grants[0].Grant
	dump.Deletions = []sealed.Deletion{{Client: "third", Account: "x"}}
	var file bytes.Buffer
	if err := sealed.WriteBackup(&file, sealed.BackupHeader{}, dump); err != nil {
		t.Fatal(err)
	}
	done, err := to.Restore(&file, onboard.RestoreOptions{})
	if err != nil || done.Counts[onboard.Restored] != 1 || done.Counts[onboard.LeftOut] != 2 || done.Deletions != 0 || done.Whole() {
		t.Errorf("%+v, %v", done, err)
	}
	for _, a := range done.Accounts {
		if a.Result == onboard.LeftOut && !strings.Contains(a.Why, "was altered, or belongs elsewhere") {
			t.Errorf("%+v", a)
		}
	}
}

// TestKeep: nothing is kept of what is not whole, nor anything said of it.
func TestKeep(t *testing.T) {
	t.Parallel()
	from := newPlace(t, "main")
	from.fill(t, "main", 3)
	whole := from.written(t)
	file, summary, err := backup.Keep(bytes.NewReader(whole))
	if err != nil || summary.Grants != 3 {
		t.Fatal(summary, err)
	}
	if got, err := io.ReadAll(file); err != nil || !bytes.Equal(got, whole) {
		t.Errorf("%d bytes of %d are kept, %v", len(got), len(whole), err)
	}
	backup.Forget(file)
	if _, err := os.Stat(file.Name()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the temporary file stays: %v", err)
	}
	var damaged *sealed.BackupError
	if _, _, err := backup.Keep(bytes.NewReader(whole[:len(whole)-1])); !errors.As(err, &damaged) {
		t.Error(err)
	}
	if _, _, err := backup.Keep(io.MultiReader(bytes.NewReader(whole[:100]), brokenReader{})); !errors.Is(err, errBroken) {
		t.Error(err)
	}
}

var errBroken = errors.New("the caller hung up")

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }
