package zoho

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// readBody reads what a body says, by what it looks like: servers label XML as HTML, and JSON
// as anything. The label only tells a piece of HTML from XML.
func readBody(h http.Header, body []byte) []said {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	switch {
	case len(body) == 0:
		return nil
	case body[0] == '{':
		return readJSON(body)
	case body[0] == '[':
		if values := readJSON(body); len(values) > 0 {
			return values
		}
		return readText(string(body)) // as in [INVALID_TOKEN] …
	case body[0] != '<':
		return append(readJSON(unwrapped(body)), readText(string(body))...)
	case isPage(string(body)):
		return readPage(string(body))
	case containsFold(h.Get("Content-Type"), "html"):
		return append(readXML(body), readPage(string(body))...)
	}
	return readXML(body)
}

// unwrapped is the JSON in a call of a function, callback({…}), nothing if it is none.
func unwrapped(body []byte) []byte {
	name, json, _ := bytes.Cut(body, []byte("("))
	if len(name) > maxName || bytes.ContainsAny(name, " \t\r\n") {
		return nil
	}
	return json
}

// readJSON reads JSON values up to the first error, so that a body cut at 64 KiB tells what
// it has told until then.
func readJSON(body []byte) []said {
	r := jsonReader{dec: json.NewDecoder(bytes.NewReader(body))}
	r.dec.UseNumber()
	for r.value("", 0) {
	}
	return r.values
}

// jsonReader collects the values of a document as it is read.
type jsonReader struct {
	dec    *json.Decoder
	values []said
}

// value reads the value at path and reports whether reading can go on.
func (r *jsonReader) value(path string, depth int) bool {
	t, err := r.dec.Token()
	if err != nil || depth > maxDepth || len(r.values) >= maxValues {
		return false
	}
	switch t := t.(type) {
	case json.Delim:
		return r.members(t == '{', path, depth)
	case string:
		r.values = append(r.values, said{path: path, value: t})
	case json.Number:
		r.values = append(r.values, said{path: path, value: t.String()})
	}
	return true
}

// members reads what an object or a list holds, up to its closing bracket.
func (r *jsonReader) members(object bool, path string, depth int) bool {
	for r.dec.More() {
		at := path
		if object {
			name, err := r.dec.Token()
			if err != nil {
				return false
			}
			at = join(path, name.(string)) // nothing else can stand there
		}
		if !r.value(at, depth+1) {
			return false
		}
	}
	_, err := r.dec.Token()
	return err == nil
}
