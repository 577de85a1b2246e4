// Whatever stands where a file of the store should be, at the start or while Caddy runs: other sites
// serve, no grant is begun anew silently, and what the message says to do heals.

package tests

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// damage is something that can happen to a file of the store.
type damage struct {
	name string
	do   func(path string) error
	mild bool // it may well be that nothing is lost, as with a bit in a free page
}

// grantsSize and tokensSize are how large the files are of a store with one account.
const (
	grantsSize = 32 << 10
	tokensSize = 64 << 10
)

// damagesOf are what can happen to a file of that size.
func damagesOf(size int64) []damage { return slices.Concat(cuts(size), flips(size), damages) }

var damages = []damage{
	{name: "both metas zeroed", do: overwriting(0, make([]byte, 8192))},
	{name: "a meta zeroed", do: overwriting(0, make([]byte, 4096)), mild: true},
	{name: "garbage", do: func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("garbage "), 4096), 0o600) }},
	{name: "a directory", do: replacing(func(path string) error { return os.MkdirAll(filepath.Join(path, "x"), 0o700) })},
	{name: "a FIFO", do: replacing(makePipe)},
	{name: "a symbolic link", do: func(path string) error {
		return errors.Join(os.Rename(path, path+".elsewhere"), os.Symlink(path+".elsewhere", path))
	}},
	{name: "empty", do: func(path string) error { return os.Truncate(path, 0) }},
	{name: "gone", do: os.Remove},
	{name: "another program's", do: replacing(func(path string) error {
		return editStore(path, func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("members")); return err })
	})},
}

// pagesApart is how far the pages are from each other that are cut off and changed: boltstore's own tests
// go through all of them, and so does whoever gives time for crashes.
func pagesApart() int64 {
	if os.Getenv("CRASHES") != "" {
		return 1
	}
	return 3
}

// cuts are at steps of 4 KiB. Pages behind the last one in use are missed by nobody.
func cuts(size int64) (all []damage) {
	for at := int64(4096); at < size; at += 4096 * pagesApart() {
		all = append(all, damage{
			name: fmt.Sprintf("cut at %d", at),
			do:   func(path string) error { return os.Truncate(path, at) },
			mild: at >= 5*4096,
		})
	}
	return all
}

// flips are of a bit each, at the head of a page and anywhere.
func flips(size int64) (all []damage) {
	random := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for page := int64(0); page < size/4096; page += pagesApart() {
		for _, at := range []int64{random.Int64N(64), random.Int64N(4096)} {
			all = append(all, damage{
				name: fmt.Sprintf("a bit flipped in page %d at %d", page, at),
				do:   flipping(page*4096+at, 1<<random.IntN(8)),
				mild: true,
			})
		}
	}
	return all
}

func flipping(at int64, bit byte) func(path string) error {
	return func(path string) error {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return overwriting(at, []byte{content[at] ^ bit})(path)
	}
}

func overwriting(at int64, content []byte) func(path string) error {
	return func(path string) error {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt(content, at)
		return errors.Join(err, f.Close())
	}
}

func replacing(do func(path string) error) func(path string) error {
	return func(path string) error { return errors.Join(os.Remove(path), do(path)) }
}

func editStore(path string, change func(*bbolt.Tx) error) error {
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		return err
	}
	return errors.Join(db.Update(change), db.Close())
}

// backupInPlace finds what a message has put in the place of grants.db.
var backupInPlace = regexp.MustCompile(`(\S+grants\.db): .*; put a backup in its place, or (\S+), the version before the last change`)

// TestDamagedGrants, S-39 and S-40: the accounts of the file answer `store` with the file and a remedy,
// or go on where what is damaged is not needed; the file is not touched, and what the
// message says is carried out while Caddy runs, and heals.
func TestDamagedGrants(t *testing.T) {
	t.Parallel()
	for _, damage := range damagesOf(grantsSize) {
		for _, running := range []bool{false, true} {
			t.Run(damage.name+map[bool]string{false: " at the start", true: " while it runs"}[running], func(t *testing.T) {
				t.Parallel()
				c, server, grant := newStored(t)
				path := filepath.Join(c.storeDir(), "grants.db")
				c.start() // leaves the mark that there were grants
				c.wantShop("")
				c.hurt(path, grantsSize, damage, running)
				left := contentOf(path)
				if running {
					c.wantShop("") // by the token that lives
				}
				server.RevokeAccess(grant)
				a := c.shop()
				c.othersServe()
				if !bytes.Equal(contentOf(path), left) {
					t.Error("the file was touched")
				}
				if damage.mild && a.StatusCode < 300 && a.problem() == "" {
					c.putBack(path, path+".before")
					return
				}
				wantProblem(t, a, "store", http.StatusServiceUnavailable)
				wantRetryAfter(t, a, true)
				c.carryOut(a)
				c.waitFor("the remedy to heal", func() bool { return c.shop().problem() == "" })
				wantTokenCalls(t, server, 2)
			})
		}
	}
}

