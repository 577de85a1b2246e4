package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// What comes from Redis may be anybody's: guarded bounds what its answers can take of memory,
// strangeValue names the key at which there is something else.

const (
	maxBulk     = 1 << 20 // bytes of one value
	maxElements = 1 << 20 // of a list
	maxLine     = 1 << 16 // bytes of a line
)

// endlessError is an answer that would take too much memory, or none of Redis's.
type endlessError struct{ what string }

func (e *endlessError) Error() string { return e.what }

// guarded reads answers of Redis, and ends the connection with the first that announces
// more than anything that we write: go-redis makes room for what is announced before it is there.
type guarded struct {
	net.Conn
	header []byte // of the line so far, at most maxHeader
	length int    // of the line so far
	skip   int    // bytes of a value that are still to come, its line end included
	late   bool   // it was read beyond the deadline already
	failed error
}

// guard guards a connection. One that go-redis can ask the system for, to see whether it was closed
// meanwhile, stays so.
func guard(conn net.Conn) net.Conn {
	if plain, ok := conn.(syscall.Conn); ok {
		return struct {
			*guarded
			syscall.Conn
		}{&guarded{Conn: conn}, plain}
	}
	return &guarded{Conn: conn}
}

const maxHeader = 24 // a kind and a number

func (g *guarded) Read(b []byte) (n int, err error) {
	if g.failed != nil {
		return 0, g.failed
	}
	n, err = g.Conn.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) && !g.late {
		n, err = g.readLate(b)
	}
	if g.failed = g.look(b[:n]); g.failed != nil {
		return 0, g.failed
	}
	return n, err
}

// lateRead is how long something is read that has come before its deadline.
const lateRead = 50 * time.Millisecond

// readLate reads once more after the deadline: a process that was stopped finds its answers there, and its
// deadlines over.
func (g *guarded) readLate(b []byte) (n int, err error) {
	g.late = true
	if err := g.Conn.SetReadDeadline(time.Now().Add(lateRead)); err != nil {
		return 0, err
	}
	return g.Conn.Read(b)
}

// SetReadDeadline begins a read.
func (g *guarded) SetReadDeadline(deadline time.Time) error {
	g.late = false
	return g.Conn.SetReadDeadline(deadline)
}

// look follows where answers begin and end.
func (g *guarded) look(b []byte) error {
	for i := 0; i < len(b); {
		if g.skip > 0 {
			n := min(g.skip, len(b)-i)
			g.skip, i = g.skip-n, i+n
			continue
		}
		c := b[i]
		i++
		if c != '\n' {
			if g.length++; g.length > maxLine {
				return &endlessError{"its answer is a line without an end"}
			}
			if len(g.header) < maxHeader {
				g.header = append(g.header, c)
			}
			continue
		}
		if err := g.announced(strings.TrimSuffix(string(g.header), "\r")); err != nil {
			return err
		}
		g.header, g.length = g.header[:0], 0
	}
	return nil
}

// announced looks at the line that an answer begins with. Sentinels answer by RESP 3.
func (g *guarded) announced(line string) error {
	if line == "" || !strings.Contains("+-:_#,($=!*%~>|", line[:1]) {
		return &endlessError{"its answer is not one of Redis"}
	}
	one, many := strings.Contains("$=!", line[:1]), strings.Contains("*%~>|", line[:1])
	if !one && !many {
		return nil
	}
	n, err := strconv.Atoi(line[1:])
	switch {
	case err != nil:
		return &endlessError{"its answer is not one of Redis"}
	case one && n > maxBulk:
		return &endlessError{fmt.Sprintf("its answer is a value of %d bytes, and ours have at most %d", n, maxBulk)}
	case many && n > maxElements:
		return &endlessError{fmt.Sprintf("its answer is a list of %d, and ours have at most %d", n, maxElements)}
	case one && n >= 0:
		g.skip = n + len("\r\n")
	}
	return nil
}

// strangeValue is an error about what is at our keys: another kind of value, or one without an end.
type strangeValue struct {
	error
	keys []string
}

func (e *strangeValue) Unwrap() error { return e.error }

// namingKeys has refusals name the keys that they are about: the arguments behind our prefix.
type namingKeys struct{ prefix string }

// DialHook leaves dialling alone.
func (h namingKeys) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook names the keys of a command.
func (h namingKeys) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return h.name(cmd, next(ctx, cmd)) }
}

// ProcessPipelineHook names the keys of the command that has failed.
func (h namingKeys) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			if cmd.Err() == nil {
				continue
			}
			named := h.name(cmd, cmd.Err())
			cmd.SetErr(named)
			if errors.Is(named, err) { // the pipeline fails by the first that does
				err = named
			}
		}
		return err
	}
}

func (h namingKeys) name(cmd redis.Cmder, err error) error {
	var endless *endlessError
	if err == nil || !errors.As(err, &endless) && !strings.Contains(err.Error(), "WRONGTYPE") {
		return err
	}
	named := &strangeValue{error: err}
	for _, arg := range cmd.Args() {
		if text, ok := arg.(string); ok && strings.HasPrefix(text, h.prefix) {
			named.keys = append(named.keys, text)
		}
	}
	cmd.SetErr(named)
	return named
}
