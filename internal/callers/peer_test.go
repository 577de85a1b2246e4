package callers

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"strconv"
	"testing"
)

// embedding is how Caddy's listener wrappers hold what they wrap.
type embedding struct{ net.Conn }

type rawConn struct{ net.Conn }

func (c rawConn) Raw() net.Conn { return c.Conn }

// opaque tells nobody what it wraps.
type opaque struct{ hiddenConn }

type hiddenConn = net.Conn

// socketPair is both ends of a Unix socket, the client's bound to a name if there is one.
func socketPair(t *testing.T, name string) (server, client *net.UnixConn) {
	t.Helper()
	t.Chdir(t.TempDir())
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: "s", Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var local *net.UnixAddr
	if name != "" {
		local = &net.UnixAddr{Name: name, Net: "unix"}
	}
	if client, err = net.DialUnix("unix", local, &net.UnixAddr{Name: "s", Net: "unix"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if server, err = l.AcceptUnix(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server, client
}

func peerVia(server *net.UnixConn, c net.Conn) Peer {
	ctx := remember(context.WithValue(context.Background(), http.LocalAddrContextKey, server.LocalAddr()), c)
	r := (&http.Request{RemoteAddr: server.RemoteAddr().String()}).WithContext(remember(ctx, c))
	return Peers{sockets: true}.Of(r)
}

// TestPeerOfSocket: the kernel says who has opened a Unix socket, whatever a listener has wrapped
// around it and whatever its peer has called its own end.
func TestPeerOfSocket(t *testing.T) {
	if !tellsCredentials {
		t.Skip("this system tells no credentials")
	}
	server, _ := socketPair(t, "10.0.0.1:80")
	if server.RemoteAddr().String() != "10.0.0.1:80" {
		t.Fatalf("the peer's end is %s", server.RemoteAddr())
	}
	uid := strconv.Itoa(os.Getuid())
	for name, c := range map[string]net.Conn{
		"bare":       server,
		"embedded":   &embedding{server},
		"raw":        rawConn{server},
		"TLS":        tls.Server(&embedding{rawConn{server}}, nil),
		"three deep": embedding{&embedding{embedding{server}}},
	} {
		p := peerVia(server, c)
		if !p.Socket || p.Process == nil || p.Process.PID != os.Getpid() {
			t.Errorf("%s: %+v", name, p)
			continue
		}
		if got := p.Caller(); got.UID() != uid || got.Peer != "uid "+uid || got.ID() != "local uid "+uid {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for name, c := range map[string]net.Conn{"opaque": opaque{server}, "nothing in it": embedding{}} {
		p := peerVia(server, c)
		if !p.Socket || p.Process != nil || (Rules{uids: []uint32{0}}).Admit(p) || p.Caller().UID() != "" {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// TestPeerOfTCP: nobody asks the kernel of connections that are no Unix sockets.
func TestPeerOfTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	ctx := context.WithValue(context.Background(), http.LocalAddrContextKey, server.LocalAddr())
	if remember(ctx, server) != ctx || remember(ctx, tls.Server(server, nil)) != ctx {
		t.Error("a TCP connection is remembered")
	}
	r := (&http.Request{RemoteAddr: "[::1]:40000"}).WithContext(ctx)
	if p := (Peers{sockets: true}).Of(r); p.Socket || p.Process != nil || p.Caller() != (Caller{Peer: "[::1]"}) {
		t.Errorf("%+v", p)
	}
}

// TestMaySocket: where all listeners are TCP, no request is asked for more than its address.
func TestMaySocket(t *testing.T) {
	for listen, want := range map[string]bool{
		"127.0.0.1:8080": false, ":80": false, "tcp4/localhost:80": false, "[::1]:80": false, "udp/:443": false,
		"unix//run/zoho/api.sock|0660": true, "unix+h2c//run/x": true, "unix/@abstract": true, "fd/3": true, "other/x": true,
	} {
		if got := maySocket(listen); got != want {
			t.Errorf("%s: got %v", listen, got)
		}
	}
}
