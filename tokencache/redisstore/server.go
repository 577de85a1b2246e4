package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
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
	dialLimit  = time.Second
	callLimit  = 2 * time.Second  // of one command, dialling included
	waitLimit  = 2 * time.Second  // for replicas and disks to have a grant as well
	turnLimit  = 10 * time.Second // for a turn, where many calls are made at once
	standstill = time.Second / 10 // nobody waits that much longer than a limit, unless this process gets no time to run
)

// server is an open connection to Redis. A call waits for one of its turns, and then ends within its
// limit: what it waits for here says nothing about Redis. It has a second try only where its connection
// was cut: time-outs would add up. What was carried out, and whose answer was lost, is therefore done
// twice: scripts and callers know their own work by its id, or read what is there. What cannot is unrepeatable.
type server struct {
	name   string
	client redis.UniversalClient
	turns  chan struct{} // one for each call that is made now
	breaker
}

// maxCalls is how many calls are made at once.
func maxCalls() int { return max(64, 10*runtime.GOMAXPROCS(0)) }

// spareConns are connections for what takes no turn: who follows changes, and go-redis itself.
const spareConns = 8

// connBuffer is what is read and written at once by a connection, in bytes: a grant or a token is smaller.
const connBuffer = 4 << 10

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
		ReadTimeout:           callLimit + 2*waitLimit,
		WriteTimeout:          callLimit,
		PoolSize:              maxCalls() + spareConns,
		PoolTimeout:           turnLimit,
		ReadBufferSize:        connBuffer,
		WriteBufferSize:       connBuffer,
		ContextTimeoutEnabled: true,
		DisableIdentity:       true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	})
	client.AddHook(namingKeys{c.Prefix})
	return &server{name: c.Name(), client: client, turns: make(chan struct{}, maxCalls())}
}

// dial opens a connection whose answers have bounds.
func (c Config) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	bare, err := c.dialBare(ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn := guard(bare)
	if err := c.introduce(ctx, conn, address); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// dialBare opens a connection, and proves with TLS that it is to the right one.
func (c Config) dialBare(ctx context.Context, network, address string) (net.Conn, error) {
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

// call is what is asked of Redis at once: one command, or one pipeline.
type call = func(ctx context.Context, c redis.UniversalClient) error

// do makes a call. What do returns is what Redis has answered, or what the network did.
func (s *server) do(call call) error { return s.within(callLimit, call) }

// within is do with another limit.
func (s *server) within(limit time.Duration, call call) error {
	return s.inTurn(func() error { return s.ask(limit, call) })
}

// look is do for what somebody wants to see: whether Redis is away is not judged by it.
func (s *server) look(call call) error {
	return s.inTurn(func() error {
		if err := s.try(callLimit, call); err != nil {
			return explain(s.name, err)
		}
		return nil
	})
}

// inTurn waits for a turn, unless Redis is away.
func (s *server) inTurn(ask func() error) error {
	if err := s.blocked(); err != nil {
		return err
	}
	if !s.takeTurn() {
		return explain(s.name, errCrowded)
	}
	defer func() { <-s.turns }()
	return ask()
}

// takeTurn waits for a turn. It returns false if none came.
func (s *server) takeTurn() bool {
	select {
	case s.turns <- struct{}{}:
		return true
	default:
	}
	limit := time.NewTimer(turnLimit)
	defer limit.Stop()
	select {
	case s.turns <- struct{}{}:
		return true
	case <-limit.C:
		return false
	}
}

// ask makes a call without a turn.
func (s *server) ask(limit time.Duration, call call) error {
	if err := s.admit(); err != nil {
		return err
	}
	err := s.try(limit, call)
	if err == nil {
		s.answered()
		return nil
	}
	known := explain(s.name, err)
	switch f := judge(err); {
	case f == faultSlow:
		s.timedOut(known)
	case f.outage:
		s.failed(known)
	case f != faultCrowded:
		s.answered()
	}
	return known
}

// try makes a call, and once more where Redis is not to blame for how it ended. If that was long after its
// limit, this process stood still, as when it is stopped or its machine sleeps. If the connection was cut,
// what stands between may have done that; to a Redis that has ended, the second one is refused at once.
func (s *server) try(limit time.Duration, call call) error {
	begun := time.Now()
	err := s.once(limit, call)
	stoodStill := judge(err) == faultSlow && time.Since(begun) > limit+standstill
	if (stoodStill || wasCut(err)) && !errors.As(err, new(unrepeatable)) {
		err = s.once(limit, call)
	}
	return err
}

// unrepeatable is the end of a call that must not be made twice.
type unrepeatable struct{ error }

func (e unrepeatable) Unwrap() error { return e.error }

// wasCut reports whether the connection ended while something was asked on it.
func wasCut(err error) bool {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

func (s *server) once(limit time.Duration, call call) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := call(ctx, s.client); !errors.Is(err, redis.Nil) {
		return err
	}
	return nil
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
