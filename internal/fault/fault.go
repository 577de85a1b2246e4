// Package fault keeps a panic of ours from ending the process: one request fails, or one
// piece of work, and the log says so.
package fault

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"go.uber.org/zap"
)

// Error makes an error of a recovered panic. Only the words of the run time are
// known to hold no secret.
func Error(recovered any) error {
	var err runtime.Error
	if e, ok := recovered.(error); ok && errors.As(e, &err) {
		return fmt.Errorf("a fault of the proxy's own: %w", err)
	}
	return fmt.Errorf("a fault of the proxy's own, of type %T", recovered)
}

// Guard keeps a panic of ours in a goroutine of its own from ending the process.
func Guard(logger *zap.Logger, f func()) {
	defer func() {
		if recovered := recover(); recovered != nil {
			logger.Error(
				"a fault of the proxy's own; please report it",
				zap.Error(Error(recovered)),
				zap.ByteString("stack", debug.Stack()),
			)
		}
	}()
	f()
}
