package egress

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"
)

// connected is a connection that Linger made, and the server's end of it.
func connected(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = Linger(new(net.Dialer).DialContext)(t.Context(), "tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return client, server
}

// TestHungUpWithoutAWord: on a connection that the server has ended since it answered, no byte of
// the next request leaves: net/http takes another connection then, for a POST as well.
func TestHungUpWithoutAWord(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere nobody can tell without reading")
	}
	client, server := connected(t)
	for range 3 {
		client.(*Lingering).begins.Store(true)
		if n, err := client.Write([]byte("request")); n != 7 || err != nil {
			t.Fatalf("%d bytes, %v", n, err)
		}
		_, _ = io.ReadFull(server, make([]byte, 7))
		_, _ = io.WriteString(server, "answer")
		_, _ = io.ReadFull(client, make([]byte, 6))
	}
	_ = server.Close()
	client.(*Lingering).begins.Store(true)
	if n, err := client.Write([]byte("request")); n != 0 || err == nil {
		t.Errorf("%d bytes have left, %v", n, err)
	}
}

// TestAnswerIsWaitedFor: a write that fails does so when the connection is closed. Until then an
// answer that has come can be read.
func TestAnswerIsWaitedFor(t *testing.T) {
	client, server := connected(t)
	client.(*Lingering).http1.Store(true)
	_, _ = io.WriteString(server, "answer")
	_ = server.(*net.TCPConn).SetLinger(0)
	written := make(chan error)
	go func() {
		for {
			if _, err := client.Write(make([]byte, 64<<10)); err != nil {
				written <- err
				return
			}
		}
	}()
	answer := make([]byte, 6)
	if _, err := io.ReadFull(client, answer); err != nil || string(answer) != "answer" {
		t.Fatalf("%q, %v", answer, err)
	}
	_ = server.Close() // resets
	select {
	case err := <-written:
		t.Fatalf("it failed at once: %v", err)
	case <-time.After(100 * time.Millisecond): // a slow machine can only pass
	}
	_ = client.Close()
	if err := <-written; err == nil {
		t.Error("the write did not fail")
	}
}

// TestRetiredAmidARequest: the request whose answer is being read does not fail before that was
// read, and no byte of another one leaves, whatever was read or written last.
func TestRetiredAmidARequest(t *testing.T) {
	client, server := connected(t)
	client.(*Lingering).http1.Store(true)
	_, _ = io.WriteString(server, "answer")
	_, _ = io.ReadFull(client, make([]byte, 6))
	if _, err := client.Write([]byte("the last piece")); err != nil {
		t.Fatal(err)
	}
	read := client.(*Lingering).Retire()
	written := make(chan error)
	go func() {
		n, err := client.Write([]byte("next"))
		if n != 0 {
			t.Errorf("%d bytes have left", n)
		}
		written <- err
	}()
	select {
	case err := <-written:
		t.Fatalf("it failed at once: %v", err)
	case <-time.After(100 * time.Millisecond): // a slow machine can only pass
	}
	read()
	if err := <-written; err == nil {
		t.Error("the write did not fail")
	}
}

// TestRetired: a connection that was retired serves no other request, and costs none.
func TestRetired(t *testing.T) {
	conns := make(map[string]bool)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { conns[r.RemoteAddr] = true }))
	defer server.Close()
	var last *Lingering
	dial := Linger(new(net.Dialer).DialContext)
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err == nil {
			last = conn.(*Lingering)
		}
		return conn, err
	}}
	defer transport.CloseIdleConnections()
	for i := range 6 {
		req, _ := http.NewRequest(http.MethodPost, server.URL, bytes.NewReader([]byte("{}")))
		res, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		read := func() {}
		if i%2 == 1 {
			read = last.Retire()
		}
		_ = res.Body.Close()
		read()
	}
	if len(conns) != 3 {
		t.Errorf("%d connections for three pairs of requests", len(conns))
	}
}
