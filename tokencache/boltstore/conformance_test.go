package boltstore_test

import (
	"path/filepath"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/internal/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	storetest.Run(t, func(tb testing.TB, name string) storetest.Store {
		return mustOpen(tb, filepath.Join(root, filepath.Base(tb.Name()), name))
	})
}
