package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// device shows a code to type in elsewhere, and waits for what comes of it. Whoever ends the command ends
// the flow: the running Caddy polls for as long as this reads.
func (b *bringing) device() (int, error) {
	cmd, r := b.cmd, connected{NewAccount: b.isNew}
	code, err := b.confirmed(&r, func() (int, error) {
		req := adminapi.DeviceRequest{
			Replace:           boolFlag(cmd, "replace"),
			RevokeOld:         boolFlag(cmd, "revoke-old"),
			ReplaceUnreadable: b.replaceUnreadable,
		}
		return device(cmd, b.client, b.account, req, &r)
	})
	switch {
	case err != nil:
		return code, err
	case boolFlag(cmd, "json"):
		return exitOK, printLine(cmd.OutOrStdout(), struct {
			Step onboard.DeviceStepName `json:"step"`
			connected
		}{adminapi.StepConnected, r})
	}
	return reportResult(cmd, r, "connected")
}

// device follows a device flow to its end.
func device(cmd *cobra.Command, client, account string, req adminapi.DeviceRequest, r *connected) (int, error) {
	text, err := json.Marshal(req)
	if err != nil {
		return exitFailed, err
	}
	var last adminapi.DeviceStep
	code, err := adminStream(cmd, http.MethodPost, actionPath(client, account, "device"), "application/json", bytes.NewReader(text),
		func(answer io.Reader) error {
			last = follow(cmd, answer)
			return nil // a cut answer is told by its last step
		})
	switch {
	case err != nil:
		return code, err
	case last.Failed != nil:
		return exitFailed, last.Failed
	case last.Result == nil:
		return exitUnreachable, &adminapi.Error{
			Text: "the running Caddy has ended or cut the connection, so the code is of no use any more",
			Code: exitWords[exitUnreachable],
			Hint: "see whether the account is connected by `caddy zoho status`; if it is not, run this again",
		}
	}
	r.Result = *last.Result
	return exitOK, nil
}

// follow shows steps as they come, and returns the last one.
func follow(cmd *cobra.Command, answer io.Reader) (last adminapi.DeviceStep) {
	waiting := func() {}
	for lines := json.NewDecoder(answer); ; {
		var step adminapi.DeviceStep
		err := lines.Decode(&step)
		waiting()
		if err != nil || step.Result != nil || step.Failed != nil {
			return step
		}
		if boolFlag(cmd, "json") {
			_ = printLine(cmd.OutOrStdout(), step)
		} else {
			showStep(cmd, step.DeviceStep)
		}
		waiting = func() {}
		if isTerminal(cmd.ErrOrStderr()) && !boolFlag(cmd, "json") {
			waiting = showProgress(cmd.ErrOrStderr(), "waiting for consent")
		}
	}
}

func showStep(cmd *cobra.Command, step onboard.DeviceStep) {
	w := cmd.ErrOrStderr()
	switch step.Step {
	case onboard.StepCode:
		warn(cmd, step.Warnings)
		fmt.Fprintf(w, "Open on any device:  %s\n", step.VerificationURL)
		fmt.Fprintf(w, "Type in this code:   %s\n", step.UserCode)
		if step.VerificationURLComplete != "" {
			fmt.Fprintf(w, "Or open this link, which has the code in it:\n%s\n", step.VerificationURLComplete)
		}
		fmt.Fprintf(w, "The code is good until %s, for %s. Press Ctrl-C to cancel.\n",
			step.Expires.Local().Format(time.TimeOnly), words.Duration(time.Until(step.Expires).Round(10*time.Second)))
	case onboard.StepDataCenter:
		fmt.Fprintf(w, "The account is in the data center %s: going on there.\n", step.DataCenter)
	case onboard.StepSlowDown:
		fmt.Fprintf(w, "Zoho wants to be asked less often: every %d seconds from now on.\n", step.Seconds)
	case onboard.StepTrouble:
		fmt.Fprintf(w, "Zoho does not answer, and is asked again: %s.\n", step.Trouble)
	}
}
