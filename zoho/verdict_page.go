package zoho

import (
	"cmp"
	"iter"
	"strings"
)

// isPage reports whether a body that begins with a tag is a page of HTML: what is declared, or
// its first element, says so.
func isPage(body string) bool {
	for body != "" {
		_, body, _ = strings.Cut(body, "<")
		switch name := tagName(body); name {
		case "": // <?xml …?>
		case "!--":
			_, body = cutFold(body, "-->")
		case "!doctype":
			var kind string
			kind, body = cutFold(body, ">")
			if containsFold(kind, "html") {
				return true
			}
		default:
			return name == "html"
		}
	}
	return false
}

// readPage reads the title of a page, its text, and a code in it. What nobody sees is no text,
// and neither is that of links: a page that refuses may lead to the explanation of codes.
func readPage(page string) []said {
	var title string
	var text strings.Builder
	for page != "" {
		before, rest, _ := strings.Cut(page, "<")
		text.WriteString(before)
		text.WriteByte(' ')
		switch name := tagName(rest); name {
		case "": // no tag, or the end
			page = rest
		case "!--":
			_, page = cutFold(rest, "-->")
		case "a", "noscript", "script", "style":
			page = cutElement(rest, name)
		case "title":
			_, rest = cutFold(rest, ">")
			rest, page = cutFold(rest, "</title")
			title = cmp.Or(title, strings.Join(strings.Fields(rest), " "))
			text.WriteString(rest)
		default:
			_, page = cutFold(rest, ">")
		}
	}
	return append(readText(text.String()), said{path: pageTitle, value: title})
}

// tagName is the name of a tag, in small letters, that begins with tag; "!--" of a comment, and
// "" of none.
func tagName(tag string) string {
	if strings.HasPrefix(tag, "!--") {
		return "!--"
	}
	n := 0
	for n < len(tag) && (tag[n] == '/' && n == 0 || tag[n] == '!' && n == 0 || isAlphanumeric(tag[n])) {
		n++
	}
	return strings.ToLower(tag[:n])
}

// cutFold is strings.Cut for a separator in small letters, found in any.
func cutFold(s, sep string) (before, after string) {
	for i := 0; i+len(sep) <= len(s); i++ {
		if equalFold(s[i:i+len(sep)], sep) {
			return s[:i], s[i+len(sep):]
		}
	}
	return s, ""
}

// cutElement is what comes after the end of an element.
func cutElement(page, name string) string {
	for {
		_, page = cutFold(page, "</"+name)
		if page == "" || !isAlphanumeric(page[0]) { // </abbr> does not end <a>
			_, page = cutFold(page, ">")
			return page
		}
	}
}

// readText reads a text as a whole, and its words.
func readText(text string) []said {
	values := []said{{path: elsewhere, value: strings.TrimSpace(text)}}
	for word := range words(text) {
		if len(values) == maxValues {
			break
		}
		values = append(values, said{path: aWord, value: word})
	}
	return values
}

// words are those of a text that may be codes, which have an underscore: nobody writes them by
// chance. Addresses, and what is part of a longer name (x.INVALID_TOKEN, #INVALID_TOKEN), are none.
func words(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for field := range strings.FieldsSeq(text) {
			if strings.Contains(field, "/") {
				continue
			}
			for word := range strings.FieldsFuncSeq(field, endsWord) {
				word = strings.TrimRight(word, ".?!")
				if strings.Contains(word, "_") && !yield(word) {
					return
				}
			}
		}
	}
}

func endsWord(r rune) bool {
	return r < 0x80 && !isAlphanumeric(byte(r)) && !strings.ContainsRune("_-.#?!@%", r)
}

func isAlphanumeric(c byte) bool {
	c = lowerASCII(c)
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z'
}
