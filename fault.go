package caddyzoho

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"

	"go.uber.org/zap"
)

// fault makes an error of a recovered panic. Only the words of the run time are
// known to hold no secret.
func fault(recovered any) error {
	var err runtime.Error
	if e, ok := recovered.(error); ok && errors.As(e, &err) {
		return fmt.Errorf("a fault of the proxy's own: %w", err)
	}
	return fmt.Errorf("a fault of the proxy's own, of type %T", recovered)
}

// guarded keeps a panic of ours in a goroutine of its own from ending the process.
func guarded(logger *zap.Logger, f func()) {
	defer func() {
		if recovered := recover(); recovered != nil {
			logger.Error("a fault of the proxy's own; please report it", zap.Error(fault(recovered)), zap.ByteString("stack", debug.Stack()))
		}
	}()
	f()
}

// internal answers for a panic of ours: one request fails, and the process lives. To
// abort a request is net/http's business.
func (h *Handler) internal(recovered any) *problem {
	if recovered == http.ErrAbortHandler {
		panic(recovered)
	}
	err := fault(recovered)
	h.logger.Error("a request failed by a fault of the proxy's own; please report it", zap.Error(err), zap.ByteString("stack", debug.Stack()))
	return problemInternal()
}
