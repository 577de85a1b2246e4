package audit

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// TestLines: what stands in a line, and that what is not known does not.
func TestLines(t *testing.T) {
	core, seen := observer.New(zapcore.InfoLevel)
	l := New(zap.New(core).Named("zoho"))
	l.Call(&Call{Client: "main", Caller: "erp", Method: "GET", Path: "/" + strings.Repeat("x", 2*longest), Status: 200, Generation: 3})
	l.Act(Act{Action: "revoke", Account: "a", By: "127.0.0.1 uid 0", Err: errors.New("no")})
	var none *Log
	none.Call(&Call{})
	none.Refused(&Call{})
	none.Act(Act{})
	lines := seen.All()
	if len(lines) != 2 || lines[0].LoggerName != "zoho.audit" {
		t.Fatalf("%+v", lines)
	}
	call := lines[0].ContextMap()
	if fmt.Sprintln(call["client"], call["caller"], call["method"], call["status"], call["generation"]) != "main erp GET 200 3\n" ||
		len(call["path"].(string)) > longest+len("…") || len(call) != 6 {
		t.Errorf("%+v", call)
	}
	if act := lines[1].ContextMap(); fmt.Sprintln(act["action"], act["account"], act["by"], act["error"], act["result"]) !=
		"revoke a 127.0.0.1 uid 0 no failed\n" {
		t.Errorf("%+v", act)
	}
}

// TestBrakes: whoever has no name writes no more than so many lines, each code by itself, and how many
// have none is told.
func TestBrakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, seen := observer.New(zapcore.InfoLevel)
		l := New(zap.New(core))
		for range 1000 {
			l.Refused(&Call{Code: "key-refused"})
			l.Act(Act{Action: "page start", Anybody: true})
		}
		l.Refused(&Call{Code: "key-missing"})
		l.Act(Act{Action: "connect"})
		if got := seen.Len(); got != 202 {
			t.Errorf("%d lines", got)
		}
		time.Sleep(2 * time.Second)
		left := make(map[string]int64)
		for _, line := range seen.FilterMessage("left out").All() {
			left[line.ContextMap()["kind"].(string)] += line.ContextMap()["lines"].(int64)
		}
		if left["key-refused"] != 900 || left["page start"] != 900 || len(left) != 2 {
			t.Errorf("%v", left)
		}
		l.Refused(&Call{Code: "key-refused"})
		if got := len(seen.FilterMessage("call").All()); got != 102 {
			t.Errorf("%d calls", got)
		}
	})
}
