package zohosim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
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
	// consents are when a user and client were given codes.
	consents holderTimes

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
	s.restartLocked()
}

// restartLocked forgets what happened, and keeps clients, grants and live tokens. The windows of ten
// minutes begin anew.
func (s *Server) restartLocked() {
	s.consents = holderTimes{}
	s.data = map[string]*collection{}
	s.files, s.filesSize = map[string]*file{}, 0
	s.stats = newStats()
	for _, g := range s.grants {
		g.requests = nil
	}
	s.clearLocked("")
}

// AddClient registers a client, or replaces the one of that ID.
func (s *Server) AddClient(c Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.RedirectURIs = slices.Clone(c.RedirectURIs)
	s.clients[c.ID] = &c
}

// Grant gives a refresh token as if user had consented at data center dc. Empty user and dc mean
// those of the Options; no scopes means everything.
func (s *Server) Grant(clientID, user, dc string, scopes ...string) (refreshToken string) {
	return s.GrantAs(GrantSpec{ClientID: clientID, User: user, DataCenter: dc, Scopes: scopes})
}

// GrantAs is Grant with everything that can be chosen. It panics if the client or data center does
// not exist.
func (s *Server) GrantAs(spec GrantSpec) (refreshToken string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	spec, err := s.checkSpecLocked(spec)
	must(err)
	return s.grantLocked(spec).RefreshToken
}

// checkSpecLocked completes a spec and refuses one that cannot be.
func (s *Server) checkSpecLocked(spec GrantSpec) (GrantSpec, error) {
	spec = s.completeLocked(spec)
	switch {
	case spec.ClientID == "":
		return spec, fmt.Errorf("client_id is missing: %d clients are registered", len(s.clients))
	case s.clients[spec.ClientID] == nil:
		return spec, fmt.Errorf("client %q is not registered", spec.ClientID)
	}
	if _, ok := lookupDataCenter(spec.DataCenter); !ok {
		return spec, fmt.Errorf("data center %q is none of Zoho's", spec.DataCenter)
	}
	if spec.Environment != "" && environments[spec.Environment] == "" {
		return spec, fmt.Errorf("environment %q: want sandbox or developer", spec.Environment)
	}
	return spec, nil
}

// SelfClientCode makes an authorization code as the API console does for a self client. It needs no
// redirect URI and is good for three minutes. It panics if the client does not exist.
func (s *Server) SelfClientCode(clientID string, scopes ...string) string {
	return s.Code(GrantSpec{ClientID: clientID, Scopes: scopes})
}

// Code is SelfClientCode with everything that can be chosen.
func (s *Server) Code(spec GrantSpec) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	spec, err := s.checkSpecLocked(spec)
	must(err)
	return s.selfClientCodeLocked(spec)
}

// AccessToken makes an access token without a token request: none is counted. It is "" if the
// refresh token is dead.
func (s *Server) AccessToken(refreshToken string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.grants[refreshToken]
	if g == nil {
		return ""
	}
	return s.mintLocked(g).value
}

// Expire ends the life of all access tokens of a refresh token or user; "" means of everyone. The
// same for RevokeAccess, Revoke and Evict; each gives the number of tokens or grants it hit.
func (s *Server) Expire(whose string) int { return s.RevokeAccess(whose) }

// RevokeAccess kills access tokens before their time: they look alive to who holds them.
func (s *Server) RevokeAccess(whose string) int {
	return s.eachGrant(whose, func(g *grant) int {
		s.pruneLocked(g, s.o.Now())
		n := len(g.tokens)
		s.killTokensLocked(g)
		return n
	})
}

// Revoke kills refresh tokens and their access tokens.
func (s *Server) Revoke(whose string) int {
	return s.eachGrant(whose, func(g *grant) int {
		s.removeLocked(g)
		return 1
	})
}

// Evict kills the oldest live access token of each grant, as the 11th one does.
func (s *Server) Evict(whose string) int {
	return s.eachGrant(whose, func(g *grant) int {
		s.pruneLocked(g, s.o.Now())
		if len(g.tokens) == 0 {
			return 0
		}
		s.killTokenLocked(g.tokens[0])
		return 1
	})
}

// eachGrant does something to the grants of a refresh token or user, or to all, and adds up what it gives.
func (s *Server) eachGrant(whose string, do func(*grant) int) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for refreshToken, g := range s.grants {
		if whose == "" || whose == refreshToken || whose == g.User {
			n += do(g)
		}
	}
	return n
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

// call is one request on its way through the simulator.
type call struct {
	s     *Server
	w     http.ResponseWriter // writes through a fault that alters the answer
	r     *http.Request
	route route
	// form are the parameters of an accounts request, wherever they came.
	form map[string][]string
	// token is that of an API request, once it is admitted.
	token *token

	// fault is what is to go wrong, nil for nothing; cleared is closed when it is cleared.
	fault   *Fault
	cleared <-chan struct{}
}

// ServeHTTP answers as the host or path that was called does. It is safe for concurrent use.
//
// A request is counted and its fault taken before anything is answered; a fault may answer by itself, alter
// what is answered, or leave it to the endpoint to make use of it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if isControl(r) {
		s.serveControl(w, r)
		return
	}
	c := &call{s: s, w: w, r: r, route: s.routeOf(r)}
	w.Header().Set("Server", "ZGS")
	w.Header().Set("X-Sim-Request-Id", strconv.FormatInt(s.requestIDs.Add(1), 10))
	if c.route.accounts != "" {
		c.arrive()
	}
	c.fault = s.takeFault(c)
	if c.faultBefore() {
		return
	}
	finish := c.holdBack()
	switch {
	case c.route.accounts != "":
		c.serveAccounts()
	case c.route.product != nil:
		c.serveAPI()
	default:
		c.write(notFound)
	}
	finish()
}

// now is the simulator's time.
func (c *call) now() time.Time {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.o.Now()
}

// notFound is for hosts and paths that no service has. Desk's paths at the API gateway were reported to be
// answered in these words.
var notFound = htmlAnswer(404,
	"<html><head><title>Zoho</title></head><body>API endpoint not found</body></html>")

// isControl reports whether a request is for the control API.
func isControl(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/_sim/") || hostOnly(r.Host) == "sim.localhost"
}
