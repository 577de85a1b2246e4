package sealed

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// A backup is a file of lines, each of them a JSON object with one member:
//
//	{"backup": {"program": "caddy-zoho", "schema": 1, "made": "2026-01-02T03:04:05Z", "store": "/var/lib/…",
//	  "keys": [{"id": "9a31…", "what": "encryption_key {env.KEY}"}], "rings": 1, "grants": 2, "deletions": 1}}
//	{"ring": {"client": "main", "id": "5f0c…", "wraps": [{"key": "9a31…", "salt": "…", "sealed": "…"}]}}
//	{"grant": {"client": "main", "account": "a", "granted_at": "…", "grant": {"key": "5f0c…", "sealed": "…"}}}
//	{"deletion": {"client": "main", "account": "c", "deleted_at": "2026-01-01T00:00:00Z"}}
//	{"end": {"rings": 1, "grants": 2, "deletions": 1, "sha256": "…"}}
//
// Rings, grants and deletions come in this order. Each kind is sorted by client and account, so
// that a reader notices what is there twice without keeping it. The digest covers all lines
// before the last one. It finds what was cut off, altered or joined by accident. Nobody is kept
// from writing another file: sealing alone keeps grants from being read and invented.
//
// Rings and grants stand there as they are stored: whoever has the file and none of the keys
// learns the names of accounts, and when they were connected.
//
// What was damaged in the store is not in it. The header then has one more member, which versions
// before leave unread:
//
//	"missing": [{"client": "main", "account": "b", "why": "…"}], "missing_more": 0

// backupSchema grows when an older version would misread what a newer one has written.
const backupSchema = 1

const (
	backupProgram = "caddy-zoho"
	maxLine       = 1 << 20
	maxRings      = 16 << 20 // bytes of all rings together, which a reader keeps
	maxName       = 4096     // bytes of what is named in messages
	maxMissing    = 200      // are named in the header, which is one line
	maxWhy        = 200      // bytes of each of their names and reasons
)

// Dump is all that a store has of grants, as it is stored, at one moment. What is not as it was
// written cannot be in it, and is Missing.
type Dump struct {
	Rings     []ClientRing
	Grants    []AccountGrant
	Deletions []Deletion
	Missing   []Missing

	rings map[string]bool // by order, of AddRing
}

// Missing is something that is stored and cannot be in a backup. Without an account it is not known
// whose it is.
type Missing struct {
	Client  string `json:"client,omitempty"`
	Account string `json:"account,omitempty"`
	Why     string `json:"why"`
}

// AddRing adds a ring, for the grants that AddGrant adds later.
func (d *Dump) AddRing(r ClientRing) {
	if d.rings == nil {
		d.rings = make(map[string]bool)
	}
	if order := r.order(); !d.rings[order] {
		d.rings[order] = true
		d.Rings = append(d.Rings, r)
	}
}

// AddGrant adds a grant that is stored in the bucket. It is missing if it, or the ring that opens it, is damaged.
func (d *Dump) AddGrant(key tokencache.Key, packed []byte, bucket string) {
	g := AccountGrant{Client: key.Client, Account: key.Account}
	if Unpack(packed, &g.Grant, bucket, key.Client, key.Account) != nil {
		d.miss(key, "its record is damaged")
		return
	}
	if ring := (ClientRing{Client: key.Client, KeyRing: KeyRing{ID: g.Grant.Grant.Key}}); !d.rings[ring.order()] {
		d.miss(key, "its data key is missing or damaged")
		return
	}
	d.Grants = append(d.Grants, g)
}

func (d *Dump) miss(key tokencache.Key, why string) {
	d.Missing = append(d.Missing, Missing{key.Client, key.Account, why})
}

// ClientRing is a ring and whose it is.
type ClientRing struct {
	Client  string `json:"client"`
	Retired bool   `json:"retired,omitempty"` // it seals nothing any more, and opens what it has sealed
	KeyRing
}

// AccountGrant is a grant and whose it is.
type AccountGrant struct {
	Client  string `json:"client"`
	Account string `json:"account"`
	Grant
}

// Deletion is the mark of an account whose grant was deleted.
type Deletion struct {
	Client  string    `json:"client"`
	Account string    `json:"account"`
	At      time.Time `json:"deleted_at"`
}

