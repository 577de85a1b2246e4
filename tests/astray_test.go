// Names of Zoho's that lead to where Zoho cannot be: a hosts file for tests that was left behind,
// a name service that lies, a rebound name.

package tests

import (
	"context"
	byteorder "encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// astray is a client at Zoho's own names, with what leads them elsewhere if anything does.
const astray = `{
	admin off
	persist_config off
	auto_https off
	log {
		output discard
	}
	zoho {
		store bolt %s
		client main {
			data_center us
			client_id insecure_literal %s
			client_secret insecure_literal %s
			refresh_token insecure_literal %s
			token_wait 0
			%s
		}
	}
}
http://:%s {
	bind 127.0.0.1
	zoho_proxy
}
`

// TestNamesThatLeadAstray, S-02: a name of Zoho's that a name service has lead to this machine
// gets no byte, from a call to the API as little as from a call for a token, and the answer says
// what is wrong. Nothing else is in the way here: Caddy dials as it would dial Zoho.
func TestNamesThatLeadAstray(t *testing.T) {
	for _, here := range append(ownAddresses(), "127.0.0.2", "0.0.0.0") {
		t.Run(here, func(t *testing.T) {
			address := netip.MustParseAddr(here)
			heard := eavesdrop(t, address)
			server := zohosim.New(zohosim.Options{})
			server.AddClient(usualClient)
			grant := server.GrantAs(zohosim.GrantSpec{ClientID: clientID})
			simulator, ca, stop := server.StartTLS(t.TempDir())
			t.Cleanup(stop)
			lead(t, address)
			port, client, store := "", newClient(), t.TempDir()
			run := func(store, options string) {
				t.Helper()
				port = freePort(t) // at the old one, the server that is being stopped may take a connection and drop it
				load(t, fmt.Sprintf(astray, store, clientID, clientSecret, grant, options, port))
			}
			call := func() answer {
				t.Helper()
				a, err := readAnswer(client.Get("http://127.0.0.1:" + port + "/crm/v8/Leads"))
				if err != nil {
					t.Fatal(err)
				}
				return a
			}
			wantLoop := func(a answer, host string) {
				t.Helper()
				wantProblem(t, a, "loop", http.StatusBadGateway)
				if !strings.Contains(string(a.body), `"client main, account default: `+host) {
					t.Errorf("connection or %s is not named: %s", host, a.body)
				}
			}

			run(t.TempDir(), "")
			wantLoop(call(), "https://accounts.zoho.com")
			if server.Stats().TokenRequests != 0 {
				t.Fatal("the simulator was asked")
			}
			run(store, "simulator "+simulator+" "+ca) // leaves a token in the store
			if a := call(); a.StatusCode >= 300 {
				t.Fatalf("%s %s", a.Status, a.body)
			}
			run(store, "")
			wantLoop(call(), "www.zohoapis.com")
			if n := server.Stats().TokenRequests; n != 1 {
				t.Errorf("%d token requests: the call to the API had no token", n)
			}
			if n := heard(); n != 0 {
				t.Errorf("a stranger heard %d bytes", n)
			}
		})
	}
}

// eavesdrop listens where Zoho's servers do, and counts the bytes that come until it is asked.
// Who may not listen there hears nothing, and the names lead astray all the same.
func eavesdrop(t *testing.T, address netip.Addr) (heard func() int64) {
	t.Helper()
	var bytes atomic.Int64
	l, err := net.Listen("tcp4", netip.AddrPortFrom(address, 443).String())
	if err != nil {
		t.Logf("nobody listens: %v", err)
		return bytes.Load
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				n, _ := conn.Read(make([]byte, 4096))
				bytes.Add(int64(n))
				_ = conn.Close() // who talks to a stranger is not to wait for him
			}()
		}
	}()
	return bytes.Load
}

// lead has a name service of the test's own answer for this process, until the test ends: every
// name leads to one address.
func lead(t *testing.T, address netip.Addr) {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		query := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(query)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(answerQuery(query[:n], address), from)
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp4", conn.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		_ = conn.Close()
	})
}

// answerQuery answers a query of one question, as in RFC 1035, section 4.1: there is an IPv4
// address, and nothing else.
func answerQuery(query []byte, address netip.Addr) []byte {
	const header, pointerToName, typeA, classIN = 12, 0xc00c, 1, 1
	end := header
	for query[end] != 0 {
		end += 1 + int(query[end])
	}
	end += 5 // the root's label, type and class
	reply := append([]byte(nil), query[:end]...)
	byteorder.BigEndian.PutUint16(reply[2:], 0x8180) // a response without an error
	clear(reply[6:header])
	if byteorder.BigEndian.Uint16(query[end-4:]) != typeA {
		return reply
	}
	byteorder.BigEndian.PutUint16(reply[6:], 1)
	for _, field := range []uint16{pointerToName, typeA, classIN, 0, 0, 4} { // two fields are the time to live
		reply = byteorder.BigEndian.AppendUint16(reply, field)
	}
	return append(reply, address.AsSlice()...)
}
