package stores

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/secret"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache/redisstore"
)

// Redis says which Redis holds the store of several Caddys.
type Redis struct {
	// Addresses: redis://HOST[:PORT][/DATABASE], with TLS rediss://…, or unix:///PATH.
	// Several are nodes of a cluster, or sentinels.
	URLs []string `json:"urls"`

	// User of Redis's access control. Default: the one that Redis calls default.
	Username string `json:"username,omitempty"`

	// Password of the user, read anew for each connection.
	Password secret.Ref `json:"password,omitzero"`

	// Begins each key. Default: `caddy-zoho:`.
	KeyPrefix string `json:"key_prefix,omitempty"`

	// File of certificate authorities for rediss://. Default: those of the system.
	CA string `json:"ca,omitempty"`

	// Name of the primary, where the addresses are those of sentinels.
	Sentinel string `json:"sentinel,omitempty"`
}

// defaultPrefix begins the keys where nobody says otherwise.
const defaultPrefix = "caddy-zoho:"

// Access is what a connection to Redis proves itself with.
type Access = redisstore.Access

// Parse looks at what stands in the configuration. Its errors show no credentials.
func (r *Redis) Parse() error {
	_, err := r.config()
	return err
}

// Check looks at what the environment gives as well, and opens nothing.
func (r *Redis) Check() error {
	if err := r.Parse(); err != nil {
		return err
	}
	_, err := r.access()
	return err
}

// access reads the credentials and authorities anew: they may have been replaced.
func (r *Redis) access() (a Access, err error) {
	a.Username = r.Username
	if r.Password.IsSet() {
		if a.Password, err = r.Password.Resolve(); err != nil {
			return Access{}, fmt.Errorf("password %w", err)
		}
	}
	if r.CA == "" {
		return a, nil
	}
	pem, err := os.ReadFile(r.CA)
	if err != nil {
		return Access{}, fmt.Errorf("ca %w", err)
	}
	a.TLS = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	if !a.TLS.RootCAs.AppendCertsFromPEM(pem) {
		return Access{}, fmt.Errorf("ca %s holds no certificate in PEM format", r.CA)
	}
	return a, nil
}

// config is what the addresses say.
func (r *Redis) config() (c redisstore.Config, err error) {
	c.Prefix, c.Sentinel = r.KeyPrefix, r.Sentinel
	if c.Prefix == "" {
		c.Prefix = defaultPrefix
	}
	if strings.ContainsAny(c.Prefix, "{} \t\r\n") || len(c.Prefix) > 128 {
		return c, errors.New("key_prefix holds braces or blanks, or is longer than 128 characters: write a word and a colon, as in `shop:` for example")
	}
	if len(r.URLs) == 0 {
		return c, errors.New("it has no address: write `store redis redis://HOST:PORT`")
	}
	var schemes []string
	for i, text := range r.URLs {
		a, err := parseAddress(text, r.Sentinel != "")
		if err != nil {
			return c, err
		}
		if slices.Contains(c.Addresses, a.at) {
			return c, fmt.Errorf("the address %s is there twice: list each node of a cluster, or each sentinel, once", a.at)
		}
		if i > 0 && (a.scheme != schemes[0] || a.database != c.Database) {
			return c, errors.New("its addresses differ in scheme or database: list nodes of one cluster, or sentinels of one primary")
		}
		c.Addresses, c.TLS, c.Database = append(c.Addresses, a.at), a.scheme == "rediss", a.database
		schemes = append(schemes, a.scheme)
	}
	switch {
	case len(r.URLs) > 1 && r.Sentinel == "" && c.Database != 0:
		return c, errors.New("a cluster has no databases: remove the number from its addresses, or name the primary with `sentinel`")
	case (len(r.URLs) > 1 || r.Sentinel != "") && schemes[0] == "unix":
		return c, errors.New("a socket is a single Redis on this machine, not a cluster or a sentinel")
	case r.CA != "" && !c.TLS:
		return c, errors.New("ca needs an address that begins with rediss://")
	}
	return c, nil
}

// address is what a URL says.
type address struct {
	scheme   string
	at       string // host:port, or a path
	database int
}

// errPassword is the refusal of credentials in a URL. It never quotes it.
var errPassword = errors.New(
	"an address has a user name or password, which Caddy's admin API would show: remove it, and write in the block " +
		"of `store redis` username NAME and password {env.NAME} or {file./path/to/file}")

func parseAddress(text string, sentinel bool) (a address, err error) {
	if strings.Contains(text, "@") {
		return a, errPassword
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Opaque != "" {
		return a, errors.New("an address is not a URL: write redis://HOST:PORT, rediss://HOST:PORT or unix:///PATH")
	}
	a.scheme = u.Scheme
	database := strings.TrimPrefix(u.Path, "/")
	switch u.Scheme {
	case "redis", "rediss":
		port := u.Port()
		if port == "" {
			port = "6379"
			if sentinel {
				port = "26379"
			}
		}
		if u.Hostname() == "" {
			return a, errors.New("an address has no host: write " + u.Scheme + "://HOST:PORT")
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return a, fmt.Errorf("an address has the port %s: ports are 1 to 65535", port)
		}
		a.at = net.JoinHostPort(u.Hostname(), port)
	case "unix":
		if u.Host != "" || u.Path == "" {
			return a, errors.New("an address has no socket: write unix:///PATH, with three slashes")
		}
		a.at, database = u.Path, u.Query().Get("db")
		u.RawQuery = ""
	default:
		return a, fmt.Errorf("an address begins with %q%s: write redis://, rediss:// or unix://", u.Scheme+"://",
			words.DidYouMean(u.Scheme, []string{"redis", "rediss", "unix"}))
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return a, errors.New("an address has something after ? or #: write options in the block of `store redis`")
	}
	if database != "" {
		if a.database, err = strconv.Atoi(database); err != nil || a.database < 0 {
			return a, errors.New("an address does not end with a database number: write redis://HOST:PORT/0")
		}
	}
	return a, nil
}
