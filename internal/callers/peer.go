package callers

import (
	"context"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// Peer is the other end of a connection.
type Peer struct {
	Address string       // with the port; of a Unix socket whatever its peer has bound its own end to
	Socket  bool         // it is a Unix socket
	Process *Credentials // at the other end of a Unix socket, nil if that is not known
}

// Credentials are those of the process that has opened a Unix socket, as the kernel tells them.
type Credentials struct {
	UID  uint32
	PID  int
	name string // uid and the number, so that no request has to put it together
}

func newCredentials(uid uint32, pid int) *Credentials {
	return &Credentials{UID: uid, PID: pid, name: uidPrefix + strconv.FormatUint(uint64(uid), 10)}
}

// Peers tells who calls a server.
type Peers struct {
	sockets bool // some of its listeners may be Unix sockets
}

// Of is who sends a request. The address of a Unix socket is not looked at: its peer chooses it,
// and may have bound its end to the name 10.0.0.1:80.
func (ps Peers) Of(r *http.Request) Peer {
	p := Peer{Address: r.RemoteAddr}
	if !ps.sockets {
		return p
	}
	if _, p.Socket = r.Context().Value(http.LocalAddrContextKey).(*net.UnixAddr); !p.Socket {
		return p
	}
	if credentials, ok := r.Context().Value(credentialsKey{}).(func() *Credentials); ok {
		p.Process = credentials()
	}
	return p
}

// Caller is the peer as long as nothing else says who calls.
func (p Peer) Caller() Caller {
	switch {
	case p.Process != nil:
		return Caller{Peer: p.Process.name}
	case p.Socket:
		return Caller{Peer: "a Unix socket"}
	}
	return Caller{Peer: withoutPort(p.Address)}
}

// String is the peer for messages.
func (p Peer) String() string {
	switch {
	case p.Process != nil:
		return "user id " + p.Process.name[len(uidPrefix):]
	case p.Socket:
		return "a Unix socket with an unknown peer"
	}
	return "the address " + p.Address
}

func withoutPort(address string) string {
	if i := strings.LastIndexByte(address, ':'); i >= 0 {
		return address[:i]
	}
	return address
}

// credentialsKey is where the credentials of a connection are in the contexts of its requests.
type credentialsKey struct{}

// Watch has the server that a handler is provisioned for remember who has opened its Unix sockets.
func Watch(ctx caddy.Context) Peers {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return Peers{sockets: true}
	}
	if !slices.ContainsFunc(server.Listen, maySocket) {
		return Peers{}
	}
	server.RegisterConnContext(remember)
	return Peers{sockets: true}
}

// maySocket reports whether a listener is a Unix socket, or one that somebody else has opened and
// that may be one.
func maySocket(listen string) bool {
	address, err := caddy.ParseNetworkAddress(listen)
	return err != nil || !strings.HasPrefix(address.Network, "tcp") && !strings.HasPrefix(address.Network, "udp")
}

// remember is asked once for each connection. It asks the connection nothing: behind the PROXY
// protocol that would wait for the peer, and for all that come after it.
func remember(ctx context.Context, c net.Conn) context.Context {
	socket, ok := innermost(c).(*net.UnixConn)
	if !ok || ctx.Value(credentialsKey{}) != nil { // another handler has asked
		return ctx
	}
	return context.WithValue(ctx, credentialsKey{}, sync.OnceValue(func() *Credentials { return credentialsOf(socket) }))
}

// innermost is the connection that listener wrappers have wrapped.
func innermost(c net.Conn) net.Conn {
	for {
		inner := wrapped(c)
		if inner == nil {
			return c
		}
		c = inner
	}
}

// wrapped is what c is made of, nil if c is the connection itself. Caddy's own wrappers have no
// method for it, but embed what they wrap.
func wrapped(c net.Conn) net.Conn {
	switch w := c.(type) {
	case *net.UnixConn, *net.TCPConn:
		return nil
	case interface{ NetConn() net.Conn }: // crypto/tls
		return w.NetConn()
	case interface{ Raw() net.Conn }: // the PROXY protocol
		return w.Raw()
	}
	v := reflect.Indirect(reflect.ValueOf(c))
	if v.Kind() != reflect.Struct {
		return nil
	}
	embedded := v.FieldByName("Conn")
	if !embedded.IsValid() || !embedded.CanInterface() {
		return nil
	}
	inner, _ := embedded.Interface().(net.Conn)
	return inner
}

// LogRefused writes who was not admitted.
func (p Peer) LogRefused(logger *zap.Logger) {
	const text = "refused a caller that `callers` does not list"
	if p.Process == nil {
		logger.Info(text, zap.Stringer("peer", p))
		return
	}
	logger.Warn(text, zap.Uint32("uid", p.Process.UID), zap.Int("pid", p.Process.PID))
}
