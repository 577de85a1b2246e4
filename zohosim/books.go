package zohosim

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// serveBooks answers as Books, and as Invoice, Inventory, Billing and Expense, which are built alike:
// every reply has a code, 0 for success.
func (c *call) serveBooks() {
	_, path := c.segments()
	if len(path) >= 3 && strings.HasPrefix(path[2], "attachment") {
		c.booksFile(path)
		return
	}
	b, ok := c.readBody()
	if !ok {
		return
	}
	if len(path) == 0 {
		c.booksReply(http.StatusNotFound, 5, "Invalid URL Passed", nil)
		return
	}
	c.executed(path[0])
	if path[0] == "organizations" {
		c.booksReply(http.StatusOK, 0, "success", map[string]any{"organizations": []any{
			map[string]any{"organization_id": c.token.grant.Org, "name": "Example", "is_default_org": true},
		}})
		return
	}
	c.booksResource(path, b)
}

// booksReply answers with the family's code and message. more are further members of the object.
func (c *call) booksReply(status, code int, message string, more map[string]any) {
	reply := map[string]any{"code": code, "message": message}
	for name, value := range more {
		reply[name] = value
	}
	c.writeJSON(status, reply)
}

// booksResource creates, lists, shows, changes or deletes: /invoices, /invoices/{id}. The singular of the
// resource names the record and, with _id, its id.
func (c *call) booksResource(path []string, b body) {
	resource := path[0]
	one := strings.TrimSuffix(resource, "s")
	key, idField := c.key(resource), one+"_id"
	name := strings.ToUpper(one[:1]) + one[1:]
	id := segment(path, 1)
	var fields map[string]any
	ok, message := true, "success"
	switch {
	case c.r.Method == http.MethodPost && id == "":
		input, err := booksInput(c.r.Header.Get("Content-Type"), b)
		if err != nil {
			c.booksReply(http.StatusBadRequest, 1038, "JSON is not well formed", nil)
			return
		}
		created := map[string]any{one: c.s.insert(key, idField, input)}
		c.booksReply(http.StatusCreated, 0, "The "+one+" has been created.", created)
		return
	case id == "":
		c.booksList(resource, key)
		return
	case c.r.Method == http.MethodPut || c.r.Method == http.MethodPost:
		input, _ := booksInput(c.r.Header.Get("Content-Type"), b)
		message = name + " information has been saved."
		fields, ok = c.s.update(key, idField, id, input)
	case c.r.Method == http.MethodDelete:
		message = "The " + one + " has been deleted."
		ok = c.s.remove(key, id)
	default:
		fields, _, ok = c.s.find(key, id)
	}
	switch {
	case !ok:
		c.booksReply(http.StatusNotFound, 1002, name+" does not exist.", nil)
	case fields == nil:
		c.booksReply(http.StatusOK, 0, message, nil)
	default:
		c.booksReply(http.StatusOK, 0, message, map[string]any{one: fields})
	}
}

// booksList gives a page; an empty list is a success with an empty list.
func (c *call) booksList(resource, key string) {
	query := c.r.URL.Query()
	page, perPage := atLeast1(query.Get("page"), 1), atLeast1(query.Get("per_page"), 200)
	rows, more, _ := c.s.list(key, page, perPage)
	if rows == nil {
		rows = []map[string]any{}
	}
	c.booksReply(http.StatusOK, 0, "success", map[string]any{resource: rows, "page_context": map[string]any{
		"page": page, "per_page": perPage, "has_more_page": more,
	}})
}

// booksInput reads JSON, as the body or in the form field JSONString.
func booksInput(contentType string, b body) (fields map[string]any, err error) {
	raw := b.kept
	if mediaType, _, _ := mime.ParseMediaType(contentType); mediaType == "application/x-www-form-urlencoded" {
		values, _ := url.ParseQuery(string(raw))
		raw = []byte(values.Get("JSONString"))
	}
	err = json.Unmarshal(raw, &fields)
	return fields, err
}

// booksFile serves /{resource}/{id}/attachment: one file, the last one uploaded.
func (c *call) booksFile(path []string) {
	parent, _ := c.attachment(path)
	files := c.s.filesOf(parent)
	switch {
	case c.r.Method == http.MethodPost:
		f, whole, ok := c.readUpload()
		if !ok {
			return
		}
		c.executed(path[0])
		if f == nil {
			c.booksReply(http.StatusBadRequest, 4, "Invalid value passed for attachment", nil)
			return
		}
		c.s.keep(f, parent)
		c.booksReply(http.StatusCreated, 0, "Your file has been successfully attached.", receipt(f, whole))
	case len(files) == 0:
		c.executed(path[0])
		c.booksReply(http.StatusNotFound, 1002, "Attachment does not exist.", nil)
	case c.r.Method == http.MethodDelete:
		c.executed(path[0])
		c.s.dropFile(files[len(files)-1].id)
		c.booksReply(http.StatusOK, 0, "Your file is no longer attached.", nil)
	default:
		c.download(files[len(files)-1])
	}
}
