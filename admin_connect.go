package caddyzoho

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
)

// connectRequest begins a consent when it is empty, and otherwise ends one: with what
// the browser ended at, with a self client's code, or by confirming.
type connectRequest struct {
	State      string `json:"state,omitempty"`    // of the consent that was begun
	Callback   string `json:"callback,omitempty"` // the address that the browser ended at, or the code
	SelfClient string `json:"self_client_code,omitempty"`
	Confirm    string `json:"confirm,omitempty"` // a grant of somebody else than before
	Drop       bool   `json:"drop,omitempty"`    // do not store that one, give it back
	DataCenter string `json:"data_center,omitempty"`
	Replace    bool   `json:"replace,omitempty"`    // also one of somebody else
	RevokeOld  bool   `json:"revoke_old,omitempty"` // the grant that is replaced
}

// connectStarted answers a connectRequest that begins a consent.
type connectStarted struct {
	URL         string   `json:"url"` // for the browser
	State       string   `json:"state"`
	RedirectURI string   `json:"redirect_uri"`
	Warnings    []string `json:"warnings,omitempty"`
}

type importRequest struct {
	RefreshToken string `json:"refresh_token"`
	DataCenter   string `json:"data_center,omitempty"`
	Replace      bool   `json:"replace,omitempty"`
}

type revokeRequest struct {
	Shared bool `json:"shared,omitempty"` // also a grant that other accounts have
}

type inviteRequest struct {
	Expires  string `json:"expires,omitempty"` // a duration; 168h
	ReturnTo string `json:"return_to,omitempty"`
}

type invitationInfo struct {
	URL     string    `json:"url"`
	Expires time.Time `json:"expires"`
}

// adminError is an error as the admin API answers it, with what a program needs to go on.
type adminError struct {
	Text    string `json:"error"`
	Code    string `json:"code"`
	Hint    string `json:"hint,omitempty"`
	Confirm string `json:"confirm,omitempty"` // see connectRequest
}

func (e *adminError) Error() string {
	if e.Hint != "" {
		return e.Text + "\nhint: " + e.Hint
	}
	return e.Text
}

func (e *adminError) write(w http.ResponseWriter, status int) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(e)
}

var actions = []string{"connect", "invite", "import", "refresh", "revoke", "forget"}

const maxAdminBody = 64 << 10

// onboardingAction brings grants in and out. All takes effect at once, without a reload.
func (a *App) onboardingAction(w http.ResponseWriter, r *http.Request, client *Client, account, action string) error {
	if !slices.Contains(actions, action) {
		return apiError(http.StatusNotFound, "zoho: there is no action %q%s; known are %s", action, didYouMean(action, actions), strings.Join(actions, ", "))
	}
	answer, err := onboardingAnswer(http.MaxBytesReader(w, r.Body, maxAdminBody), r, a.state.flow, client.onboard(), account, action)
	var failure *onboard.Error
	if errors.As(err, &failure) {
		refused := adminError{Text: failure.Error(), Code: failure.Code, Confirm: failure.Confirm}
		return refused.write(w, failure.Status)
	}
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: fmt.Errorf("zoho: %w", err)}
	}
	return writeJSON(w, answer)
}

func onboardingAnswer(body io.Reader, r *http.Request, flow *onboard.Flow, client *onboard.Client, account, action string) (any, error) {
	switch action {
	case "connect":
		var req connectRequest
		if err := readJSON(body, &req); err != nil {
			return nil, err
		}
		return connect(r.Context(), flow, client, account, req)
	case "import":
		var req importRequest
		if err := readJSON(body, &req); err != nil {
			return nil, err
		}
		center, err := client.DataCenter(req.DataCenter)
		if err != nil {
			return nil, err
		}
		return either(flow.Import(r.Context(), client, center, account, req.RefreshToken, req.Replace))
	case "invite":
		var req inviteRequest
		if err := readJSON(body, &req); err != nil {
			return nil, err
		}
		return invite(client, account, req)
	case "revoke":
		var req revokeRequest
		if err := readJSON(body, &req); err != nil {
			return nil, err
		}
		return either(flow.Revoke(r.Context(), client, account, req.Shared))
	default: // forget
		if err := readJSON(body, &struct{}{}); err != nil {
			return nil, err
		}
		return either(flow.Forget(client, account))
	}
}

// either keeps a nil *Error from becoming an error that is not nil.
func either[T any](value T, failure *onboard.Error) (any, error) {
	if failure != nil {
		return nil, failure
	}
	return value, nil
}

func connect(ctx context.Context, flow *onboard.Flow, client *onboard.Client, account string, req connectRequest) (any, error) {
	switch {
	case req.SelfClient != "":
		center, err := client.DataCenter(req.DataCenter)
		if err != nil {
			return nil, err
		}
		cb, failure := onboard.ParsePasted(req.SelfClient)
		if failure != nil {
			return nil, failure
		}
		return either(flow.SelfClient(ctx, client, center, account, cb.Code, req.Replace, req.RevokeOld))
	case req.Confirm != "":
		return either(flow.Confirm(ctx, client, req.Confirm, "", !req.Drop))
	case req.Callback != "":
		cb, failure := onboard.ParsePasted(req.Callback)
		if failure != nil {
			return nil, failure
		}
		cb.State = cmp.Or(cb.State, req.State) // the code alone may have been pasted
		if cb.State != req.State {
			return nil, errors.New("what was pasted belongs to another consent than the one that was begun here; begin anew")
		}
		return either(flow.Finish(ctx, client, cb, ""))
	}
	redirectURI := cmp.Or(client.RedirectURI, client.Served)
	url, state, failure := flow.Begin(client, onboard.Start{Account: account, RedirectURI: redirectURI, RevokeOld: req.RevokeOld})
	return either(connectStarted{URL: url, State: state, RedirectURI: redirectURI, Warnings: flow.PlaceWarnings(client, account)}, failure)
}

func invite(client *onboard.Client, account string, req inviteRequest) (any, error) {
	life := onboard.DefaultInvitationLife
	if req.Expires != "" {
		var err error
		if life, err = caddy.ParseDuration(req.Expires); err != nil {
			return nil, fmt.Errorf("expires: %.64q is no duration: write a number and a unit, as in 168h", req.Expires)
		}
	}
	link, inv, failure := client.Invite(account, life, req.ReturnTo)
	return either(invitationInfo{URL: link, Expires: inv.Expires}, failure)
}

// readJSON takes an empty body for an empty request.
func readJSON(body io.Reader, into any) error {
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		if _, err = decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		return errors.New("the body has something behind its JSON")
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the body is no whole JSON")
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("the body is no JSON (at byte %d)", syntax.Offset) // it may hold a secret
	}
	if field, found := strings.CutPrefix(err.Error(), "json: unknown field "); found {
		return fmt.Errorf("the body has an unknown field %.64s", field)
	}
	return errors.New("the body is not what was expected, or larger than 64 KiB")
}
