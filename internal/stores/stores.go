// Package stores makes the store that a configuration names, and says what this program asks of
// one. Two configurations with the same Name share one store: a reload joins it.
package stores

import (
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/sealing"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
)

// Store is a place for grants and tokens with all that a running Caddy does to it. Safe for
// concurrent use; its errors, and what it tells, hold no secret.
type Store interface {
	onboard.Store
	sealing.Store

	// Open makes the store ready. Its only error is one that should keep Caddy from starting:
	// another process holds it. All else is answered by the calls that it concerns.
	Open() error
	// Close ends its use. Calls that come later are refused until Open.
	Close() error
	// Check returns what is wrong now, nil if nothing is.
	Check() error
	// Concerns lists what does not stop the store, but should be looked at.
	Concerns() []tokencache.Concern
	// Name says where it is, for logs and for the operator.
	Name() string
}

// Bolt is the embedded store in a directory. It opens nothing.
func Bolt(dir string) Store { return boltstore.New(dir) }
