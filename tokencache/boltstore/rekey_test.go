//go:build unix

package boltstore_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
)

var (
	oldKey = [][]byte{[]byte("the encryption key of before")}
	newKey = [][]byte{[]byte("the encryption key of today")}
)

func ofAll(secrets [][]byte) func(string) [][]byte { return func(string) [][]byte { return secrets } }

// oldWraps are what is stored of wraps by the old key: as JSON has it.
func oldWraps(t *testing.T, b *boltstore.Store) (found [][]byte) {
	t.Helper()
	d, err := b.Dump()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := sealed.SecretID(oldKey[0])
	for _, ring := range d.Rings {
		for _, w := range ring.Wraps {
			if w.Key == id {
				found = append(found, []byte(base64.StdEncoding.EncodeToString(w.Data)))
			}
		}
	}
	return found
}

// TestRekeyLeavesNothing, S-50: after it neither grants.db nor the version before has a wrap by
// the old key, not even in pages that are free.
func TestRekeyLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := mustOpen(t, dir)
	for i := range 50 {
		if err := b.SaveGrant(key(name(i)), oldKey, grant(name(i))); err != nil {
			t.Fatal(err)
		}
	}
	both := [][]byte{newKey[0], oldKey[0]}
	if err := b.AddWraps(map[string][][]byte{"main": both}); err != nil {
		t.Fatal(err)
	}
	wraps := oldWraps(t, b)
	files := []string{"grants.db", "grants.db.before"}
	holds := func(file string) bool {
		content, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(wraps, func(w []byte) bool { return bytes.Contains(content, w) })
	}
	if len(wraps) != 1 || !holds(files[0]) || !holds(files[1]) {
		t.Fatalf("%d old wraps are found before: the test proves nothing", len(wraps))
	}
	if _, err := b.Rekey(ofAll(newKey)); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if holds(file) {
			t.Errorf("%s has an old wrap", file)
		}
	}
	for i := range 50 {
		got, found, err := b.LoadGrant(key(name(i)), newKey)
		if err != nil || !found || got.RefreshToken != grant(name(i)).RefreshToken {
			t.Errorf("%s: %v, %v", name(i), found, err)
		}
	}
	if err := b.SaveGrant(key("later"), newKey, grant("later")); err != nil {
		t.Error(err)
	}
	_ = b.Close()
	wantSoundBolt(t, filepath.Join(dir, "grants.db"))
}

// rekeyForEver goes from one key to the other and back, says when it is done, and adds a grant
// now and then.
func rekeyForEver(t *testing.T, dir string) {
	b := mustOpen(t, dir)
	if err := b.AddWraps(map[string][][]byte{"main": {oldKey[0], newKey[0]}}); err != nil {
		t.Fatal(err)
	}
	fmt.Println("open")
	for i := 0; ; i++ {
		keys := [][][]byte{newKey, oldKey}[i%2]
		if _, err := b.Rekey(ofAll([][]byte{newKey[0], oldKey[0]})); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Rekey(ofAll(keys)); err != nil {
			t.Fatal(err)
		}
		fmt.Println("rekeyed", i)
	}
}

