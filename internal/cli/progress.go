package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// showProgress tells, once something takes longer than a second, that it goes on: at a
// terminal in a line that counts, elsewhere by a line now and then.
func showProgress(w io.Writer, what string) (stop func()) {
	terminal := false
	if file, ok := w.(*os.File); ok {
		terminal = term.IsTerminal(int(file.Fd()))
	}
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
