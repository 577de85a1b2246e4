package sealed

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// FuzzRecord reads strangers' bytes as a record, once as they are and once
// under a right checksum: no panic, and nothing of them in the error.
func FuzzRecord(f *testing.F) {
	whole, err := Pack(NewRecord(tokencache.Record{Generation: 3, Ledger: []time.Time{time.Unix(1, 2)}}), "tokens", "c", "a")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{nil, whole, whole[:20], []byte(`00000000 {"token":{"key":"secret","sealed":"c2VjcmV0"}}`), []byte(`{"fingerprint":"zz"}`)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		read := func(data []byte) {
			var w Record
			err := Unpack(data, &w, "tokens", "c", "a")
			if err == nil {
				_, err = w.Record()
			}
			if err != nil && (!errors.Is(err, tokencache.ErrDamaged) || strings.Contains(err.Error(), "secret")) {
				t.Errorf("got %v", err)
			}
		}
		read(data)
		read(append(SumText(data, "tokens", "c", "a"), data...))
	})
}

func TestKeyRing(t *testing.T) {
	t.Parallel()
	one, two := [][]byte{[]byte("one")}, [][]byte{[]byte("two")}
	ring, key, err := NewDataKey(Grants, "c", one)
	if err != nil {
		t.Fatal(err)
	}
	s := key.Seal([]byte("text"), Place{"x"})
	open := func(file, client string, secrets [][]byte) error {
		k, err := ring.Open(file, client, secrets)
		if err != nil {
			return err
		}
		_, err = k.Open(s, Place{"x"})
		return err
	}
	if err := open(Grants, "c", append(two, one...)); err != nil {
		t.Errorf("the second of two: %v", err)
	}
	if err := open(Grants, "c", two); !errors.Is(err, tokencache.ErrWrongKey) {
		t.Errorf("wrong key: got %v", err)
	}
	for _, at := range [][2]string{{Tokens, "c"}, {Grants, "d"}} {
		if err := open(at[0], at[1], one); !errors.Is(err, tokencache.ErrDamaged) || errors.Is(err, tokencache.ErrWrongKey) {
			t.Errorf("moved to %v: got %v", at, err)
		}
	}
	if _, err := key.Open(s, Place{"y"}); !errors.Is(err, tokencache.ErrDamaged) {
		t.Errorf("another place: got %v", err)
	}
	s.Data[20] ^= 1
	if err := open(Grants, "c", one); !errors.Is(err, tokencache.ErrDamaged) {
		t.Errorf("a flipped bit: got %v", err)
	}
	ring.Wraps[0].Data[20] ^= 1
	if err := open(Grants, "c", one); !errors.Is(err, tokencache.ErrDamaged) {
		t.Errorf("a flipped bit in the wrap: got %v", err)
	}
	if _, _, err := NewDataKey(Grants, "c", [][]byte{nil}); !errors.Is(err, tokencache.ErrWrongKey) {
		t.Errorf("no secret: got %v", err)
	}
}
