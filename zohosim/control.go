package zohosim

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// serveControl answers the control API; the package comment documents it. It is for tests on the same
// machine: nobody is asked who he is, but web pages are kept out.
func (s *Server) serveControl(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/"), "_sim/")
	wantMethod := http.MethodPost
	if name == "stats" || name == "" {
		wantMethod = http.MethodGet
	}
	command := commands[name]
	switch {
	case r.Header.Get("Origin") != "":
		writeControl(w, http.StatusForbidden, map[string]any{"error": "the control API is not for web pages"})
		return
	case name == "":
		writeControl(w, http.StatusOK, s.Stats())
		return
	case command == nil:
		writeControl(w, http.StatusNotFound, map[string]any{"error": fmt.Sprintf("no such command %q", name)})
		return
	case r.Method != wantMethod && (name != "limits" || r.Method != http.MethodGet):
		writeControl(w, http.StatusMethodNotAllowed, map[string]any{"error": "want " + wantMethod})
		return
	}
	reply, err := command(s, json.NewDecoder(io.LimitReader(r.Body, maxForm)))
	if err != nil {
		writeControl(w, http.StatusBadRequest, map[string]any{"error": err.Error()})
		return
	}
	writeControl(w, http.StatusOK, reply)
}

// writeControl answers in lines that a person can read: curl is the usual client.
func writeControl(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.Encode(v)
}

// input reads a command's JSON. An empty body leaves everything as it is; a field that is not known is an
// error, because a test with a slip in it would pass.
func input(d *json.Decoder, v any) error {
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// command is what the control API does with a request: in is its JSON.
type command func(s *Server, in *json.Decoder) (reply any, err error)

// commands are the commands by name; the package comment lists their fields.
var commands = map[string]command{
	"stats":         func(s *Server, _ *json.Decoder) (any, error) { return s.Stats(), nil },
	"expire":        onGrants((*Server).Expire),
	"revoke-access": onGrants((*Server).RevokeAccess),
	"revoke":        onGrants((*Server).Revoke),
	"evict":         onGrants((*Server).Evict),
	"fault":         with(Fault{Where: "*"}, controlFault),
	"clear":         with(clearInput{}, controlClear),
	"limits":        with(limits{}, controlLimits),
	"answer":        with(answerInput{}, controlAnswer),
	"grant":         onSpec(func(s *Server, g GrantSpec) any { return s.grantLocked(g).GrantSpec }),
	"token":         with(tokenInput{}, controlToken),
	"code":          onSpec(controlCode),
	"client":        with(clientInput{}, controlClient),
	"reset":         with(resetInput{}, controlReset),
}

// with makes a command of a function that takes the JSON decoded. Fields that the JSON
// leaves out are those of defaults.
func with[T any](defaults T, do func(*Server, T) (any, error)) command {
	return func(s *Server, in *json.Decoder) (any, error) {
		v := defaults
		if err := input(in, &v); err != nil {
			return nil, err
		}
		return do(s, v)
	}
}

// onGrants makes a command of what is done to a refresh token, a user, or everyone.
func onGrants(do func(*Server, string) int) command {
	type whose = struct {
		RefreshToken string `json:"refresh_token"`
		User         string `json:"user"`
	}
	return with(whose{}, func(s *Server, in whose) (any, error) {
		return map[string]int{"count": do(s, cmp.Or(in.RefreshToken, in.User))}, nil
	})
}

// onSpec makes a command of what a consent gives, once the spec is complete.
func onSpec(do func(*Server, GrantSpec) any) command {
	return with(GrantSpec{}, func(s *Server, spec GrantSpec) (any, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		spec, err := s.checkSpecLocked(spec)
		if err != nil {
			return nil, err
		}
		return do(s, spec), nil
	})
}

// controlCode makes a self client's code.
func controlCode(s *Server, spec GrantSpec) any {
	return map[string]string{"code": s.selfClientCodeLocked(spec)}
}

// controlFault adds a fault and replies with it. A fault without a place hits everywhere.
func controlFault(s *Server, f Fault) (any, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	s.AddFault(f)
	return f, nil
}

// The inputs of commands have unnamed types, so that what encoding/json says of a field of the wrong kind
// names the field alone.

// clearInput says where faults end; "" is everywhere.
type clearInput = struct {
	Where string `json:"where"`
}

func controlClear(s *Server, in clearInput) (any, error) {
	s.ClearFaults(in.Where)
	return done, nil
}

// done is the reply of commands that have nothing to tell.
var done = map[string]bool{"ok": true}

// answerInput is an answer, and what it stands in for.
type answerInput = struct {
	Service string `json:"service"`
	Case    string `json:"case"`
	Answer
}

// controlAnswer replaces a refusal. net/http panics at statuses below 100, and those below 200 end no
// request.
func controlAnswer(s *Server, in answerInput) (any, error) {
	switch {
	case in.Status < 200 || in.Status > 999:
		return nil, fmt.Errorf("status %d: want 200 to 999", in.Status)
	case strings.ContainsAny(in.Reason, "\r\n"):
		return nil, fmt.Errorf("reason %q: want one line", in.Reason)
	}
	s.SetAnswer(in.Service, in.Case, in.Answer)
	return in, nil
}

// tokenInput is whose access token is made.
type tokenInput = struct {
	RefreshToken string `json:"refresh_token"`
}

func controlToken(s *Server, in tokenInput) (any, error) {
	token := s.AccessToken(in.RefreshToken)
	if token == "" {
		return nil, errors.New("the refresh token is dead")
	}
	return map[string]string{"access_token": token}, nil
}

// clientInput is Client with the names of its fields in JSON.
type clientInput = struct {
	ID           string            `json:"id"`
	Secret       string            `json:"secret"`
	Secrets      map[string]string `json:"secrets"`
	RedirectURIs []string          `json:"redirect_uris"`
	SelfClient   bool              `json:"self_client"`
	Org          bool              `json:"org"`
	Device       bool              `json:"device"`
	Orgs         []string          `json:"orgs"`
	DataCenters  []string          `json:"data_centers"`
}

func controlClient(s *Server, in clientInput) (any, error) {
	if in.ID == "" {
		return nil, errors.New("the id is missing")
	}
	s.AddClient(Client(in))
	return done, nil
}

// resetInput is whether grants and tokens go, too.
type resetInput = struct {
	Everything bool `json:"everything"`
}

func controlReset(s *Server, in resetInput) (any, error) {
	s.Reset(in.Everything)
	return done, nil
}
