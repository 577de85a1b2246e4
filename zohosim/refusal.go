package zohosim

import (
	"maps"
	"slices"
)

// Refusal gives the answer of a service, or of one of its families ("projects-v1"), in a case; variants
// and Options.Answers count. The zero Answer means that there is no such service or case.
func (s *Server) Refusal(service, refusalCase string) Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	family := service
	if p := productByName(service); p != nil {
		family = p.family
	}
	return s.answerLocked(service, family, refusalCase)
}

// answerLocked looks for an answer of the user's own, then the variants, the family, and the family "other".
func (s *Server) answerLocked(service, family, refusalCase string) Answer {
	for _, key := range []string{service + "/" + refusalCase, family + "/" + refusalCase} {
		if a, ok := s.o.Answers[key]; ok {
			return a
		}
	}
	for _, name := range s.o.Variants {
		if v := variants[name]; (v.family == family || v.family == service) && v.refusalCase == refusalCase {
			return v.answer
		}
	}
	if a, ok := refusals[family][refusalCase]; ok {
		return a
	}
	if refusals[family] == nil {
		return Answer{}
	}
	return refusals["other"][refusalCase]
}

// SetAnswer replaces an answer of a service, or of a family, as Options.Answers does.
func (s *Server) SetAnswer(service, refusalCase string, a Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answers := maps.Clone(s.o.Answers)
	if answers == nil {
		answers = map[string]Answer{}
	}
	answers[service+"/"+refusalCase] = a
	s.o.Answers = answers
}

// Variants lists the names that Options.Variants takes.
func Variants() []string { return slices.Sorted(maps.Keys(variants)) }
