package zoho

import (
	"fmt"
	"strings"
)

// FileHostPrefix is where apps that know only a base URL reach the hosts for files: the host's name
// follows, and then its path.
const FileHostPrefix = "/_host/"

// routeFileHost finds the target of a path behind FileHostPrefix. The host's name is compared byte for
// byte, so that nobody reads another one in it; the gateway, accounts servers and hosts of products are
// none of these.
func (dc DataCenter) routeFileHost(path string, o RouteOptions) (Target, error) {
	name, _, _ := strings.Cut(path[len(FileHostPrefix):], "/")
	if _, ok := dc.FileHost(name); !ok {
		return Target{}, dc.noFileHost(name)
	}
	rest := path[len(FileHostPrefix)+len(name):]
	if firstSegment(rest) == "" && hostIndex[name].service == "" && hostIndex[name].role == roleContent {
		return Target{}, fmt.Errorf("%w: at %[2]s the path names the service, as in %[3]s%[2]s/crm/v8/upload", ErrServiceUnknown, name, FileHostPrefix)
	}
	e := hostIndex[name]
	if e.service == "" {
		e = e.byPath(rest)
	}
	if e.service == "" {
		return Target{}, dc.notAtGateway(rest)
	}
	t, err := dc.target(e.service, e.role, rest, o)
	if err != nil {
		return Target{}, err
	}
	t.Strip, t.Foreign = len(path)-len(rest), true
	return t, nil
}

// noFileHost explains a name that is no host for files.
func (dc DataCenter) noFileHost(name string) error {
	if dc.Custom {
		return fmt.Errorf("%w: with two URLs in data_center there are no file hosts; call the path at %s",
			ErrServiceUnknown, dc.API)
	}
	var names []string
	for _, h := range dc.Hosts() {
		if h.Files {
			names = append(names, h.Name)
		}
	}
	wrong := show(name) + " is not a file host of data center " + dc.Code
	if name == "" {
		wrong = "the path names no host"
	}
	return fmt.Errorf("%w: %s: write /_host/NAME/ with one of %s", ErrServiceUnknown, wrong, strings.Join(names, " "))
}

// isUpload reports whether a path is that of the CRM's uploads, /crm/v8/upload. The gateway does not
// serve it, and says INVALID_URL_PATTERN (Zoho's SDK, lib/routes/dc, has another host for it).
func isUpload(path string) bool {
	rest, ok := strings.CutPrefix(path, "/crm/")
	if !ok {
		return false
	}
	version, rest, _ := strings.Cut(rest, "/")
	return rest == "upload" && isVersion(version)
}
