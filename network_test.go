package caddyzoho

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// TestLoopIsRefused: a name of Zoho's that leads to this machine gets no byte, neither
// of the token nor of the secret, and the answer names the cause.
func TestLoopIsRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan string, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all, _ := io.ReadAll(conn)
			heard <- string(all)
		}
	}()
	// What a hosts file does.
	astray := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, l.Addr().String())
	}
	center, _ := zoho.LookupDataCenter("eu")
	n := &network{guarded: true}

	app := &App{state: newState(t.TempDir())}
	client := &Client{name: "main", app: app, cache: &tokencache.Client{Name: "main"}, centers: []zoho.DataCenter{center}, network: n, http: &http.Client{Transport: &http.Transport{DialContext: n.guard(astray)}}}
	accounts := &zoho.Accounts{HTTP: client.http, DataCenter: center, ClientID: "1000.ID", ClientSecret: "secret"}
	_, err = accounts.Refresh(t.Context(), "1000.refresh")
	failure := fetchError(err)
	if failure.Kind != tokencache.KindTemporary || !failure.NoToken || !errors.Is(failure, errLoop) {
		t.Errorf("%+v", failure)
	}
	cacheErr := &tokencache.Error{Kind: failure.Kind, RetryAfter: time.Second, Err: failure}
	wantLoop(t, tokenProblem(cacheErr, client, "default"), "accounts.zoho.eu")

	if _, err := n.guard(astray)(t.Context(), "tcp", "www.zohoapis.eu:443"); !errors.Is(err, errLoop) {
		t.Errorf("the resource server: %v", err)
	}
	wantLoop(t, problemLoop("www.zohoapis.eu"), "www.zohoapis.eu")
	for range 2 {
		if got := <-heard; got != "" {
			t.Errorf("the stranger heard %q", got)
		}
	}
	// Where nothing listens, the name still leads astray.
	refused := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("connection refused") }
	if _, err := n.guard(refused)(t.Context(), "tcp", "localhost:443"); !errors.Is(err, errLoop) {
		t.Errorf("nothing listens: %v", err)
	}
	if _, err := (&network{simulator: l.Addr().String()}).guard(astray)(t.Context(), "tcp", "www.zohoapis.eu:443"); err != nil {
		t.Errorf("with a simulator: %v", err)
	}
}

func wantLoop(t *testing.T, p *problem, host string) {
	t.Helper()
	if p.status != http.StatusBadGateway || p.code != "loop" || p.retryAfter != 0 || !strings.Contains(p.detail, host) {
		t.Errorf("%+v", p)
	}
}

// TestGuardedClients: the guard is off only where what is dialled is not Zoho.
func TestGuardedClients(t *testing.T) {
	us, _ := zoho.LookupDataCenter("us")
	custom, err := zoho.CustomDataCenter("http://127.0.0.1:1", "http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		client  *Client
		guarded bool
	}{
		"direct":        {&Client{centers: []zoho.DataCenter{us}}, true},
		"network proxy": {&Client{centers: []zoho.DataCenter{us}, NetworkProxy: "http://proxy.example:3128"}, false},
		"custom":        {&Client{centers: []zoho.DataCenter{custom}}, false},
	}
	for name, test := range tests {
		n, err := newNetwork(test.client)
		if err != nil || n.guarded != test.guarded {
			t.Errorf("%s: guarded %v, want %v; %v", name, n.guarded, test.guarded, err)
		}
	}
	if n := (&network{proxy: &url.URL{Scheme: "http", Host: "proxy.example:3128"}}); n.proxyFunc() == nil {
		t.Error("the proxy is not used")
	}
}

// TestLocalAddresses: where Zoho cannot be.
func TestLocalAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1": true, "127.8.8.8": true, "::1": true, "10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true,
		"169.254.169.254": true, "fe80::1": true, "fd00::1": true, "0.0.0.0": true, "::": true, "100.64.0.1": true,
		"::ffff:127.0.0.1": true, "224.0.0.1": true,
		"136.143.190.1": false, "8.8.8.8": false, "100.128.0.1": false, "2001:4860:4860::8888": false, "172.32.0.1": false,
	} {
		if got := isLocal(net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), 443))); got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
}
