package boltstore

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/turn"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// atOnce has changes of tokens.db wait for one turn, in this order, and returns what became of each.
func atOnce(b *Store, changes ...func(*bolt.Tx) error) []error {
	errs := make([]error, len(changes))
	var all sync.WaitGroup
	b.tokens.mu.Lock()
	for i, do := range changes {
		all.Go(func() { errs[i] = b.withTokens(true, do) })
		synctest.Wait()
	}
	b.tokens.mu.Unlock()
	all.Wait()
	return errs
}

// put is a change that leaves a mark, and tells in which transaction.
func put(name string, in *int) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		if in != nil {
			*in = tx.ID()
		}
		return putAt(tx, "marks", "main", name, name)
	}
}

// marks are those that were left.
func marks(t *testing.T, b *Store) (names []string) {
	t.Helper()
	names, err := fromTokens(b, func(tx *bolt.Tx) (names []string) {
		_ = eachAccount(tx, "marks", func(key tokencache.Key, _ []byte) error {
			names = append(names, key.Account)
			return nil
		})
		return names
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func openIn(t *testing.T, dir string) *Store {
	t.Helper()
	b := New(dir)
	if err := b.Open(); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestWritesShareATransaction: those that wait for a turn are committed together, and one that comes
// alone is not held up for company.
func TestWritesShareATransaction(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := openIn(t, dir)
		started, alone := time.Now(), 0
		if err := b.withTokens(true, put("alone", &alone)); err != nil || time.Since(started) > 0 {
			t.Errorf("alone: %v after %s", err, time.Since(started))
		}
		ids, changes := make([]int, 100), []func(*bolt.Tx) error(nil)
		for i := range ids {
			changes = append(changes, put(fmt.Sprintf("%03d", i), &ids[i]))
		}
		if err := errors.Join(atOnce(b, changes...)...); err != nil {
			t.Error(err)
		}
		if ids = slices.Compact(ids); len(ids) != 1 || ids[0] != alone+1 {
			t.Errorf("transactions %v, want the one after %d", ids, alone)
		}
		if n := len(marks(t, b)); n != 101 {
			t.Errorf("%d of 101 are there", n)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestOneOfManyWritesFails: it gets its error, and changes nothing of what the others get.
func TestOneOfManyWritesFails(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	halfDone := func(tx *bolt.Tx) error { return errors.Join(put("half done", nil)(tx), refused) }
	for name, test := range map[string]struct {
		fails func(*bolt.Tx) error
		want  error
	}{
		"an error": {halfDone, refused},
		"a panic":  {func(tx *bolt.Tx) error { _ = halfDone(tx); panic("upside down") }, tokencache.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				b := openIn(t, dir)
				var in [2]int
				errs := atOnce(b, put("a", &in[0]), test.fails, test.fails, put("z", &in[1]))
				for i, want := range []error{nil, test.want, test.want, nil} {
					if !errors.Is(errs[i], want) {
						t.Errorf("change %d: %v, want %v", i, errs[i], want)
					}
				}
				if in[0] != in[1] {
					t.Errorf("transactions %v, want one", in)
				}
				if left := marks(t, b); test.want == refused && !slices.Equal(left, []string{"a", "z"}) {
					t.Errorf("there are %q", left)
				}
				if err := b.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestDamageWhileManyWrite: each is made on the file that was begun anew.
func TestDamageWhileManyWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := openIn(t, dir)
		old := b.tokens.db
		damaged := func(tx *bolt.Tx) error {
			if tx.DB() == old {
				panic("page 3 is upside down")
			}
			return nil
		}
		onDamaged := func(name string) func(*bolt.Tx) error {
			return func(tx *bolt.Tx) error { return errors.Join(damaged(tx), put(name, nil)(tx)) }
		}
		if err := errors.Join(atOnce(b, onDamaged("a"), onDamaged("b"), onDamaged("c"))...); err != nil {
			t.Error(err)
		}
		if left := marks(t, b); !slices.Equal(left, []string{"a", "b", "c"}) {
			t.Errorf("there are %q", left)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestWritesWhileTheDiskHangs, S-41: who gives up while waiting has changed nothing, and will not. Who gives up
// while its transaction runs cannot know.
func TestWritesWhileTheDiskHangs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := openIn(t, dir)
		answer := hang(t, b, &b.tokens, true)
		wantHung(t, "waiting", b.withTokens(true, put("waiting", nil)), tokensFile)
		answer()
		disk := make(chan struct{})
		started := time.Now()
		errs := atOnce(b, put("a", nil), func(*bolt.Tx) error { <-disk; return nil }, put("z", nil))
		for i, err := range errs {
			wantHung(t, fmt.Sprint("change ", i), err, tokensFile)
		}
		if waited := time.Since(started); waited > turn.Patience {
			t.Errorf("told after %s", waited)
		}
		close(disk)
		synctest.Wait()
		if left := marks(t, b); !slices.Equal(left, []string{"a", "z"}) {
			t.Errorf("there are %q, want what was begun", left)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestWriteThatWasTaken: one whose transaction ended in a panic outside of it is made in its own turn.
func TestWriteThatWasTaken(t *testing.T) {
	t.Parallel()
	var ws writes
	runs := 0
	first, second := ws.add(nil), ws.add(func(*bolt.Tx) error { runs++; return nil })
	func() {
		defer func() { _ = recover() }()
		_ = ws.make(first, func(func(*bolt.Tx) error) error { panic("out of paper") })
	}()
	if err := ws.make(second, func(all func(*bolt.Tx) error) error { return all(nil) }); err != nil || runs != 1 {
		t.Errorf("%v after %d runs", err, runs)
	}
}

// TestKeysOfOneTransaction: a data key that a change has made holds for those after it, whatever was
// opened before.
func TestKeysOfOneTransaction(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := openIn(t, dir)
		was, other := [][]byte{[]byte("was")}, [][]byte{[]byte("other")}
		save := func(key tokencache.Key, secrets [][]byte) {
			if err := b.Save(key, secrets, tokencache.Record{Token: "1000.token"}); err != nil {
				t.Error(err)
			}
		}
		save(hungKey, was)
		var all sync.WaitGroup
		b.tokens.mu.Lock()
		for _, secrets := range [][][]byte{other, was} {
			all.Go(func() { save(hungKey, secrets) })
			synctest.Wait()
		}
		b.tokens.mu.Unlock()
		all.Wait()
		if r, _, err := b.Load(hungKey, was); err != nil || r.Token != "1000.token" {
			t.Errorf("the token of the last one: %v, %v; %q", r, err, b.warnings.Latest())
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkSave: records of 10,000 accounts, by one caller after the other, and by many at once.
func BenchmarkSave(b *testing.B) {
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			store := New(b.TempDir())
			defer store.Close()
			commits := func() int {
				id, err := fromTokens(store, (*bolt.Tx).ID)
				if err != nil {
					b.Fatal(err)
				}
				return id
			}
			record := tokencache.Record{Token: "1000.0123456789abcdef.0123456789abcdef", Ledger: []time.Time{time.Now()}}
			begun := commits()
			var next atomic.Int64
			var all sync.WaitGroup
			b.ResetTimer()
			for range callers {
				all.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						r, account := record, i%10_000
						r.Fingerprint = tokencache.Fingerprint{byte(account), byte(account >> 8)}
						if err := store.Save(tokencache.Key{Client: "main", Account: fmt.Sprint(account)}, hungSecrets, r); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
			b.StopTimer()
			b.ReportMetric(float64(commits()-begun)/float64(b.N), "commits/op")
		})
	}
}
