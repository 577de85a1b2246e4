package caddyzoho

import (
	"net/http"
	"runtime/debug"

	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/internal/fault"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
)

// internal answers for a panic of ours: one request fails, and the process lives. To
// abort a request is net/http's business.
func (h *Handler) internal(recovered any) *problem.Problem {
	if recovered == http.ErrAbortHandler {
		panic(recovered)
	}
	err := fault.Error(recovered)
	h.logger.Error("a request failed by a fault of the proxy's own; please report it", zap.Error(err), zap.ByteString("stack", debug.Stack()))
	return problem.Internal()
}
