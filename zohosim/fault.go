package zohosim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Fault is something that goes wrong on demand. See the package comment for the kinds.
type Fault struct {
	// Where it happens: "accounts", a service, or "*" for both.
	Where string `json:"where"`
	// Kind is one of the constants below.
	Kind string `json:"kind"`
	// Path and Method narrow it down: the path contains Path, the method is Method.
	Path   string `json:"path,omitempty"`
	Method string `json:"method,omitempty"`
	// Count is how many requests it hits; 0 means all until it is cleared.
	Count int `json:"count,omitempty"`

	// What the rest means depends on the kind; the zero value means what a kind's comment
	// has in brackets.

	Status      int    `json:"status,omitempty"`
	ContentType string `json:"content_type,omitempty"`
	Body        string `json:"body,omitempty"`
	// Millis is a time in milliseconds, of real time even if Options.Now is set.
	Millis int    `json:"millis,omitempty"`
	Bytes  int64  `json:"bytes,omitempty"`
	Mode   string `json:"mode,omitempty"`

	left int // requests it has yet to hit, if Count is set
}

// The kinds of fault.
const (
	// FaultThrottle is the answer to too many requests: Access Denied, or the service's own.
	FaultThrottle = "throttle"
	// FaultLocalized is the accounts server's throttle in Chinese, as it was captured.
	FaultLocalized = "localized"
	// FaultError has the accounts server answer {"error": Body} with Status (200).
	FaultError = "error"
	// FaultRefuse is a service's refusal in the case Body ("dead").
	FaultRefuse = "refuse"
	// FaultStatus answers Status (500) and Body.
	FaultStatus = "status"
	// FaultHTML answers an HTML page with Status (200).
	FaultHTML = "html"
	// FaultEmpty answers Status (200) without a body.
	FaultEmpty = "empty"
	// FaultRedirect answers Status (302) and the URL in Body.
	FaultRedirect = "redirect"
	// FaultHang gives no answer for Millis (0: without end), or until it is cleared or the
	// caller hangs up. Then the request goes on.
	FaultHang = "hang"
	// FaultReset resets the connection after Bytes (0) of the request's body. Nothing is executed.
	FaultReset = "reset"
	// FaultLost executes the request and resets the connection instead of answering: the case in
	// which nobody knows whether a token was made.
	FaultLost = "lost"
	// FaultSlow answers Millis (1000) late.
	FaultSlow = "slow"
	// FaultDrip sends the answer by Bytes (1) every Millis (1000).
	FaultDrip = "drip"
	// FaultTruncated sends half of the answer as if it were the whole; with the Mode "cut" the
	// length announced is that of the whole, and the connection ends amid it.
	FaultTruncated = "truncated"
	// FaultHuge sends Bytes (10 GiB) of JSON that never ends, with Status (200).
	FaultHuge = "huge"
	// FaultBomb sends gzip that unpacks to Bytes (10 GiB), with Status (200; services 401).
	FaultBomb = "bomb"
	// FaultExpiresIn puts Body, raw JSON, in place of expires_in; without one the field is missing.
	FaultExpiresIn = "expires_in"
	// FaultReply answers Body with Status (200) in place of a token reply. {{token}} and
	// {{api_domain}} in it stand for the real ones.
	FaultReply = "reply"
	// FaultMidUpload refuses in the case Body ("dead") after Bytes (1024) of the request's body.
	// Mode says what comes then: "discard" (the default) reads the rest, "close" ends the
	// connection, "reset" resets it.
	FaultMidUpload = "midupload"
	// FaultGzip compresses refusals. Mode is "gzip" (the default), "deflate", or any name to
	// send them as they are under it.
	FaultGzip = "gzip"
)

// faultKinds are all of them, in the order of the package comment.
var faultKinds = []string{
	FaultThrottle, FaultLocalized, FaultError, FaultRefuse, FaultStatus, FaultHTML, FaultEmpty, FaultRedirect,
	FaultHang, FaultReset, FaultLost, FaultSlow, FaultDrip, FaultTruncated, FaultHuge, FaultBomb,
	FaultExpiresIn, FaultReply, FaultMidUpload, FaultGzip,
}

// FaultKinds lists the kinds of fault.
func FaultKinds() []string { return slices.Clone(faultKinds) }

// check refuses kinds, places and cases that do not exist: a fault that never hits would let a test pass.
func (f *Fault) check() error {
	switch {
	case !slices.Contains(faultKinds, f.Kind):
		return fmt.Errorf("fault kind %q is unknown: want one of %s", f.Kind, strings.Join(faultKinds, ", "))
	case f.Where != "accounts" && f.Where != "*" && productByName(f.Where) == nil:
		return fmt.Errorf("fault where %q: want accounts, a service, or *", f.Where)
	case (f.Kind == FaultRefuse || f.Kind == FaultMidUpload) && f.Body != "" && refusals["other"][f.Body].Status == 0:
		return fmt.Errorf("fault body %q: want a case of refusal, such as dead", f.Body)
	}
	return nil
}

// millis gives the fault's time, or a default in milliseconds.
func (f *Fault) millis(fallback int) time.Duration {
	return time.Duration(cmp.Or(f.Millis, fallback)) * time.Millisecond
}
