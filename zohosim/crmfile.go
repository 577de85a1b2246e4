package zohosim

import (
	"net/http"
	"strings"
)

// crmFiles serves /{Module}/{id}/Attachments[/{file}] and /files[?id=].
func (c *call) crmFiles(path []string) {
	parent, id := "", c.r.URL.Query().Get("id")
	if len(path) >= 3 {
		parent = c.key(path[0]) + "/" + path[1]
	}
	if len(path) >= 4 {
		id = path[3]
	}
	switch {
	case c.r.Method == http.MethodPost:
		c.crmUpload(path[0], parent)
	case c.r.Method == http.MethodDelete:
		c.crmDropFile(path[0], id)
	case id == "":
		c.crmAttachments(path[0], parent)
	default:
		if f := c.s.file(id); f != nil && f.parent == parent {
			c.download(f)
			return
		}
		c.executed(path[0])
		c.write(Answer{Status: http.StatusNoContent})
	}
}

func (c *call) crmUpload(module, parent string) {
	f, whole, ok := c.readUpload()
	if !ok {
		return
	}
	c.executed(module)
	if f == nil {
		c.crmError(http.StatusBadRequest, "REQUIRED_PARAM_MISSING", "file")
		return
	}
	c.s.keep(f, parent)
	c.writeJSON(http.StatusOK, map[string]any{"data": []any{
		crmResult("success", "SUCCESS", "attachment uploaded successfully", receipt(f, whole)),
	}})
}

func (c *call) crmDropFile(module, id string) {
	c.executed(module)
	if !c.s.dropFile(id) {
		c.crmError(http.StatusBadRequest, "INVALID_DATA", "the id given seems to be invalid")
		return
	}
	c.writeJSON(http.StatusOK, map[string]any{"data": []any{
		crmResult("success", "SUCCESS", "record deleted", map[string]any{"id": id}),
	}})
}

func (c *call) crmAttachments(module, parent string) {
	c.executed(module)
	var rows []map[string]any
	for _, f := range c.s.filesOf(parent) {
		rows = append(rows, map[string]any{"id": f.id, "File_Name": f.name, "Size": f.content.length})
	}
	c.crmPage(strings.ToLower(module), rows, len(rows) > 0, c.now(), map[string]any{"count": len(rows), "more_records": false})
}
