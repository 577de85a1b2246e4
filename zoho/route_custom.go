package zoho

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// routeCustomHost finds the target of a request for a host of e at the data center other.
func (dc DataCenter) routeCustomHost(e *customEntry, host, path string, other DataCenter, o RouteOptions) (Target, error) {
	switch {
	case !dc.mapsFrom(other, o):
		return Target{}, dc.otherDataCenter(host, other)
	case !e.holds(path):
		return Target{}, fmt.Errorf("%w: %s is served only below %s", ErrServiceUnknown, e.name, e.path)
	}
	return dc.custom(e, path, o)
}

// routeCustomPath finds the target of a path that begins with the name of e. What follows is below the
// service's own path, or is put there.
func (dc DataCenter) routeCustomPath(e *customEntry, path string, o RouteOptions) (Target, error) {
	name := len("/") + len(e.name)
	t, err := dc.custom(e, path[name:], o)
	if err == nil && !dc.Custom {
		t.Strip = name
		if !e.holds(path[name:]) {
			t.Prefix = e.path
		}
	}
	return t, err
}

// custom is the target of a service of an operator's, path untouched.
func (dc DataCenter) custom(e *customEntry, path string, o RouteOptions) (Target, error) {
	if err := o.allow(e.name, path); err != nil {
		return Target{}, err
	}
	if e.path != "" && HasDotSegment(path) {
		return Target{}, fmt.Errorf("%w: the path has a dot segment, which can lead out of %s", ErrServiceUnknown, e.path)
	}
	if dc.Custom {
		return Target{Service: e.name, Scheme: dc.apiScheme(), Host: dc.apiHost()}, nil
	}
	host := e.hosts[dc.Code]
	if host == "" {
		return Target{}, fmt.Errorf("%w: custom_service %s has no host in the data center %s, only in %s", ErrServiceUnknown,
			e.name, dc.Code, strings.Join(slices.Sorted(maps.Keys(e.hosts)), ", "))
	}
	return Target{Service: e.name, Scheme: "https", Host: host}, nil
}
