package callers

// Caller is who sends a request.
type Caller struct {
	Name string // "" where callers have no names
	Peer string // address of the connection without the port, or "uid 1000" of a Unix socket
	UID  string // of the process at the other end of a Unix socket, "" if that is not known
}

// ID tells callers apart: by name, or else by where they call from.
func (c Caller) ID() string {
	if c.Name != "" {
		return "name " + c.Name
	}
	return c.Peer
}
