package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Patience is how long to wait for what must come: only a hang takes that long, however
// busy the machine is.
const Patience = 3 * time.Minute

// Process is a program that was started.
type Process struct {
	*exec.Cmd
	Exited chan struct{} // is closed when it has
	Err    error         // says how
}

// Start starts a program that prints to said.
func Start(cmd *exec.Cmd, said *Output) (*Process, error) {
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{Cmd: cmd, Exited: make(chan struct{})}
	go func() {
		p.Err = cmd.Wait()
		close(p.Exited)
	}()
	return p, nil
}

// Await polls until ok. It fails when the program has exited; where there is none, p is nil.
func (p *Process) Await(ctx context.Context, ok func() bool) error {
	var exited chan struct{}
	if p != nil {
		exited = p.Exited
	}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(Patience)
	for !ok() {
		select {
		case <-ticker.C:
		case <-exited:
			return fmt.Errorf("it has exited: %w", p.Err)
		case <-timeout:
			return fmt.Errorf("not in %s", Patience)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Stop ends the program as an operator would, and says how it has ended.
func (p *Process) Stop() error {
	_ = p.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.Exited:
		return p.Err
	case <-time.After(Patience):
		p.Kill()
		return errors.New("it did not end by itself")
	}
}

// Kill ends it with SIGKILL.
func (p *Process) Kill() {
	_ = p.Process.Kill()
	<-p.Exited
}

// Output collects what a process prints.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
