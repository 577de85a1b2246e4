package boltstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/turn"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

var (
	hungKey     = tokencache.Key{Client: "main", Account: "a"}
	hungSecrets = [][]byte{[]byte("secret")}
	hungGrant   = tokencache.Grant{RefreshToken: "1000.refresh", AccountsServer: "https://accounts.zoho.eu"}
)

// hang has a transaction of the file not end until the disk answers, and waits until it runs.
func hang(t *testing.T, b *Store, f *dbFile, write bool) (answer func()) {
	t.Helper()
	disk, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_ = askOnly(f, turn.Patience, func() error {
			return f.run(write, func(*bolt.Tx) error {
				<-disk
				return nil
			})
		})
	}()
	synctest.Wait()
	return func() {
		close(disk)
		<-ended
		synctest.Wait()
	}
}

// wantHung fails unless the error names the file and says that its disk hangs.
func wantHung(t *testing.T, what string, err error, file string) {
	t.Helper()
	var e *tokencache.StoreError
	if !errors.As(err, &e) || !errors.Is(err, turn.ErrHung) || filepath.Base(e.File) != file || !strings.Contains(e.Reason, "2s") || e.Remedy == "" {
		t.Errorf("%s: %v, want a *StoreError about %s", what, err, file)
	}
}

// TestDiskHangs, S-41: whoever asks a file whose disk hangs is told so within 2 s, who comes later
// at once; what was read before is answered from memory; when the disk answers everything goes on.
func TestDiskHangs(t *testing.T) {
	t.Parallel()
	for _, write := range []bool{false, true} {
		t.Run(fmt.Sprint("writing ", write), func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				b := New(dir)
				unread := tokencache.Key{Client: "main", Account: "unread"}
				if err := errors.Join(
					b.SaveGrant(unread, hungSecrets, hungGrant),
					b.SaveGrant(hungKey, hungSecrets, hungGrant),
					b.Save(hungKey, hungSecrets, tokencache.Record{Generation: 3}),
				); err != nil {
					t.Fatal(err)
				}
				if _, _, err := b.LoadGrant(hungKey, hungSecrets); err != nil {
					t.Fatal(err)
				}
				answers := []func(){hang(t, b, &b.grants, write), hang(t, b, &b.tokens, write)}
				for _, limit := range []time.Duration{turn.Patience, 0} { // the first ones, and those who come later
					var all sync.WaitGroup
					started := time.Now()
					check := func(what, file string, do func() error) {
						all.Go(func() {
							wantHung(t, what, do(), file)
							if waited := time.Since(started); waited > limit {
								t.Errorf("%s: told after %s, want %s", what, waited, limit)
							}
						})
					}
					check("Save", tokensFile, func() error { return b.Save(hungKey, hungSecrets, tokencache.Record{}) })
					check("Load", tokensFile, func() error { _, _, err := b.Load(hungKey, hungSecrets); return err })
					check("LoadLedger", tokensFile, func() error { _, err := b.LoadLedger(tokencache.Fingerprint{1}); return err })
					check("TryWrite", tokensFile, b.TryWrite)
					check("Rekey", tokensFile, func() error {
						_, err := b.Rekey(func(string) [][]byte { return [][]byte{[]byte("another")} })
						return err
					})
					check("ConsumeNonce", tokensFile, func() error { _, err := b.ConsumeNonce("id", started); return err })
					check("CheckGrants", grantsFile, b.CheckGrants)
					check("SaveGrant", grantsFile, func() error { return b.SaveGrant(unread, hungSecrets, tokencache.Grant{RefreshToken: "1000.late"}) })
					check("DeleteGrant", grantsFile, func() error { return b.DeleteGrant(unread) })
					check("LoadGrant", grantsFile, func() error { _, _, err := b.LoadGrant(unread, hungSecrets); return err })
					check("LoadGrant by other secrets", grantsFile, func() error {
						_, _, err := b.LoadGrant(hungKey, [][]byte{[]byte("another")})
						return err
					})
					all.Go(func() {
						g, found, err := b.LoadGrant(hungKey, hungSecrets)
						if err != nil || !found || g.RefreshToken != hungGrant.RefreshToken || time.Since(started) > limit {
							t.Errorf("what was read: %v, %v, %v after %s", g, found, err, time.Since(started))
						}
					})
					all.Wait()
				}
				for _, answer := range answers {
					answer()
				}
				if g, found, err := b.LoadGrant(unread, hungSecrets); err != nil || !found || g.RefreshToken != hungGrant.RefreshToken {
					t.Errorf("when the disk answers: %v, %v, %v; what was refused must not be done", g, found, err)
				}
				if err := errors.Join(b.Save(hungKey, hungSecrets, tokencache.Record{Generation: 4}), b.TryWrite(), b.Check(), b.Close()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestConcernsWhileTheDiskHangs, S-41: what is to be looked at is told from what was seen last. The disk is not asked
// for it by anybody who is not in the queue.
func TestConcernsWhileTheDiskHangs(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("it has no modes")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		b := New(dir)
		if err := b.Open(); err != nil {
			t.Fatal(err)
		}
		concerns := func(want int) {
			t.Helper()
			started := time.Now()
			all, warnings := b.Concerns(), b.Warnings()
			if len(all) != want || len(warnings) != want || time.Since(started) > 2*turn.Patience {
				t.Errorf("after %s: %v, %q, want %d", time.Since(started), all, warnings, want)
			}
		}
		concerns(1)
		answers := []func(){hang(t, b, &b.grants, false), hang(t, b, &b.tokens, false)}
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		concerns(1)
		for _, answer := range answers {
			answer()
		}
		concerns(0)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestGrantInDoubt: a change of a grant that nobody waits for any more is not committed. While its
// disk hangs nobody is told that the grant before is stored.
func TestGrantInDoubt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := New(dir)
		if err := b.SaveGrant(hungKey, hungSecrets, hungGrant); err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.LoadGrant(hungKey, hungSecrets); err != nil {
			t.Fatal(err)
		}
		disk := make(chan struct{})
		err := b.saveGrant(hungKey, tokencache.Grant{RefreshToken: "1000.late"}, func(f *dbFile, tx *bolt.Tx, _ uint64) error {
			err := putGrant(f, tx, hungKey, hungSecrets, tokencache.Grant{RefreshToken: "1000.late"}, false, 0)
			<-disk
			return err
		})
		wantHung(t, "SaveGrant", err, grantsFile)
		_, _, err = b.LoadGrant(hungKey, hungSecrets)
		wantHung(t, "LoadGrant", err, grantsFile)
		close(disk)
		synctest.Wait()
		if g, found, err := b.LoadGrant(hungKey, hungSecrets); err != nil || !found || g.RefreshToken != hungGrant.RefreshToken {
			t.Errorf("got %v, %v, %v, want what was there: its change was refused", g, found, err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestCloseWhileTheDiskHangs: Close does not wait for the disk, and the files are given back when
// it answers.
func TestCloseWhileTheDiskHangs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := New(dir)
		if err := b.SaveGrant(hungKey, hungSecrets, hungGrant); err != nil {
			t.Fatal(err)
		}
		answers := []func(){hang(t, b, &b.grants, true), hang(t, b, &b.tokens, true)}
		started := time.Now()
		err := b.Close()
		wantHung(t, "Close", err, grantsFile)
		if waited := time.Since(started); waited > turn.Patience {
			t.Errorf("Close took %s", waited)
		}
		var e *tokencache.StoreError
		if err := b.Save(hungKey, hungSecrets, tokencache.Record{}); !errors.As(err, &e) {
			t.Errorf("after Close: %v", err)
		}
		for _, answer := range answers {
			answer()
		}
		next := New(dir)
		if err := next.Open(); err != nil {
			t.Errorf("the files are not given back: %v", err)
		}
		if g, found, err := next.LoadGrant(hungKey, hungSecrets); err != nil || !found || g.RefreshToken != hungGrant.RefreshToken {
			t.Errorf("the next one has %v, %v, %v", g, found, err)
		}
		if err := next.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestQueueIsBounded: more than maxQueue do not wait for a disk.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := New(dir)
		if err := b.Open(); err != nil {
			t.Fatal(err)
		}
		answer := hang(t, b, &b.tokens, false)
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() { _, _ = b.LoadLedger(tokencache.Fingerprint{}) })
		}
		synctest.Wait()
		started := time.Now()
		_, err := b.LoadLedger(tokencache.Fingerprint{})
		wantHung(t, "one more", err, tokensFile)
		if time.Since(started) > 0 {
			t.Error("it has waited")
		}
		all.Wait()
		answer()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestPanicOfWhatIsAsked: it comes to who asked, and blocks nobody.
func TestPanicOfWhatIsAsked(t *testing.T) {
	t.Parallel()
	b := New(t.TempDir())
	t.Cleanup(func() { _ = b.Close() })
	func() {
		defer func() {
			if p := recover(); p != "out of paper" {
				t.Errorf("recovered %v", p)
			}
		}()
		_ = askOnly(&b.tokens, turn.Patience, func() error { panic("out of paper") })
	}()
	if err := b.TryWrite(); err != nil {
		t.Error(err)
	}
}

// TestNothingLeftOfTries: what TryWrite writes has no name, so a process that is killed leaves
// nothing behind; and what versions before have left goes when the store is opened.
func TestNothingLeftOfTries(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kept := filepath.Join(dir, "try.txt")
	for _, path := range []string{filepath.Join(dir, "try-1234567"), kept} {
		if err := os.WriteFile(path, make([]byte, 10), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := New(dir)
	t.Cleanup(func() { _ = b.Close() })
	if err := b.TryWrite(); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "try*"))
	if err != nil || len(left) != 1 || left[0] != kept {
		t.Errorf("left: %q, %v", left, err)
	}
}
