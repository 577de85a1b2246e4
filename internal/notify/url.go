package notify

import (
	"errors"
	"net/url"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/secret"
)

// URL is the address of notifications, as it is configured.
type URL string

var errURL = errors.New(
	"write a URL that begins with http or https, as in https://alerts.example.com/zoho; if the URL itself is a secret, write a placeholder such as {env.ZOHO_NOTIFY}",
)

// Parse checks what can be told without the values of placeholders.
func (h URL) Parse() error {
	if rest := secret.Placeholder.ReplaceAllString(string(h), ""); strings.ContainsAny(rest, "{}") {
		return errURL
	}
	if strings.HasPrefix(string(h), "{") {
		return nil
	}
	to, err := url.Parse(secret.Placeholder.ReplaceAllString(string(h), "placeholder"))
	if err != nil || to.Host == "" || to.Scheme != "http" && to.Scheme != "https" {
		return errURL
	}
	if password, ok := to.User.Password(); ok && password != "placeholder" {
		return errors.New(
			"write the password as a placeholder, as in https://user:{env.NOTIFY_PASSWORD}@alerts.example.com/zoho, because Caddy's admin API shows the configuration",
		)
	}
	return nil
}

// Check is parse and resolve.
func (h URL) Check() error {
	if h == "" {
		return nil
	}
	if err := h.Parse(); err != nil {
		return err
	}
	_, err := h.Resolve()
	return err
}

// Resolve puts in the values of placeholders, nil if there is no address.
func (h URL) Resolve() (*url.URL, error) {
	if h == "" {
		return nil, nil
	}
	to, err := secret.ResolveURL(string(h))
	if err == nil && to.Scheme != "http" && to.Scheme != "https" {
		err = errURL
	}
	if err != nil {
		return nil, err
	}
	return to, nil
}
