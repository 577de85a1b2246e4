package caddyzoho

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/zoho"
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
	URL         string `json:"url"` // for the browser
	State       string `json:"state"`
	RedirectURI string `json:"redirect_uri"`
}

type importRequest struct {
	RefreshToken string `json:"refresh_token"`
	DataCenter   string `json:"data_center,omitempty"`
	Replace      bool   `json:"replace,omitempty"`
}

type inviteRequest struct {
	Expires  string `json:"expires,omitempty"` // a duration; 168h
	ReturnTo string `json:"return_to,omitempty"`
}

type invitationInfo struct {
	URL     string    `json:"url"`
	Expires time.Time `json:"expires"`
}

// onboardingError is an error of the admin API with what a program needs to go on.
type onboardingError struct {
	Error   string `json:"error"`
	Code    string `json:"code"`
	Confirm string `json:"confirm,omitempty"` // see connectRequest
}

var actions = []string{"connect", "invite", "import", "refresh", "revoke", "forget"}

const maxAdminBody = 64 << 10

// onboardingAction brings grants in and out. All takes effect at once, without a reload.
func (a *App) onboardingAction(w http.ResponseWriter, r *http.Request, client *Client, account, action string) error {
	oc, flow := client.onboard(), a.state.flow
	body := http.MaxBytesReader(w, r.Body, maxAdminBody)
	var (
		answer  any
		failure *onboard.Error
		err     error
	)
	switch action {
	case "connect":
		var req connectRequest
		if err = readJSON(body, &req); err == nil {
			answer, failure, err = connect(r, flow, oc, account, req)
		}
	case "import":
		var req importRequest
		var center zoho.DataCenter
		if err = readJSON(body, &req); err == nil {
			if center, err = oc.DataCenter(req.DataCenter); err == nil {
				answer, failure = result(flow.Import(r.Context(), oc, center, account, req.RefreshToken, req.Replace))
			}
		}
	case "invite":
		var req inviteRequest
		if err = readJSON(body, &req); err == nil {
			answer, failure, err = invite(oc, account, req)
		}
	case "revoke":
		answer, failure = result(flow.Revoke(r.Context(), oc, account))
	case "forget":
		answer, failure = result(flow.Forget(oc, account))
	default:
		return apiError(http.StatusNotFound, "zoho: there is no action %q%s; known are %s", action, didYouMean(action, actions), strings.Join(actions, ", "))
	}
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
	}
	if failure != nil {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(failure.Status)
		return json.NewEncoder(w).Encode(onboardingError{Error: failure.Error(), Code: failure.Code, Confirm: failure.Confirm})
	}
	return writeJSON(w, answer)
}

// result makes one value of two, of which the error counts.
func result(r onboard.Result, err *onboard.Error) (any, *onboard.Error) { return r, err }

func connect(r *http.Request, flow *onboard.Flow, oc *onboard.Client, account string, req connectRequest) (answer any, failure *onboard.Error, err error) {
	switch {
	case req.SelfClient != "":
		center, err := oc.DataCenter(req.DataCenter)
		if err != nil {
			return nil, nil, err
		}
		cb, failure := onboard.ParsePasted(req.SelfClient)
		if failure != nil {
			return nil, failure, nil
		}
		answer, failure = result(flow.SelfClient(r.Context(), oc, center, account, cb.Code, req.Replace))
		return answer, failure, nil
	case req.Confirm != "":
		answer, failure = result(flow.Confirm(r.Context(), oc, req.Confirm, "", !req.Drop))
		return answer, failure, nil
	case req.Callback != "":
		cb, failure := onboard.ParsePasted(req.Callback)
		if failure != nil {
			return nil, failure, nil
		}
		if cb.State == "" {
			cb.State = req.State // the code alone was pasted
		}
		if cb.State != req.State {
			return nil, nil, errors.New("zoho: what was pasted belongs to another consent than the one that was begun here; begin anew")
		}
		answer, failure = result(flow.Finish(r.Context(), oc, cb, ""))
		return answer, failure, nil
	}
	start := onboard.Start{Account: account, RedirectURI: cmp.Or(oc.RedirectURI, oc.Served), RevokeOld: req.RevokeOld}
	url, state, failure := flow.Begin(oc, start)
	return connectStarted{URL: url, State: state, RedirectURI: start.RedirectURI}, failure, nil
}

func invite(oc *onboard.Client, account string, req inviteRequest) (any, *onboard.Error, error) {
	life := onboard.DefaultInvitationLife
	if req.Expires != "" {
		var err error
		if life, err = caddy.ParseDuration(req.Expires); err != nil {
			return nil, nil, fmt.Errorf("zoho: expires: %q is no duration: write a number and a unit, as in 168h", req.Expires)
		}
	}
	link, inv, failure := oc.Invite(account, life, req.ReturnTo)
	return invitationInfo{URL: link, Expires: inv.Expires}, failure, nil
}

// readJSON takes an empty body for an empty request.
func readJSON(body io.Reader, into any) error {
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("zoho: the body is no JSON (at byte %d)", syntax.Offset) // it may hold a secret
	}
	if field, found := strings.CutPrefix(err.Error(), "json: unknown field "); found {
		return fmt.Errorf("zoho: the body has an unknown field %.64s", field)
	}
	return errors.New("zoho: the body is not what was expected, or larger than 64 KiB")
}
