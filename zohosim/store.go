package zohosim

// What services keep, in memory: records and files.

import (
	"maps"
	"slices"
	"time"
)

// maxFiles is how many bytes of all files together stay in memory. Of a file beyond that only the
// digest is kept.
const maxFiles = 256 << 20

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

// keep stores an uploaded file.
func (s *Server) keep(f *file, parent string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.id, f.parent = s.newIDLocked(), parent
	if s.filesSize+len(f.content.kept) > maxFiles {
		f.content.kept = nil
	}
	s.filesSize += len(f.content.kept)
	s.files[f.id] = f
}

// file finds a file, nil if there is none.
func (s *Server) file(id string) *file {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[id]
}

// dropFile deletes a file and reports whether there was one.
func (s *Server) dropFile(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[id]
	if f == nil {
		return false
	}
	s.filesSize -= len(f.content.kept)
	delete(s.files, id)
	return true
}

// filesOf lists what is attached to a record, the oldest first.
func (s *Server) filesOf(parent string) (files []*file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 1; i <= s.lastID; i++ {
		if f := s.files[formatID(i)]; f != nil && f.parent == parent {
			files = append(files, f)
		}
	}
	return files
}
