package tokencache

import (
	"slices"
	"sync/atomic"
)

const maxKinds = 8 // of calls that a resource remembers

// learned is what a resource has learned of calls. Those of a kind have the same right to be
// carried out, and the grant gives it, not the token. So where such a call was accepted before,
// and now one is refused, even in words that may mean a missing right, it is the token that is
// dead. That holds during a hold as well, which another call may have begun that has no right.
//
// It may be wrong: rights can differ within a kind, or end. Then the replay is refused, too, and the
// hold that this begins binds all calls.
type learned struct {
	kinds atomic.Pointer[[]uint64] // that were accepted, oldest first; another list with each change

	// Guarded by the mu of the resource.

	exempt uint64 // the one generation renewed in spite of a hold
	relied uint64 // on which kind a token was renewed last
	misled uint64 // newest generation whose replay was refused after that
}

// learn is where it is noted what was learned.
func (r *Resource) learn() *learned {
	k := r.learned.Load()
	for k == nil {
		r.learned.CompareAndSwap(nil, new(learned))
		k = r.learned.Load()
	}
	return k
}

// accepted notes the kind of a call. One that is known costs a look.
func (k *learned) accepted(likeness uint64) {
	for !k.knows(likeness) {
		known := k.kinds.Load()
		var kinds []uint64
		if known != nil {
			kinds = (*known)[max(0, len(*known)+1-maxKinds):]
		}
		kinds = slices.Concat(kinds, []uint64{likeness})
		k.kinds.CompareAndSwap(known, &kinds)
	}
}

func (k *learned) knows(likeness uint64) bool {
	kinds := k.kinds.Load()
	return kinds != nil && slices.Contains(*kinds, likeness)
}

// proves reports whether calls like this one were accepted, so that a refusal means a dead token. With
// mu held.
func (r *Resource) proves(likeness uint64, now int64) bool {
	k := r.learned.Load()
	if k == nil || likeness == 0 || !k.knows(likeness) || k.misled != 0 && k.misled == r.held && r.onHold(now) {
		return false
	}
	k.relied = likeness
	return true
}

// mistaken notes that a replay was refused, which may show that calls of a kind differ. With mu held.
func (r *Resource) mistaken(likeness, generation uint64) {
	if k := r.learned.Load(); k != nil && likeness != 0 && k.relied == likeness && generation == r.held {
		k.misled = generation
	}
}
