// Package audit writes who did what: a line for each call of a caller with a name, and for each
// thing that was done to a connection. None has a query, a body, a key or a token.
package audit

import (
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/time/rate"
)

// Log is where it is written: Caddy's logger zoho.audit, before the caller gets its answer. A
// nil Log writes nothing. Safe for concurrent use.
type Log struct {
	logger *zap.Logger

	mu     sync.Mutex
	brakes map[string]*brake // by codes
}

// New writes below the logger of the app.
func New(app *zap.Logger) *Log {
	return &Log{logger: app.Named("audit"), brakes: make(map[string]*brake)}
}

// Call is a call and what became of it.
type Call struct {
	Client     string
	Caller     string // "" for one without a name
	Peer       string // where it came from
	Account    string
	Service    string
	Method     string
	Path       string // without the query
	Status     int    // that the caller is told
	Generation uint64 // of the access token, 0 for none
	Code       string // of our refusal, "" if Zoho has answered
	Policy     string // the one that comes closest, where none admits the call
	Why        string // what that one has against it
	DryRun     bool   // the call was carried out all the same
}

// MarshalLogObject leaves out what is not known.
func (c *Call) MarshalLogObject(e zapcore.ObjectEncoder) error {
	for _, field := range [...]struct{ name, value string }{
		{"client", c.Client}, {"caller", c.Caller}, {"peer", c.Peer}, {"account", c.Account},
		{"service", c.Service}, {"method", c.Method}, {"path", c.Path}, {"code", c.Code},
		{"nearest_policy", c.Policy}, {"why", c.Why},
	} {
		if field.value != "" {
			e.AddString(field.name, cut(field.value))
		}
	}
	e.AddInt("status", c.Status)
	if c.Generation > 0 {
		e.AddUint64("generation", c.Generation)
	}
	if c.DryRun {
		e.AddBool("dry_run", true)
	}
	return nil
}

// longest is how much a line has of what a caller has written.
const longest = 1024

func cut(text string) string {
	if len(text) > longest {
		return text[:longest] + "…"
	}
	return text
}

// Call writes a call.
func (l *Log) Call(c *Call) {
	if l != nil {
		l.logger.Info("call", zap.Inline(c))
	}
}

// Refused writes a call that was refused and whose caller has no name, so that anybody can make a
// thousand in a second: of each code no more than a hundred lines at once and ten in a second. How many
// have none is written a second later.
func (l *Log) Refused(c *Call) {
	if l != nil && l.allows(c.Code) {
		l.Call(c)
	}
}

// allows reports whether there may be a line of a kind now, and counts it if not.
func (l *Log) allows(kind string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.brakes[kind]
	if b == nil {
		b = &brake{Limiter: rate.NewLimiter(10, 100)}
		l.brakes[kind] = b
	}
	if b.Allow() {
		return true
	}
	if b.leftOut == 0 {
		time.AfterFunc(time.Second, func() { l.tell(kind, b) })
	}
	b.leftOut++
	return false
}

// brake lets some lines of a code through.
type brake struct {
	*rate.Limiter
	leftOut int // of the lines; guarded by the log's mu
}

// tell writes how many of a kind have no line.
func (l *Log) tell(kind string, b *brake) {
	l.mu.Lock()
	n := b.leftOut
	b.leftOut = 0
	l.mu.Unlock()
	l.logger.Info("left out", zap.String("kind", kind), zap.Int("lines", n))
}

// Act is something that was done to a connection, or to the keys of callers.
type Act struct {
	Action  string // as the commands are called
	Client  string
	Account string
	By      string // who did it
	Names   []string
	Grants  int // that went out or came in with a backup
	Err     error
	Anybody bool // can do it, as often as they like: then it is written as Refused does
}

// Act writes it.
func (l *Log) Act(a Act) {
	if l == nil || a.Anybody && !l.allows(a.Action) {
		return
	}
	fields := []zap.Field{zap.String("action", a.Action)}
	for _, field := range [...]struct{ name, value string }{{"client", a.Client}, {"account", a.Account}, {"by", a.By}} {
		if field.value != "" {
			fields = append(fields, zap.String(field.name, field.value))
		}
	}
	if len(a.Names) > 0 {
		fields = append(fields, zap.Strings("names", a.Names))
	}
	if a.Grants > 0 {
		fields = append(fields, zap.Int("grants", a.Grants))
	}
	result := "ok"
	if a.Err != nil {
		text, _, _ := strings.Cut(a.Err.Error(), "\n") // hints are for who sits at the terminal
		result, fields = "failed", append(fields, zap.String("error", text))
	}
	l.logger.Info("administration", append(fields, zap.String("result", result))...)
}
