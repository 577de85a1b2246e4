// Package backup takes grants out of a backup and into the running store: it opens them by the
// configured secrets alone, and has them sealed anew by those.
//
// A backup comes from whoever can reach the admin endpoint. It is read twice: once to its end, since
// nothing in it may be relied on before its checksum was seen, and then to be restored in pieces. So
// it is kept in a temporary file meanwhile, and memory holds no more than its data keys and one
// piece.
package backup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// MaxSize is the largest backup that is taken: half a million accounts.
const MaxSize = 512 << 20

// piece is how many grants are stored at once: each piece costs a few waits for the disk.
const piece = 1000

// Target is where a backup goes.
type Target struct {
	Flow    *onboard.Flow
	Client  func(name string) *onboard.Client // nil = it is not configured
	Secrets func(client string) [][]byte      // that may open what is a client's, configured or not
}

// Keep reads a backup to its end, into a temporary file. It gives back what is in it, and the file, to be read
// once more and forgotten. The error is a *sealed.BackupError if the backup is not as it was written.
func Keep(r io.Reader) (_ *os.File, _ *sealed.BackupSummary, err error) {
	file, err := os.CreateTemp("", "caddy-zoho-restore-")
	if err != nil {
		return nil, nil, err
	}
	_ = os.Remove(file.Name()) // where open files keep their names, Forget does it
	defer func() {
		if err != nil {
			Forget(file)
		}
	}()
	summary, err := sealed.CheckBackup(io.TeeReader(r, file))
	if err != nil {
		return nil, nil, err
	}
	_, err = file.Seek(0, io.SeekStart)
	return file, summary, err
}

// Forget ends the use of a file of Keep.
func Forget(file *os.File) {
	_ = file.Close()
	_ = os.Remove(file.Name())
}

// Restore takes in a backup that was read to its end before. With an error part of it may have been
// restored, and stays: the same backup can be restored again.
func (t Target) Restore(r io.Reader, o onboard.RestoreOptions) (*adminapi.Restored, error) {
	in, err := sealed.NewBackupReader(r)
	if err != nil {
		return nil, err
	}
	if err := t.Flow.CanRestore(); err != nil {
		return nil, err
	}
	run := &restoring{
		Target:  t,
		options: o,
		keys:    make(map[[2]string]openedKey),
		done: &adminapi.Restored{DryRun: o.DryRun, Backup: in.Header, Counts: make(map[onboard.Outcome]int),
			Accounts: []adminapi.RestoredAccount{}},
	}
	for {
		entry, err := in.Next()
		if errors.Is(err, io.EOF) {
			return run.done, run.flush("")
		}
		if err == nil {
			err = run.take(entry)
		}
		if err != nil {
			return run.done, err
		}
	}
}

// restoring is a Restore under way.
type restoring struct {
	Target
	options   onboard.RestoreOptions
	keys      map[[2]string]openedKey // :: client, id → data key
	client    string                  // whose grants are in hand
	grants    map[string]tokencache.Grant
	deletions map[tokencache.Key]time.Time
	done      *adminapi.Restored
}

// openedKey is a data key, or why it was not opened.
type openedKey struct {
	*sealed.DataKey
	why string
}

func (r *restoring) take(entry sealed.BackupEntry) error {
	switch {
	case entry.Ring != nil:
		r.open(entry.Ring)
		return nil
	case entry.Grant != nil:
		return r.grant(entry.Grant)
	}
	return r.deletion(entry.Deletion)
}

// open opens a data key by what is configured.
func (r *restoring) open(ring *sealed.ClientRing) {
	key, err := ring.Open(sealed.Grants, ring.Client, r.Secrets(ring.Client))
	opened := openedKey{DataKey: key}
	if err == nil {
		r.done.RingsOpened++
	} else {
		opened.why = err.Error()
	}
	r.keys[[2]string{ring.Client, ring.ID}] = opened
}

// grant opens a grant, and stores those in hand when they are enough.
func (r *restoring) grant(g *sealed.AccountGrant) error {
	if r.client != g.Client || len(r.grants) >= piece {
		if err := r.flush(g.Client); err != nil {
			return err
		}
	}
	leftOut := adminapi.RestoredAccount{Client: g.Client, Account: g.Account, Result: onboard.LeftOut}
	key := r.keys[[2]string{g.Client, g.Grant.Grant.Key}]
	if leftOut.Why = key.why; key.DataKey == nil {
		r.done.Add(leftOut)
		return nil
	}
	grant, err := g.Open(key.DataKey, g.Key())
	switch {
	case err != nil:
		leftOut.Why = err.Error()
	case r.Client(g.Client) == nil:
		r.done.GrantsOpened++
		leftOut.Why = adminapi.WhyNoClient
	default:
		r.done.GrantsOpened++
		r.grants[g.Account] = grant
		return nil
	}
	r.done.Add(leftOut)
	return nil
}

// flush stores what is in hand, and begins anew for a client.
func (r *restoring) flush(next string) error {
	grants, deletions := r.grants, r.deletions
	client := r.client
	r.client, r.grants, r.deletions = next, make(map[string]tokencache.Grant), make(map[tokencache.Key]time.Time)
	if len(deletions) > 0 {
		n, err := r.Flow.TakeDeletions(deletions, r.options)
		r.done.Deletions += n
		if err != nil {
			return err
		}
	}
	if len(grants) == 0 {
		return nil
	}
	outcomes, err := r.Flow.Restore(r.Client(client), grants, r.options)
	for account := range grants {
		told := adminapi.RestoredAccount{Client: client, Account: account, Result: outcomes[account]}
		if told.Result == "" {
			told.Result, told.Why = onboard.LeftOut, err.Error()
		}
		r.done.Add(told)
	}
	if err == nil || errors.Is(err, tokencache.ErrWrongKey) || errors.Is(err, tokencache.ErrDamaged) {
		return nil // what the client has here already cannot be opened
	}
	return fmt.Errorf("%w; %s restored before that: restore the same backup again for the others", err,
		words.Plural(r.done.Counts[onboard.Restored]+r.done.Counts[onboard.Replaced], "grant"))
}

// deletion takes over the mark of an account, of clients that are configured.
func (r *restoring) deletion(d *sealed.Deletion) error {
	if len(r.grants) > 0 || len(r.deletions) >= piece {
		if err := r.flush(d.Client); err != nil {
			return err
		}
	}
	if r.Client(d.Client) == nil {
		return nil
	}
	if r.deletions == nil {
		r.deletions = make(map[tokencache.Key]time.Time)
	}
	r.deletions[d.Key()] = d.At
	return nil
}
