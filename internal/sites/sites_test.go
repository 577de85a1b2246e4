package sites

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

// proxy stands for the handler of a zoho_proxy.
type proxy struct{ served Served }

func (p *proxy) Serves() Served { return p.served }

func (*proxy) ServeHTTP(http.ResponseWriter, *http.Request, caddyhttp.Handler) error { return nil }

func route(handler caddyhttp.MiddlewareHandler, matchers ...any) caddyhttp.Route {
	r := caddyhttp.Route{Handlers: []caddyhttp.MiddlewareHandler{handler}}
	for _, matcher := range matchers {
		r.MatcherSets = append(r.MatcherSets, caddyhttp.MatcherSet{matcher})
	}
	return r
}

func subroute(routes ...caddyhttp.Route) *caddyhttp.Subroute {
	return &caddyhttp.Subroute{Routes: routes}
}

func answer(status string) *caddyhttp.StaticResponse {
	return &caddyhttp.StaticResponse{StatusCode: caddyhttp.WeakString(status)}
}

func path(paths ...string) caddyhttp.MatchPath { return paths }

func host(hosts ...string) *caddyhttp.MatchHost { return (*caddyhttp.MatchHost)(&hosts) }

func walk(s *caddyhttp.Server) *Walk {
	return WalkServers(caddy.Context{}, map[string]*caddyhttp.Server{"srv0": s})[0]
}

// says counts the findings that hold words.
func (w *Walk) says(words string) (n int) {
	for _, f := range w.found {
		if strings.Contains(f.Line(), words) {
			n++
		}
	}
	return n
}

// TestHostsOnTheWay: each exact host matcher on the way to a handler names it, and none beside it.
func TestHostsOnTheWay(t *testing.T) {
	p, other := new(proxy), new(proxy)
	server := &caddyhttp.Server{
		Routes: caddyhttp.RouteList{
			route(subroute(
				route(subroute(route(p)), host("Inner.example."), path("/x")),
				route(answer("200"), host("beside.example")),
				route(&caddyhttp.Invoke{Name: "named"}, host("invoked.example")),
			), host("a.example", "*.wild.example", "{env.HOST}"), path("/crm/*"), caddyhttp.MatchHost{"b.example"}),
			route(other, host("other.example")),
			route(answer("200"), host("after.example")),
		},
		NamedRoutes: map[string]*caddyhttp.Route{"named": {Handlers: []caddyhttp.MiddlewareHandler{p}}},
	}
	hosts := HostsOf([]*Walk{walk(server)}, p)
	slices.Sort(hosts)
	if want := []string{"a.example", "b.example", "inner.example", "invoked.example"}; !slices.Equal(slices.Compact(hosts), want) {
		t.Errorf("got %v", hosts)
	}
	if got := HostsOf([]*Walk{walk(server)}, other); !slices.Equal(got, []string{"other.example"}) {
		t.Errorf("the other one: got %v", got)
	}
}

