package admin

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
)

// device has somebody consent on another device. The answer is a line of JSON for each step, as it happens; the flow
// ends with whoever reads them.
func (m *Managed) device(w http.ResponseWriter, r *http.Request, client *client.Client, account string) (any, error) {
	var req adminapi.DeviceRequest
	if err := readJSON(r.Body, &req); err != nil {
		return nil, adminapi.Refuse(http.StatusBadRequest, "bad-body", "%v", err)
	}
	steps := &steps{to: w, control: http.NewResponseController(w)}
	// Caddy gives a request ten seconds, and this one as long as a person takes.
	if err := steps.control.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	start := onboard.DeviceStart{
		Account:     account,
		Replace:     req.Replace,
		RevokeOld:   req.RevokeOld,
		ReplaceLost: req.ReplaceUnreadable,
	}
	result, err := m.Flow.Device(r.Context(), client.Onboard(), start, func(step onboard.DeviceStep) error {
		return steps.write(adminapi.DeviceStep{DeviceStep: step})
	})
	err = refusal(err)
	if !steps.begun {
		return nil, err
	}
	last := adminapi.DeviceStep{Result: &result}
	if last.Step = adminapi.StepConnected; err != nil {
		last = adminapi.DeviceStep{Failed: asRefusal(err)}
		last.Step = adminapi.StepFailed
	}
	if gone := steps.write(last); err == nil {
		err = gone // it is connected, and nobody was told
	}
	return answered{}, err
}

// steps is an answer that is written line by line.
type steps struct {
	to      http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

func (s *steps) write(step adminapi.DeviceStep) error {
	if !s.begun {
		s.to.Header().Set("Content-Type", adminapi.StepsType)
		s.begun = true
	}
	if err := json.NewEncoder(s.to).Encode(step); err != nil {
		return err
	}
	return s.control.Flush()
}
