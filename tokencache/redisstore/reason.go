package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// fault is one way in which Redis fails.
type fault struct {
	reason, remedy string
	away           bool // nothing can be had now: errors match tokencache.ErrAway
	outage         bool // the next call would fail as well, so it is not made for a while
}

var (
	faultUnreachable = fault{
		"it cannot be reached", "check that it is running, and reachable from here at this address", true, true,
	}
	faultSlow = fault{
		"it did not answer in time", "check its load, and the network to it", true, true,
	}
	faultCrowded = fault{
		"too many calls are waiting for it here",
		"check how slowly it answers, and how many accounts need a token at once",
		false, false,
	}
	faultSentinel = fault{
		"a sentinel refuses the password",
		"give the sentinels the servers' password (`requirepass`), or none",
		true, true,
	}
	faultEndless = fault{
		"its answer has no end",
		"find what else writes keys with this key_prefix, and check that Redis itself is at this address",
		false, false,
	}
	faultUnknown = fault{
		"it refuses the command",
		"check its log; it must be Redis 6.2 or later, or compatible with that",
		false, false,
	}
)

// refusals are how Redis says that it cannot do something, by the word that its answer begins with.
var refusals = map[string]fault{
	"NOAUTH": {"it requires a password", "set `username` and `password` in `store redis`", true, true},
	"WRONGPASS": {
		"it refuses the user name and password",
		"compare `username` and `password` of `store redis` with its users (ACL LIST)",
		true, true,
	},
	"NOPERM": {
		"its user lacks permissions",
		"give it all commands on the keys that begin with the key_prefix, as in ACL SETUSER NAME " +
			"~caddy-zoho:* +@all -@dangerous +info +config|get",
		true, false,
	},
	"READONLY": {
		"it is a replica, which takes no changes",
		"write the primary's address, or the sentinels' with `sentinel NAME`; after a failover this passes", true, false,
	},
	"OOM": {
		"its memory is full (maxmemory)",
		"give it more, or have it evict other programs' keys: it must not evict those of grants",
		true, false,
	},
	"MISCONF": {"it cannot write to its disk, and accepts no changes", "check its disk and its log", true, false},
	"NOREPLICAS": {
		"it has too few replicas to accept changes (min-replicas-to-write)", "check its replicas", true, false,
	},
	"LOADING":     {"it is starting, and still loading its data", "wait", true, true},
	"BUSY":        {"another program's script keeps it busy", "find out which one; SCRIPT KILL ends it", true, true},
	"MASTERDOWN":  {"it is a replica that has lost its primary", "check the primary", true, true},
	"CLUSTERDOWN": {"its cluster is down", "check the nodes of the cluster (CLUSTER INFO)", true, true},
	"TRYAGAIN":    {"its cluster is moving keys", "wait", true, false},
	"MOVED": {
		"it is a node of a cluster, and the keys are on another node",
		"list several nodes of the cluster: store redis URL URL",
		true, false,
	},
	"ASK": {"its cluster is moving keys", "wait", true, false},
	"WRONGTYPE": {
		"one of our keys has a value that was not written by Caddy",
		"find what else writes keys with this key_prefix, and give each program its own; delete this key",
		false, false,
	},
	"NOSCRIPT": {"it has forgotten a script", "wait", true, false},
}

// plainRefusals are those that have no such word.
var plainRefusals = map[string]fault{
	"ERR max number of clients reached": {
		"it has too many clients (maxclients)", "raise maxclients, or find out which clients these are",
		true, true,
	},
	"ERR DB index is out of range": {
		"it has no database of this number", "correct the number in the URL",
		true, true,
	},
	"ERR Client sent AUTH": {
		"it needs no password", "remove `password` from `store redis`",
		true, true,
	},
	"ERR AUTH <password> called": {
		"it needs no password", "remove `password` from `store redis`",
		true, true,
	},
	"ERR The user executing the script can't": refusals["NOPERM"],
	"ERR ACL failure in script":               refusals["NOPERM"],
	"ERR This instance has cluster support disabled": {
		"it is not a node of a cluster, but several addresses are given",
		"write one address, or the sentinels' addresses together with `sentinel NAME`",
		true, true,
	},
	"ERR unknown command": {
		"it does not know the command",
		"if this is a sentinel's address, add `sentinel NAME` with the name of the primary; otherwise it must be " +
			"Redis 6.2 or later, or compatible with that",
		false, false,
	},
}

// judge says which way of failing an error is.
func judge(err error) fault {
	var strange *strangeValue
	var endless *endlessError
	switch {
	case err == nil:
		return fault{}
	case errors.Is(err, errCrowded), errors.Is(err, redis.ErrPoolTimeout):
		return faultCrowded
	case errors.Is(err, errSentinel):
		return faultSentinel
	case errors.As(err, &endless):
		return faultEndless
	case errors.As(err, &strange):
		return refusals["WRONGTYPE"]
	}
	var answer redis.Error
	if errors.As(err, &answer) {
		text := answer.Error()
		for start, f := range plainRefusals {
			if strings.HasPrefix(text, start) {
				return f
			}
		}
		word, _, _ := strings.Cut(text, " ")
		if f, ok := refusals[word]; ok {
			return f
		}
		if strings.Contains(text, "WRONGPASS") || strings.Contains(text, "NOAUTH") {
			return refusals["WRONGPASS"]
		}
		return faultUnknown
	}
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout() {
		return faultSlow
	}
	return faultUnreachable
}

// explain makes a *tokencache.StoreError of what go-redis says. What Redis answers is not shown:
// it can quote what it was sent.
func explain(server string, err error) error {
	f := judge(err)
	e := &tokencache.StoreError{File: server, Reason: f.reason, Remedy: f.remedy, Err: errRefused}
	if detail := networkDetail(err); f == faultUnreachable && detail != "" {
		e.Reason += " (" + detail + ")"
	}
	var strange *strangeValue
	var endless *endlessError
	isStrange, isEndless := errors.As(err, &strange), errors.As(err, &endless)
	switch {
	case isStrange && isEndless && len(strange.keys) > 0:
		e.Reason = "asked for " + strings.Join(strange.keys, " or ") + ", " + endless.Error()
	case isEndless:
		e.Reason = endless.Error()
	case isStrange && len(strange.keys) > 0:
		e.Reason = strings.Join(strange.keys, " or ") + " has a value that was not written by Caddy"
	}
	var access *accessError
	if errors.As(err, &access) {
		e.Reason, e.Remedy = access.Error(), "fix that; no reload is needed"
	}
	switch {
	case f.away:
		e.Err = tokencache.ErrAway
	case f == faultCrowded:
		e.Err = errCrowded
	}
	return e
}

// errCrowded is behind calls that had no turn: that passes, and Redis is there.
var errCrowded = errors.New("no turn")

// errRefused is behind what is wrong with Redis and does not pass by itself.
var errRefused = errors.New("refused by Redis")

// networkDetail is what the system says of a connection, which holds nothing of what was sent.
func networkDetail(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err.Error()
	}
	return certificateDetail(err)
}

// certificateDetail says what is wrong with the server's certificate.
func certificateDetail(err error) string {
	var wrong *tls.CertificateVerificationError
	if errors.As(err, &wrong) {
		return wrong.Err.Error() + ": set its certificate authority with `ca`"
	}
	var plain tls.RecordHeaderError
	if errors.As(err, &plain) {
		return "it does not speak TLS: write redis:// instead of rediss://"
	}
	return ""
}