// hurt damages a file of the store, while Caddy runs or while it does not. It runs afterwards.
func (c *proxy) hurt(path string, size int64, damage damage, running bool) {
	c.t.Helper()
	if os.Getpagesize() != 4096 {
		c.t.Skip("the steps are of 4 KiB, as pages are on most machines")
	}
	c.waitFor(fmt.Sprintf("%s to have %d bytes", path, size), func() bool {
		info, err := os.Stat(path)
		return err == nil && info.Size() == size
	})
	if !running {
		c.stop()
	}
	if err := damage.do(path); err != nil {
		c.t.Fatal(err)
	}
	if !running {
		c.start()
	}
}

// carryOut does what an answer says to do about grants.db.
func (c *proxy) carryOut(a answer) {
	c.t.Helper()
	found := backupInPlace.FindStringSubmatch(a.detail(c.t))
	if found == nil {
		c.t.Fatalf("the answer says nothing that can be done: %s", a.body)
	}
	c.putBack(found[1], found[2])
}

// putBack puts a copy in the place of whatever is there.
func (c *proxy) putBack(path, copied string) {
	c.t.Helper()
	if err := errors.Join(os.RemoveAll(path), os.Rename(copied, path)); err != nil {
		c.t.Fatal(err)
	}
}

func (a answer) detail(t testing.TB) string {
	t.Helper()
	var problem struct{ Detail string }
	a.decode(t, &problem)
	return problem.Detail
}

// contentOf is what a regular file holds.
func contentOf(path string) []byte {
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	content, _ := os.ReadFile(path)
	return content
}

// TestDamagedTokens, S-39: it is a cache, set aside and begun anew at the cost of one token call.
// While Caddy runs the token in memory serves on.
func TestDamagedTokens(t *testing.T) {
	t.Parallel()
	for _, damage := range damagesOf(tokensSize) {
		for _, running := range []bool{false, true} {
			t.Run(damage.name+map[bool]string{false: " at the start", true: " while it runs"}[running], func(t *testing.T) {
				t.Parallel()
				c, server, grant := newStored(t)
				path := filepath.Join(c.storeDir(), "tokens.db")
				c.start()
				c.wantShop("")
				c.hurt(path, tokensSize, damage, running)
				c.wantShop("")
				server.RevokeAccess(grant)
				c.wantShop("")
				c.othersServe()
				calls := 3
				if running {
					calls = 2
				}
				if damage.mild {
					calls = min(calls, server.Stats().TokenRequests)
				}
				wantTokenCalls(t, server, calls)
				c.stop()
				aside, _ := filepath.Glob(path + ".damaged-*")
				if len(aside) > 1 {
					t.Errorf("set aside: %v", aside)
				}
				for _, path := range aside {
					c.logs("was started over, the old one is " + path)
				}
				c.start()
				c.wantShop("")
				if damage.mild && server.Stats().TokenRequests == calls+1 { // it is noticed as late as now
					calls++
				}
				wantTokenCalls(t, server, calls)
			})
		}
	}
}

