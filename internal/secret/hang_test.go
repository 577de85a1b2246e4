package secret

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/turn"
)

// TestSecretOnADiskThatHangs, S-41: a secret that was read once is had all the same, and nobody waits for one that
// was not.
func TestSecretOnADiskThatHangs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	known, unknown := InFile(filepath.Join(dir, "known")), InFile(filepath.Join(dir, "unknown"))
	for _, ref := range []Ref{known, unknown} {
		if err := os.WriteFile(ref.file(), []byte("value"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		if _, err := known.Resolve(); err != nil {
			t.Fatal(err)
		}
		for _, ref := range []Ref{known, unknown} {
			fileAt(ref.file()).look.Lock() // as while a system call does not return
			started := time.Now()
			value, err := ref.Resolve()
			if (err == nil) != (ref == known) || (value == "value") != (ref == known) {
				t.Errorf("%s: %q, %v", ref, value, err)
			}
			_, exposed := ref.Exposed()
			for _, err := range []error{err, exposed} {
				if err != nil && (!errors.Is(err, turn.ErrHung) || !strings.Contains(err.Error(), ref.file())) {
					t.Errorf("%s: %v", ref, err)
				}
			}
			if exposed == nil || time.Since(started) > turn.Patience {
				t.Errorf("%s: %v after %s", ref, exposed, time.Since(started))
			}
			fileAt(ref.file()).look.Unlock()
			if value, err := ref.Resolve(); err != nil || value != "value" {
				t.Errorf("when the disk answers: %q, %v", value, err)
			}
		}
	})
}