// TestGuardsByPath: a rule by path before a zoho_proxy of every service is got round by Host, and
// is told of; what has nothing to do with services is not.
func TestGuardsByPath(t *testing.T) {
	all := new(proxy)
	auth := new(caddyauth.Authentication)
	asking := &reverseproxy.Handler{HandleResponse: []caddyhttp.ResponseHandler{{}}}
	expression := func(pattern string) *caddyhttp.MatchPathRE {
		return &caddyhttp.MatchPathRE{MatchRegexp: caddyhttp.MatchRegexp{Pattern: pattern}}
	}
	for name, tt := range map[string]struct {
		routes caddyhttp.RouteList
		want   bool
	}{
		"respond":           {caddyhttp.RouteList{route(answer("403"), path("/desk/*")), route(all)}, true},
		"respond, 404":      {caddyhttp.RouteList{route(answer("404"), path("/desk*")), route(all)}, true},
		"one of several":    {caddyhttp.RouteList{route(answer("403"), path("/x", "/mail/*")), route(all)}, true},
		"part of a service": {caddyhttp.RouteList{route(answer("403"), path("/crm/v8/users")), route(all)}, true},
		"part of a name":    {caddyhttp.RouteList{route(answer("403"), path("/de*")), route(all)}, true},
		"error":             {caddyhttp.RouteList{route(new(caddyhttp.StaticError), path("/desk/*")), route(all)}, true},
		"abort":             {caddyhttp.RouteList{route(&caddyhttp.StaticResponse{Abort: true}, path("/desk/*")), route(all)}, true},
		"handle":            {caddyhttp.RouteList{route(subroute(route(answer("403"))), path("/desk/*")), route(subroute(route(all)))}, true},
		"password":          {caddyhttp.RouteList{route(auth, path("/desk/*")), route(all)}, true},
		"handle, password":  {caddyhttp.RouteList{route(subroute(route(auth), route(all)), path("/desk/*")), route(all)}, true},
		"forward_auth":      {caddyhttp.RouteList{route(asking, path("/desk/*")), route(all)}, true},
		"expression":        {caddyhttp.RouteList{route(answer("403"), expression("^/desk/")), route(all)}, true},
		"site":              {caddyhttp.RouteList{route(subroute(route(answer("403"), path("/desk/*")), route(subroute(route(all)))), host("a.example"))}, true},

		"in a route":        {caddyhttp.RouteList{route(subroute(route(answer("403"), path("/desk/*")))), route(all)}, true},
		"in the same route": {caddyhttp.RouteList{{Handlers: []caddyhttp.MiddlewareHandler{subroute(route(answer("403"), path("/desk/*"))), all}}}, true},
		"named":             {caddyhttp.RouteList{route(&caddyhttp.Invoke{Name: "closed"}, path("/desk/*")), route(all)}, true},
		"closing":           {caddyhttp.RouteList{route(&caddyhttp.StaticResponse{Close: true}, path("/desk/*")), route(all)}, true},

		"health":       {caddyhttp.RouteList{route(answer("503"), path("/zoho-health")), route(all)}, false},
		"metrics":      {caddyhttp.RouteList{route(answer("403"), path("/metrics", "/zoho-connect/*", "/.env", "/favicon.ico")), route(all)}, false},
		"hello":        {caddyhttp.RouteList{route(answer("200"), path("/desk/*")), route(all)}, false},
		"default":      {caddyhttp.RouteList{route(answer(""), path("/desk/*")), route(all)}, false},
		"pages":        {caddyhttp.RouteList{route(auth, path("/zoho-connect/*")), route(all)}, false},
		"all of it":    {caddyhttp.RouteList{route(auth), route(all)}, false},
		"any path":     {caddyhttp.RouteList{route(answer("403"), path("*.php")), route(all)}, false},
		"another app":  {caddyhttp.RouteList{route(new(reverseproxy.Handler), path("/desk/*")), route(all)}, false},
		"after":        {caddyhttp.RouteList{route(all), route(answer("403"), path("/desk/*"))}, false},
		"another site": {caddyhttp.RouteList{route(subroute(route(answer("403"), path("/desk/*"))), host("a.example")), route(all)}, false},
		"services":     {caddyhttp.RouteList{route(answer("403"), path("/desk/*")), route(&proxy{Served{Services: []string{"crm"}}})}, false},
		"policies":     {caddyhttp.RouteList{route(answer("403"), path("/desk/*")), route(&proxy{Served{Policies: true}})}, false},
		"upstream":     {caddyhttp.RouteList{route(answer("403"), path("/desk/*")), route(&proxy{Served{Upstream: true}})}, false},
	} {
		closed := route(answer("403"))
		w := walk(&caddyhttp.Server{Routes: tt.routes, NamedRoutes: map[string]*caddyhttp.Route{"closed": &closed}})
		if got := w.says("can bypass it") > 0; got != tt.want {
			t.Errorf("%s: got %v: %v", name, got, w.found)
		}
	}
}

