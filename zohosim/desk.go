package zohosim

import (
	"encoding/json"
	"net/http"
	"strings"
)

// serveDesk answers as Desk: lists in "data", 204 for none, records bare.
func (c *call) serveDesk() {
	_, path := c.segments()
	switch {
	case len(path) == 0:
		c.deskError(http.StatusNotFound, "URL_NOT_FOUND", "The URL you requested could not be found.")
	case path[0] == "uploads" || len(path) >= 3 && path[2] == "attachments":
		c.deskFiles(path)
	default:
		b, ok := c.readBody()
		if !ok {
			return
		}
		c.executed(path[0])
		c.deskResource(path, b)
	}
}

// deskError answers with Desk's two members of an error.
func (c *call) deskError(status int, code, message string) {
	c.writeJSON(status, map[string]any{"errorCode": code, "message": message})
}

// deskResource creates, lists, shows, changes (PATCH) or deletes: /tickets, /tickets/{id}. from counts
// records from 1, not pages.
func (c *call) deskResource(path []string, b body) {
	key, id := c.key(path[0]), segment(path, 1)
	var input map[string]any
	if len(b.kept) > 0 && json.Unmarshal(b.kept, &input) != nil {
		c.deskError(http.StatusUnprocessableEntity, "INVALID_DATA", "The data you provided could not be read.")
		return
	}
	var fields map[string]any
	ok := true
	switch {
	case path[0] == "organizations":
		c.deskList([]map[string]any{{"id": c.token.grant.Org, "companyName": "Example", "isDefault": true}})
		return
	case id == "" && c.r.Method == http.MethodPost:
		fields = c.s.insert(key, "id", input)
	case id == "":
		query := c.r.URL.Query()
		limit := atLeast1(query.Get("limit"), 10)
		rows, _, _ := c.s.list(key, 1+(atLeast1(query.Get("from"), 1)-1)/limit, limit)
		c.deskList(rows)
		return
	case c.r.Method == http.MethodDelete:
		if ok = c.s.remove(key, id); ok {
			c.write(Answer{Status: http.StatusNoContent})
			return
		}
	case c.r.Method == http.MethodGet || c.r.Method == http.MethodHead:
		fields, _, ok = c.s.find(key, id)
	default:
		fields, ok = c.s.update(key, "id", id, input)
	}
	if !ok {
		c.deskError(http.StatusNotFound, "RESOURCE_NOT_FOUND", "The resource you requested could not be found.")
		return
	}
	c.writeJSON(http.StatusOK, fields)
}

// deskList answers with records, 204 if there are none.
func (c *call) deskList(rows []map[string]any) {
	if len(rows) == 0 {
		c.write(Answer{Status: http.StatusNoContent})
		return
	}
	c.writeJSON(http.StatusOK, map[string]any{"data": rows})
}

// deskFiles serves /{resource}/{id}/attachments[/{file}[/content]] and /uploads.
func (c *call) deskFiles(path []string) {
	parent, id := c.attachment(path)
	switch {
	case c.r.Method == http.MethodPost:
		c.deskUpload(path[0], parent)
	case c.r.Method == http.MethodDelete && c.s.dropFile(id):
		c.executed(path[0])
		c.write(Answer{Status: http.StatusNoContent})
	case id == "":
		c.executed(path[0])
		var rows []map[string]any
		for _, f := range c.s.filesOf(parent) {
			rows = append(rows, map[string]any{"id": f.id, "name": f.name, "size": f.content.length})
		}
		c.deskList(rows)
	default:
		if f := c.s.file(id); f != nil && f.parent == parent {
			c.download(f)
			return
		}
		c.executed(path[0])
		c.deskError(http.StatusNotFound, "RESOURCE_NOT_FOUND", "The resource you requested could not be found.")
	}
}

// deskUpload stores a file, attached to a record or, with /uploads, to none.
func (c *call) deskUpload(resource, parent string) {
	f, whole, ok := c.readUpload()
	if !ok {
		return
	}
	c.executed(strings.ToLower(resource))
	if f == nil {
		c.deskError(http.StatusUnprocessableEntity, "INVALID_DATA", "The file is missing.")
		return
	}
	c.s.keep(f, parent)
	c.writeJSON(http.StatusOK, receipt(f, whole))
}
