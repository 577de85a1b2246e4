package zoho

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/nearest"
)

// Catalog is all services that there are: those of the table, and those that an operator adds. nil is
// the table alone. It does not change, so it may be used concurrently.
type Catalog struct {
	byName map[string]*customEntry
	byHost map[string]*customEntry
}

// customEntry is a service of an operator's.
type customEntry struct {
	name, path string
	hosts      map[string]string // by data center
}

// NewCatalog adds services to those of the table, by name.
func NewCatalog(custom map[string]*CustomService) (*Catalog, error) {
	c := &Catalog{byName: make(map[string]*customEntry), byHost: make(map[string]*customEntry)}
	for _, name := range slices.Sorted(maps.Keys(custom)) {
		s := custom[name]
		if s == nil {
			return nil, fmt.Errorf("custom_service %s has no configuration", name)
		}
		if err := s.Check(name); err != nil {
			return nil, fmt.Errorf("custom_service: %w", err)
		}
		e := &customEntry{name: name, path: s.Path, hosts: make(map[string]string)}
		for _, host := range s.Hosts {
			if other := c.byHost[host]; other != nil {
				return nil, fmt.Errorf("custom_service: host %s is listed for %s and for %s: write it once", host, other.name, name)
			}
			code, _ := customDomain(host)
			c.byHost[host], e.hosts[code] = e, host
		}
		c.byName[name] = e
	}
	return c, nil
}

// Has reports whether there is a service of exactly that name.
func (c *Catalog) Has(name string) bool {
	_, ok := LookupService(name)
	return ok || c != nil && c.byName[name] != nil
}

// Names are those of all services, sorted.
func (c *Catalog) Names() []string {
	names := ServiceNames()
	if c != nil {
		names = slices.AppendSeq(names, maps.Keys(c.byName))
		slices.Sort(names)
	}
	return names
}

// OfPath is ServiceOfPath for all services.
func (c *Catalog) OfPath(path string) string {
	if name := ServiceOfPath(path); name != "" || c == nil {
		return name
	}
	if e := c.byName[firstSegment(path)]; e != nil {
		return e.name
	}
	return ""
}

// Nearest is NearestService for all services.
func (c *Catalog) Nearest(name string) string {
	if c != nil {
		if near := nearest.Word(name, slices.Sorted(maps.Keys(c.byName))); near != "" {
			return near
		}
	}
	return NearestService(name)
}

// ofHost finds a service by a host that the table does not hold, and the host's data center.
func (c *Catalog) ofHost(host string) (*customEntry, DataCenter) {
	if c == nil || len(c.byHost) == 0 {
		return nil, DataCenter{}
	}
	host = strings.ToLower(trimDefaultPort(host))
	e := c.byHost[host]
	if e == nil {
		return nil, DataCenter{}
	}
	code, _ := customDomain(host)
	dc, _ := LookupDataCenter(code)
	return e, dc
}

// named finds a service by its name in a path.
func (c *Catalog) named(name string) *customEntry {
	if c == nil {
		return nil
	}
	return c.byName[name]
}

// holds reports whether a path at the service's hosts is the service's.
func (e *customEntry) holds(path string) bool {
	rest, ok := strings.CutPrefix(path, e.path)
	return ok && (e.path == "" || rest == "" || rest[0] == '/')
}
