package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// methods are those that Zoho's APIs have.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// Check says what is wrong with a policy, and with which option. With one upstream for all calls, paths
// need not begin with a service.
func (p *Policy) Check(upstream bool, services *zoho.Catalog) (option string, err error) {
	if !words.Name.MatchString(p.Name) {
		return "policy", errors.New("invalid policy name: " + words.NameRule)
	}
	if len(p.Principals)+len(p.Services)+len(p.Methods)+len(p.Paths) == 0 {
		return "policy", errors.New("it has no conditions and would admit every call: add principals, services, " +
			"methods or paths; `principals *` admits every caller that has a name")
	}
	for _, name := range p.Principals {
		if name == "" {
			return "principals", errors.New("principals: a name is empty (an unset {$NAME} becomes nothing)")
		}
	}
	for _, name := range p.Services {
		if !services.Has(name) {
			return "services", fmt.Errorf("services: there is no service %.64q%s; the services are %s",
				name, words.Meant(services.Nearest(name)), strings.Join(services.Names(), " "))
		}
	}
	for _, method := range p.Methods {
		if !slices.Contains(methods, method) {
			return "methods", fmt.Errorf("methods: there is no method %.64q%s; the methods are %s",
				method, words.DidYouMean(strings.ToUpper(method), methods), strings.Join(methods, " "))
		}
	}
	for _, path := range p.Paths {
		if err := p.checkPath(path, upstream, services); err != nil {
			return "paths", fmt.Errorf("paths: %.200q %w", path, err)
		}
	}
	return "", nil
}

// checkPath refuses patterns that no path would match.
func (p *Policy) checkPath(path string, upstream bool, services *zoho.Catalog) error {
	switch {
	case strings.Contains(path, "://"):
		return errors.New("is a URL: write only the path, as in /crm/v8/Leads*")
	case !strings.HasPrefix(path, "/"):
		return errors.New("does not begin with /: write the path that apps use, as in /crm/v8/Leads*")
	case strings.ContainsAny(path, "?#"):
		return errors.New("has a query: leave it out, policies look only at the path")
	case strings.Contains(path, "%"):
		return errors.New("has a percent escape: write the character itself")
	}
	for segment := range strings.SplitSeq(path, "/") {
		if strings.Count(segment, "*") > 1 {
			return errors.New("has more than one * in a segment: write one")
		}
	}
	if _, odd := plain(path); odd != "" {
		return fmt.Errorf("can never match: %s, and a policy refuses such paths", odd)
	}
	if strings.HasPrefix(path, zoho.FileHostPrefix) {
		return errors.New("names a host: write the path that follows it, as in /v1/workdrive/download/*, and add " +
			"`services` to the policy")
	}
	first, _, _ := strings.Cut(path[1:], "/")
	if services.OfPath(path) == "" && !strings.Contains(first, "*") && len(p.Services) == 0 && !upstream {
		return fmt.Errorf("does not begin with a service%s: write the path that apps use at the proxy, as in "+
			"/desk/api/v1/tickets, or add `services` to the policy", words.Meant(services.Nearest(first)))
	}
	return nil
}
