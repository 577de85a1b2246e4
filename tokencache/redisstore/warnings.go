package redisstore

import (
	"fmt"
	"slices"
	"sync"
)

// warnings are what does not stop the store but should be looked at. They hold no secret.
type warnings struct {
	mu         sync.Mutex
	latest     []string
	unreported []string // those of them that nobody was told of
}

// maxWarnings bounds what a store that fails for days keeps in memory.
const maxWarnings = 100

// warn keeps a warning, the same one once.
func (w *warnings) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.latest, text) {
		w.latest, w.unreported = newest(append(w.latest, text)), newest(append(w.unreported, text))
	}
}

// warnAnew keeps a warning of something that has happened once more.
func (w *warnings) warnAnew(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.mu.Lock()
	w.latest = slices.DeleteFunc(w.latest, func(other string) bool { return other == text })
	w.mu.Unlock()
	w.warn("%s", text)
}

// report reports what Concerns has in words of its own, as long as it lasts.
func (w *warnings) report(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unreported = newest(append(w.unreported, fmt.Sprintf(format, args...)))
}

func newest(list []string) []string { return slices.Delete(list, 0, max(0, len(list)-maxWarnings)) }

// UnreportedWarnings are the warnings since the last call.
func (w *warnings) UnreportedWarnings() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	unreported := w.unreported
	w.unreported = nil
	return unreported
}

// noticed are all that are remembered.
func (w *warnings) noticed() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.latest)
}
