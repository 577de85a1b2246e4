package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// methods are those that Zoho's APIs have.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// Check says what is wrong with a policy. The option that it concerns is told as well.
func (p *Policy) Check() (option string, err error) {
	if !onboard.AccountName.MatchString(p.Name) {
		return "policy", errors.New("the name of a policy: " + onboard.NameRule)
	}
	if len(p.Principals)+len(p.Services)+len(p.Methods)+len(p.Paths) == 0 {
		return "policy", errors.New("it names nothing, and would admit every call: name principals, services, " +
			"methods or paths; `principals *` admits all callers that have a name")
	}
	for _, name := range p.Principals {
		if name == "" {
			return "principals", errors.New("principals: a name is empty (an unset {$NAME} leaves nothing behind)")
		}
	}
	for _, name := range p.Services {
		if _, ok := zoho.LookupService(name); !ok {
			return "services", fmt.Errorf("services: there is no service %.64q%s; known are %s",
				name, words.Meant(zoho.NearestService(name)), strings.Join(zoho.ServiceNames(), " "))
		}
	}
	for _, method := range p.Methods {
		if !slices.Contains(methods, method) {
			return "methods", fmt.Errorf("methods: there is no method %.64q%s; known are %s",
				method, words.DidYouMean(strings.ToUpper(method), methods), strings.Join(methods, " "))
		}
	}
	for _, path := range p.Paths {
		if err := p.checkPath(path); err != nil {
			return "paths", fmt.Errorf("paths: %.200q %w", path, err)
		}
	}
	return "", nil
}

// checkPath refuses patterns that no path would match.
func (p *Policy) checkPath(path string) error {
	switch {
	case strings.Contains(path, "://"):
		return errors.New("is an address: write the path alone, as in /crm/v8/Leads*")
	case !strings.HasPrefix(path, "/"):
		return errors.New("does not begin with /: write it as an app does, as in /crm/v8/Leads*")
	case strings.ContainsAny(path, "?#"):
		return errors.New("has a query: policies look at paths alone")
	case strings.Contains(path, "%"):
		return errors.New("has an escape: write what it stands for")
	}
	for segment := range strings.SplitSeq(path, "/") {
		if strings.Count(segment, "*") > 1 {
			return errors.New("has a segment with more than one *")
		}
	}
	if _, odd := plain(path); odd != "" {
		return fmt.Errorf("matches nothing: %s, and no such path is admitted", odd)
	}
	first, _, _ := strings.Cut(path[1:], "/")
	if _, ok := zoho.LookupService(first); !ok && !strings.Contains(first, "*") && len(p.Services) == 0 {
		return fmt.Errorf("begins with no service%s: write the path as an app does that calls the proxy, as in "+
			"/desk/api/v1/tickets, or name the services of the policy", words.Meant(zoho.NearestService(first)))
	}
	return nil
}
