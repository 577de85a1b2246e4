// Package stores makes the store that a configuration names, and says what this program asks of
// one. Two configurations with the same Name share one store: a reload joins it.
package stores

import (
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/internal/sealing"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
	"github.com/caddy-zoho/caddy-zoho/tokencache/redisstore"
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

	// Dump is what is stored of grants at one moment, as it is stored: no secret is needed for
	// it, and nothing of tokens and ledgers is in it. It fails where part of that is damaged. It
	// is a copy: nobody waits for whoever reads it.
	Dump() (*sealed.Dump, error)
	// Rekey has all data keys wrapped by the secrets of their client, and by no others, and seals
	// grants anew by the data key of today that are sealed by another one which opens. A data
	// key that the secrets do not open stays as it is, with all that it has sealed. If it is
	// interrupted, it is carried out again from the beginning. of is also asked for clients that
	// the configuration does not have.
	Rekey(of func(client string) [][]byte) (sealed.Rekeyed, error)
	// KeysInUse says by which keys, by their ids, the store is sealed, and of how many grants and
	// tokens the data key has no wrap by the first one.
	KeysInUse(first string) (sealed.KeysInUse, error)
}

// Source is where a configuration has its store.
type Source struct {
	Directory string // of the embedded one
	Redis     *Redis // nil = it is the embedded one
}

// Name says where the store is. Two configurations with one name share one store.
func (s Source) Name() string {
	if s.Redis == nil {
		return s.Directory
	}
	config, _ := s.Redis.config()
	return config.Name()
}

// Check looks whether the configuration is right. It opens nothing.
func (s Source) Check() error {
	if s.Redis == nil {
		return nil
	}
	return s.Redis.Check()
}

// Access is what this configuration proves itself with.
func (s Source) Access() (Access, error) {
	if s.Redis == nil {
		return Access{}, nil
	}
	return s.Redis.access()
}

// Store makes the store. It opens nothing. access is asked for each connection: a store outlives
// the configuration that made it, and goes by the one that runs.
func (s Source) Store(access func() (Access, error)) Store {
	if s.Redis == nil {
		return boltstore.New(s.Directory)
	}
	config, _ := s.Redis.config()
	config.Access = access
	return redisstore.New(config)
}
