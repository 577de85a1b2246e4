package body

import (
	"errors"
	"math"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// Limits is how much of a request body is kept to be sent again: up to
// Memory bytes in memory (default 1 MiB), up to File bytes in a temporary file that no
// name leads to (default 64 MiB; 0 = none). Larger bodies are sent with
// `Expect: 100-continue`, so that a refusal comes before the body, but not again once they
// are on their way.
type Limits struct {
	Memory int64 `json:"memory"`
	File   int64 `json:"file"`
}

// ExceededBy reports whether a body of that length is too large to keep.
func (l *Limits) ExceededBy(length int64) bool { return length > max(l.Memory, l.File) }

// DefaultLimits keep most uploads: one that is lost costs an app more than the file costs us.
var DefaultLimits = Limits{Memory: 1 << 20, File: 64 << 20}

// Totals bounds all bodies that are kept at a time, of all sites, together, in bytes. What
// finds no room is sent all the same, but cannot be sent again once it is on its way.
type Totals struct {
	// Memory. Default: a quarter of GOMEMLIMIT, or of the limit of the control group, at
	// most 256 MiB.
	Memory *int64 `json:"memory,omitempty"`

	// Temporary files. Default: a quarter of what is free there, at most 2 GiB.
	Files *int64 `json:"files,omitempty"`
}

// Check says what is wrong with the totals; nil has the defaults.
func (t *Totals) Check() error {
	if t != nil && (t.Memory != nil && *t.Memory < 0 || t.Files != nil && *t.Files < 0) {
		return errors.New("sizes must not be negative")
	}
	return nil
}

const (
	mostMemory = 256 << 20
	mostFiles  = 2 << 30
	ownShare   = 4 // a quarter of what there is
)

// Room is what is taken of the totals. It is shared by all requests, and outlives reloads.
type Room struct {
	spool         spool
	totals        atomic.Pointer[Totals]
	memory, files atomic.Int64 // taken, in bytes
	written       atomic.Int64 // of those of files

	mu     sync.Mutex
	shares map[string]*share // of the callers that have a body here
}

// NewRoom has the default totals.
func NewRoom() *Room {
	r := &Room{shares: make(map[string]*share)}
	r.Limit(nil)
	return r
}

// Limit sets the totals. What is taken stays taken; nil has the defaults.
func (r *Room) Limit(t *Totals) {
	limit := Totals{}
	if t != nil {
		limit = *t
	}
	if limit.Memory == nil {
		limit.Memory = new(ownMemory(memoryLimit()))
	}
	r.totals.Store(&limit)
}

// Taken tells how many bytes are kept now.
func (r *Room) Taken() (memory, files int64) { return r.memory.Load(), r.files.Load() }

// Close removes the folder of the files.
func (r *Room) Close() { r.spool.remove() }

// ownMemory is what is ours of the memory that the process may take.
func ownMemory(limit int64) int64 { return min(mostMemory, limit/ownShare) }

// memoryLimit is how much memory the process may take. Caddy sets GOMEMLIMIT by the control
// group; whoever has turned that off has the group's limit all the same.
func memoryLimit() int64 {
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		return limit
	}
	if limit, err := memlimit.FromCgroup(); err == nil && limit < math.MaxInt64 {
		return int64(limit)
	}
	return math.MaxInt64
}

// share is what a caller has taken of a room: of each total half at most, so that a caller that
// announces bodies and sends nothing leaves room for others. The share of no caller in particular
// is the whole.
type share struct {
	room          *Room
	caller        string
	bodies        int // guarded by the room's mu
	memory, files atomic.Int64
}

// open gives a caller's share to one more body.
func (r *Room) open(caller string) *share {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.shares[caller]
	if s == nil {
		s = &share{room: r, caller: caller}
		r.shares[caller] = s
	}
	s.bodies++
	return s
}

// close is for a body that has given everything back.
func (s *share) close() {
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	if s.bodies--; s.bodies == 0 {
		delete(s.room.shares, s.caller)
	}
}

func (s *share) takeMemory(n int64) bool {
	return s.take(&s.memory, &s.room.memory, n, *s.room.totals.Load().Memory)
}

func (s *share) takeFile(n int64) bool {
	limit := s.room.totals.Load().Files
	if limit == nil {
		limit = new(int64(mostFiles))
		if free, ok := freeSpace(os.TempDir()); ok {
			limit = new(min(mostFiles, (free+s.room.written.Load())/ownShare))
		}
	}
	return s.take(&s.files, &s.room.files, n, *limit)
}

func (s *share) take(own, all *atomic.Int64, n, limit int64) bool {
	most := limit
	if s.caller != "" {
		most = limit / 2
	}
	if !add(own, n, most) {
		return false
	}
	if !add(all, n, limit) {
		own.Add(-n)
		return false
	}
	return true
}

func add(taken *atomic.Int64, n, limit int64) bool {
	if taken.Add(n) > limit {
		taken.Add(-n)
		return false
	}
	return true
}

// give gives back what was taken.
func (s *share) give(memory, files int64) {
	s.memory.Add(-memory)
	s.room.memory.Add(-memory)
	s.files.Add(-files)
	s.room.files.Add(-files)
}
