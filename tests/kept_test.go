// Connections to Zoho that are kept for long: what a server does to one costs no POST a second run, and
// nobody waits for one that is dead.

package tests

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestKeptConnectionsRepeatNoPost: a server ends a kept connection at once, after a while, or in the middle of what is
// written to it. No POST of which it has read anything comes to it again.
func TestKeptConnectionsRepeatNoPost(t *testing.T) {
	t.Parallel()
	accepted := func(x *exchange) {
		_, _ = io.Copy(io.Discard, x.bodyReader())
		x.answer(http.StatusOK, "{}")
	}
	for name, test := range map[string]struct {
		body    int
		succeed bool // POSTs may
		serve   func(x *exchange)
	}{
		"at once": {10, true, func(x *exchange) {
			accepted(x)
			x.over = true
		}},
		"after a while": {10, true, func(x *exchange) {
			accepted(x)
			time.AfterFunc(rand.N(20*time.Millisecond), func() { _ = x.conn.Close() })
		}},
		"after the head": {10, false, func(x *exchange) { x.over = true }},
		"amid our write": {1 << 20, false, func(x *exchange) {
			_, _ = io.CopyN(io.Discard, x.in, 1000)
			x.over = true
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var came sync.Map // id → whether it came before
			c, _ := startEarly(t, func(x *exchange) {
				id := x.values("X-Test-Id")[0]
				if _, twice := came.LoadOrStore(id, true); twice {
					t.Errorf("POST %s came twice", id)
				}
				test.serve(x)
			})
			var mu sync.Mutex
			answers := make(map[int]int)
			body := string(patterned(test.body))
			spread(300, 8, func(i int) {
				c.succeed(http.MethodGet, "/crm/v8/Leads", "") // leaves a connection
				a, err := c.try(http.MethodPost, "/crm/v8/Leads", strings.NewReader(body), "X-Test-Id", fmt.Sprint(i))
				if err != nil {
					t.Errorf("POST %d: %v", i, err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				answers[a.StatusCode]++
			})
			if n := answers[http.StatusOK] + answers[http.StatusBadGateway]; n != 300 || test.succeed != (answers[http.StatusOK] > 0) {
				t.Errorf("answers %v", answers)
			}
		})
	}
}

// TestSessionsAreResumed: a connection that has to be opened anew spares the server's certificate.
func TestSessionsAreResumed(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var resumed []bool
	server, _, grant := sim(t, zohosim.Options{})
	ca := newAuthority(t)
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			mu.Lock()
			resumed = append(resumed, r.TLS.DidResume)
			mu.Unlock()
			w.Header().Set("Connection", "close")
		}
		server.ServeHTTP(w, r)
	}))
	front.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue(t, time.Now().Add(time.Hour), "127.0.0.1")}}
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.StartTLS()
	t.Cleanup(front.Close)
	c := startCaddy(t, oneClient, "ZOHO_DATA_CENTER="+front.URL+" "+front.URL, "ZOHO_REFRESH_TOKEN="+grant,
		"ZOHO_CLIENT_OPTIONS=trusted_ca "+ca.file(t))
	for range 3 {
		c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	}
	mu.Lock()
	defer mu.Unlock()
	if len(resumed) != 3 || resumed[0] || !resumed[1] || !resumed[2] {
		t.Errorf("sessions resumed: %v", resumed)
	}
}

// Of HTTP/2, RFC 9113.
const (
	frameHeaders, frameSettings, framePing = 1, 4, 6
	flagAck, endOfStreamAndHeaders         = 1, 5
	preface                                = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

// TestIdleConnectionsAreAsked: over HTTP/2 a connection on which nothing comes is asked whether it lives, and given up
// if it does not say so. The call after that finds another one.
func TestIdleConnectionsAreAsked(t *testing.T) {
	t.Parallel()
	_, baseURL, grant := sim(t, zohosim.Options{})
	ca := newAuthority(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{ca.issue(t, time.Now().Add(time.Hour), "127.0.0.1")}, NextProtos: []string{"h2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan bool) // whether it was asked before
	var serving sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				asked := answerHTTP2(conn)
				select {
				case ended <- asked:
				case <-t.Context().Done():
				}
			})
		}
	})
	c := startCaddy(t, oneClient, "ZOHO_DATA_CENTER="+baseURL+" https://"+l.Addr().String(), "ZOHO_REFRESH_TOKEN="+grant,
		"ZOHO_CLIENT_OPTIONS=trusted_ca "+ca.file(t))
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	select {
	case asked := <-ended:
		if !asked {
			t.Error("the connection was not asked whether it lives")
		}
	case <-time.After(3 * time.Minute):
		t.Error("a connection without an answer was not given up")
	}
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	c.stop()
}

// answerHTTP2 answers each request on a connection with 200, and says nothing to a ping. It returns whether one came.
func answerHTTP2(conn net.Conn) (asked bool) {
	in := bufio.NewReader(conn)
	if _, err := io.CopyN(io.Discard, in, int64(len(preface))); err != nil {
		return false
	}
	send := func(kind, flags byte, stream uint32, payload ...byte) {
		head := []byte{0, 0, byte(len(payload)), kind, flags, byte(stream >> 24), byte(stream >> 16), byte(stream >> 8), byte(stream)}
		_, _ = conn.Write(append(head, payload...))
	}
	send(frameSettings, 0, 0)
	for {
		var head [9]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return asked
		}
		length := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
		if _, err := io.CopyN(io.Discard, in, length); err != nil {
			return asked
		}
		kind, flags := head[3], head[4]
		switch {
		case kind == frameSettings && flags&flagAck == 0:
			send(frameSettings, flagAck, 0)
		case kind == frameHeaders:
			stream := uint32(head[5])<<24 | uint32(head[6])<<16 | uint32(head[7])<<8 | uint32(head[8])
			send(frameHeaders, endOfStreamAndHeaders, stream, 0x88) // :status 200, by HPACK's table
		case kind == framePing:
			asked = true
		}
	}
}
