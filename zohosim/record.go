package zohosim

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// record is one thing in a service: a lead, an invoice, a ticket. Its fields are those that a client sent,
// of any kind; nothing of Zoho's own checks of the data is done.
type record struct {
	id       string
	fields   map[string]any
	modified time.Time
}

// collection holds the records of one resource of a service, in the order they were made.
type collection struct {
	order    []*record
	modified time.Time
}

// key names a resource's collection: "us/sandbox/crm/leads". Each data center and environment has its own;
// organizations share them.
func (c *call) key(resource string) string {
	return c.route.dc + "/" + c.route.environment + "/" + c.route.product.name + "/" + strings.ToLower(resource)
}

// formatID is an id as CRM's look: 19 digits.
func formatID(n int) string { return fmt.Sprintf("5725767%012d", n) }

// newIDLocked counts on. Records and files share the numbers.
func (s *Server) newIDLocked() string {
	s.lastID++
	return formatID(s.lastID)
}

// insert makes a record; idField is the name the service gives to its id.
func (s *Server) insert(key, idField string, fields map[string]any) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	col := s.data[key]
	if col == nil {
		col = &collection{}
		s.data[key] = col
	}
	fields = maps.Clone(fields)
	if fields == nil {
		fields = map[string]any{}
	}
	rec := &record{id: s.newIDLocked(), fields: fields, modified: s.o.Now()}
	fields[idField] = rec.id
	col.order = append(col.order, rec)
	col.modified = rec.modified
	return maps.Clone(fields)
}

// list gives the fields of a page of records, whether there are more, and when any changed last.
func (s *Server) list(key string, page, perPage int) (rows []map[string]any, more bool, modified time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	col := s.data[key]
	if col == nil {
		return nil, false, time.Time{}
	}
	start := min((page-1)*perPage, len(col.order))
	end := min(start+perPage, len(col.order))
	for _, rec := range col.order[start:end] {
		rows = append(rows, maps.Clone(rec.fields))
	}
	return rows, end < len(col.order), col.modified
}

// find gives a copy of a record's fields.
func (s *Server) find(key, id string) (fields map[string]any, modified time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.data[key].byID(id)
	if rec == nil {
		return nil, time.Time{}, false
	}
	return maps.Clone(rec.fields), rec.modified, true
}

// update changes the given fields, but never the id.
func (s *Server) update(key, idField, id string, changes map[string]any) (fields map[string]any, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.data[key].byID(id)
	if rec == nil {
		return nil, false
	}
	maps.Copy(rec.fields, changes)
	rec.fields[idField] = id
	rec.modified = s.o.Now()
	s.data[key].modified = rec.modified
	return maps.Clone(rec.fields), true
}

// remove deletes a record and reports whether there was one.
func (s *Server) remove(key, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	col := s.data[key]
	rec := col.byID(id)
	if rec == nil {
		return false
	}
	col.order = slices.DeleteFunc(col.order, func(o *record) bool { return o == rec })
	col.modified = s.o.Now()
	return true
}

// byID finds a record; a nil collection has none.
func (col *collection) byID(id string) *record {
	if col == nil {
		return nil
	}
	for _, rec := range col.order {
		if rec.id == id {
			return rec
		}
	}
	return nil
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
