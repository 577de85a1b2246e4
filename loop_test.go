package caddyzoho

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/egress"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
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
	n, err := egress.New(egress.Options{})
	if err != nil {
		t.Fatal(err)
	}

	c := &client.Client{
		Name:    "main",
		Shared:  &client.Shared{Cache: tokencache.New(tokencache.Options{})},
		Cache:   &tokencache.Client{Name: "main"},
		Centers: []zoho.DataCenter{center},
		Network: n,
		HTTP:    &http.Client{Transport: &http.Transport{DialContext: n.Guard(astray)}},
	}
	accounts := &zoho.Accounts{HTTP: c.HTTP, DataCenter: center, ClientID: "1000.ID", ClientSecret: "secret"}
	_, err = accounts.Refresh(t.Context(), "1000.refresh")
	failure := client.FetchError(err)
	if failure.Kind != tokencache.KindTemporary || !failure.NoToken || !errors.Is(failure, egress.ErrLoop) {
		t.Errorf("%+v", failure)
	}
	cacheErr := &tokencache.Error{Kind: failure.Kind, RetryAfter: time.Second, Err: failure}
	wantLoop(t, problem.Token(cacheErr, c, "default"), "accounts.zoho.eu")

	if _, err := n.Guard(astray)(t.Context(), "tcp", "www.zohoapis.eu:443"); !errors.Is(err, egress.ErrLoop) {
		t.Errorf("the resource server: %v", err)
	}
	wantLoop(t, problem.Loop("www.zohoapis.eu"), "www.zohoapis.eu")
	for range 2 {
		if got := <-heard; got != "" {
			t.Errorf("the stranger heard %q", got)
		}
	}
	// Where nothing listens, the name still leads astray.
	refused := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("connection refused") }
	if _, err := n.Guard(refused)(t.Context(), "tcp", "localhost:443"); !errors.Is(err, egress.ErrLoop) {
		t.Errorf("nothing listens: %v", err)
	}
	simulated, err := egress.New(egress.Options{Custom: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := simulated.Guard(astray)(t.Context(), "tcp", "www.zohoapis.eu:443"); err != nil {
		t.Errorf("a server of the operator's choice: %v", err)
	}
}

func wantLoop(t *testing.T, p *problem.Problem, host string) {
	t.Helper()
	if p.Status != http.StatusBadGateway || p.Code != "loop" || p.RetryAfter != 0 ||
		!strings.Contains(p.Detail, host) {
		t.Errorf("%+v", p)
	}
}
