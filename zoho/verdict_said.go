package zoho

import "strings"

// said is a text or number of an answer, and where it stands. Rows are matched against these,
// whatever the answer's form:
//
//	JSON   the names of the members that lead to it, joined by dots, list positions left out
//	XML    the same of elements; an attribute is a member of its element
//	pages  pageTitle is its title; the rest as text
//	text   elsewhere is all of it; aWord is one of its words that may be codes
type said struct {
	path, value string
	// root is how much of path is the name of an XML document's root, with its dot. JSON has no
	// root, so a row's place is looked for with and without it.
	root int
}

const (
	// maxDepth ends the reading of a body nested for its own sake.
	maxDepth = 32
	// maxValues ends the reading of one that has more than any refusal.
	maxValues = 500
	// maxPath and maxName keep paths short; those of the rows are shorter yet.
	maxPath = 120
	maxName = 40
	// elsewhere is a place that no row knows, and so is aWord.
	elsewhere = "?"
	aWord     = "<word>"
	pageTitle = "<title>"
)

// join gives the path of a member. What lies deeper than any row looks is elsewhere, and
// stays there.
func join(path, name string) string {
	switch {
	case len(name) > maxName || len(path) > maxPath || path == elsewhere || strings.Contains(name, "."):
		return elsewhere
	case path == "":
		return name
	}
	return path + "." + name
}
