package zoho

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// nobodysCode has the form of an authorization code, and belongs to no consent.
const nobodysCode = "1000.00000000000000000000000000000000.00000000000000000000000000000000"

// CheckClient asks whether the accounts server knows the client and takes its secret. It
// costs neither a grant nor a token: a code that was given to nobody is refused as a code
// by a server that knows the client only. The error is a *Failure.
func (a *Accounts) CheckClient(ctx context.Context) error {
	_, err := a.Exchange(ctx, nobodysCode, "")
	var f *Failure
	if errors.As(err, &f) && (f.Kind == FailureGrantDead || f.Code == "invalid_redirect_uri") {
		return nil
	}
	return err
}

// KnowsClient asks whether the accounts server knows the client's id. No secret is sent:
// an id that is known is refused with invalid_client_secret, one that is not, or whose data
// center is not enabled in the API console, with invalid_client.
func (a *Accounts) KnowsClient(ctx context.Context) (bool, error) {
	stranger := *a
	stranger.ClientSecret = "unknown"
	err := stranger.CheckClient(ctx)
	var f *Failure
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &f) && f.Kind == FailureClientRejected:
		return f.Code == "invalid_client_secret", nil
	}
	return false, err
}

// Reach returns why the accounts server cannot be reached, nil if it can: any answer will
// do. ahead is by how much this machine's clock is ahead of the server's, to a second or
// so; nil if the server does not tell the time.
func (a *Accounts) Reach(ctx context.Context) (ahead *time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, a.DataCenter.Accounts+"/", nil)
	if err != nil {
		return nil, err
	}
	resp, err := a.client().Do(req)
	if err != nil {
		return nil, err
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		d := (time.Since(date) - time.Second/2).Round(time.Second) // Date is cut to seconds
		ahead = &d
	}
	return ahead, resp.Body.Close()
}
