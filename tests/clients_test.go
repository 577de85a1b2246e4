// Programs that are not ours: HTTP clients of several languages upload while Zoho revokes every
// token, and notice nothing.

package tests

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/testbed"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

const uploaded = 20 << 20 // bytes in each upload

// uploads are what each client does, one after the other, over the connections that it keeps. A name
// says how the body is framed, and when the tokens are revoked.
var uploads = []string{"length-before", "chunked-before", "length-within", "chunked-within", "length-never"}

// uploader is a program in tests/clients. It takes a URL, a file and the names of uploads, and logs a
// line for each: its name, then the status and the length and digest that Zoho told, or what failed.
type uploader struct {
	name    string
	command []string
	probe   []string // fails where a part of what it needs is missing
}

var uploaders = []uploader{
	{"curl", []string{"bash", "curl.sh"}, []string{"curl", "--version"}},
	{"PHP curl", []string{"php", "curl.php"}, []string{"php", "-r", `exit(extension_loaded("curl") ? 0 : 1);`}},
	{"PHP Guzzle", []string{"php", "guzzle.php"}, []string{"php", "-r", `require "GuzzleHttp/autoload.php";`}},
	{"Java HttpClient", []string{"java", "NewClient.java"}, []string{"javac", "-version"}},
	{"Java HttpURLConnection", []string{"java", "OldClient.java"}, []string{"javac", "-version"}},
	{"Python requests", []string{"python3", "requests_session.py"}, []string{"python3", "-c", "import requests"}},
	{"Node fetch", []string{"node", "fetch.mjs"}, []string{"node", "-e", "fetch"}},
}

// TestClientsUpload: by the log of each client all uploads succeed, and by Zoho's each was executed
// once, with the bytes of the file. The configuration is the smallest there is, with every default.
func TestClientsUpload(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "upload")
	digest := writePattern(t, file, uploaded)
	for _, client := range uploaders {
		for _, proto := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, HTTP/%d to Zoho", client.name, proto), func(t *testing.T) {
				t.Parallel()
				client.need(t)
				c, server := startRevoking(t, proto)
				said := client.run(t, c.url+"/workdrive/api/v1/upload", file)
				c.checkSecrets("the log of "+client.name, []byte(said))
				wantUploaded(t, said, server.Stats().Bodies, fmt.Sprintf("200 %d %s", uploaded, digest))
			})
		}
	}
}

// wantUploaded compares what the client logs, and what Zoho has executed, with what both would say of
// each upload if nothing had been revoked: the last word of that is the digest.
func wantUploaded(t *testing.T, said string, executed map[string][]string, want string) {
	t.Helper()
	lines := strings.Split(said, "\n")
	digest := want[strings.LastIndexByte(want, ' ')+1:]
	for i, upload := range uploads {
		if i >= len(lines) || lines[i] != upload+" "+want {
			t.Errorf("%s is lost", upload)
		}
		if got := executed[upload]; !slices.Equal(got, []string{digest}) {
			t.Errorf("%s: Zoho has executed %d bodies, want one, with the digest %s: %q", upload, len(got), digest, got)
		}
	}
	if t.Failed() {
		t.Logf("the client logs\n%s", said)
	}
}

// writePattern writes a file of so many bytes and gives its SHA-256.
func writePattern(t *testing.T, path string, size int64) (digest string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	content := newPattern(size)
	if _, err := io.Copy(f, content); err != nil {
		t.Fatal(err)
	}
	return content.sum()
}

// need skips the test where the client cannot be run.
func (u uploader) need(t *testing.T) {
	t.Helper()
	tool(t, u.command[0])
	tool(t, u.probe[0])
	if out, err := exec.Command(u.probe[0], u.probe[1:]...).CombinedOutput(); err != nil {
		missing(t, fmt.Sprintf("%s is not installed: %s says %s", u.name, u.probe[0], out))
	}
}

// run makes the uploads and gives what the client logged.
func (u uploader) run(t *testing.T, url, file string) (said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, u.command[0], slices.Concat(u.command[1:], []string{url, file}, uploads)...)
	cmd.Dir = "clients"
	cmd.Env = append(testbed.Environ(), "no_proxy=127.0.0.1", "NO_PROXY=127.0.0.1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", u.name, err, out)
	}
	return string(out)
}

// revoking is a Zoho that revokes every access token the first time that it sees an upload.
type revoking struct {
	*zohosim.Server
	t     *testing.T
	proto int // that everything has to arrive by

	mu   sync.Mutex
	seen map[string]bool
}

// startRevoking starts a Caddy in front of it.
func startRevoking(t *testing.T, proto int) (*proxy, *zohosim.Server) {
	t.Helper()
	server := zohosim.New(zohosim.Options{})
	server.AddClient(usualClient)
	grant := server.Grant(clientID, "owner@example.com", "us", "WorkDrive.files.CREATE")
	ca := newAuthority(t)
	front := httptest.NewUnstartedServer(&revoking{Server: server, t: t, proto: proto, seen: make(map[string]bool)})
	front.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue(t, time.Now().Add(time.Hour), "127.0.0.1")}}
	front.EnableHTTP2 = proto == 2
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.StartTLS()
	t.Cleanup(front.Close)
	c := startCaddy(t, oneClient, "ZOHO_DATA_CENTER="+front.URL+" "+front.URL, "ZOHO_REFRESH_TOKEN="+grant,
		"ZOHO_CLIENT_OPTIONS=trusted_ca "+ca.file(t))
	return c, server
}

func (z *revoking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != z.proto {
		z.t.Errorf("%s arrived by %s", r.URL.Path, r.Proto)
	}
	if framing, when, _ := strings.Cut(r.Header.Get("X-Test-Id"), "-"); z.first(r) {
		if known := r.ContentLength >= 0; known != (framing == "length") {
			z.t.Errorf("%s-%s arrived with a length of %d", framing, when, r.ContentLength)
		}
		z.revoke(when)
	}
	z.Server.ServeHTTP(w, r)
}

// first tells whether this is the first try of an upload.
func (z *revoking) first(r *http.Request) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	id := r.Header.Get("X-Test-Id")
	first := id != "" && !z.seen[id]
	z.seen[id] = true
	return first
}

// revoke is done before Zoho looks at the token. What is refused within its body is refused by a fault,
// since the simulator, once it has admitted a request, looks no second time.
func (z *revoking) revoke(when string) {
	if when == "never" {
		return
	}
	z.RevokeAccess("")
	if when == "within" {
		z.AddFault(zohosim.Fault{Where: "workdrive", Kind: zohosim.FaultMidUpload, Bytes: uploaded / 2, Count: 1})
	}
}
