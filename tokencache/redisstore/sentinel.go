package redisstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"
)

// Sentinels that want a password get that of the servers. go-redis would take one for them once, and
// ours can change, so a connection proves itself before go-redis has it.

// errSentinel says that a sentinel wants another password than the servers have.
var errSentinel = errors.New("a sentinel refuses the password")

// introduce proves a connection to an address where it is asked for that, which may be a sentinel's or a
// server's: go-redis does so again with servers, and says what they refuse.
func (c Config) introduce(ctx context.Context, conn net.Conn, address string) error {
	if c.Sentinel == "" {
		return nil
	}
	access, err := c.Access()
	if err != nil {
		return &accessError{err}
	}
	if access.Password == "" {
		return nil
	}
	deadline, _ := ctx.Deadline() // none is no deadline here, too
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	answer, err := speak(conn, "PING")
	if err != nil || !strings.HasPrefix(answer, "-NOAUTH") {
		return errors.Join(err, conn.SetDeadline(time.Time{}))
	}
	tries := [][]string{{"AUTH", access.Password}}
	if access.Username != "" {
		tries = [][]string{{"AUTH", access.Username, access.Password}, tries[0]}
	}
	for _, try := range tries {
		answer, err = speak(conn, try...)
		if err != nil || strings.HasPrefix(answer, "+") {
			return errors.Join(err, conn.SetDeadline(time.Time{}))
		}
	}
	if slices.Contains(c.Addresses, address) {
		return errSentinel
	}
	return conn.SetDeadline(time.Time{})
}

// speak sends a command, and reads an answer of one line.
func speak(conn net.Conn, words ...string) (answer string, err error) {
	command := fmt.Sprintf("*%d\r\n", len(words))
	for _, word := range words {
		command += fmt.Sprintf("$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(conn, command); err != nil {
		return "", err
	}
	var line []byte
	for one := make([]byte, 1); !strings.HasSuffix(string(line), "\r\n"); line = append(line, one[0]) {
		if _, err := io.ReadFull(conn, one); err != nil {
			return "", err
		}
	}
	return string(line), nil
}
