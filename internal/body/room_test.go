package body

import (
	"bytes"
	"io"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestRoom: whatever bodies come and go, of whatever lengths, no more is taken than there is,
// each is sent again byte for byte or not at all, and in the end everything is given back.
func TestRoom(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(0, 600_000)
		memory, files := size.Draw(t, "memory"), size.Draw(t, "files")*4
		room := NewRoom()
		defer room.Close()
		room.Limit(&Totals{Memory: &memory, Files: &files})
		limits := Limits{Memory: rapid.Int64Range(1, 200_000).Draw(t, "limit")}
		limits.File = limits.Memory * rapid.Int64Range(0, 3).Draw(t, "file")
		var open []*Recorder
		within := func() {
			if m, f := room.Taken(); m > memory || f > files || m < 0 || f < 0 {
				t.Fatalf("%d of %d bytes of memory are taken, %d of %d of files", m, memory, f, files)
			}
			for caller, s := range room.shares {
				if m, f := s.memory.Load(), s.files.Load(); caller != "" && (m > memory/2 || f > files/2) {
					t.Fatalf("%s has taken %d of %d bytes of memory, %d of %d of files", caller, m, memory, f, files)
				}
			}
		}
		for range rapid.IntRange(1, 8).Draw(t, "bodies") {
			want := randomBytes(size.Draw(t, "size"))
			length := int64(len(want))
			if rapid.Bool().Draw(t, "unknown") {
				length = -1
			}
			caller := rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "caller")
			r := NewRecorder(bodyRequest(bytes.NewReader(want), length), limits, room, caller)
			within()
			first, _ := r.newAttempt(nil)
			if got, err := io.ReadAll(first); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("the first attempt sent %d bytes of %d: %v", len(got), len(want), err)
			}
			within()
			if lost := r.Rewind(); lost == "" {
				again, _ := r.newAttempt(nil)
				if got, err := io.ReadAll(again); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("the second attempt sent %d bytes of %d: %v", len(got), len(want), err)
				}
			} else if caller == "" && int64(len(want)) <= limits.Memory && memory >= 8*largeChunk*(1+limits.Memory/largeChunk) {
				t.Fatalf("%d bytes were lost: %s", len(want), lost)
			}
			if rapid.Bool().Draw(t, "stays") {
				open = append(open, r)
				continue
			}
			r.Close()
		}
		for _, r := range open {
			r.Close()
		}
		if m, f := room.Taken(); m != 0 || f != 0 {
			t.Fatalf("%d bytes of memory are not given back, %d of files", m, f)
		}
		if len(room.shares) > 0 {
			t.Fatalf("shares are left: %v", room.shares)
		}
	})
}

// TestRoomByDefault: a quarter of the memory that the process may take, and no more than 256 MiB.
func TestRoomByDefault(t *testing.T) {
	for limit, want := range map[int64]int64{64 << 20: 16 << 20, 1 << 30: 256 << 20, 8 << 30: 256 << 20, math.MaxInt64: 256 << 20} {
		if got := ownMemory(limit); got != want {
			t.Errorf("of %d bytes it takes %d, want %d", limit, got, want)
		}
	}
	room := NewRoom()
	defer room.Close()
	if !room.open("").takeFile(1) || room.open("").takeFile(mostFiles) {
		t.Error("the default of files is not between 1 byte and 2 GiB")
	}
	room.files.Store(0)
}

// TestShares: a caller that announces bodies and sends nothing has half of the room, and what it
// had is there again when its bodies are closed.
func TestShares(t *testing.T) {
	memory, files := int64(8*largeChunk), int64(8<<20)
	room := NewRoom()
	defer room.Close()
	room.Limit(&Totals{Memory: &memory, Files: &files})
	announce := func(caller string, n int, length int64) (kept []*Recorder) {
		for range n {
			r := NewRecorder(bodyRequest(bytes.NewReader(nil), length), Limits{Memory: 2 * largeChunk, File: 1 << 20}, room, caller)
			if r.AsksFirst() {
				r.Close()
				continue
			}
			kept = append(kept, r)
		}
		return kept
	}
	greedy := announce("a", 100, largeChunk)
	if m, f := room.Taken(); m != memory/2 || f > files/2 {
		t.Errorf("a has taken %d bytes of memory and %d of files", m, f)
	}
	if kept := len(announce("b", 1, largeChunk)); kept != 1 {
		t.Error("there is no room for b")
	}
	if kept := len(announce("", 100, 1<<20)); kept == 0 {
		t.Error("there is no room for others")
	}
	for _, r := range greedy {
		r.Close()
	}
	if len(room.shares) != 2 || len(announce("a", 1, largeChunk)) != 1 {
		t.Errorf("shares: %v", room.shares)
	}
}