// TestNamesByHeader: a header that says who calls has to be set on the way, always.
func TestNamesByHeader(t *testing.T) {
	named := &proxy{Served{NamesByHeader: []string{"X-User"}}}
	set := &headers.Handler{Request: &headers.HeaderOps{Set: http.Header{"x-user": {"{http.auth.user.id}"}}}}
	remove := &headers.Handler{Request: &headers.HeaderOps{Delete: []string{"X-User"}}}
	add := &headers.Handler{Request: &headers.HeaderOps{Add: http.Header{"X-User": {"x"}}}}
	asking := func(copies *headers.Handler) *reverseproxy.Handler {
		return &reverseproxy.Handler{HandleResponse: []caddyhttp.ResponseHandler{{Routes: caddyhttp.RouteList{route(copies)}}}}
	}
	for name, tt := range map[string]struct {
		routes caddyhttp.RouteList
		want   int
	}{
		"nothing before it":   {caddyhttp.RouteList{route(named)}, 1},
		"forward_auth":        {caddyhttp.RouteList{route(asking(set)), route(named)}, 0},
		"around":              {caddyhttp.RouteList{route(asking(remove)), route(subroute(route(named)), path("/crm/*"))}, 0},
		"without that header": {caddyhttp.RouteList{route(asking(new(headers.Handler))), route(named)}, 1},
		"for some requests":   {caddyhttp.RouteList{route(asking(set), path("/desk/*")), route(named)}, 1},
		"after":               {caddyhttp.RouteList{route(named), route(asking(set))}, 1},
		"request_header":      {caddyhttp.RouteList{route(set), route(named)}, 0},
		"added to":            {caddyhttp.RouteList{route(add), route(named)}, 1},
		"in the same route":   {caddyhttp.RouteList{{Handlers: []caddyhttp.MiddlewareHandler{set, named}}}, 0},
		"in a route":          {caddyhttp.RouteList{route(subroute(route(set))), route(named)}, 0},
	} {
		w := walk(&caddyhttp.Server{Routes: tt.routes})
		if got := w.says("header X-User"); got != tt.want {
			t.Errorf("%s: got %d: %v", name, got, w.found)
		}
	}
}

// TestFilters: each log that gets the accesses has to take a key out.
func TestFilters(t *testing.T) {
	access := &caddyhttp.Server{Logs: &caddyhttp.ServerLogConfig{DefaultLoggerName: "log0"}}
	whole := logging{exclude: []string{"http.log.access.log0"}}
	for name, tt := range map[string]struct {
		logs Logs
		want bool
	}{
		"no log":            {nil, true},
		"the default log":   {Logs{{}}, false},
		"only elsewhere":    {Logs{whole}, true},
		"a filter":          {Logs{whole, {include: []string{"http.log.access.log0"}, fields: []string{"request>headers>Zoho-Proxy-Key"}}}, true},
		"all headers":       {Logs{whole, {include: []string{"http.log.access"}, fields: []string{"request>headers"}}}, true},
		"another header":    {Logs{whole, {include: []string{"http.log.access.log0"}, fields: []string{"request>headers>Cookie"}}}, false},
		"the parameter":     {Logs{{parameters: []string{"authtoken"}}}, true},
		"in other letters":  {Logs{{fields: []string{"request>headers>zoho-proxy-key"}}}, false}, // Caddy's filter is exact
		"another parameter": {Logs{{parameters: []string{"token"}}}, false},
		"two, one filtered": {Logs{{}, {fields: []string{"request"}}}, false},
		"another namespace": {Logs{{include: []string{"http.log.access.log01"}}, {include: []string{"zoho"}}}, true},
	} {
		got := tt.logs.hide(access, []string{"request", "request>headers", "request>headers>Zoho-Proxy-Key"}, "authtoken")
		if got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestNamesByCertificate: a certificate that is not verified says nothing.
func TestNamesByCertificate(t *testing.T) {
	for mode, want := range map[string]int{"request": 1, "require": 1, "verify_if_given": 0, "require_and_verify": 0} {
		w := walk(&caddyhttp.Server{
			Routes:          caddyhttp.RouteList{route(&proxy{Served{NamesByCertificate: true}})},
			TLSConnPolicies: caddytls.ConnectionPolicies{{ClientAuthentication: &caddytls.ClientAuthentication{Mode: mode}}},
		})
		if got := w.says("certificate that anyone"); got != want {
			t.Errorf("%s: got %d: %v", mode, got, w.found)
		}
	}
}

// TestKeysInAccessLogs: told of where there is an access log, each by what takes it out.
func TestKeysInAccessLogs(t *testing.T) {
	both := caddyhttp.RouteList{route(&proxy{Served{KeysInHeader: true, KeysInQuery: true}})}
	w := walk(&caddyhttp.Server{Routes: both, Logs: new(caddyhttp.ServerLogConfig)})
	if w.says("request>headers>Zoho-Proxy-Key delete") != 1 || w.says("delete authtoken") != 1 {
		t.Errorf("%v", w.found)
	}
	if w := walk(&caddyhttp.Server{Routes: both}); w.says("access log") > 0 {
		t.Errorf("without an access log: %v", w.found)
	}
	none := caddyhttp.RouteList{route(new(proxy))}
	if w := walk(&caddyhttp.Server{Routes: none, Logs: new(caddyhttp.ServerLogConfig)}); w.says("access log") > 0 {
		t.Errorf("without keys: %v", w.found)
	}
}
