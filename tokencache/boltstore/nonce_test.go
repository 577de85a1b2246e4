package boltstore

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestUsedNonceWritesNothing: an id that was used, or is not known, costs the disk nothing.
func TestUsedNonceWritesNothing(t *testing.T) {
	dir := t.TempDir()
	store := New(dir)
	t.Cleanup(func() { _ = store.Close() })
	until := time.Now().Add(time.Hour)
	if first, err := store.ConsumeNonce("a", until); !first || err != nil {
		t.Fatal(first, err)
	}
	content := func() []byte {
		file, err := os.ReadFile(filepath.Join(dir, tokensFile))
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	before := content()
	for i := range 50 {
		if first, err := store.ConsumeNonce("a", until); first || err != nil {
			t.Errorf("a second time: %v %v", first, err)
		}
		if err := store.ReturnNonce(fmt.Sprint("unknown", i)); err != nil {
			t.Error(err)
		}
		if used, err := store.NonceConsumed("a"); !used || err != nil {
			t.Errorf("%v %v", used, err)
		}
	}
	if !bytes.Equal(before, content()) {
		t.Error("tokens.db was written to")
	}
	if err := store.ReturnNonce("a"); err != nil {
		t.Error(err)
	}
	if first, err := store.ConsumeNonce("a", until); !first || err != nil {
		t.Errorf("after it was taken back: %v %v", first, err)
	}
}
