package sealing

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/internal/secret"
)

// vault is a store that the secrets of the clients in it open, or do not.
type vault struct {
	locked map[string]bool
	wraps  map[string][][]byte
	fails  error
}

var errLocked = errors.New("does not open")

func (v *vault) Opens(client string, _ [][]byte) error {
	if v.locked[client] {
		return errLocked
	}
	return nil
}

func (v *vault) AddWraps(secrets map[string][][]byte) error {
	v.wraps = secrets
	return v.fails
}

// apply goes by s for the clients a and z, each with a secret.
func apply(s *Sealing, v *vault) error {
	return s.Apply(v, func() map[string][][]byte {
		return map[string][][]byte{"a": s.Secrets([][]byte{[]byte("of a")}), "z": s.Secrets([][]byte{[]byte("of z")})}
	}, zap.NewNop())
}

// TestKeyOfOurOwn, S-48: it is made where all that is stored opens, once, and wraps beside each
// client secret; while something does not open, none is made.
func TestKeyOfOurOwn(t *testing.T) {
	store, file := t.TempDir(), filepath.Join(t.TempDir(), "master.key")
	s := New(nil, file, store)
	v := &vault{locked: map[string]bool{"z": true}}
	if err := apply(s, v); !errors.Is(err, errLocked) {
		t.Errorf("where something is locked: %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Fatal("a key was made where something is locked")
	}
	if len(v.wraps["a"]) != 1 {
		t.Errorf("%d wraps without a key", len(v.wraps["a"]))
	}
	if err := apply(s, &vault{}); err != nil {
		t.Fatal(err)
	}
	key, err := s.MasterKey()
	if err != nil || len(key) == 0 {
		t.Fatalf("%d bytes, %v", len(key), err)
	}
	v = &vault{locked: map[string]bool{"a": true}} // with a key that is there it does not matter
	if err := apply(s, v); err != nil || len(v.wraps["a"]) != 2 || !slices.Equal(v.wraps["z"][1], key) {
		t.Errorf("%d wraps, %v", len(v.wraps["a"]), err)
	}
	v.fails = errLocked
	if err := apply(s, v); !errors.Is(err, errLocked) {
		t.Errorf("wraps that fail: %v", err)
	}
}

// TestMisplacedKey, S-48: the key does not lie beside what it opens.
func TestMisplacedKey(t *testing.T) {
	store := t.TempDir()
	for path, misplaced := range map[string]bool{
		filepath.Join(store, "master.key"): true, filepath.Join(store, "a", "master.key"): true, store: true,
		filepath.Join(filepath.Dir(store), "master.key"): false, store + "-beside": false, filepath.Join(store, "..x"): true,
	} {
		s := New(nil, path, store)
		if (s.Misplaced() != nil) != misplaced {
			t.Errorf("%s: %v", path, s.Misplaced())
		}
		if _, err := s.MasterKey(); misplaced && err == nil {
			t.Errorf("%s: used all the same", path)
		}
		if misplaced {
			if err := apply(s, &vault{}); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			if got := s.Secrets([][]byte{[]byte("x")}); len(got) != 1 {
				t.Errorf("%s: %d secrets", path, len(got))
			}
		}
	}
}

// TestEncryptionKeysAlone, S-48: with them neither the client secrets nor a key of our own opens
// anything.
func TestEncryptionKeysAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "master.key")
	s := New([]secret.Ref{secret.Literal("first"), secret.Literal("second")}, file, t.TempDir())
	if s.ByMasterKey() {
		t.Error("the key of our own is used")
	}
	if got := s.Secrets([][]byte{[]byte("of a client")}); len(got) != 2 || string(got[0]) != "first" || string(got[1]) != "second" {
		t.Errorf("sealed by %q", got)
	}
	if err := apply(s, &vault{}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a key of our own was made")
	}
	if key, err := s.MasterKey(); key != nil || err != nil {
		t.Errorf("%d bytes, %v", len(key), err)
	}
}

// TestWithout: what is told depends on whether it has come to the worst.
func TestWithout(t *testing.T) {
	secrets := map[string][][]byte{"a": nil, "z": nil}
	if got := Without(&vault{}, secrets); got != WithoutMasterKey {
		t.Error(got)
	}
	if got := Without(&vault{locked: map[string]bool{"z": true}}, secrets); got != locked {
		t.Error(got)
	}
}
