package tokencache

import "testing"

// TestRefusedIsNotPassedOn: what is refused with an older token is not passed on while it is being decided
// whether the refusal of the current one is worth a new one.
func TestRefusedIsNotPassedOn(t *testing.T) {
	r := &Resource{conn: new(Conn)}
	l := &live{Token: Token{Generation: 2}}
	r.renewable(l, RefusalDead, 0, moment{})
	if r.refusedSince(2) {
		t.Error("it is passed on before that is decided")
	}
	r.passOn(1)
	if r.refusedSince(2) {
		t.Error("the refusal of an older one was passed on")
	}
	r.passOn(2)
	if !r.refusedSince(2) {
		t.Error("there is no use in a replay, and it is not passed on")
	}
	l.Generation = 3
	r.renewable(l, RefusalDead, 0, moment{})
	if r.refusedSince(3) {
		t.Error("a newer one is passed on before that is decided")
	}
}
