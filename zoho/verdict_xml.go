package zoho

import (
	"bytes"
	"encoding/xml"
	"io"
)

// readXML reads XML up to its first error, as readJSON does JSON. Entities of its own are not
// expanded: encoding/xml skips declarations.
func readXML(body []byte) []said {
	dec := xml.NewDecoder(bytes.NewReader(asciiXML(body)))
	dec.Strict = false
	dec.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	var r xmlReader
	for len(r.open) <= maxDepth && len(r.values) < maxValues {
		t, err := dec.Token()
		if err != nil {
			break
		}
		r.read(t)
	}
	r.tell()
	return r.values
}

// asciiXML makes the characters that codes do not consist of such as any XML may hold, whatever
// the document's charset is.
func asciiXML(body []byte) []byte {
	ascii := bytes.Clone(body)
	for i, c := range ascii {
		switch {
		case c >= 0x80:
			ascii[i] = '?'
		case c < ' ' && c != '\t' && c != '\n' && c != '\r':
			ascii[i] = ' '
		}
	}
	return ascii
}

// xmlReader collects the values of a document as it is read.
type xmlReader struct {
	values []said
	open   []string // paths of the elements that are open
	root   int      // as in said
	text   []byte   // since the last tag
}

func (r *xmlReader) read(t xml.Token) {
	switch t := t.(type) {
	case xml.StartElement:
		r.tell()
		r.start(t)
	case xml.EndElement:
		r.tell()
		r.open = r.open[:max(0, len(r.open)-1)]
	case xml.CharData:
		r.text = append(r.text, t...)
	}
}

// start opens an element. It is a value itself: that it is there may be what a row asks for.
func (r *xmlReader) start(t xml.StartElement) {
	path := join(r.path(), t.Name.Local)
	if len(r.open) == 0 {
		r.root = len(path) + 1
	}
	r.open = append(r.open, path)
	r.values = append(r.values, said{path, "", r.root})
	for _, a := range t.Attr[:min(len(t.Attr), maxValues)] {
		r.values = append(r.values, said{join(path, a.Name.Local), a.Value, r.root})
	}
}

// tell notes the text that stood before a tag.
func (r *xmlReader) tell() {
	if text := bytes.TrimSpace(r.text); len(text) > 0 && len(r.open) > 0 {
		r.values = append(r.values, said{r.path(), string(text), r.root})
	}
	r.text = r.text[:0]
}

// path is that of the element that is being read.
func (r *xmlReader) path() string {
	if len(r.open) == 0 {
		return ""
	}
	return r.open[len(r.open)-1]
}
