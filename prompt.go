package caddyzoho

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// input is what a person or a pipe gives.
type input struct {
	from     *bufio.Reader
	out      io.Writer
	terminal int // file descriptor, -1 if it is none
}

func newInput(cmd *cobra.Command) *input {
	in := &input{from: bufio.NewReader(cmd.InOrStdin()), out: cmd.ErrOrStderr(), terminal: -1}
	if file, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		in.terminal = int(file.Fd())
	}
	return in
}

// pasted reads a line at a terminal, and what came with it; otherwise what is piped.
func (in *input) pasted(what string) (string, error) {
	if in.terminal < 0 {
		return in.piped(what)
	}
	fmt.Fprintf(in.out, "Paste %s: ", what)
	text, err := in.from.ReadString('\n')
	for err == nil && in.from.Buffered() > 0 { // the paste has line breaks
		var more string
		more, err = in.from.ReadString('\n')
		text += more
	}
	if strings.TrimSpace(text) == "" {
		return "", errors.New("nothing was pasted")
	}
	return text, nil
}

// pause is how long nothing more comes after a paste: whoever pastes without a terminal, as
// by ssh or docker exec, does not end the input.
const pause = time.Second

// piped reads to the end, or to the end of a line behind which nothing comes.
func (in *input) piped(what string) (string, error) {
	lines := make(chan string)
	var failed error
	go func() {
		defer close(lines)
		from := bufio.NewReader(io.LimitReader(in.from, maxAdminBody))
		for failed == nil {
			var line string
			line, failed = from.ReadString('\n')
			lines <- line
		}
	}()
	all, ended := "", (<-chan time.Time)(nil)
	for {
		select {
		case line, more := <-lines:
			all += line
			switch {
			case !more && !errors.Is(failed, io.EOF):
				return "", failed
			case !more && strings.TrimSpace(all) == "":
				return "", fmt.Errorf("nothing came from standard input, where %s belongs", what)
			case !more:
				return all, nil
			case strings.TrimSpace(all) != "" && strings.HasSuffix(line, "\n"):
				ended = time.After(pause)
			default:
				ended = nil
			}
		case <-ended:
			return all, nil
		}
	}
}

// secret reads a line that is not shown.
func (in *input) secret(what string) (string, error) {
	if in.terminal < 0 {
		text, err := in.piped(what)
		return strings.TrimSpace(strings.TrimPrefix(text, "\ufeff")), err
	}
	fmt.Fprintf(in.out, "Paste %s (not shown): ", what)
	text, err := term.ReadPassword(in.terminal)
	fmt.Fprintln(in.out)
	return strings.TrimSpace(string(text)), err
}

// agrees asks a person. Where there is none the answer is no.
func (in *input) agrees(question string) bool {
	if in.terminal < 0 {
		return false
	}
	fmt.Fprint(in.out, question)
	text, _ := in.from.ReadString('\n')
	return strings.EqualFold(strings.TrimSpace(text), "y")
}
