// Who calls over a Unix socket: users, as the kernel tells them.

package tests

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// startOnSocket starts a Caddy that listens on a Unix socket beside its port, whose mode lets
// everybody in.
func startOnSocket(t *testing.T, callers string, env ...string) (c *proxy, server *zohosim.Server, socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "zoho") // t.TempDir is too long for a socket, and shut to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "api.sock")
	config := strings.Replace(oneClient, "bind 127.0.0.1", "bind 127.0.0.1\n\tlog\n\tlog_append peer_uid {http.zoho.peer_uid}", 1)
	config = strings.Replace(config, "http://:{$ZOHO_PORT}", "http:// {\n\tbind unix/"+socket+"|0666\n\tlog\n\tlog_append peer_uid {http.zoho.peer_uid}\n\tzoho_proxy {\n\t\t{$ZOHO_PROXY_OPTIONS}\n\t}\n}\nhttp://:{$ZOHO_PORT}", 1)
	config = strings.Replace(config, "{\n", "{\n\t{$GLOBAL_OPTIONS}\n", 1)
	server, baseURL, grant := sim(t, zohosim.Options{})
	c = startCaddy(t, config, append([]string{"ZOHO_DATA_CENTER=" + baseURL + " " + baseURL, "ZOHO_REFRESH_TOKEN=" + grant, "ZOHO_PROXY_OPTIONS=callers " + callers, "GLOBAL_OPTIONS="}, env...)...)
	return c, server, socket
}

// overSocket calls from this process, whose end of the connection has a name if there is one.
func overSocket(t *testing.T, socket, name string, protocols *http.Protocols) answer {
	t.Helper()
	transport := &http.Transport{Protocols: protocols, DialContext: func(context.Context, string, string) (net.Conn, error) {
		var local *net.UnixAddr
		if name != "" {
			local = &net.UnixAddr{Name: name, Net: "unix"}
		}
		return net.DialUnix("unix", local, &net.UnixAddr{Name: socket, Net: "unix"})
	}}
	defer transport.CloseIdleConnections()
	a, err := readAnswer((&http.Client{Transport: transport}).Get("http://localhost/crm/_echo"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// skipWithoutCredentials is for systems where nobody tells who has opened a socket.
func skipWithoutCredentials(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("this system does not tell who has opened a Unix socket")
	}
}

// TestCallersByUser is S-09: over a Unix socket the users that callers names are admitted, and
// nobody else, nor anybody over TCP.
func TestCallersByUser(t *testing.T) {
	t.Parallel()
	skipWithoutCredentials(t)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for _, rules := range []string{"uid " + me.Uid, "uid 7 " + me.Uid + " 10.0.0.0/8", "user " + me.Username, "10.0.0.0/8 uid 7 user " + me.Username} {
		c, server, socket := startOnSocket(t, rules)
		for _, p := range []*http.Protocols{http1(), nil} {
			if a := overSocket(t, socket, "", p); a.StatusCode != http.StatusOK {
				t.Errorf("callers %s: %s %s", rules, a.Status, a.body)
			}
		}
		wantProblem(t, c.get("/crm/_echo"), "caller-refused", http.StatusForbidden)
		wantTokenCalls(t, server, 1)
		c.logs(`"peer_uid":"` + me.Uid + `"`)
	}
	// Caddy wraps connections of a server that speaks one protocol, and those of listener wrappers.
	for option, p := range map[string]*http.Protocols{
		"protocols h1":                           http1(),
		"protocols h2c":                          h2c(),
		"listener_wrappers {\nproxy_protocol\n}": http1(),
	} {
		_, _, socket := startOnSocket(t, "uid "+me.Uid, "GLOBAL_OPTIONS=servers {\n"+option+"\n}")
		if a := overSocket(t, socket, "", p); a.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %s", option, a.Status, a.body)
		}
	}
	c, server, socket := startOnSocket(t, "uid 7 10.0.0.0/8 192.0.2.7")
	a := overSocket(t, socket, "", nil)
	wantProblem(t, a, "caller-refused", http.StatusForbidden)
	if text := string(a.body); !strings.Contains(text, "user id "+me.Uid+" is not listed in `callers`") || !strings.Contains(text, "`uid 1000`") {
		t.Errorf("%s", text)
	}
	var line struct {
		Level string
		UID   *int
		PID   int
	}
	c.logs("refused a caller")
	for entry := range strings.Lines(c.output.String()) {
		if strings.Contains(entry, "refused a caller") {
			if err := json.Unmarshal([]byte(entry), &line); err != nil {
				t.Fatal(err)
			}
		}
	}
	if line.UID == nil || strconv.Itoa(*line.UID) != me.Uid || line.PID != os.Getpid() || line.Level != "warn" {
		t.Errorf("the log says %+v", line)
	}
	wantTokenCalls(t, server, 0)
}

// TestNamedEndOfSocket: a peer calls its own end of a Unix socket what it likes, and is admitted
// as nobody by it.
func TestNamedEndOfSocket(t *testing.T) {
	_, server, socket := startOnSocket(t, "10.0.0.0/8 127.0.0.0/8")
	t.Chdir(t.TempDir())
	for _, name := range []string{"10.0.0.1:80", "127.0.0.1:80"} {
		wantProblem(t, overSocket(t, socket, name, nil), "caller-refused", http.StatusForbidden)
	}
	wantTokenCalls(t, server, 0)
}

// TestCallersOfAnotherUser: the other process runs as another user, whom the socket's mode lets in.
func TestCallersOfAnotherUser(t *testing.T) {
	t.Parallel()
	skipWithoutCredentials(t)
	if os.Getuid() != 0 {
		t.Skip("only root can run a program as somebody else")
	}
	const other = 4711
	curl := tool(t, "curl")
	call := func(socket string) string {
		cmd := exec.Command(curl, "-s", "-w", " %{http_code}", "--unix-socket", socket, "http://localhost/crm/_echo")
		cmd.Dir = "/"
		cmd.SysProcAttr = asUser(other)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	c, server, socket := startOnSocket(t, "uid 0")
	if got := call(socket); !strings.HasSuffix(got, " 403") || !strings.Contains(got, "user id 4711 is not listed in") {
		t.Errorf("uid 0: %s", got)
	}
	c.logs(`"uid":4711,"pid":`)
	wantTokenCalls(t, server, 0)
	if a := overSocket(t, socket, "", nil); a.StatusCode != http.StatusOK {
		t.Errorf("root: %s %s", a.Status, a.body)
	}
	for _, rules := range []string{"uid 1 4711", "loopback uid 1"} {
		c, _, socket := startOnSocket(t, rules)
		if got := call(socket); !strings.HasSuffix(got, " 200") {
			t.Errorf("%s: %s", rules, got)
		}
		c.logs(`"peer_uid":"4711"`)
	}
}
