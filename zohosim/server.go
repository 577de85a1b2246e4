package zohosim

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Server is the simulator: accounts servers, resource servers and the control API in one
// http.Handler. It is safe for concurrent use.
type Server struct {
	requestIDs atomic.Int64 // the last X-Sim-Request-Id

	// mu guards all below. Methods whose names end in Locked are called with it held.
	mu sync.Mutex
	o  Options // without zero values

	// clients by id.
	clients map[string]*Client
	// grants by refresh token. Those of access_type online have one that nobody was told.
	grants map[string]*grant
	// holders are the grants of a user and client, the oldest first: the one over MaxGrants takes
	// the first away.
	holders map[holder][]*grant
	// tokens by access token, while they live.
	tokens map[string]*token
	// codes by authorization code, until they are exchanged.
	codes map[string]code
	// enhancements by enhance token, until they are used.
	enhancements map[string]enhancement
	// devices are the device flows that wait for a person, by device code.
	devices map[string]*device
	// consents are when a user and client were given codes.
	consents holderTimes
	// minters are what tokens of client_credentials belong to, and mints are when they were asked for.
	minters map[minter]*grant
	mints   mintTimes

	// data are the records by collection, see call.key.
	data map[string]*collection
	// files by id: what was uploaded. filesSize is how many bytes of it are kept.
	files     map[string]*file
	filesSize int
	// lastID counts records and files; formatID makes the id of it.
	lastID int

	// faults in the order in which they were added: the first that fits a request hits it.
	faults []*Fault
	// cleared is closed, and made anew, when faults are cleared: who hangs goes on.
	cleared chan struct{}
	stats   Stats
	issued  Issued
}

// New makes a simulator. It panics if an option has a value that does not exist.
func New(o Options) *Server {
	must(o.Check())
	s := &Server{
		o:       o.withDefaults(),
		clients: map[string]*Client{},
		cleared: make(chan struct{}),
	}
	s.resetLocked()
	return s
}

// resetLocked forgets everything but clients and options.
func (s *Server) resetLocked() {
	s.grants = map[string]*grant{}
	s.holders = map[holder][]*grant{}
	s.tokens = map[string]*token{}
	s.codes = map[string]code{}
	s.enhancements = map[string]enhancement{}
	s.devices = map[string]*device{}
	s.minters = map[minter]*grant{}
	s.restartLocked()
}

// restartLocked forgets what happened, and keeps clients, grants and live tokens. The windows of ten
// minutes begin anew.
func (s *Server) restartLocked() {
	s.consents, s.mints = holderTimes{}, mintTimes{}
	s.data = map[string]*collection{}
	s.files, s.filesSize = map[string]*file{}, 0
	s.stats = newStats()
	for _, g := range s.grants {
		g.requests = nil
	}
	s.clearLocked("")
}

// Reset begins anew: statistics, resources, faults and throttle windows. Grants and live tokens stay,
// unless everything is true; clients and options stay in any case.
func (s *Server) Reset(everything bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if everything {
		s.resetLocked()
	} else {
		s.restartLocked()
	}
}

// clearLocked ends faults and wakes whoever waits in one.
func (s *Server) clearLocked(where string) {
	s.faults = slices.DeleteFunc(s.faults, func(f *Fault) bool { return where == "" || f.Where == where })
	close(s.cleared)
	s.cleared = make(chan struct{})
}

// Change alters the Options of a running simulator. Tokens that exist keep their life. It panics if
// an option has a value that does not exist.
func (s *Server) Change(change func(*Options)) {
	must(s.change(change))
}

// change is Change with an error. Nothing is changed if there is one.
func (s *Server) change(change func(*Options)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.o
	change(&o)
	if err := o.Check(); err != nil {
		return err
	}
	s.o = o.withDefaults()
	return nil
}

// count changes the statistics under the lock.
func (s *Server) count(change func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.stats)
}
