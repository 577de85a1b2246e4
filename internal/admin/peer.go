package admin

import (
	"net"
	"net/http"
	"strings"
)

// peer says who sent a request to the admin endpoint: from where, and as which user of this
// machine, if the system tells.
func peer(r *http.Request) string {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	from := "socket"
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		from = host
	}
	if uids := peerUIDs(local, r.RemoteAddr); len(uids) > 0 {
		return from + " uid " + strings.Join(uids, " or ")
	}
	return from
}