// Key is the account's.
func (g AccountGrant) Key() tokencache.Key {
	return tokencache.Key{Client: g.Client, Account: g.Account}
}

// Key is the account's.
func (d Deletion) Key() tokencache.Key {
	return tokencache.Key{Client: d.Client, Account: d.Account}
}

// Key is the account's.
func (m Missing) Key() tokencache.Key { return tokencache.Key{Client: m.Client, Account: m.Account} }

// String names the account and the reason.
func (m Missing) String() string {
	if m.Account == "" {
		return m.Why
	}
	return m.Key().String() + ": " + m.Why
}

// BackupHeader is what a backup says of itself.
type BackupHeader struct {
	Program string      `json:"program"`
	Schema  int         `json:"schema"`
	Made    time.Time   `json:"made"`
	Store   string      `json:"store"` // its name
	Keys    []NeededKey `json:"keys"`  // that were configured then
	BackupCounts

	Missing     []Missing `json:"missing,omitempty"`      // some of what is not in it, in the order of accounts
	MissingMore int       `json:"missing_more,omitempty"` // how many there are beside those
}

// Incomplete is how many things are not in the backup that were stored then.
func (h BackupHeader) Incomplete() int { return len(h.Missing) + h.MissingMore }

// NeededKey is a key that opens a backup, by its id.
type NeededKey struct {
	ID   string `json:"id"`
	What string `json:"what"` // where it was configured, never the key
}

// texts are what people are shown of it.
func (h BackupHeader) texts() []string {
	all := []string{h.Store}
	for _, key := range h.Keys {
		all = append(all, key.ID, key.What)
	}
	for _, m := range h.Missing {
		all = append(all, m.Client, m.Account, m.Why)
	}
	return all
}

// told are some of what is missing, in words that a reader takes: what is damaged may have any name.
func told(missing []Missing) (some []Missing) {
	for _, m := range missing[:min(len(missing), maxMissing)] {
		some = append(some, Missing{printable(m.Client), printable(m.Account), printable(m.Why)})
	}
	return some
}

func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
	if len(text) > maxWhy {
		text = strings.ToValidUTF8(text[:maxWhy], "") + "…"
	}
	return text
}

// BackupCounts is how much there is of each kind.
type BackupCounts struct {
	Rings     int `json:"rings"`
	Grants    int `json:"grants"`
	Deletions int `json:"deletions"`
}

// backupEnd is the last line.
type backupEnd struct {
	BackupCounts
	SHA256 string `json:"sha256"`
}

// backupLine is any line: one member is there.
type backupLine struct {
	Backup   *BackupHeader `json:"backup,omitempty"`
	Ring     *ClientRing   `json:"ring,omitempty"`
	Grant    *AccountGrant `json:"grant,omitempty"`
	Deletion *Deletion     `json:"deletion,omitempty"`
	End      *backupEnd    `json:"end,omitempty"`
}

// WriteBackup writes a backup. It fills in what the header says of the dump and of the format.
func WriteBackup(w io.Writer, h BackupHeader, d *Dump) error {
	d.sort()
	h.Program, h.Schema, h.Made = backupProgram, backupSchema, UTC(h.Made).Truncate(time.Second)
	h.BackupCounts = BackupCounts{Rings: len(d.Rings), Grants: len(d.Grants), Deletions: len(d.Deletions)}
	h.Missing, h.MissingMore = told(d.Missing), max(0, len(d.Missing)-maxMissing)
	out := bufio.NewWriterSize(w, 64<<10)
	digest := sha256.New()
	lines := json.NewEncoder(io.MultiWriter(out, digest))
	err := lines.Encode(backupLine{Backup: &h})
	for i := 0; i < len(d.Rings) && err == nil; i++ {
		err = lines.Encode(backupLine{Ring: &d.Rings[i]})
	}
	for i := 0; i < len(d.Grants) && err == nil; i++ {
		err = lines.Encode(backupLine{Grant: &d.Grants[i]})
	}
	for i := 0; i < len(d.Deletions) && err == nil; i++ {
		err = lines.Encode(backupLine{Deletion: &d.Deletions[i]})
	}
	if err != nil {
		return err
	}
	end := backupEnd{BackupCounts: h.BackupCounts, SHA256: hex.EncodeToString(digest.Sum(nil))}
	if err := json.NewEncoder(out).Encode(backupLine{End: &end}); err != nil {
		return err
	}
	return out.Flush()
}

