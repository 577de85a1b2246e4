// Package policy says which calls are admitted: by who calls, the service, the method and the
// path.
package policy

import (
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/wildcard"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// Policy admits calls. What it does not name may be anything.
type Policy struct {
	// What it is called in messages.
	Name string `json:"name"`

	// Names of callers, with * for any text.
	Principals []string `json:"principals,omitempty"`

	// Names of services.
	Services []string `json:"services,omitempty"`

	// Methods, in capitals.
	Methods []string `json:"methods,omitempty"`

	// Paths as an app writes them that calls the proxy by path, such as /crm/v8/Leads* or
	// /desk/api/v1/tickets. A * at the end stands for all that follows, elsewhere for the rest of
	// its segment.
	Paths []string `json:"paths,omitempty"`
}

// Call is what policies look at.
type Call struct {
	Caller    string
	Service   string
	Method    string
	Path      string // as it was received, from the service's root on, without the query
	AtGateway bool   // it is sent to a server that goes by the path alone
	Overrides bool   // a header or a parameter asks for another method or path
}

// Refusal is why no policy admits a call.
type Refusal struct {
	Nearest string // the policy that comes closest to it
	Why     string // what that one has against it
}

// Judge looks for a policy that admits a call, and says why there is none.
func Judge(policies []Policy, c *Call) *Refusal {
	var nearest *Refusal
	best := -1
	for i := range policies {
		step, why := policies[i].judge(c)
		if why == "" {
			return nil
		}
		if step > best {
			best, nearest = step, &Refusal{policies[i].Name, why}
		}
	}
	return nearest
}

// judge goes through the conditions of a policy. It says which one does not hold, and how far
// it came.
func (p *Policy) judge(c *Call) (step int, why string) {
	switch {
	case len(p.Principals) > 0 && !slices.ContainsFunc(p.Principals, func(pattern string) bool {
		return wildcard.Name(pattern, c.Caller)
	}):
		return 0, "the caller is not one of its principals"
	case len(p.Services) > 0 && !slices.Contains(p.Services, c.Service):
		return 1, "the service is not one of its services"
	case len(p.Services) > 0 && zoho.HasDotSegment(c.Path):
		return 1, "the path has a dot segment, which can lead out of the service"
	case len(p.Methods) > 0 && !slices.Contains(p.Methods, c.Method):
		return 2, "the method is not one of its methods"
	case len(p.Methods)+len(p.Paths) > 0 && c.Overrides:
		return 2, "a header or a parameter asks for another method or path"
	case len(p.Methods) > 0 && len(p.Paths) == 0 && len(mixed(c.Path)) > 0:
		return 2, "the body of such a call says which methods it means, and no path of the policy names it"
	case len(p.Paths) > 0:
		return 3, p.judgePath(c)
	}
	return 0, ""
}

func (p *Policy) judgePath(c *Call) string {
	path, odd := plain(c.Path)
	if odd != "" {
		return odd + ", and the policy names paths"
	}
	listed := func(path string) bool {
		return slices.ContainsFunc(p.Paths, func(pattern string) bool {
			return wildcard.Path(pattern, path) && len(unnamed(path, pattern)) == 0
		})
	}
	full := path
	if !c.AtGateway {
		full = "/" + c.Service + path
	}
	atHost := len(p.Services) > 0 && !strings.HasPrefix(path, "/"+c.Service+"/") // as at the host of a service that is named
	if listed(full) || atHost && listed(path) {
		return ""
	}
	if many := unnamed(path, ""); len(many) > 0 {
		return "the body of a call to " + strings.Join(many, ", ") + " says what it does, and no path of the policy names it"
	}
	return "the path is not one of its paths"
}
