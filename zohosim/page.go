package zohosim

import (
	"embed"
	"html/template"
	"strings"
)

//go:embed *.html
var pageFiles embed.FS

// pages are for a person, or a browser under test: consent.html lets one choose who consents and where that
// user lives, device.html is where one types in what a program has shown.
var pages = template.Must(template.ParseFS(pageFiles, "*.html"))

// writePage answers with one of the pages. Their forms post to the very same URL, so nothing is remembered
// meanwhile.
func (c *call) writePage(status int, name string, data map[string]any) {
	var page strings.Builder
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		panic(err) // the template is ours
	}
	c.write(htmlAnswer(status, page.String()))
}
