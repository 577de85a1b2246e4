package backup_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/internal/backup"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/storetest"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// failing is a store of several processes that fails at one account.
type failing struct {
	*storetest.Memory
	at string
}

func (f *failing) SaveGrants(client string, secrets [][]byte, grants map[string]tokencache.Grant, anew bool) error {
	if grants[f.at].RefreshToken != "" {
		return fmt.Errorf("no answer: %w", tokencache.ErrAway)
	}
	return f.Memory.SaveGrants(client, secrets, grants, anew)
}

// TestRestoreFailsMidway: where a store of several processes fails in the middle, the error says where, and how much was
// restored before; the same backup completes it.
func TestRestoreFailsMidway(t *testing.T) {
	t.Parallel()
	from, to := newPlace(t, "main"), newPlace(t, "main")
	from.fill(t, "main", 5)
	store := &failing{Memory: storetest.NewMemory(), at: "a3"}
	cache := tokencache.New(tokencache.Options{Store: store})
	t.Cleanup(func() { _ = cache.Close() })
	told := 0
	flow := onboard.New(cache, store, onboard.Hooks{Restored: func(_ string, accounts []string) { told += len(accounts) }})
	t.Cleanup(flow.Close)
	target := backup.Target{Flow: flow, Client: to.Client, Secrets: to.Secrets}
	file := from.written(t)
	done, err := target.Restore(bytes.NewReader(file), onboard.RestoreOptions{})
	if !errors.Is(err, tokencache.ErrAway) || !strings.Contains(err.Error(), "main/a3 was not restored") ||
		!strings.Contains(err.Error(), "3 grants restored before") {
		t.Error(err)
	}
	if told != 3 || done.Counts[onboard.Restored] != 3 || done.Counts[onboard.LeftOut] != 2 {
		t.Errorf("%d told of, %v", told, done.Counts)
	}
	store.at = ""
	done, err = target.Restore(bytes.NewReader(file), onboard.RestoreOptions{})
	if err != nil || done.Counts[onboard.Restored] != 2 || done.Counts[onboard.Kept] != 3 {
		t.Errorf("once more: %v, %v", done.Counts, err)
	}
}
