//go:build !unix

package redistest

// Pause halts the server, which this system cannot.
func (s *Server) Pause() { s.tb.Skip("a process cannot be halted here") }

// Resume has a paused server go on.
func (s *Server) Resume() {}
