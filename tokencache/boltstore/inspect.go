package boltstore

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// A record whose checksum is wrong, a count that does not agree, a data key that is gone:
// bbolt notices none of it. All records are read whenever grants.db is opened and before
// it is copied, so that the version before, which may be the last sound one, is never
// displaced by a damaged one. With many grants that takes a while, so no more JSON is read
// than has to be.

// inspect looks at each grant, at how many the file says there should be, and at
// the data keys: without its key a grant is lost, however sound its own record is.
// What a secret is needed for it does not see.
func inspect(tx *bolt.Tx) (inspection, error) {
	x := inspection{accounts: make(map[string]map[string]struct{})}
	clients := tx.Bucket([]byte(bucketGrants))
	if clients == nil {
		return x, fmt.Errorf("%w: it has no grants", tokencache.ErrDamaged)
	}
	err := clients.ForEachBucket(func(name []byte) error {
		return x.client(tx, string(name), clients.Bucket(name))
	})
	found := 0
	for _, accounts := range x.accounts {
		found += len(accounts)
	}
	if n := grantCount(tx); x.damaged == 0 && n != found {
		x.damaged = max(n-found, found-n)
	}
	if x.damaged > 0 {
		lost := fmt.Sprintf("%d of its records are missing or damaged", x.damaged)
		x.faults = slices.Insert(x.faults, 0, lost)
	}
	return x, err
}

// client looks at the grants of a client.
func (x *inspection) client(tx *bolt.Tx, client string, grants *bolt.Bucket) error {
	accounts := make(map[string]struct{})
	x.accounts[client] = accounts
	ring, lost := readRing(tx, client)
	var usual []byte // stands in what is sealed by that ring's key: to read all the JSON takes long
	if lost == nil {
		usual = fmt.Appendf(nil, `"grant":{"key":%q,`, ring.ID)
	} else {
		x.faults = append(x.faults, fmt.Sprintf("the data key of client %q is missing or damaged, "+
			"so that its grants cannot be read", client))
	}
	elsewhere := make(map[string]int) // :: data key → grants
	err := grants.ForEach(func(k, v []byte) error {
		accounts[string(k)] = struct{}{}
		switch {
		case v == nil || !sealed.Intact(v, bucketGrants, client, string(k)):
			x.damaged++
		case lost == nil && !bytes.Contains(v, usual):
			elsewhere[sealed.KeyOf(v)]++
		}
		return nil
	})
	x.faults = append(x.faults, lostKeys(tx, client, elsewhere)...)
	return err
}

// lostKeys says which data keys of a client, other than the one that seals, are not to be
// had; its grants are counted by the ids of their keys.
func lostKeys(tx *bolt.Tx, client string, grants map[string]int) (faults []string) {
	for id, n := range grants {
		if _, err := findRing(tx, keyName{client, id}); err != nil {
			faults = append(faults, fmt.Sprintf("the data key %s of client %q is missing or damaged, "+
				"so that %d of its grants cannot be read", id, client, n))
		}
	}
	slices.Sort(faults)
	return faults
}

// someOf joins what was found, some of it: a message is to be read.
func someOf(faults []string) string {
	const some = 3
	text := strings.Join(faults[:min(len(faults), some)], "; ")
	if len(faults) > some {
		text += fmt.Sprintf("; and %d more faults like this", len(faults)-some)
	}
	return text
}
