// Package secret reads secrets by reference: {env.NAME} or {file./path}. What a
// configuration shows is the reference. A value is read when it is needed, so that one
// which was rotated is found without a reload; no error and no printed form holds it.
package secret

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/caddyserver/caddy/v2"
)

// Ref is a reference to a secret: a Caddy placeholder such as {env.NAME} or
// {file./path}, resolved when loaded and looked at again when Zoho refuses what it
// gave. A literal must be asked for, as {"insecure_literal": "…"}, because Caddy's
// admin API and its autosaved configuration show whatever stands here.
type Ref struct {
	placeholder string
	literal     string
}

type literalSecret struct {
	InsecureLiteral string `json:"insecure_literal"`
}

// ErrLiteral never quotes the value: it may be the secret itself.
var ErrLiteral = errors.New(
	"write the secret as a placeholder, {env.NAME} or {file./path/to/file}, because Caddy's admin API shows the configuration " +
		"({$NAME} is replaced too early and counts as a literal); put `insecure_literal` before a literal that may be seen",
)

// New takes a placeholder and refuses everything else.
func New(text string) (Ref, error) {
	if !strings.HasPrefix(text, "{") || strings.IndexByte(text, '}') != len(text)-1 || len(text) < 3 {
		return Ref{}, ErrLiteral
	}
	return Ref{placeholder: text}, nil
}

// Literal is a secret that stands in the configuration itself.
func Literal(value string) Ref { return Ref{literal: value} }

// InFile is a secret in a file, whatever its path.
func InFile(path string) Ref { return Ref{placeholder: "{file." + path + "}"} }

// IsSet reports whether anything was configured.
func (s Ref) IsSet() bool { return s.placeholder != "" || s.literal != "" }

// ErrEmpty marks a placeholder that has no value now.
var ErrEmpty = errors.New("has no value")

// Resolve reads the secret anew. Its errors name the reference, never the value. While the disk of a file hangs,
// the value that was read last counts.
func (s Ref) Resolve() (string, error) {
	if s.file() == "" {
		return s.resolve()
	}
	return fileAt(s.file()).value(s.resolve)
}

// resolve is Resolve for who can wait.
func (s Ref) resolve() (string, error) {
	if s.placeholder == "" {
		return s.literal, nil
	}
	value, err := caddy.NewReplacer().ReplaceOrErr(s.placeholder, true, true)
	value = strings.TrimFunc(value, func(r rune) bool { return r == '\ufeff' || unicode.IsSpace(r) })
	if err != nil || value == "" {
		return "", fmt.Errorf("%s %w: %s", s.placeholder, ErrEmpty, s.remedy())
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "", fmt.Errorf(
			"%s has blanks or control characters in the middle: it must hold only the secret, on one line",
			s.placeholder,
		)
	}
	return value, nil
}

// Credential is Resolve for an id, a secret or a token that an authorization server gave out. RFC 6749 has only
// printable ASCII in those, and no server puts quotes around one: they are left over from a file or a web page.
func (s Ref) Credential() (string, error) {
	value, err := s.Resolve()
	switch {
	case err != nil:
		return "", err
	case HasQuotes(value):
		return "", fmt.Errorf("%s has quotes around its value, which would be sent along: "+
			"write the value without quotes (`docker --env-file` keeps them)", s)
	case strings.ContainsFunc(value, func(r rune) bool { return r > '~' }):
		return "", fmt.Errorf("%s holds a character that is not in ASCII, perhaps an invisible one: "+
			"copy the value again, and nothing beside it", s)
	}
	return value, nil
}

// HasQuotes reports whether a value begins or ends with a quote.
func HasQuotes(value string) bool { return strings.Trim(value, "\"'`“”‘’") != value }

// QuotesWarning is what doctor and the log say of such a key.
const QuotesWarning = "an encryption_key has quotes around it, which are part of the key: " +
	"a Caddy that gets it without them cannot open the store"

func (s Ref) remedy() string {
	inner := s.placeholder[1 : len(s.placeholder)-1]
	switch {
	case strings.HasPrefix(inner, "env."):
		return "set the environment variable " + strings.TrimPrefix(inner, "env.")
	case strings.HasPrefix(inner, "file."):
		return "the file " + s.file() + " " + whatIsWrong(s.file())
	default:
		return "this placeholder does not exist; write {env.NAME} or {file./path}"
	}
}

// file is where the secret is read from, "" if it is no file.
func (s Ref) file() string {
	if path, ok := strings.CutPrefix(s.placeholder, "{file."); ok {
		return strings.TrimSuffix(path, "}")
	}
	return ""
}

// whatIsWrong tells why a file has no secret to give.
func whatIsWrong(path string) string {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "is missing"
	case err == nil && info.IsDir():
		return "is a directory"
	case err == nil && info.Size() == 0:
		return "is empty"
	}
	if f, err := os.Open(path); err == nil {
		_ = f.Close()
		return "has only blanks, or is too large for a secret"
	}
	return "cannot be read by this process"
}

// mountedSecrets are folders whose modes are set by a container's runtime or systemd.
var mountedSecrets = []string{"/run/secrets/", "/var/run/secrets/", "/run/credentials/"}

// Exposed tells that others of this machine can read the secret's file, "" if they
// cannot, or if it is no file. The error says that its disk hangs.
func (s Ref) Exposed() (string, error) {
	path := s.file()
	if path == "" ||
		slices.ContainsFunc(mountedSecrets, func(dir string) bool { return strings.HasPrefix(path, dir) }) {
		return "", nil
	}
	return ask(fileAt(path), func() (string, error) { return exposed(path), nil })
}

func exposed(path string) string {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() || info.Mode().Perm()&0o077 == 0 {
		return ""
	}
	return fmt.Sprintf("other users can read the file %s (mode %04o): chmod 600 it", path, info.Mode().Perm())
}

// Guessable reports whether a key can be found by trying: nothing slows that down for whoever
// has a copy of the store.
func Guessable(key string) bool { return len(key) < 16 }

// GuessableWarning is what doctor and the log say of such a key.
const GuessableWarning = "an encryption_key is short enough to be guessed from a copy of the store: make one with `openssl rand -base64 32`"

// MarshalJSON prints the reference.
func (s Ref) MarshalJSON() ([]byte, error) {
	if s.placeholder == "" && s.literal != "" {
		return json.Marshal(literalSecret{s.literal})
	}
	return json.Marshal(s.placeholder)
}

// UnmarshalJSON accepts a placeholder, or an object that allows a literal.
func (s *Ref) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '{' {
		var l literalSecret
		if err := json.Unmarshal(data, &l); err != nil || l.InsecureLiteral == "" {
			return ErrLiteral
		}
		*s = Ref{literal: l.InsecureLiteral}
		return nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return ErrLiteral
	}
	if text == "" {
		*s = Ref{}
		return nil
	}
	ref, err := New(text)
	*s = ref
	return err
}

// String names the reference and hides a literal.
func (s Ref) String() string {
	if s.literal != "" {
		return "REDACTED"
	}
	return s.placeholder
}

// GoString is String.
func (s Ref) GoString() string { return s.String() }

// ResolveAll leaves out what has no value now.
func ResolveAll(secrets []Ref) [][]byte {
	var values [][]byte
	for _, ref := range secrets {
		if value, err := ref.Resolve(); err == nil {
			values = append(values, []byte(value))
		}
	}
	return values
}
