package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Config says which Redis it is.
type Config struct {
	Addresses []string // host:port, or the path of a socket; several are a cluster, or sentinels
	Sentinel  string   // name of the primary, which the sentinels know
	Database  int
	TLS       bool
	Prefix    string // of all keys

	// Access is asked at each new connection, so that what it returns can change.
	Access func() (Access, error)
}

// Access is what a connection to Redis proves itself with, and goes by.
type Access struct {
	Username string
	Password string
	TLS      *tls.Config // nil: the system's authorities
}

// Name says where it is. Two configurations with one name are one store.
func (c Config) Name() string {
	scheme := "redis"
	if c.TLS {
		scheme = "rediss"
	}
	name := fmt.Sprintf("%s://%s/%d", scheme, strings.Join(c.Addresses, ","), c.Database)
	if c.Sentinel != "" {
		name += " sentinel " + c.Sentinel
	}
	return name + " (" + c.Prefix + "*)"
}

// accessError says that there are no credentials, or no authorities, to connect with.
type accessError struct{ error }

func (e *accessError) Unwrap() error { return e.error }

const (
	dialLimit = time.Second
	callLimit = 2 * time.Second // of a call in all, dialling included
	waitLimit = 2 * time.Second // for replicas and disks to have a grant as well
)

// server is an open connection to Redis. Each call ends within its limit, without a second
// try by itself: time-outs would add up, and a script that was run may have been answered too late.
type server struct {
	name   string
	client redis.UniversalClient
	breaker
}

var silence sync.Once

func connect(c Config) *server {
	silence.Do(func() { redis.SetLogger(silent{}) })
	access := c.Access
	client := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:      c.Addresses,
		MasterName: c.Sentinel,
		DB:         c.Database,
		Protocol:   2,
		CredentialsProviderContext: func(context.Context) (username, password string, err error) {
			a, err := access()
			if err != nil {
				return "", "", &accessError{err}
			}
			return a.Username, a.Password, nil
		},
		Dialer:                c.dial,
		DialTimeout:           dialLimit,
		DialerRetries:         1,
		MaxRetries:            -1,
		ReadTimeout:           callLimit + waitLimit,
		WriteTimeout:          callLimit,
		PoolTimeout:           callLimit,
		ContextTimeoutEnabled: true,
		DisableIdentity:       true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	})
	client.AddHook(namingKeys{c.Prefix})
	return &server{name: c.Name(), client: client}
}

// dial opens a connection whose answers have bounds.
func (c Config) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := c.dialBare(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return guard(conn), nil
}

// dialBare opens a connection, and proves with TLS that it is to the right one.
func (c Config) dialBare(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	plain := &net.Dialer{KeepAlive: time.Minute}
	if !c.TLS {
		return plain.DialContext(ctx, network, address)
	}
	access, err := c.Access()
	if err != nil {
		return nil, &accessError{err}
	}
	return (&tls.Dialer{NetDialer: plain, Config: access.TLS}).DialContext(ctx, network, address)
}

// do makes a call. What do returns is what Redis has answered, or what the network did.
func (s *server) do(call func(ctx context.Context, c redis.UniversalClient) error) error {
	return s.within(callLimit, call)
}

func (s *server) within(limit time.Duration, call func(ctx context.Context, c redis.UniversalClient) error) error {
	if err := s.admit(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := call(ctx, s.client)
	if err == nil || errors.Is(err, redis.Nil) {
		s.settle(nil)
		return nil
	}
	known := explain(s.name, err)
	if judge(err).outage {
		s.settle(known)
	} else {
		s.settle(nil)
	}
	return known
}

// primaryOf is the node that holds a key, and writes it.
func primaryOf(ctx context.Context, c redis.UniversalClient, key string) (*redis.Client, error) {
	switch c := c.(type) {
	case *redis.Client:
		return c, nil
	case *redis.ClusterClient:
		return c.MasterForKey(ctx, key)
	}
	return nil, fmt.Errorf("a client of type %T", c)
}

// silent drops what go-redis would write on standard error: the errors say it.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// closedError answers calls after Close, and before Open.
func closedError(name string) error {
	return &tokencache.StoreError{
		File: name, Reason: "it is closed", Remedy: "Caddy is stopping, or another configuration has taken over",
	}
}
