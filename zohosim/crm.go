package zohosim

import (
	"cmp"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// serveCRM answers as CRM, and as Bigin and Recruit, which are built alike.
func (c *call) serveCRM() {
	_, path := c.segments()
	switch {
	case len(path) == 0:
		c.crmError(http.StatusNotFound, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one")
	case path[0] == "files" || path[0] == "upload" || len(path) >= 3 && strings.EqualFold(path[2], "Attachments"):
		c.crmFiles(path)
	default:
		b, ok := c.readBody()
		if !ok {
			return
		}
		c.executed(path[0])
		c.crmResource(path, b)
	}
}

// crmResource serves /{Module}[/{id}], and the resources that are none of records: queries, settings.
func (c *call) crmResource(path []string, b body) {
	id := segment(path, 1)
	switch {
	case path[0] == "coql":
		c.coql(b)
	case path[0] == "org" || path[0] == "users" || path[0] == "settings":
		c.crmSettings(path[0])
	case c.r.Method == http.MethodGet || c.r.Method == http.MethodHead:
		c.crmRead(path[0], id)
	case c.r.Method == http.MethodPost || c.r.Method == http.MethodPut || c.r.Method == http.MethodPatch:
		c.crmWrite(path[0], id, b)
	case c.r.Method == http.MethodDelete:
		c.crmDelete(path[0], id)
	default:
		c.crmError(http.StatusMethodNotAllowed, "INVALID_REQUEST_METHOD", "The http request method type is not a valid one")
	}
}

// crmError answers with CRM's four members of an error.
func (c *call) crmError(status int, code, message string) {
	c.writeJSON(status, map[string]any{"code": code, "details": map[string]any{}, "message": message, "status": "error"})
}

// crmRead lists or gives records. Nothing found is 204 without a body.
func (c *call) crmRead(module, id string) {
	query := c.r.URL.Query()
	page, perPage := atLeast1(query.Get("page"), 1), atLeast1(query.Get("per_page"), 200)
	if id != "" {
		fields, modified, ok := c.s.find(c.key(module), id)
		c.crmPage(module, []map[string]any{fields}, ok, modified, nil)
		return
	}
	rows, more, modified := c.s.list(c.key(module), page, perPage)
	c.crmPage(module, rows, len(rows) > 0, modified, map[string]any{
		"per_page": perPage, "count": len(rows), "page": page, "more_records": more,
	})
}

// crmPage answers with records: 204 if there are none, 304 if the caller has seen them. info says which part
// of all they are; a single record has none.
func (c *call) crmPage(
	module string, rows []map[string]any, found bool, modified time.Time, info map[string]any,
) {
	switch {
	case !found:
		c.write(Answer{Status: http.StatusNoContent})
	case c.unchanged(modified):
		c.write(Answer{Status: http.StatusNotModified})
	case info == nil:
		c.writeJSON(http.StatusOK, map[string]any{"data": rows})
	default:
		c.writeJSON(http.StatusOK, map[string]any{"data": rows, "info": info})
	}
}

// unchanged reports whether the caller has seen this already, by If-Modified-Since. CRM's clients
// write that header in ISO 8601.
func (c *call) unchanged(modified time.Time) bool {
	given := c.r.Header.Get("If-Modified-Since")
	since, err := time.Parse(time.RFC3339, given)
	if err != nil {
		since, err = http.ParseTime(given)
	}
	return err == nil && !modified.Truncate(time.Second).After(since)
}

// crmWrite creates (POST) or updates (PUT) up to 100 records. Each has its own result: 201 or 200 if
// any went well, 202 if none did.
func (c *call) crmWrite(module, id string, b body) {
	var in struct {
		Data []map[string]any `json:"data"`
	}
	if json.Unmarshal(b.kept, &in) != nil || len(in.Data) == 0 {
		c.crmError(http.StatusBadRequest, "INVALID_DATA", "body")
		return
	}
	status := http.StatusAccepted
	results := make([]map[string]any, len(in.Data))
	for i, fields := range in.Data {
		var good bool
		if results[i], good = c.crmWriteOne(module, id, fields); good {
			status = http.StatusOK
			if c.r.Method == http.MethodPost && id == "" {
				status = http.StatusCreated
			}
		}
	}
	c.writeJSON(status, map[string]any{"data": results})
}

// crmWriteOne creates or updates a record, by the id of the path or of the record itself.
func (c *call) crmWriteOne(module, id string, fields map[string]any) (result map[string]any, good bool) {
	key := c.key(module)
	c.s.mu.Lock()
	now := c.s.o.Now().Format("2006-01-02T15:04:05-07:00")
	c.s.mu.Unlock()
	fields["Modified_Time"] = now
	if given, _ := fields["id"].(string); id == "" {
		id = given
	}
	if c.r.Method == http.MethodPost && id == "" {
		if needsName[strings.ToLower(module)] && fields["Last_Name"] == nil {
			return crmResult("error", "MANDATORY_NOT_FOUND", "required field not found",
				map[string]any{"api_name": "Last_Name"}), false
		}
		fields["Created_Time"] = now
		rec := c.s.insert(key, "id", fields)
		return crmResult("success", "SUCCESS", "record added", crmDetails(rec["id"], now)), true
	}
	if _, ok := c.s.update(key, "id", id, fields); !ok {
		return crmUnknownID(id), false
	}
	return crmResult("success", "SUCCESS", "record updated", crmDetails(id, now)), true
}

// needsName are the modules, in lower case, whose records must have a Last_Name.
var needsName = map[string]bool{"leads": true, "contacts": true, "candidates": true}

// crmResult is what CRM says of one record of several.
func crmResult(status, code, message string, details map[string]any) map[string]any {
	return map[string]any{"code": code, "details": details, "message": message, "status": status}
}

// crmUnknownID is the result for a record that is not there.
func crmUnknownID(id string) map[string]any {
	return crmResult("error", "INVALID_DATA", "the id given seems to be invalid", map[string]any{"id": id})
}

// crmDetails are those of a record that was written.
func crmDetails(id any, now string) map[string]any {
	return map[string]any{"id": id, "Modified_Time": now, "Created_Time": now}
}

// crmDelete deletes the record of the path, or those of the query's ids. It is 200 in any case; each has
// its own result.
func (c *call) crmDelete(module, id string) {
	ids := strings.Split(cmp.Or(id, c.r.URL.Query().Get("ids")), ",")
	var results []map[string]any
	for _, id := range ids {
		if c.s.remove(c.key(module), id) {
			results = append(results, crmResult("success", "SUCCESS", "record deleted", map[string]any{"id": id}))
		} else {
			results = append(results, crmUnknownID(id))
		}
	}
	c.writeJSON(http.StatusOK, map[string]any{"data": results})
}

// fromModule finds the module of a COQL query.
var fromModule = regexp.MustCompile(`(?i)\bfrom\s+(\w+)`)

// coql answers any query with all records of its module.
func (c *call) coql(b body) {
	var in struct {
		Query string `json:"select_query"`
	}
	json.Unmarshal(b.kept, &in)
	m := fromModule.FindStringSubmatch(in.Query)
	if m == nil {
		c.crmError(http.StatusBadRequest, "SYNTAX_ERROR", "missing clause")
		return
	}
	rows, more, _ := c.s.list(c.key(m[1]), 1, 2000)
	c.crmPage(m[1], rows, len(rows) > 0, c.now(), map[string]any{"count": len(rows), "more_records": more})
}

// crmSettings answers what clients ask for at their start: who and where they are, which modules there are.
func (c *call) crmSettings(what string) {
	g := c.token.grant
	switch what {
	case "org":
		c.writeJSON(http.StatusOK, map[string]any{"org": []any{
			map[string]any{"id": g.Org, "zgid": g.Org, "company_name": "Example"},
		}})
	case "users":
		c.writeJSON(http.StatusOK, map[string]any{"users": []any{
			map[string]any{"id": formatID(0), "email": g.User, "status": "active"},
		}})
	default:
		c.writeJSON(http.StatusOK, map[string]any{"modules": []any{
			map[string]any{"api_name": "Leads"}, map[string]any{"api_name": "Contacts"},
		}})
	}
}

// crmFiles serves /{Module}/{id}/Attachments[/{file}] and /files[?id=].
func (c *call) crmFiles(path []string) {
	parent, id := c.attachment(path)
	id = cmp.Or(id, c.r.URL.Query().Get("id"))
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

// crmUpload stores a file, attached to a record or, with /files, to none.
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
	if module == "upload" { // of a bulk write, which answers for itself
		details := receipt(f, whole)
		details["file_id"] = details["id"]
		c.writeJSON(http.StatusOK, crmResult("success", "FILE_UPLOAD_SUCCESS", "file uploaded.", details))
		return
	}
	c.writeJSON(http.StatusOK, map[string]any{"data": []any{
		crmResult("success", "SUCCESS", "attachment uploaded successfully", receipt(f, whole)),
	}})
}

// crmDropFile deletes a file.
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

// crmAttachments lists the files of a record.
func (c *call) crmAttachments(module, parent string) {
	c.executed(module)
	var rows []map[string]any
	for _, f := range c.s.filesOf(parent) {
		rows = append(rows, map[string]any{"id": f.id, "File_Name": f.name, "Size": f.content.length})
	}
	info := map[string]any{"count": len(rows), "more_records": false}
	c.crmPage(strings.ToLower(module), rows, len(rows) > 0, c.now(), info)
}
