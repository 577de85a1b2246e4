package masterkey

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/turn"
)

// TestKeyOnADiskThatHangs, S-41: a key that was read once is had all the same, in time.
func TestKeyOnADiskThatHangs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("0123456789abcdef0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		f := New(path)
		if _, err := f.Key(); err != nil {
			t.Fatal(err)
		}
		f.look.Lock() // as while a system call does not return
		for _, limit := range []time.Duration{turn.Patience, 0} {
			started := time.Now()
			key, err := f.Key()
			if string(key) != "0123456789abcdef0123456789abcdef" || err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("got %d bytes, %v", len(key), err)
			}
			if waited := time.Since(started); waited > limit {
				t.Errorf("it took %s, want %s", waited, limit)
			}
		}
		f.look.Unlock()
		if _, err := f.Key(); err != nil {
			t.Error(err)
		}
	})
}
