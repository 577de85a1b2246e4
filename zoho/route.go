package zoho

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// RouteHost finds the target of a request by the host it was meant for, from
// its Host header or absolute target: the same service in the data center dc,
// path untouched. isZoho reports whether host is a Zoho host at all; if it is not,
// err is ErrTarget itself, and a request in origin form is left to RoutePath.
//
// The target's host never contains anything of the caller's text.
func (dc DataCenter) RouteHost(host, path string, o RouteOptions) (t Target, isZoho bool, err error) {
	if dc.Custom && equalFold(dc.trimPort(host), dc.apiHost()) {
		t, err = dc.RoutePath(path, o)
		return t, true, err
	}
	if dc.isOwnAccounts(host, path) {
		t, err = dc.profile(path, o)
		return t, true, err
	}
	if !mayBeZoho(host) {
		return Target{}, false, ErrTarget // the usual case where paths choose, so not a word more
	}
	e, ok := lookupHost(host)
	if custom, center := o.Catalog.ofHost(host); !ok && custom != nil {
		t, err = dc.routeCustomHost(custom, host, path, center, o)
		return t, true, err
	} else if !ok {
		isZoho, err = dc.unknownHost(host, o)
		return Target{}, isZoho, err
	}
	if e.role == roleAccounts {
		t, err = dc.routeAccounts(host, path, e.center.dc, o)
		return t, true, err
	}
	if !dc.mapsFrom(e.center.dc, o) {
		return Target{}, true, dc.otherDataCenter(host, e.center.dc)
	}
	if e.service == "" {
		e = e.byPath(path)
	}
	if name := ServiceOfPath(path); dc.Custom && name == ProfileService {
		t, err = dc.profile(path, o)
		return t, true, err
	} else if dc.Custom { // all of them live at one host, which goes by the path
		e.service = cmp.Or(name, ServiceOfPath(loosely(path)), e.service)
	}
	if e.service == "" {
		return Target{}, true, dc.notAtGateway(path)
	}
	r, err := dc.environment(e.role, host, o)
	if err != nil {
		return Target{}, true, err
	}
	t, err = dc.target(e.service, r, path, o)
	return t, true, err
}

// environment is the role whose host a request goes to that names a host of role r. Sandboxes
// and developer editions refuse the tokens of others with the words for a dead one.
func (dc DataCenter) environment(r role, host string, o RouteOptions) (role, error) {
	if r != roleSandbox && r != roleDeveloper {
		return r, nil
	}
	if dc.Custom { // by Zoho's own URLs, perhaps
		if api, ok := lookupHost(dc.apiHost()); ok && api.role != r {
			return r, fmt.Errorf("%w: %s is for grants of that environment, and data_center is %s",
				ErrEnvironment, show(host), dc.apiHost())
		}
		return r, nil
	}
	if o.Provisional {
		return roleGateway, nil
	}
	own := dc.gatewayOf(o.APIDomain)
	if own == "" {
		own = hostsByCode[dc.Code].hosts[roleGateway]
	}
	if own != hostsByCode[dc.Code].hosts[r] {
		return r, fmt.Errorf("%w: %s is for grants of that environment, and the connection's grant is for %s",
			ErrEnvironment, show(host), own)
	}
	return r, nil
}

// IsHost reports whether host, with or without a port, is one of Zoho's, whatever its
// data center.
func IsHost(host string) bool {
	_, known := lookupHost(host)
	return known || domainOwner(host) != nil
}

// Zohos reports whether the accounts server is one of Zoho's own, also where its URL was
// given instead of a code.
func (dc DataCenter) Zohos() bool {
	if !dc.Custom {
		return true
	}
	u, err := url.Parse(dc.Accounts)
	return err == nil && IsHost(u.Host)
}

// HostName gives the host of Zoho's that a Host header means: without its port, since apps are
// led here by other ports than Zoho's, without dots at the end, and without what no name has.
// Other hosts stay as they are.
func HostName(host string) string {
	if !mayBeZoho(host) {
		return host
	}
	name := host
	if strings.IndexByte(name, '%') >= 0 {
		if plain, err := url.PathUnescape(name); err == nil {
			name = plain
		}
	}
	name = strings.TrimLeft(name, "[")
	if end := strings.IndexFunc(name, notInNames); end >= 0 {
		name = name[:end]
	}
	if name = strings.TrimRight(name, "."); len(name) < len(host) && IsHost(name) {
		return name
	}
	return host
}

// mayBeZoho rules out at a glance what apps mostly call: localhost and addresses.
// Every domain of Zoho's begins with its name, but for those of ManageEngine's products.
func mayBeZoho(host string) bool {
	if strings.IndexByte(host, 'z') >= 0 || strings.IndexByte(host, 'Z') >= 0 {
		return true
	}
	if strings.IndexByte(host, 'e') < 0 && strings.IndexByte(host, 'E') < 0 { // nor has localhost, nor an address
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if equalFold(label, "manageengine") || equalFold(label, "servicedeskplus") || equalFold(label, "site24x7") {
			return true
		}
	}
	return false
}

// RoutePath finds the target of a request by the first segment of its path: a
// gateway service's leads to the API domain, path untouched; that of a service
// with a host of its own leads there without the segment; an upload to the CRM leads to the host that
// takes it, and /_host/NAME/ to the host for files of that name. path is the escaped
// path as received; it is never decoded, and dot segments in it change nothing. Where not
// all services are served they are refused: a gateway that resolves them would leave the
// service that the path names.
func (dc DataCenter) RoutePath(path string, o RouteOptions) (Target, error) {
	if path == ProfilePath {
		return dc.profile(path, o)
	}
	if strings.HasPrefix(path, FileHostPrefix) {
		return dc.routeFileHost(path, o)
	}
	name := firstSegment(path)
	if "/"+name+"/" == FileHostPrefix {
		return Target{}, dc.noFileHost("")
	}
	s, ok := serviceIndex[name]
	if custom := o.Catalog.named(name); !ok && custom != nil {
		return dc.routeCustomPath(custom, path, o)
	} else if !ok {
		return Target{}, unknownService(name)
	}
	if !dc.Custom && o.Method == http.MethodPost && isUpload(path) {
		return dc.target(name, roleContent, path, o)
	}
	if s.Gateway && !s.isOwn(path[len("/")+len(name):]) {
		return dc.target(name, roleGateway, path, o)
	}
	t, err := dc.target(name, s.role, path, o)
	if err == nil && !dc.Custom {
		t.Strip = len("/") + len(name)
	}
	return t, err
}

// isOwn reports whether what follows the name in a path belongs to the service's own host.
func (s Service) isOwn(rest string) bool {
	for _, base := range s.own {
		if name := firstSegment(base); firstSegment(rest) == name {
			return true
		}
	}
	return false
}

// ServiceOfHost gives the service that has a host of its own, "" for others.
func ServiceOfHost(host string) string {
	e, _ := lookupHost(host)
	return e.service
}