func (d *Dump) sort() {
	slices.SortFunc(d.Rings, func(a, b ClientRing) int { return cmp.Compare(a.order(), b.order()) })
	slices.SortFunc(d.Grants, func(a, b AccountGrant) int { return a.Key().Compare(b.Key()) })
	slices.SortFunc(d.Deletions, func(a, b Deletion) int { return a.Key().Compare(b.Key()) })
	slices.SortStableFunc(d.Missing, func(a, b Missing) int { return a.Key().Compare(b.Key()) })
}

// order sorts rings by client and id.
func (r ClientRing) order() string { return r.Client + "\x00" + r.ID }

// BackupError says what is wrong with a backup. It wraps tokencache.ErrDamaged, unless a newer
// version has written the file, and holds nothing of what the file holds.
type BackupError struct {
	Line   int
	Reason string
	Newer  bool
}

// Error names the line.
func (e *BackupError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// Unwrap says that it is damage.
func (e *BackupError) Unwrap() error {
	if e.Newer {
		return nil
	}
	return tokencache.ErrDamaged
}

// BackupReader reads a backup line by line, and keeps none but the names of rings. What it gives
// out may be relied on only when Next has returned io.EOF: the digest stands at the end.
type BackupReader struct {
	Header BackupHeader

	in     *bufio.Reader
	digest hash.Hash
	before []byte // the digest of the lines before the current one
	line   int
	counts BackupCounts
	size   int                 // of all rings
	rings  map[string]struct{} // by order
	stage  int                 // kind of the line before
	last   string              // ring before
	key    tokencache.Key      // account before
	end    bool
}

// The kinds of lines in their order.
const (
	stageRings = iota
	stageGrants
	stageDeletions
)

// BackupEntry is one thing of a backup: one of these is set.
type BackupEntry struct {
	Ring     *ClientRing
	Grant    *AccountGrant
	Deletion *Deletion
}

// NewBackupReader reads the header.
func NewBackupReader(r io.Reader) (*BackupReader, error) {
	b := &BackupReader{in: bufio.NewReaderSize(r, 64<<10), digest: sha256.New(), rings: make(map[string]struct{})}
	l, err := b.read()
	switch {
	case err == nil && l.Backup == nil:
		return nil, b.fail("this is not a backup of caddy-zoho")
	case err != nil && b.line <= 1 && errors.Is(err, tokencache.ErrDamaged):
		return nil, b.fail("this is not a backup of caddy-zoho")
	case err != nil:
		return nil, err
	}
	b.Header = *l.Backup
	switch {
	case b.Header.Program != backupProgram || b.Header.Schema < 1:
		return nil, b.fail("this is not a backup of caddy-zoho")
	case slices.ContainsFunc(b.Header.texts(), func(s string) bool { return len(s) > maxName || strings.ContainsFunc(s, unicode.IsControl) }):
		return nil, b.fail("its header does not look like that of a backup")
	case b.Header.Schema > backupSchema:
		e := b.fail("a newer version has written it (schema %d, this one knows %d): use that version", b.Header.Schema, backupSchema)
		e.Newer = true
		return nil, e
	}
	return b, nil
}

func (b *BackupReader) fail(format string, args ...any) *BackupError {
	return &BackupError{Line: b.line, Reason: fmt.Sprintf(format, args...)}
}

// Next is the next entry, and io.EOF after the last one of a backup that is whole.
func (b *BackupReader) Next() (BackupEntry, error) {
	if b.end {
		return BackupEntry{}, io.EOF
	}
	l, err := b.read()
	if err != nil {
		return BackupEntry{}, err
	}
	switch {
	case l.Ring != nil:
		err = b.ring(l.Ring)
	case l.Grant != nil:
		err = b.grant(l.Grant)
	case l.Deletion != nil:
		err = b.deletion(l.Deletion)
	case l.End != nil:
		return BackupEntry{}, b.finish(l.End)
	default:
		err = b.fail("a second backup begins here: a file holds only one")
	}
	return BackupEntry{Ring: l.Ring, Grant: l.Grant, Deletion: l.Deletion}, err
}

// read is the next line, whole and with one member.
func (b *BackupReader) read() (l backupLine, err error) {
	b.line++
	var text []byte
	for more := true; more; {
		part, err := b.in.ReadSlice('\n')
		text = append(text, part...)
		more = errors.Is(err, bufio.ErrBufferFull)
		switch {
		case len(text) > maxLine:
			return l, b.fail("it is longer than any line of a backup")
		case errors.Is(err, io.EOF):
			return l, b.fail("the file ends too early: it was cut off")
		case err != nil && !more:
			return l, err
		}
	}
	b.before = b.digest.Sum(nil)
	_, _ = b.digest.Write(text)
	if json.Unmarshal(text, &l) != nil {
		return l, b.fail("it is not the JSON that was written")
	}
	if l.members() != 1 {
		return l, b.fail("it is not a line of a backup")
	}
	if l.Ring != nil {
		b.size += len(text)
	}
	return l, nil
}

func (l backupLine) members() (n int) {
	for _, there := range []bool{l.Backup != nil, l.Ring != nil, l.Grant != nil, l.Deletion != nil, l.End != nil} {
		if there {
			n++
		}
	}
	return n
}

func (b *BackupReader) ring(r *ClientRing) error {
	b.counts.Rings++
	switch {
	case b.stage > stageRings || r.order() <= b.last:
		return b.fail("this data key is in the wrong place, or there twice")
	case r.Client == "" || len(r.Client) > maxName || !r.HasIDs():
		return b.fail("the name of this data key, or of a key that opens it, is not valid")
	case b.size > maxRings:
		return b.fail("there are too many data keys")
	}
	b.last = r.order()
	b.rings[b.last] = struct{}{}
	return nil
}

func (b *BackupReader) grant(g *AccountGrant) error {
	b.counts.Grants++
	if err := b.account(stageGrants, g.Key()); err != nil {
		return err
	}
	ring := ClientRing{Client: g.Client, KeyRing: KeyRing{ID: g.Grant.Grant.Key}}
	if _, there := b.rings[ring.order()]; !there {
		return b.fail("the data key of this grant is missing")
	}
	return nil
}

func (b *BackupReader) deletion(d *Deletion) error {
	b.counts.Deletions++
	return b.account(stageDeletions, d.Key())
}

// account checks that each account comes once, in its place.
func (b *BackupReader) account(stage int, key tokencache.Key) error {
	switch {
	case key.Client == "" || key.Account == "" || len(key.Client)+len(key.Account) > maxName:
		return b.fail("the name of this account is not valid")
	case stage < b.stage || stage == b.stage && key.Compare(b.key) <= 0:
		return b.fail("this account is in the wrong place, or there twice")
	}
	b.stage, b.key = stage, key
	return nil
}

// finish compares what was read with what the last line says, and makes sure that it is the last.
func (b *BackupReader) finish(end *backupEnd) error {
	digest, err := hex.DecodeString(end.SHA256)
	switch {
	case err != nil || !bytes.Equal(digest, b.before):
		return b.fail("the checksum is wrong: the file was altered")
	case end.BackupCounts != b.counts || b.Header.BackupCounts != b.counts:
		return b.fail("it does not hold as many data keys, grants and deletions as it says")
	}
	if _, err := b.in.ReadByte(); !errors.Is(err, io.EOF) {
		b.line++
		if err != nil {
			return err
		}
		return b.fail("something follows its end")
	}
	b.end = true
	return io.EOF
}

// BackupSummary is what a look at a whole backup has found.
type BackupSummary struct {
	BackupHeader
	Clients map[string]int `json:"clients"`  // grants by client
	OpensBy []string       `json:"opens_by"` // ids of the keys each of which opens all of it
}

// CheckBackup reads a backup to its end. Without an error it is as it was written.
func CheckBackup(r io.Reader) (*BackupSummary, error) {
	b, err := NewBackupReader(r)
	if err != nil {
		return nil, err
	}
	s := &BackupSummary{BackupHeader: b.Header, Clients: make(map[string]int)}
	for first := true; ; {
		entry, err := b.Next()
		switch {
		case errors.Is(err, io.EOF):
			return s, nil
		case err != nil:
			return nil, err
		case entry.Ring != nil && first:
			s.OpensBy, first = entry.Ring.WrapIDs(), false
		case entry.Ring != nil:
			s.OpensBy = slices.DeleteFunc(s.OpensBy, func(id string) bool { return !entry.Ring.WrappedBy(id) })
		case entry.Grant != nil:
			s.Clients[entry.Grant.Client]++
		}
	}
}
