package cli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
)

// input is what a person or a pipe gives.
type input struct {
	from     io.Reader
	out      io.Writer
	terminal int // file descriptor, -1 if it is none

	chunks chan []byte // read ahead, nil = nothing was read yet
	failed error       // why chunks has ended
}

func newInput(cmd *cobra.Command) *input {
	in := &input{from: cmd.InOrStdin(), out: cmd.ErrOrStderr(), terminal: -1}
	if file, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		in.terminal = int(file.Fd())
	}
	return in
}

// read begins to read, once: what is read too far is there for whoever asks next.
func (in *input) read() {
	if in.chunks != nil {
		return
	}
	in.chunks = make(chan []byte)
	go func() {
		defer close(in.chunks)
		for in.failed == nil {
			chunk := make([]byte, 4<<10)
			var n int
			n, in.failed = in.from.Read(chunk)
			if n > 0 {
				in.chunks <- chunk[:n]
			}
		}
	}()
}

// pause is how long nothing more comes after a paste: whoever pastes does not end the
// input, and a paste may have line breaks.
const pause = time.Second

// forever is a pause that does not end the input.
const forever time.Duration = -1

// pasted is what is pasted at a terminal, or comes by a pipe.
func (in *input) pasted(what string) (string, error) {
	if in.terminal < 0 {
		return in.piped(what)
	}
	return somePaste(in.typed("Paste "+what+", then press Enter: ", pause, &typing{echo: in.out}))
}

func somePaste(text string, err error) (string, error) {
	if err == nil && strings.TrimSpace(text) == "" {
		err = errors.New("nothing was pasted")
	}
	return text, err
}

func (in *input) piped(what string) (string, error) {
	text, err := in.until(pause, &typing{})
	if err == nil && strings.TrimSpace(text) == "" {
		err = fmt.Errorf("nothing came from standard input, where %s belongs", what)
	}
	return text, err
}

// typed asks at a terminal, and reads to the end of a line behind which nothing comes for
// that long. A terminal gives out whole lines, and would leave to the shell what of a paste
// comes behind the last of them: so it gives out characters meanwhile.
func (in *input) typed(question string, quiet time.Duration, t *typing) (string, error) {
	state, err := term.MakeRaw(in.terminal)
	if err != nil {
		return "", fmt.Errorf("the terminal does not give out characters: %w", err)
	}
	defer func() { _ = term.Restore(in.terminal, state) }()
	fmt.Fprint(in.out, question)
	return in.until(quiet, t)
}

// until reads to the end, or to the end of a line behind which nothing comes for that long, unless that is forever.
func (in *input) until(quiet time.Duration, t *typing) (string, error) {
	in.read()
	var ended <-chan time.Time
	for len(t.text) <= cmp.Or(t.most, adminapi.MaxBody) {
		select {
		case chunk, more := <-in.chunks:
			if !more && !errors.Is(in.failed, io.EOF) {
				return "", in.failed
			}
			t.take(chunk)
			if t.interrupted {
				return "", errors.New("interrupted")
			}
			if !more || t.ended {
				return string(t.text), nil
			}
			ended = nil
			if quiet != forever && t.complete() {
				ended = time.After(quiet)
			}
		case <-ended:
			return string(t.text), nil
		}
	}
	return string(t.text), nil
}

// typing is what has come so far.
type typing struct {
	text        []byte
	echo        io.Writer // of a terminal, which shows nothing by itself; nil for a pipe
	most        int       // bytes; 0 = as many as a request may bring
	ended       bool
	interrupted bool
}

// What keys send.
const (
	controlC  = 3
	controlD  = 4
	erase     = 8
	backspace = 127
)

func (t *typing) take(chunk []byte) {
	if t.echo == nil {
		t.text = append(t.text, chunk...)
		return
	}
	for _, key := range chunk {
		switch key {
		case controlC:
			t.interrupted = true
		case controlD:
			t.ended = true
		case erase, backspace:
			if n := len(t.text); n > 0 && t.text[n-1] != '\n' {
				t.text = t.text[:n-1]
				fmt.Fprint(t.echo, "\b \b")
			}
		case '\r', '\n':
			t.text = append(t.text, '\n')
			fmt.Fprint(t.echo, "\r\n")
		default:
			if key >= ' ' {
				t.text = append(t.text, key)
				_, _ = t.echo.Write([]byte{key})
			}
		}
	}
}

// complete reports whether this may have been all. Blank lines of a pipe are not.
func (t *typing) complete() bool {
	return bytes.HasSuffix(t.text, []byte("\n")) && (t.echo != nil || len(bytes.TrimSpace(t.text)) > 0)
}

// secret is pasted, and not shown.
func (in *input) secret(what string) (text string, err error) {
	if in.terminal < 0 {
		text, err = in.piped(what)
	} else {
		text, err = somePaste(in.hidden("Paste "+what+" (not shown), then press Enter: ", pause, 0))
	}
	return strings.TrimSpace(strings.TrimPrefix(text, "\ufeff")), err
}

// mostLines is what may be pasted of secrets that have a line each.
const mostLines = 16 << 20

// secretLines are pasted at a terminal up to Ctrl-D, and not shown.
func (in *input) secretLines(what string) (string, error) {
	return in.hidden("Paste "+what+" (not shown), then press Enter and Ctrl-D: ", forever, mostLines)
}

func (in *input) hidden(question string, quiet time.Duration, most int) (string, error) {
	defer fmt.Fprintln(in.out)
	return in.typed(question, quiet, &typing{echo: io.Discard, most: most})
}

// agrees asks a person. Where there is none the answer is no.
func (in *input) agrees(question string) bool {
	if in.terminal < 0 {
		return false
	}
	text, _ := in.typed(question+" [y/N] ", 0, &typing{echo: in.out})
	answer := strings.ToLower(strings.TrimSpace(text))
	return answer == "y" || answer == "yes"
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// showProgress tells, once something takes longer than a second, that it goes on: at a
// terminal in a line that counts, elsewhere by a line now and then.
func showProgress(w io.Writer, what string) (stop func()) {
	terminal := isTerminal(w)
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for seconds := 1; ; seconds++ {
			select {
			case <-done:
				if terminal && seconds > 1 {
					fmt.Fprint(w, "\r\x1b[K")
				}
				return
			case <-ticker.C:
			}
			switch {
			case terminal:
				fmt.Fprintf(w, "\r%s … %d s", what, seconds)
			case seconds == 1 || seconds%10 == 0:
				fmt.Fprintf(w, "%s … %d s\n", what, seconds)
			}
		}
	})
	return func() {
		close(done)
		running.Wait()
	}
}
