package zohosim

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// serveTestEndpoint answers the endpoints that every service has for tests; the path contains one of the
// names. done is false for all other paths.
func (c *call) serveTestEndpoint() (done bool) {
	_, tool, found := strings.Cut(c.route.path, "/_")
	if !found {
		return false
	}
	name, rest, _ := strings.Cut(tool, "/")
	query := c.r.URL.Query()
	switch name {
	case "echo":
		c.echo()
	case "sse":
		c.eventStream(atLeast1(query.Get("n"), 3), c.queryMillis())
	case "ws":
		c.executed("_ws")
		c.webSocket()
	case "gzip":
		c.gzipped()
	case "status":
		c.answerStatus(rest)
	case "slow":
		c.wait(c.queryMillis())
		c.echo()
	case "bytes":
		c.bytes(int64(atLeast1(query.Get("n"), 0)))
	default:
		return false
	}
	return true
}

// queryMillis is the query's ms, 1 if there is none.
func (c *call) queryMillis() time.Duration {
	return time.Duration(atLeast1(c.r.URL.Query().Get("ms"), 1)) * time.Millisecond
}

// echo tells what arrived, byte for byte where it can be told.
func (c *call) echo() {
	b, ok := c.digestBody()
	if !ok {
		return
	}
	c.executed("_echo")
	c.writeJSON(http.StatusOK, map[string]any{
		"service": c.route.product.name, "data_center": c.route.dc, "user": c.token.grant.User, "token": c.token.number,
		"method": c.r.Method, "uri": c.r.RequestURI, "path": c.route.path, "host": c.r.Host, "proto": c.r.Proto,
		"headers": c.r.Header, "trailer": c.r.Trailer,
		"content_length": c.r.ContentLength, "transfer_encoding": c.r.TransferEncoding,
		"length": b.length, "sha256": b.sha256,
	})
}

// eventStream sends n events, each after a pause.
func (c *call) eventStream(n int, pause time.Duration) {
	c.executed("_sse")
	c.w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(c.w)
	c.w.WriteHeader(http.StatusOK)
	out.Flush()
	for i := 1; i <= n && c.r.Context().Err() == nil; i++ {
		c.wait(pause)
		fmt.Fprintf(c.w, "id: %d\ndata: event %d\n\n", i, i)
		out.Flush()
	}
}

// gzipped sends compressed JSON, asked for or not.
func (c *call) gzipped() {
	b, ok := c.digestBody()
	if !ok {
		return
	}
	c.executed("_gzip")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, `{"status":"success","sha256":`+quote(b.sha256)+`}`)
	z.Close()
	c.write(Answer{Status: http.StatusOK, ContentType: typeJSON, Body: packed.String(),
		Header: map[string]string{"Content-Encoding": "gzip"}})
}

// answerStatus answers with the status that the path names, 404 if that is none that ends a request.
func (c *call) answerStatus(number string) {
	if _, ok := c.digestBody(); !ok {
		return
	}
	c.executed("_status")
	status, err := strconv.Atoi(number)
	if err != nil || status < 200 || status > 999 {
		status = http.StatusNotFound
	}
	a := jsonAnswer(status, fmt.Sprintf(`{"status":%d}`, status))
	if status == 204 || status == 304 {
		a = Answer{Status: status}
	}
	c.write(a)
}

// bytes sends n bytes; the one at offset i is i modulo 251.
func (c *call) bytes(n int64) {
	if _, ok := c.digestBody(); !ok {
		return
	}
	c.executed("_bytes")
	var pattern [251 * 128]byte
	for i := range pattern {
		pattern[i] = byte(i % 251)
	}
	c.w.Header().Set("Content-Type", "application/octet-stream")
	c.w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	c.w.WriteHeader(http.StatusOK)
	for n > 0 {
		sent, err := c.w.Write(pattern[:min(n, int64(len(pattern)))])
		if err != nil {
			return
		}
		n -= int64(sent)
	}
}
