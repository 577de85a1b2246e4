package onboard

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// refusedBy reports whether an error has that code, and says words.
func refusedBy(err error, code, words string) bool {
	return hasCode(err, code) && strings.Contains(err.Error(), words)
}

// TestAsError: whatever a function of onboarding returns can be shown, and no error stays none.
func TestAsError(t *testing.T) {
	if e := asError(nil); e != nil {
		t.Errorf("no error becomes %v", e)
	}
	if e := asError(fmt.Errorf("around it: %w", errPaste())); e.Code != codePaste {
		t.Errorf("one of ours becomes %+v", e)
	}
	e := asError(errors.New("it broke"))
	if e.Status != http.StatusInternalServerError || e.Text != "The proxy failed: it broke." || e.Remedy == "" {
		t.Errorf("one of somebody else's becomes %+v", e)
	}
	if hasCode(nil, "") || hasCode(errPaste(), codeState) || !hasCode(errPaste(), codeState, codePaste) {
		t.Error("codes are not told apart")
	}
}
