package zohosim

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"strconv"
)

// faultBefore plays the faults that need no knowledge of the request, and reports whether it has been
// answered.
func (c *call) faultBefore() (done bool) {
	if c.fault == nil {
		return false
	}
	switch c.fault.Kind {
	case FaultHang:
		return c.hang()
	case FaultSlow:
		c.wait(c.fault.millis(1000))
		return c.r.Context().Err() != nil
	case FaultReset:
		c.countFault()
		io.CopyN(io.Discard, c.r.Body, c.fault.Bytes)
		c.reset()
	case FaultHuge:
		c.countFault()
		c.huge()
	case FaultBomb:
		c.countFault()
		c.bomb()
	default:
		return c.faultAnswer()
	}
	return true
}

// faultAnswer plays the faults that are an answer by themselves.
func (c *call) faultAnswer() (done bool) {
	f := c.fault
	a := Answer{ContentType: cmp.Or(f.ContentType, typeHTML), Body: f.Body}
	switch f.Kind {
	case FaultStatus:
		a.Status = cmp.Or(f.Status, 500)
		a.Body = cmp.Or(f.Body, "<html><body>Internal Server Error</body></html>")
	case FaultHTML:
		a.Status = cmp.Or(f.Status, 200)
		a.Body = cmp.Or(f.Body, "<!DOCTYPE html><html><head><title>Zoho Accounts</title></head>"+
			"<body>Sorry, something went wrong.</body></html>")
	case FaultEmpty:
		a = Answer{Status: cmp.Or(f.Status, 200), ContentType: cmp.Or(f.ContentType, typeJSON)}
	case FaultRedirect:
		a = Answer{Status: cmp.Or(f.Status, 302), ContentType: typeHTML, Header: map[string]string{"Location": f.Body}}
	default:
		return false
	}
	c.countFault()
	c.write(a)
	return true
}

// countFault records a token request that a fault answered.
func (c *call) countFault() {
	if c.isTokenRequest() {
		c.s.count(func(st *Stats) { st.TokenResults["fault:"+c.fault.Kind]++ })
	}
}

// hang reads the body, so that net/http notices a caller that hangs up, and waits.
func (c *call) hang() (done bool) {
	io.Copy(io.Discard, c.r.Body)
	c.wait(c.fault.millis(0))
	if c.r.Context().Err() == nil {
		return false
	}
	c.countFault()
	return true
}

// holdBack puts a writer in place that holds back the answer where a fault wants to alter it. The
// function it gives sends the altered answer.
func (c *call) holdBack() (finish func()) {
	if c.fault == nil {
		return func() {}
	}
	var alter func(*heldAnswer)
	switch c.fault.Kind {
	case FaultDrip:
		alter = c.drip
	case FaultTruncated:
		alter = c.truncate
	case FaultLost:
		alter = func(*heldAnswer) { c.reset() }
	default:
		return func() {}
	}
	h := &heldAnswer{ResponseWriter: c.w, status: http.StatusOK}
	c.w = h
	return func() {
		c.w = h.ResponseWriter
		alter(h)
	}
}

// heldAnswer is an answer held back.
type heldAnswer struct {
	http.ResponseWriter // whose header is used
	status              int
	body                bytes.Buffer
}

// WriteHeader, Write, WriteString and Flush keep everything back.
func (h *heldAnswer) WriteHeader(status int)            { h.status = status }
func (h *heldAnswer) Write(b []byte) (int, error)       { return h.body.Write(b) }
func (h *heldAnswer) Flush()                            {}
func (h *heldAnswer) WriteString(s string) (int, error) { return h.body.WriteString(s) }

// drip sends a held answer in small pieces, each on its own.
func (c *call) drip(h *heldAnswer) {
	out := http.NewResponseController(c.w)
	c.w.WriteHeader(h.status)
	out.Flush()
	for h.body.Len() > 0 && c.r.Context().Err() == nil {
		c.wait(c.fault.millis(1000))
		c.w.Write(h.body.Next(int(cmp.Or(c.fault.Bytes, 1))))
		out.Flush()
	}
}

// truncate sends half of a held answer. Where the length announced is that of the whole, net/http is made
// to end the connection amid it.
func (c *call) truncate(h *heldAnswer) {
	half := h.body.Bytes()[:h.body.Len()/2]
	if c.fault.Mode != "cut" {
		c.w.Header().Set("Content-Length", strconv.Itoa(len(half)))
		c.w.WriteHeader(h.status)
		c.w.Write(half)
		return
	}
	c.w.Header().Set("Content-Length", strconv.Itoa(h.body.Len()))
	c.w.WriteHeader(h.status)
	c.w.Write(half)
	http.NewResponseController(c.w).Flush()
	panic(http.ErrAbortHandler)
}

// reset ends the connection with a TCP reset, or on HTTP/2 the stream.
func (c *call) reset() {
	conn, _, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	resetConn(conn)
}

// resetConn closes a connection so that the other side gets a RST: what is in flight is lost.
func resetConn(conn net.Conn) {
	raw := conn
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok { // below TLS
		raw = t.NetConn()
	}
	if t, ok := raw.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	raw.Close()
}

// huge sends JSON that goes on and on.
func (c *call) huge() {
	c.w.Header().Set("Content-Type", typeJSON)
	c.w.WriteHeader(cmp.Or(c.fault.Status, 200))
	io.WriteString(c.w, `{"access_token":"1000.`)
	chunk := bytes.Repeat([]byte("a"), 64<<10)
	for left := cmp.Or(c.fault.Bytes, 10<<30); left > 0; left -= int64(len(chunk)) {
		if _, err := c.w.Write(chunk[:min(left, int64(len(chunk)))]); err != nil {
			return
		}
	}
}

// bomb sends gzip members of a mebibyte of blanks each: blanks are JSON, so far.
func (c *call) bomb() {
	const unpacked = 1 << 20
	var member bytes.Buffer
	z, _ := gzip.NewWriterLevel(&member, gzip.BestCompression)
	z.Write(bytes.Repeat([]byte(" "), unpacked))
	z.Close()
	status := 401
	if c.route.accounts != "" {
		status = 200
	}
	c.w.Header().Set("Content-Type", typeJSON)
	c.w.Header().Set("Content-Encoding", "gzip")
	c.w.WriteHeader(cmp.Or(c.fault.Status, status))
	for left := cmp.Or(c.fault.Bytes, 10<<30); left > 0; left -= unpacked {
		if _, err := c.w.Write(member.Bytes()); err != nil {
			return
		}
	}
}

// midUpload refuses when part of the body has been read, and then reads on or ends the connection.
func (c *call) midUpload(a Answer) {
	out := http.NewResponseController(c.w)
	out.EnableFullDuplex() // HTTP/2 always is
	io.CopyN(io.Discard, c.r.Body, cmp.Or(c.fault.Bytes, 1024))
	if c.fault.Mode == "close" || c.fault.Mode == "reset" {
		c.w.Header().Set("Connection", "close")
	}
	c.write(a)
	out.Flush()
	switch c.fault.Mode {
	case "close": // net/http reads at most 256 KiB more and closes
	case "reset":
		c.wait(c.fault.millis(20)) // the answer goes ahead of the reset
		c.reset()
	default:
		io.Copy(io.Discard, c.r.Body)
	}
}
