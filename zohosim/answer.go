package zohosim

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/json"
	"io"
	"strconv"
)

// Answer is a refusal as it leaves.
type Answer struct {
	Status      int               `json:"status"`
	ContentType string            `json:"content_type"`
	Body        string            `json:"body"`
	Header      map[string]string `json:"header,omitempty"` // further header fields
}

const (
	typeJSON    = "application/json;charset=UTF-8"
	typeJSONAPI = "application/vnd.api+json;charset=UTF-8"
	typeHTML    = "text/html;charset=UTF-8"
)

func jsonAnswer(status int, body string) Answer {
	return Answer{Status: status, ContentType: typeJSON, Body: body}
}

// write sends an answer, unless it is a refusal that a fault compresses.
func (c *call) write(a Answer) {
	header := c.w.Header()
	for name, value := range a.Header {
		header.Set(name, value)
	}
	if a.ContentType != "" {
		header.Set("Content-Type", a.ContentType)
	}
	body := []byte(a.Body)
	if a.Status != 204 && a.Status != 304 {
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	c.w.WriteHeader(a.Status)
	c.w.Write(body)
}

// writeJSON sends one line without a newline at its end: Zoho's PHP SDK depends on it.
func (c *call) writeJSON(status int, v any) {
	b, _ := json.Marshal(v)
	c.write(jsonAnswer(status, string(b)))
}

// refuse sends a refusal, compressed if a fault says so.
func (c *call) refuse(a Answer) {
	if c.fault != nil && c.fault.Kind == FaultGzip {
		mode := either(c.fault.Mode, "gzip")
		c.w.Header().Set("Content-Encoding", mode)
		a.Body = compress(mode, a.Body)
	}
	c.write(a)
}

func compress(mode, body string) string {
	var b bytes.Buffer
	var z io.WriteCloser
	switch mode {
	case "gzip":
		z = gzip.NewWriter(&b)
	case "deflate":
		z, _ = flate.NewWriter(&b, flate.DefaultCompression)
	default:
		return body
	}
	io.WriteString(z, body)
	z.Close()
	return b.String()
}
