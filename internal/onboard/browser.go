package onboard

import (
	"crypto/sha256"
	"crypto/subtle"
)

// browserID tells browsers apart by their cookie. What is pasted has none.
type browserID [sha256.Size]byte

func identify(cookie string) browserID { return sha256.Sum256([]byte(cookie)) }

// is compares in constant time.
func (id browserID) is(cookie string) bool {
	other := identify(cookie)
	return subtle.ConstantTimeCompare(id[:], other[:]) == 1
}
