package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
)

// What a request brings, and how it is refused.

// answered is what an action gives that has written its answer by itself.
type answered struct{}

// refusal is an error of onboarding as the endpoint answers it.
func refusal(err error) error {
	var failure *onboard.Error
	if errors.As(err, &failure) {
		return adminapi.Refused(failure)
	}
	return err
}

// asRefusal is an error in the form of the endpoint.
func asRefusal(err error) *adminapi.Error {
	var refused *adminapi.Error
	if errors.As(err, &refused) {
		return refused
	}
	return adminapi.Refuse(http.StatusInternalServerError, "internal", "%v", err)
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
		return errors.New("the body has something after its JSON")
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the body is not complete JSON")
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("the body is not JSON (at byte %d)", syntax.Offset) // it may hold a secret
	}
	if field, found := strings.CutPrefix(err.Error(), "json: unknown field "); found {
		return fmt.Errorf("the body has an unknown field %.64s", field)
	}
	return errors.New("the body is not what was expected, or larger than 64 KiB")
}