// TestNewerStore, S-47: what a newer version has written is not misread: grants.db is left alone and both
// versions are named, tokens.db is set aside. That version opens it again, or a backup of this one's
// time does while Caddy runs.
func TestNewerStore(t *testing.T) {
	t.Parallel()
	c, server, grant := newStored(t)
	c.start()
	c.wantShop("")
	c.stop()
	path := filepath.Join(c.storeDir(), "grants.db")
	inSchema := func(number string) {
		t.Helper()
		for _, name := range []string{"grants.db", "tokens.db"} {
			if err := editStore(filepath.Join(c.storeDir(), name), func(tx *bbolt.Tx) error {
				return tx.Bucket([]byte("about")).Put([]byte("schema"), []byte(number))
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	inSchema("7")
	left := contentOf(path)
	c.start()
	a := c.shop()
	wantProblem(t, a, "store", http.StatusServiceUnavailable)
	const says = "written by a newer version (schema 7, this one knows 1); run that version again, or restore a backup from this version"
	if detail := a.detail(t); !strings.Contains(detail, path+": "+says) {
		t.Errorf("the answer says %s", detail)
	}
	c.othersServe()
	c.doctorSays(says)
	c.logs(says, "was started over, the old one is "+filepath.Join(c.storeDir(), "tokens.db.damaged-"))
	c.stop()
	if !bytes.Equal(contentOf(path), left) {
		t.Error("grants.db was touched")
	}

	inSchema("1") // as to the newer version its own is
	c.start()
	c.wantShop("")
	c.stop()
	inSchema("7")
	c.start()
	wantProblem(t, c.shop(), "store", http.StatusServiceUnavailable)
	c.putBack(path, path+".before")
	c.waitFor("the backup to be served", func() bool { return c.shop().problem() == "" })
	if n := server.Stats().ByRefreshToken[grant]; n != 3 {
		t.Errorf("%d token calls, want one for each tokens.db", n)
	}
}

// twoPaths finds what a message says to remove.
var twoPaths = regexp.MustCompile(`to start without any grant, stop Caddy and remove (\S+) and (\S+) too`)

// TestBegunWithoutGrants, S-40: where grants.db is gone nothing is begun anew by itself, but an operator who
// means it does as the message says.
func TestBegunWithoutGrants(t *testing.T) {
	t.Parallel()
	c, server, grant := newStored(t)
	c.start()
	c.wantShop("")
	c.stop()
	if err := os.Remove(filepath.Join(c.storeDir(), "grants.db")); err != nil {
		t.Fatal(err)
	}
	server.Expire("")
	c.start()
	a := c.shop()
	wantProblem(t, a, "store", http.StatusServiceUnavailable)
	c.runInput(grant, 1, "zoho", "import", "main", "shop")
	found := twoPaths.FindStringSubmatch(a.detail(t))
	if found == nil {
		t.Fatalf("the answer does not say how to begin anew: %s", a.body)
	}
	c.stop()
	if err := errors.Join(os.Remove(found[1]), os.Remove(found[2])); err != nil {
		t.Fatal(err)
	}
	c.start()
	c.wantShop("no-grant")
	c.runInput(grant, 0, "zoho", "import", "main", "shop")
	c.wantShop("")
}

// TestOldGrantsPutBack, S-46: a grant that was revoked, and one that was connected anew, are back with an old
// grants.db. Status, doctor and the log name the first; either costs one refusal of Zoho's, and what the
// message says settles it.
func TestOldGrantsPutBack(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{false, true} {
		t.Run(map[bool]string{false: "at the start", true: "while it runs"}[running], func(t *testing.T) {
			t.Parallel()
			c, server, grant := newStored(t)
			c.start()
			renewed, again := server.Grant(clientID, "other@example.com", "us"), server.Grant(clientID, "other@example.com", "us")
			c.secrets = append(c.secrets, renewed, again)
			c.runInput(renewed, 0, "zoho", "import", "main", "other")
			path := filepath.Join(c.storeDir(), "grants.db")
			old := contentOf(path)
			c.runInput("", 0, "zoho", "revoke", "main", "shop")
			c.runInput(again, 0, "zoho", "import", "main", "other", "--replace")
			server.Revoke(renewed)
			server.Expire("") // or a token that lives would serve
			if !running {
				c.stop()
			}
			if err := errors.Join(os.WriteFile(path+".new", old, 0o600), os.Rename(path+".new", path)); err != nil {
				t.Fatal(err)
			}
			if !running {
				c.start()
			}
			const says = "grants that were deleted here are stored again: main/shop"
			before := server.Stats().ByRefreshToken
			c.waitFor("the old file to be noticed", func() bool { return c.shop().problem() == "grant-dead" })
			for range 5 {
				wantProblem(t, c.shop(), "grant-dead", http.StatusServiceUnavailable)
				wantProblem(t, c.get(threeServices[0], "Zoho-Proxy-Account", "other"), "grant-dead", http.StatusServiceUnavailable)
			}
			after := server.Stats().ByRefreshToken
			for _, token := range []string{grant, renewed} {
				if n := after[token] - before[token]; n != 1 {
					t.Errorf("Zoho was asked %d times", n)
				}
			}
			c.logs(says)
			_, stderr, _ := c.run("zoho", "status", "--address", c.admin)
			out, _, _ := c.run("zoho", "doctor", "--address", c.admin)
			if !strings.Contains(stderr, says) || strings.Contains(stderr, "main/other") || !strings.Contains(out, says) {
				t.Errorf("status says %s, doctor %s", stderr, out)
			}
			c.runInput("", 0, "zoho", "forget", "main", "shop")
			c.runInput(again, 0, "zoho", "import", "main", "other", "--replace")
			if _, stderr, _ := c.run("zoho", "status", "--address", c.admin); strings.Contains(stderr, says) {
				t.Errorf("status still says %s", stderr)
			}
			if a := c.get(threeServices[0], "Zoho-Proxy-Account", "other"); a.problem() != "" {
				t.Errorf("%s %s", a.Status, a.body)
			}
		})
	}
}
