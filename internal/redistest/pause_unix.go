//go:build unix

package redistest

import "syscall"

// Pause halts the server: it takes connections and answers nothing. Resume ends that.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume has a paused server go on.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(what syscall.Signal) {
	s.tb.Helper()
	if err := s.process.Process.Signal(what); err != nil {
		s.tb.Fatal(err)
	}
}
