package onboard

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// keep keeps a value of a client for a while.
func (f *Flow) keep(cl *Client, name string, value any, life time.Duration) error {
	text, err := json.Marshal(value)
	if err == nil {
		err = f.pending.Put(cl.Name, name, cl.Cache.Secrets(), text, life)
	}
	if err != nil {
		return errStore(err)
	}
	return nil
}

// find reads a value.
func (f *Flow) find(cl *Client, name string, into any) (found bool, _ error) {
	text, found, err := f.pending.Get(cl.Name, name, cl.Cache.Secrets())
	return read(text, found, err, into)
}

// take reads a value for the one who gets it.
func (f *Flow) take(cl *Client, name string, into any) (found bool, _ error) {
	text, found, err := f.pending.Take(cl.Name, name, cl.Cache.Secrets())
	return read(text, found, err, into)
}

func read(text []byte, found bool, err error, into any) (bool, error) {
	if err == nil && found && json.Unmarshal(text, into) != nil {
		err = errors.New("what was kept of a consent cannot be read") // what it says may be a secret
	}
	if err != nil {
		return false, errStore(err)
	}
	return found, nil
}

// digest stands for what only a browser or a terminal is to know in the name of a value: who reads the
// store reads names.
func digest(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

// idOf is the id of what belongs to something that only a browser is to know. It tells nothing of that.
func idOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:])
}

// isID reports whether a text can be what names a consent, a question or a result: no store is
// asked for anything else, whoever invents it.
func isID(text string) bool { return len(text) >= 20 && len(text) <= 64 && isBase32(text) }

func isBase32(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '2' || r > '7') })
}
