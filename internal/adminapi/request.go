package adminapi

import (
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
)

// CheckRequest asks whether a grant could be stored for an account, before anybody is asked for a code or a token.
type CheckRequest struct {
	DataCenter        string `json:"data_center,omitempty"`
	ReplaceUnreadable bool   `json:"replace_unreadable,omitempty"` // also one that cannot be read
}

// ConnectRequest begins a consent when it is empty, and otherwise ends one: with what
// the browser ended at, with a self client's code, or by confirming.
type ConnectRequest struct {
	State      string `json:"state,omitempty"`    // of the consent that was begun
	Callback   string `json:"callback,omitempty"` // the address that the browser ended at, or the code
	SelfClient string `json:"self_client_code,omitempty"`
	Confirm    string `json:"confirm,omitempty"` // a grant of somebody else than before
	Drop       bool   `json:"drop,omitempty"`    // do not store that one, give it back
	DataCenter string `json:"data_center,omitempty"`
	Replace    bool   `json:"replace,omitempty"`    // also one of somebody else
	RevokeOld  bool   `json:"revoke_old,omitempty"` // the grant that is replaced

	ReplaceUnreadable bool `json:"replace_unreadable,omitempty"` // also one that cannot be read

	// Add the scopes of the configuration that the grant lacks, instead of asking for a new grant; with
	// State and Callback, end that.
	AddScopes bool `json:"add_scopes,omitempty"`
}

// ConnectStarted answers a ConnectRequest that begins a consent.
type ConnectStarted struct {
	URL         string   `json:"url"` // for the browser
	State       string   `json:"state"`
	RedirectURI string   `json:"redirect_uri"`
	Scopes      []string `json:"scopes,omitempty"` // that are to be added
	Warnings    []string `json:"warnings,omitempty"`
}

// DeviceRequest begins a device flow.
type DeviceRequest struct {
	Replace   bool `json:"replace,omitempty"`    // also a grant of somebody else
	RevokeOld bool `json:"revoke_old,omitempty"` // the grant that is replaced

	ReplaceUnreadable bool `json:"replace_unreadable,omitempty"` // also one that cannot be read
}

// DeviceStep is a line of the answer to a DeviceRequest, which comes as soon as there is something to tell. The
// first one has the code to type in. The last one is StepConnected or StepFailed; an answer that ends without one
// was cut.
type DeviceStep struct {
	onboard.DeviceStep
	Result *onboard.Result `json:"result,omitempty"` // of StepConnected
	Failed *Error          `json:"failed,omitempty"` // of StepFailed
}

// StepsType is the media type of those lines.
const StepsType = "application/x-ndjson"

// The last steps.
const (
	StepConnected onboard.DeviceStepName = "connected"
	StepFailed    onboard.DeviceStepName = "failed"
)

// ImportRequest brings in a refresh token from elsewhere.
type ImportRequest struct {
	RefreshToken string `json:"refresh_token"`
	DataCenter   string `json:"data_center,omitempty"`
	Replace      bool   `json:"replace,omitempty"`

	ReplaceUnreadable bool `json:"replace_unreadable,omitempty"`
}

// RevokeRequest has Zoho revoke a grant.
type RevokeRequest struct {
	Shared bool `json:"shared,omitempty"` // also a grant that other accounts have
}

// InviteRequest asks for a link by which somebody else can consent.
type InviteRequest struct {
	Expires  string `json:"expires,omitempty"` // a duration; 168h
	ReturnTo string `json:"return_to,omitempty"`
	Replace  bool   `json:"replace,omitempty"` // also a working grant of another user or organization
}

// Invitation is such a link.
type Invitation struct {
	Client   string    `json:"client"`
	Account  string    `json:"account"`
	URL      string    `json:"url"`
	Expires  time.Time `json:"expires"`
	Warnings []string  `json:"warnings,omitempty"`
}

// MaxBody is the most that a request may bring.
const MaxBody = 64 << 10
