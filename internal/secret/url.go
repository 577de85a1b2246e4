package secret

import (
	"errors"
	"net/url"
	"regexp"
)

// Placeholder matches one, wherever it stands.
var Placeholder = regexp.MustCompile(`\{[^{}\s]+\}`)

// ResolveURL puts the values of placeholders into a URL, where they stay within the part
// that they stand in, or takes all of it from one. Its errors show no value.
func ResolveURL(text string) (*url.URL, error) {
	var missing error
	filled := Placeholder.ReplaceAllStringFunc(text, func(reference string) string {
		value, err := Ref{placeholder: reference}.Resolve()
		missing = errors.Join(missing, err)
		if reference == text {
			return value
		}
		return url.PathEscape(value)
	})
	if missing != nil {
		return nil, missing
	}
	parsed, err := url.Parse(filled)
	if err != nil || parsed.Host == "" {
		return nil, errors.New("with its placeholders filled in, it is not a URL")
	}
	return parsed, nil
}
