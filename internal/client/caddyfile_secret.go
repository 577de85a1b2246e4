package client

import (
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/secret"
	"github.com/caddy-zoho/caddy-zoho/internal/syntax"
)

const literalWord = "insecure_literal"

// ParseSecrets takes placeholders, and literals behind the word that allows them.
// No error shows a value.
func ParseSecrets(l *syntax.Line, args []string) ([]secret.Ref, error) {
	var secrets []secret.Ref
	for i := 0; i < len(args); i++ {
		if args[i] != literalWord {
			ref, err := parsePlaceholder(l, args[i])
			if err != nil {
				return nil, err
			}
			secrets = append(secrets, ref)
			continue
		}
		i++
		switch {
		case i == len(args):
			return nil, l.Errorf("%s: insecure_literal has nothing after it: write the literal there "+
				"(an unset {$NAME} becomes nothing)", l.Word)
		case args[i] == "" || strings.ContainsFunc(args[i], func(r rune) bool { return r <= ' ' || r == 0x7f }):
			return nil, l.Errorf("%s: the literal after insecure_literal is empty, "+
				"or holds blanks or control characters", l.Word)
		case args[i][0] == '{':
			return nil, l.Errorf("%s: the word after insecure_literal looks like a placeholder, "+
				"which needs no insecure_literal", l.Word)
		}
		secrets = append(secrets, secret.Literal(args[i]))
	}
	return secrets, nil
}

func parsePlaceholder(l *syntax.Line, text string) (secret.Ref, error) {
	ref, err := secret.New(text)
	if err != nil {
		return ref, l.Errorf("%s: %w", l.Word, err)
	}
	name, isEnv := strings.CutPrefix(text[1:len(text)-1], "env.")
	path, isFile := strings.CutPrefix(text[1:len(text)-1], "file.")
	switch {
	case isEnv && strings.Contains(name, ":"):
		return ref, l.Errorf("%s: {env.NAME} takes no default: "+
			"the text after the colon would become part of the name", l.Word)
	case isEnv && name == "", isFile && path == "":
		return ref, l.Errorf("%s: the placeholder names nothing: write {env.NAME} or {file./path/to/file}", l.Word)
	case !isEnv && !isFile:
		return ref, l.Errorf("%s: this placeholder does not exist: write {env.NAME} or {file./path/to/file}", l.Word)
	}
	return ref, nil
}

// oneSecret parses an option that takes a single secret.
func oneSecret[T any](field func(*T) *secret.Ref) func(*T, *syntax.Line) error {
	return func(target *T, l *syntax.Line) error {
		secrets, err := ParseSecrets(l, l.Args)
		if err != nil {
			return err
		}
		if len(secrets) > 1 {
			return l.Errorf("%s takes one secret: write `%s {env.NAME}`", l.Word, l.Word)
		}
		*field(target) = secrets[0]
		return nil
	}
}
