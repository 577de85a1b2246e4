package apikeys

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/wildcard"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// Owner is who a key belongs to.
type Owner struct {
	Name     string
	digests  []digest // of the keys
	accounts []string // names and patterns; empty: those that the configuration chooses
	place    string   // of the line, for messages
}

// Bound reports whether the owner's line names accounts.
func (o *Owner) Bound() bool { return len(o.accounts) > 0 }

// Has reports whether an account is one of those that the owner's line names.
func (o *Owner) Has(account string) bool {
	return slices.ContainsFunc(o.accounts, func(pattern string) bool { return wildcard.Name(pattern, account) })
}

// Only is the account of an owner who has just one, otherwise "".
func (o *Owner) Only() string {
	if len(o.accounts) == 1 && !strings.Contains(o.accounts[0], "*") {
		return o.accounts[0]
	}
	return ""
}

// digest is that of a key, as files hold it.
type digest [sha256.Size]byte

// maxFile bounds a file: it is read whole.
const maxFile = 16 << 20

// lineForm is what a line looks like, for messages.
const lineForm = "write `NAME SHA256[,SHA256] [ACCOUNT...]`, as `caddy zoho api-key new NAME` prints it"

// table is what the files hold.
type table struct {
	owners map[string]*Owner // by name
	keys   map[digest]*Owner
}

// readFiles reads all files as one table.
func readFiles(files []string) (*table, error) {
	t := &table{owners: make(map[string]*Owner), keys: make(map[digest]*Owner)}
	for _, file := range files {
		if err := t.readFile(file); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *table) readFile(file string) error {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no file %s; `caddy zoho api-key new NAME` prints a line for it", file)
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", file)
	case info.Size() > maxFile:
		return fmt.Errorf("%s is too large: it has %d bytes, and the limit is %d", file, info.Size(), maxFile)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(content, []byte("\ufeff"))))
	lines.Buffer(nil, maxFile)
	for number := 1; lines.Scan(); number++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if fields := strings.Fields(text); len(fields) > 0 {
			if err := t.add(fields, fmt.Sprintf("%s:%d", file, number)); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}

// add takes a line. No error shows a digest, and least of all what stands in place of one.
func (t *table) add(fields []string, place string) error {
	name := fields[0]
	switch {
	case LooksLikeKey(name):
		return fmt.Errorf("%s: this is a key where a name belongs: %s", place, exposed)
	case isDigest(name):
		return fmt.Errorf("%s: this is a digest where a name belongs: %s", place, lineForm)
	case !words.Name.MatchString(name):
		return fmt.Errorf("%s: invalid caller name: %s; %s", place, words.NameRule, lineForm)
	case t.owners[name] != nil:
		return fmt.Errorf("%s: %s is already at %s; write both keys of a caller on one line, as in "+
			"`%s SHA256,SHA256`", place, name, t.owners[name].place, name)
	case len(fields) == 1:
		return fmt.Errorf("%s: %s has no digest: %s", place, name, lineForm)
	}
	owner := &Owner{Name: name, accounts: fields[2:], place: place}
	if err := owner.check(); err != nil {
		return fmt.Errorf("%s: %w", place, err)
	}
	digests := strings.Split(fields[1], ",")
	if len(digests) > 2 {
		return fmt.Errorf("%s: %s has %d keys; a caller can have two, so that one can be rolled over",
			place, name, len(digests))
	}
	for _, text := range digests {
		d, err := parseDigest(text)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", place, name, err)
		}
		if other := t.keys[d]; other != nil {
			return fmt.Errorf("%s: a key of %s belongs to %s too: make another one with "+
				"`caddy zoho api-key new %s`", place, name, other.Name, name)
		}
		t.keys[d], owner.digests = owner, append(owner.digests, d)
	}
	t.owners[name] = owner
	return nil
}

// check looks at the accounts of a line.
func (o *Owner) check() error {
	for _, account := range o.accounts {
		if !words.NamePattern(account) {
			return fmt.Errorf("%s: invalid account name: %s; * stands for any text; %s", o.Name, words.NameRule, lineForm)
		}
	}
	return nil
}

// exposed is what to do about a key in a file.
const exposed = "anyone who has read this file now knows the key. " +
	"Run `caddy zoho api-key new NAME`, and write the line that it prints"

func isDigest(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == sha256.Size
}

func parseDigest(text string) (d digest, err error) {
	raw, err := hex.DecodeString(text)
	switch {
	case LooksLikeKey(text):
		return d, errors.New("this is a key, not its digest: " + exposed)
	case err != nil || len(raw) != len(d):
		return d, fmt.Errorf("a digest is 64 hexadecimal digits, the SHA-256 of a key; %s", lineForm)
	}
	return digest(raw), nil
}
