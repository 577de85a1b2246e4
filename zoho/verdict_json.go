package zoho

import (
	"bytes"
	"encoding/json"
)

// jsonValue is a text or number in a JSON body, and where it stands: the names of
// the members that lead to it, joined by dots, list positions left out.
type jsonValue struct{ path, value string }

const (
	// maxDepth ends the reading of a body nested for its own sake.
	maxDepth = 32
	// maxPath and maxName keep paths short; those of the rows are shorter yet.
	maxPath = 120
	maxName = 40
	// elsewhere is a place that no row knows.
	elsewhere = "?"
)

// jsonValues reads a JSON object or list up to its first error, so that a body cut
// at 64 KiB tells what it has told until then. Other bodies have no values.
func jsonValues(body []byte) []jsonValue {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	if len(body) == 0 || body[0] != '{' && body[0] != '[' {
		return nil
	}
	r := jsonReader{dec: json.NewDecoder(bytes.NewReader(body))}
	r.dec.UseNumber()
	r.value("", 0)
	return r.values
}

// jsonReader collects the values of a document as it is read.
type jsonReader struct {
	dec    *json.Decoder
	values []jsonValue
}

// value reads the value at path and reports whether reading can go on.
func (r *jsonReader) value(path string, depth int) bool {
	t, err := r.dec.Token()
	if err != nil || depth > maxDepth {
		return false
	}
	switch t := t.(type) {
	case json.Delim:
		return r.members(t == '{', path, depth)
	case string:
		r.values = append(r.values, jsonValue{path, t})
	case json.Number:
		r.values = append(r.values, jsonValue{path, t.String()})
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

// join gives the path of a member. What lies deeper than any row looks is elsewhere, and
// stays there.
func join(path, name string) string {
	switch {
	case len(name) > maxName || len(path) > maxPath || path == elsewhere:
		return elsewhere
	case path == "":
		return name
	}
	return path + "." + name
}