// TestRekeyKilled, S-50: a process that is killed at any instant of it leaves a store whose grants
// open, and it can be carried out again.
func TestRekeyKilled(t *testing.T) {
	t.Parallel()
	rounds := 40
	if testing.Short() {
		rounds = 5
	}
	dir := filepath.Join(t.TempDir(), "store")
	b := mustOpen(t, dir)
	for i := range 100 {
		if err := b.SaveGrant(key(name(i)), oldKey, grant(name(i))); err != nil {
			t.Fatal(err)
		}
	}
	_ = b.Close()
	both := [][]byte{newKey[0], oldKey[0]}
	done := 0
	for range rounds {
		cmd := child(t, "rekeyer", dir)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() && lines.Text() != "open" {
		}
		time.AfterFunc(time.Duration(rand.IntN(60))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "rekeyed") {
				done++
			}
		}
		_ = cmd.Wait()
		b := mustOpen(t, dir)
		if err := b.CheckGrants(); err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			got, found, err := b.LoadGrant(key(name(i)), both)
			if err != nil || !found || got.RefreshToken != grant(name(i)).RefreshToken {
				t.Fatalf("%s: %v, %v", name(i), found, err)
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		wantSoundBolt(t, filepath.Join(dir, "grants.db"))
	}
	t.Logf("rekeyed %d times, killed %d times", done, rounds)
	b = mustOpen(t, dir)
	if _, err := b.Rekey(ofAll(both)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Rekey(ofAll(newKey)); err != nil {
		t.Fatal(err)
	}
	if use, err := b.KeysInUse("nobody's"); err != nil || len(use.IDs) != 1 || use.Without != 100 {
		t.Errorf("in the end: %+v, %v", use, err)
	}
	if strays, _ := filepath.Glob(filepath.Join(dir, "*.new")); len(strays) != 0 {
		t.Errorf("left behind: %q", strays)
	}
}

// TestCopiedUnderLoad, S-45: a copy of grants.db that was made by cp while it was written is
// noticed, or has all that was acknowledged before.
func TestCopiedUnderLoad(t *testing.T) {
	t.Parallel()
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	dir := t.TempDir()
	b := mustOpen(t, dir)
	const accounts = 100 // are written in turns
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
			if err := b.SaveGrant(key(name(i%accounts)), secrets, grant(strconv.Itoa(i))); err != nil {
				t.Error(err)
				return
			}
			acknowledged.Store(int64(i) + 1)
		}
	})
	defer writer.Wait()
	defer close(stop)
	for acknowledged.Load() < accounts {
		<-time.After(time.Millisecond)
	}
	works, scratch := 0, t.TempDir()
	for round := range rounds {
		before := int(acknowledged.Load())
		copied := filepath.Join(scratch, strconv.Itoa(round))
		copySlowly(t, filepath.Join(dir, "grants.db"), copied, time.Duration(round%3)*time.Millisecond/2)
		c := mustOpen(t, copied)
		sound := c.CheckGrants() == nil
		for i := before - accounts; i < before && sound; i++ {
			got, found, err := c.LoadGrant(key(name(i%accounts)), secrets)
			n, _ := strconv.Atoi(strings.TrimPrefix(got.RefreshToken, "1000.refresh."))
			if err != nil || !found || n < i {
				t.Fatalf("a copy that counts as sound has grant %d of %s, %d was acknowledged: %v, %v",
					n, name(i%accounts), i, found, err)
			}
		}
		if sound {
			works++
		}
		_ = c.Close()
	}
	t.Logf("of %d copies %d work, all others were noticed", rounds, works)
}

// copySlowly copies a piece at a time, as cp does with a large file.
func copySlowly(t *testing.T, from, dir string, pause time.Duration) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(filepath.Join(dir, "grants.db"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = io.CopyN(out, in, 8<<10)
		<-time.After(pause)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

// TestManyGrantsInSeconds: as many as a large installation has, in a few transactions.
func TestManyGrantsInSeconds(t *testing.T) {
	t.Parallel()
	b := mustOpen(t, t.TempDir())
	begun := time.Now()
	for batch := range 10 {
		grants := make(map[string]tokencache.Grant)
		for i := range 1000 {
			grants[name(1000*batch+i)] = grant(name(1000*batch + i))
		}
		if err := b.SaveGrants("main", secrets, grants, false); err != nil {
			t.Fatal(err)
		}
	}
	stored := time.Since(begun)
	if _, err := b.Dump(); err != nil {
		t.Fatal(err)
	}
	dumped := time.Since(begun) - stored
	if _, err := b.Rekey(ofAll(secrets)); err != nil {
		t.Fatal(err)
	}
	t.Logf("10,000 grants: stored in %s, dumped in %s, rekeyed in %s", stored, dumped, time.Since(begun)-stored-dumped)
	if n := len(b.Accounts("main")); n != 10_000 {
		t.Errorf("%d accounts", n)
	}
	wantGrant(t, b, key(name(9999)), grant(name(9999)))
}
