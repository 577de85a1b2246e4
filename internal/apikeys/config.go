package apikeys

import (
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// Config says where keys are, and where callers may show one.
type Config struct {
	// Files of keys, a line each: NAME SHA256[,SHA256] [ACCOUNT...].
	Files []string `json:"files"`

	// Where a key may stand beside Authorization: `header` (Zoho-Proxy-Key), `query`
	// (authtoken). Caddy's access log has both, unless a filter takes them out.
	In []string `json:"in,omitempty"`
}

// The places of Config.In.
const (
	InHeader = "header"
	InQuery  = "query"
)

// Has reports whether a key may stand in a place; in none where no key is asked for.
func (c *Config) Has(place string) bool { return c != nil && slices.Contains(c.In, place) }

// Check says what is wrong with it, but for what the files hold.
func (c *Config) Check() error {
	if len(c.Files) == 0 {
		return errors.New("no file: write `api_keys FILE...`; add `in header` or `in query` to accept keys there too")
	}
	for i, file := range c.Files {
		if slices.Contains(c.Files[:i], file) {
			return fmt.Errorf("%s is named twice", file)
		}
	}
	for i, place := range c.In {
		if place != InHeader && place != InQuery {
			return fmt.Errorf("%.64q is not a place for a key%s: `in` takes header (Zoho-Proxy-Key) and query (authtoken)",
				place, words.DidYouMean(place, []string{InHeader, InQuery}))
		}
		if slices.Contains(c.In[:i], place) {
			return fmt.Errorf("%s is named twice", place)
		}
	}
	return nil
}

// Open reads the files, and makes the gate.
func (c *Config) Open(store *Store, tries *Tries) (*Gate, error) {
	keys, err := store.Open(c.Files)
	if err != nil {
		return nil, err
	}
	return &Gate{Keys: keys, Tries: tries, Header: c.Has(InHeader), Query: c.Has(InQuery)}, nil
}
