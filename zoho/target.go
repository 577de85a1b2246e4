package zoho

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
)

// Target is where a request goes and what was asked for.
type Target struct {
	Service string // name of the service
	Scheme  string // "https"; "http" only for a custom data center on loopback
	Host    string // without the default port: "desk.zoho.eu"
	// Strip is the number of bytes to cut from the front of the request's path;
	// 0 leaves it untouched. If nothing remains, the path is "/".
	Strip int
	// Prefix is put in front of what remains of the path.
	Prefix string
	// Foreign says that answers are files that anybody may have made, and come from the origin of the
	// proxy: a browser must not take one for a page of that.
	Foreign bool
}

// Rewrite gives the path that is sent for the one of a request; a query may follow it.
func (t Target) Rewrite(pathAndQuery string) string {
	rest := pathAndQuery[min(t.Strip, len(pathAndQuery)):]
	if t.Prefix == "" && (rest == "" || rest[0] != '/') {
		return "/" + rest
	}
	return t.Prefix + rest
}

// Address is what to dial for the target: host and port.
func (t Target) Address() string {
	if address, ok := dialAddresses[t.Host]; ok {
		return address
	}
	if _, _, err := net.SplitHostPort(t.Host); err == nil {
		return t.Host
	}
	port := "443"
	if t.Scheme == "http" {
		port = "80"
	}
	return net.JoinHostPort(strings.Trim(t.Host, "[]"), port)
}

// OriginTarget describes one origin that everything is sent to, whatever its
// path: a server of the operator's choice. Plain http is for this machine only.
func OriginTarget(origin string) (Target, error) {
	u, err := originURL("origin", origin)
	if err != nil {
		return Target{}, err
	}
	return Target{Scheme: u.Scheme, Host: u.Host}, nil
}

// RouteOptions narrows or widens what RouteHost and RoutePath accept.
type RouteOptions struct {
	// AnyDataCenter maps the hosts of every data center, not only those of .com
	// and of the connection's own.
	AnyDataCenter bool
	// Allowed reports whether a service is served; nil serves all.
	Allowed func(service string) bool
	// APIDomain is the api_domain of the grant's token reply. Gateway services
	// use it if it is one of the data center's own gateways, dc.API otherwise.
	APIDomain string
	// Catalog has the services; nil is the table's.
	Catalog *Catalog
	// Method is that of the request; "" stands for GET.
	Method string
	// Provisional says that no token reply has told an APIDomain yet. A host of a sandbox
	// then leads to production, and the answer is only good for getting a token: what
	// that says decides.
	Provisional bool
}

// allow refuses services that are not served, and paths that may lead out of one that is.
func (o RouteOptions) allow(service, path string) error {
	switch {
	case o.Allowed == nil:
		return nil
	case !o.Allowed(service):
		return fmt.Errorf("%w: %s is not one of the services allowed here", ErrServiceUnknown, service)
	case HasDotSegment(path):
		return fmt.Errorf("%w: the path has a dot segment, which can lead out of the services allowed here",
			ErrServiceUnknown)
	}
	return nil
}

// What RouteHost and RoutePath refuse, for errors.Is.
var (
	// ErrTarget is a host that no request is sent to.
	ErrTarget = errors.New("not a host of Zoho's services")
	// ErrAccounts is an ErrTarget: an accounts server, of which only the profile is served.
	ErrAccounts = fmt.Errorf("%w: this is an accounts server, where the proxy fetches tokens itself; apps can only call "+
		"GET %s there", ErrTarget, ProfilePath)
	// ErrDataCenter is a Zoho host of another data center than the connection's.
	ErrDataCenter = errors.New("host of another data center")
	// ErrEnvironment is a host of a sandbox or a developer edition, where the grant is not
	// good: it belongs to the one environment that its APIDomain names.
	ErrEnvironment = errors.New("host of another environment")
	// ErrServiceUnknown is a service that does not exist, is not allowed, or has
	// no host in the connection's data center.
	ErrServiceUnknown = errors.New("no such service")
)

// homeCode is the data center whose hosts everyone hard-codes.
const homeCode = "us"

// mapsFrom reports whether hosts of another data center may stand for those of dc.
func (dc DataCenter) mapsFrom(other DataCenter, o RouteOptions) bool {
	return o.AnyDataCenter || other.Code == homeCode || other.Code == dc.Code
}

// target puts a target together, path untouched.
func (dc DataCenter) target(service string, r role, path string, o RouteOptions) (Target, error) {
	if err := o.allow(service, path); err != nil {
		return Target{}, err
	}
	t := Target{Service: service, Scheme: "https"}
	if dc.Custom {
		if dc.mayReachAccounts(path) {
			return Target{}, ErrAccounts
		}
		t.Scheme, t.Host = dc.apiScheme(), dc.apiHost()
		return t, nil
	}
	h, ok := hostsByCode[dc.Code]
	if !ok {
		return Target{}, fmt.Errorf("%w: the connection's data center %s is unknown", ErrDataCenter, show(dc.Code))
	}
	if slices.Contains(h.absent, service) {
		return Target{}, dc.noHost(serviceIndex[service], r)
	}
	t.Host = h.hosts[r]
	if r == roleGateway && o.APIDomain != "" {
		if host := dc.gatewayOf(o.APIDomain); host != "" {
			t.Host = host
		}
	}
	if t.Host == "" {
		return Target{}, dc.noHost(serviceIndex[service], r)
	}
	return t, nil
}
