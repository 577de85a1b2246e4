// Package warnings keeps what does not stop a store, but should be looked at.
package warnings

import (
	"fmt"
	"slices"
	"sync"
)

// Max bounds what a store that fails for days keeps in memory.
const Max = 100

// List is what was warned of: the latest Max texts. A warning holds no secret. The zero List is
// empty. Safe for concurrent use.
type List struct {
	mu         sync.Mutex
	latest     []string
	unreported []string // those of them, and of Report, that nobody was told of
}

// Warn keeps a warning, the same one once: what is met at each request is told of once.
func (l *List) Warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.latest, text) {
		l.latest, l.unreported = newest(append(l.latest, text)), newest(append(l.unreported, text))
	}
}

// WarnAnew keeps a warning of something that has happened once more.
func (l *List) WarnAnew(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.mu.Lock()
	l.latest = slices.DeleteFunc(l.latest, func(other string) bool { return other == text })
	l.mu.Unlock()
	l.Warn("%s", text)
}

// Report has the log say what Concerns has in words of its own, as long as it lasts.
func (l *List) Report(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unreported = newest(append(l.unreported, fmt.Sprintf(format, args...)))
}

func newest(list []string) []string { return slices.Delete(list, 0, max(0, len(list)-Max)) }

// Unreported are the warnings and reports since the last call.
func (l *List) Unreported() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	unreported := l.unreported
	l.unreported = nil
	return unreported
}

// Latest are all warnings that are remembered.
func (l *List) Latest() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.latest)
}
