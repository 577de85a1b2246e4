package tests

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestHTTP10: the oldest apps there are.
func TestHTTP10(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	body := strings.Repeat("x", 100000)
	a := c.send(t, fmt.Sprintf("POST /crm/_echo HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	sum := sha256.Sum256([]byte(body))
	if a.StatusCode != http.StatusOK || a.Header.Get("X-Sim-Body-Sha256") != hex.EncodeToString(sum[:]) || a.TransferEncoding != nil {
		t.Errorf("%s %v %s", a.Status, a.TransferEncoding, a.body)
	}
	// Two on one connection, with keep-alive as 1.0 knows it; the stream's length is
	// unknown, so the connection's end is its end.
	for _, text := range []string{"GET /crm/_bytes?n=10 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET /crm/_sse?n=2 HTTP/1.0\r\n\r\n"} {
		if a := c.send(t, text); a.StatusCode != http.StatusOK || a.TransferEncoding != nil || len(a.body) == 0 {
			t.Errorf("%s %v %q", a.Status, a.TransferEncoding, a.body)
		}
	}
	server.RevokeAccess("")
	if a := c.send(t, "GET /crm/v8/Leads HTTP/1.0\r\n\r\n"); a.StatusCode >= 300 {
		t.Errorf("%s %s", a.Status, a.body)
	}
}

// TestPipelined: requests that do not wait for each other's answers.
func TestPipelined(t *testing.T) {
	t.Parallel()
	c, _, _ := startSimulated(t, zohosim.Options{})
	text := ""
	for i := range 20 {
		text += fmt.Sprintf("POST /crm/_echo?n=%d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", i)
	}
	for i, a := range c.rawAnswers(t, text, 20) {
		if !strings.Contains(string(a.body), fmt.Sprintf("_echo?n=%d\"", i)) {
			t.Errorf("answer %d: %s %s", i, a.Status, a.body)
		}
	}
}
