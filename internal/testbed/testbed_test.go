package testbed

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestFreePort: no port is given out twice, also where a block has been used up.
func TestFreePort(t *testing.T) {
	seen := make(map[string]bool)
	for range blockSize + 1 {
		port, err := FreePort()
		if err != nil {
			t.Fatal(err)
		}
		if seen[port] {
			t.Errorf("port %s is given out twice", port)
		}
		seen[port] = true
	}
}

// TestAwait: who waits for a program that has exited is told so, with how.
func TestAwait(t *testing.T) {
	said := new(Output)
	p, err := Start(exec.Command(os.Args[0], "-test.run=^$", "-no-such-flag"), said)
	if err != nil {
		t.Fatal(err)
	}
	err = p.Await(t.Context(), func() bool { return false })
	if err == nil || !strings.Contains(err.Error(), "exit status 2") || !strings.Contains(said.String(), "no-such-flag") {
		t.Errorf("%v\n%s", err, said)
	}
	p.Kill() // what has exited can be stopped and killed all the same
	if err := p.Stop(); err == nil {
		t.Error("it has exited well")
	}
	var none *Process
	if err := none.Await(t.Context(), func() bool { return true }); err != nil {
		t.Errorf("without a program: %v", err)
	}
}
