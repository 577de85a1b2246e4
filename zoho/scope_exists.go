package zoho

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/nearest"
)

// Which scopes there are, Zoho tells whoever may ask for a device code: it refuses names that do not exist by
// invalid_scope, before any secret or consent. A code that comes of such a question is used by nobody and ends by
// itself.

const (
	maxScopeQuestions = 60 // of UnknownScopes: all of a client's are one, each that does not exist a dozen
	maxNearest        = 5  // candidates of NearestScope
	maxMeant          = 5  // scopes of NearestScopes: each takes several questions
)

var errScopeQuestions = errors.New("too many scopes do not exist, so not all of them were checked")

// UnknownScopes asks which of some scopes do not exist. With an error it is not known of all of them; that of a client
// which may not ask is IsWrongClientType's.
func (a *Accounts) UnknownScopes(ctx context.Context, scopes []string) (unknown []string, err error) {
	left := maxScopeQuestions
	var look func(scopes []string) error
	look = func(scopes []string) error {
		if left--; left < 0 {
			return errScopeQuestions
		}
		exist, err := a.scopesExist(ctx, scopes)
		switch {
		case err != nil || exist:
			return err
		case len(scopes) == 1:
			unknown = append(unknown, scopes...)
			return nil
		}
		half := len(scopes) / 2
		if err := look(scopes[:half]); err != nil {
			return err
		}
		return look(scopes[half:])
	}
	if len(scopes) > 0 {
		err = look(scopes)
	}
	return unknown, err
}

func (a *Accounts) scopesExist(ctx context.Context, scopes []string) (bool, error) {
	_, err := a.StartDevice(ctx, scopes)
	if IsUnknownScope(err) {
		return false, nil
	}
	return err == nil, err
}

// NearestScope is the scope that a mistyped one was probably meant to be, and that exists: Zoho is asked. "" if none is
// near, or Zoho does not answer.
func (a *Accounts) NearestScope(ctx context.Context, scope string) string {
	for _, candidate := range NearScopes(scope) {
		exists, err := a.scopesExist(ctx, []string{candidate})
		if err != nil {
			return ""
		}
		if exists {
			return candidate
		}
	}
	return ""
}

// NearestScopes is NearestScope for the first few of many. It has those for which one was found.
func (a *Accounts) NearestScopes(ctx context.Context, scopes []string) map[string]string {
	found := make(map[string]string)
	for _, scope := range scopes[:min(len(scopes), maxMeant)] {
		if near := a.NearestScope(ctx, scope); near != "" {
			found[scope] = near
		}
	}
	return found
}

// NearScopes are the known scopes that look most like one, the nearest first, at most five.
func NearScopes(scope string) []string {
	wanted := strings.ToLower(scope)
	if len(wanted) > 80 {
		return nil
	}
	type near struct {
		scope    string
		distance int
	}
	var all []near
	seen := map[string]bool{scope: true}
	for candidate := range candidates(scope) {
		d := nearest.Distance(wanted, strings.ToLower(candidate))
		if !seen[candidate] && d <= max(2, len(scope)/3) {
			all = append(all, near{candidate, d})
		}
		seen[candidate] = true
	}
	slices.SortStableFunc(all, func(a, b near) int { return cmp.Compare(a.distance, b.distance) })
	var scopes []string
	for _, n := range all[:min(len(all), maxNearest)] {
		scopes = append(scopes, n.scope)
	}
	return scopes
}

// candidates yields all that a scope may be meant to be: the known ones, and those of its own name with another
// operation. Whose first part is one that exists is meant for that service: another one's scope is alike by chance.
func candidates(scope string) func(yield func(string) bool) {
	service := ParseScope(scope).Service
	named := slices.ContainsFunc(knownScopes, func(known knownScope) bool { return strings.EqualFold(known.service, service) })
	return func(yield func(string) bool) {
		for _, known := range knownScopes {
			if named && !strings.EqualFold(known.service, service) {
				continue
			}
			for name := range strings.FieldsSeq(known.names) {
				base := known.service + "." + name
				if known.operations == "" && !yield(base) {
					return
				}
				for operation := range strings.FieldsSeq(known.operations) {
					if !yield(base + "." + operation) {
						return
					}
				}
			}
		}
		base := scope
		if i := strings.LastIndexByte(scope, '.'); i > strings.IndexByte(scope, '.') {
			base = scope[:i]
		}
		for operation := range strings.FieldsSeq(usualOperations) {
			if !yield(base + "." + operation) {
				return
			}
		}
	}
}
