package zohosim

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/json"
	"io"
)

// Answer is a refusal as it leaves.
type Answer struct {
	Status      int    `json:"status"`
	ContentType string `json:"content_type"`
	// Body goes out as it is written here, without a newline at its end.
	Body string `json:"body"`
	// Header are further header fields, Retry-After for instance.
	Header map[string]string `json:"header,omitempty"`
	// Reason is the reason phrase over HTTP/1.1; "" is the usual one. HTTP/2 has none.
	Reason string `json:"reason,omitempty"`
}

// The content types of answers; typeJSONAPI is WorkDrive's.
const (
	typeJSON    = "application/json;charset=UTF-8"
	typeJSONAPI = "application/vnd.api+json;charset=UTF-8"
	typeHTML    = "text/html;charset=UTF-8"
	typeXML     = "text/xml;charset=UTF-8"
)

// jsonAnswer is an answer as most products give it.
func jsonAnswer(status int, body string) Answer {
	return Answer{Status: status, ContentType: typeJSON, Body: body}
}

// jsonAPIAnswer is an answer as WorkDrive gives it, which speaks JSON:API.
func jsonAPIAnswer(status int, body string) Answer {
	return Answer{Status: status, ContentType: typeJSONAPI, Body: body}
}

// htmlAnswer is a page, as a front server or an error handler of Zoho's sends it.
func htmlAnswer(status int, body string) Answer {
	return Answer{Status: status, ContentType: typeHTML, Body: body}
}

// reasonAnswer says the cause in the reason phrase alone, as hosts for files do. What stands in the body
// was not recorded: a page, by pattern.
func reasonAnswer(status int, reason string) Answer {
	a := htmlAnswer(status, "<html><head><title>Error</title></head><body><h1>Error</h1></body></html>")
	a.Reason = reason
	return a
}

// compress gives the body in an encoding, or as it is if the encoding is none that is known: a fault
// may announce any.
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

// quote gives the JSON of a value.
func quote(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
