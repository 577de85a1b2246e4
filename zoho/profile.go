package zoho

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// UserInfoURL tells who has consented, with the scope ScopeProfile. Behind a base that holds the
// protocol's version it is by pattern: no source shows one.
func (dc DataCenter) UserInfoURL() string {
	if dc.Custom && versioned.MatchString(dc.Accounts) {
		return versionAtEnd.ReplaceAllString(dc.Accounts, "") + "/user/info"
	}
	return dc.Accounts + ProfilePath
}

// reads reports whether a method changes nothing.
func reads(method string) bool {
	return method == "" || method == http.MethodGet || method == http.MethodHead
}

// routeAccounts finds the target of a request for the accounts server of the data center other.
func (dc DataCenter) routeAccounts(host, path string, other DataCenter, o RouteOptions) (Target, error) {
	switch {
	case path != ProfilePath || !reads(o.Method):
		return Target{}, ErrAccounts
	case !dc.mapsFrom(other, o):
		return Target{}, dc.otherDataCenter(host, other)
	}
	return dc.profile(path, o)
}

// isOwnAccounts reports whether a host and a path are those of the URL that a custom data center
// asks for the profile, or of the usual path there.
func (dc DataCenter) isOwnAccounts(host, path string) bool {
	if !dc.Custom || path != ProfilePath && !strings.HasSuffix(path, "/user/info") {
		return false
	}
	u, err := url.Parse(dc.UserInfoURL())
	return err == nil && equalFold(trimDefaultPort(host), u.Host) && (path == ProfilePath || path == u.EscapedPath())
}

// mayReachAccounts reports whether a path may lead to the accounts server where that has one origin with the
// services, as on premises. The profile is asked for elsewhere.
func (dc DataCenter) mayReachAccounts(path string) bool {
	if strings.IndexByte(path, '%') < 0 && !namesOAuth(path) { // nearly all paths
		return false
	}
	u, err := url.Parse(dc.Accounts)
	if err != nil || !equalFold(u.Host, dc.apiHost()) {
		return false
	}
	plain, base := loosely(path), strings.ToLower(u.Path)
	return strings.HasPrefix(plain, "/oauth/") || strings.HasPrefix(plain, base+"/oauth/") ||
		versioned.MatchString(dc.Accounts) && strings.HasPrefix(plain, base+"/")
}

func namesOAuth(path string) bool {
	const name = "oauth"
	for i := range len(path) - len(name) + 1 {
		if equalFold(path[i:i+len(name)], name) {
			return true
		}
	}
	return false
}

// profile is the target of a request for who has consented.
func (dc DataCenter) profile(path string, o RouteOptions) (Target, error) {
	if !reads(o.Method) {
		return Target{}, fmt.Errorf("%w: %s can only be read, with GET", ErrServiceUnknown, ProfilePath)
	}
	if err := o.allow(ProfileService, path); err != nil {
		return Target{}, err
	}
	u, err := url.Parse(dc.UserInfoURL())
	if err != nil || u.Host == "" {
		return Target{}, fmt.Errorf("%w: the connection's data center %s is unknown", ErrDataCenter, show(dc.Code))
	}
	t := Target{Service: ProfileService, Scheme: u.Scheme, Host: u.Host}
	if own := u.EscapedPath(); own != path {
		t.Strip, t.Prefix = len(path), own
	}
	return t, nil
}
