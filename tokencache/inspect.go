package tokencache

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// inspection is what a look at all records of grants.db has found.
type inspection struct {
	accounts map[string]map[string]struct{} // :: client → account
	damaged  int                            // records of grants that are missing, or not as they were written
	faults   []string                       // what is wrong, in words; none in a sound file
}

// inspect looks at each grant, at how many the file says there should be, and at
// the data keys: without its key a grant is lost, however sound its own record is.
// What a secret is needed for it does not see.
func inspect(tx *bolt.Tx) (inspection, error) {
	x := inspection{accounts: make(map[string]map[string]struct{})}
	clients := tx.Bucket([]byte(bucketGrants))
	if clients == nil {
		return x, fmt.Errorf("%w: it has no grants", ErrDamaged)
	}
	var lost []string
	found := 0
	err := clients.ForEachBucket(func(name []byte) error {
		client := string(name)
		x.accounts[client] = make(map[string]struct{})
		sealedBy := make(map[string]int)
		err := clients.Bucket(name).ForEach(func(k, v []byte) error {
			x.accounts[client][string(k)] = struct{}{}
			found++
			if v == nil || !intact(v, bucketGrants, client, string(k)) {
				x.damaged++
				return nil
			}
			sealedBy[keyOf(v)]++
			return nil
		})
		lost = append(lost, lostKeys(tx, client, sealedBy)...)
		return err
	})
	if n := grantCount(tx); x.damaged == 0 && n != found {
		x.damaged = max(n-found, found-n)
	}
	if x.damaged > 0 {
		x.faults = append(x.faults, fmt.Sprintf("%d of its records are missing or not as they were written", x.damaged))
	}
	x.faults = append(x.faults, lost...)
	return x, err
}

// keyOf is the id of the data key that a stored grant is sealed by.
func keyOf(value []byte) string {
	var w grantJSON
	_ = json.Unmarshal(value[sumSize:], &w)
	return w.Grant.Key
}

// lostKeys says which data keys of a client are not to be had, as far as that
// concerns any of its grants; they are counted by the ids of their keys.
func lostKeys(tx *bolt.Tx, client string, grants map[string]int) (faults []string) {
	ring, err := readRing(tx, client)
	if err != nil {
		return []string{fmt.Sprintf("the data key of client %q is missing or not as it was written, so that its grants cannot be read", client)}
	}
	for id, n := range grants {
		if id == ring.ID {
			continue
		}
		if _, err := findRing(tx, keyName{client, id}); err != nil {
			faults = append(faults, fmt.Sprintf("the data key %s of client %q is missing or not as it was written, so that %d of its grants cannot be read", id, client, n))
		}
	}
	slices.Sort(faults)
	return faults
}

// someOf joins what was found, some of it.
func someOf(faults []string) string {
	const some = 3
	text := strings.Join(faults[:min(len(faults), some)], "; ")
	if len(faults) > some {
		text += fmt.Sprintf("; and %d more such faults", len(faults)-some)
	}
	return text
}
