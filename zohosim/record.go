package zohosim

import (
	"fmt"
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

// formatID is an id as CRM's look: 19 digits.
func formatID(n int) string { return fmt.Sprintf("5725767%012d", n) }

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

// file is something uploaded.
type file struct {
	id, name, contentType string
	// parent is what it is attached to, a collection's key and an id; "" for nothing.
	parent  string
	content body
}
