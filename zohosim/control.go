package zohosim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
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

func writeControl(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.Encode(v)
}

// input reads a command's JSON. An empty body leaves everything at zero.
func input(d *json.Decoder, v any) error {
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

type command func(s *Server, in *json.Decoder) (reply any, err error)

var commands map[string]command

func init() {
	commands = map[string]command{
		"stats":         func(s *Server, _ *json.Decoder) (any, error) { return s.Stats(), nil },
		"expire":        onGrants((*Server).Expire),
		"revoke-access": onGrants((*Server).RevokeAccess),
		"revoke":        onGrants((*Server).Revoke),
		"evict":         onGrants((*Server).Evict),
		"fault":         controlFault,
		"clear":         controlClear,
		"limits":        controlLimits,
		"answer":        controlAnswer,
		"grant":         controlGrant,
		"token":         controlToken,
		"code":          controlCode,
		"client":        controlClient,
		"reset":         controlReset,
	}
}

// onGrants makes a command of what is done to a refresh token, a user, or everyone.
func onGrants(do func(*Server, string) int) command {
	return func(s *Server, in *json.Decoder) (any, error) {
		var whose struct {
			RefreshToken string `json:"refresh_token"`
			User         string `json:"user"`
		}
		if err := input(in, &whose); err != nil {
			return nil, err
		}
		return map[string]int{"count": do(s, either(whose.RefreshToken, whose.User))}, nil
	}
}

func controlFault(s *Server, in *json.Decoder) (any, error) {
	f := Fault{Where: "*"}
	if err := input(in, &f); err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	s.AddFault(f)
	return f, nil
}

func controlClear(s *Server, in *json.Decoder) (any, error) {
	var at struct {
		Where string `json:"where"`
	}
	if err := input(in, &at); err != nil {
		return nil, err
	}
	s.ClearFaults(at.Where)
	return map[string]bool{"ok": true}, nil
}

func controlAnswer(s *Server, in *json.Decoder) (any, error) {
	var a struct {
		Service string `json:"service"`
		Case    string `json:"case"`
		Answer
	}
	if err := input(in, &a); err != nil {
		return nil, err
	}
	if a.Status < 200 || a.Status > 999 {
		return nil, fmt.Errorf("status %d: want 200 to 999", a.Status)
	}
	s.SetAnswer(a.Service, a.Case, a.Answer)
	return a, nil
}

func controlGrant(s *Server, in *json.Decoder) (any, error) {
	var spec GrantSpec
	if err := input(in, &spec); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	spec, err := s.checkSpecLocked(spec)
	if err != nil {
		return nil, err
	}
	return s.grantLocked(spec).GrantSpec, nil
}

func controlCode(s *Server, in *json.Decoder) (any, error) {
	var spec GrantSpec
	if err := input(in, &spec); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	spec, err := s.checkSpecLocked(spec)
	if err != nil {
		return nil, err
	}
	return map[string]string{"code": s.codeLocked(code{GrantSpec: spec, offline: true, selfClient: true})}, nil
}

func controlToken(s *Server, in *json.Decoder) (any, error) {
	var of struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := input(in, &of); err != nil {
		return nil, err
	}
	token := s.AccessToken(of.RefreshToken)
	if token == "" {
		return nil, errors.New("the refresh token is dead")
	}
	return map[string]string{"access_token": token}, nil
}

func controlClient(s *Server, in *json.Decoder) (any, error) {
	var c struct {
		ID           string            `json:"id"`
		Secret       string            `json:"secret"`
		Secrets      map[string]string `json:"secrets"`
		RedirectURIs []string          `json:"redirect_uris"`
		SelfClient   bool              `json:"self_client"`
		DataCenters  []string          `json:"data_centers"`
	}
	if err := input(in, &c); err != nil {
		return nil, err
	}
	if c.ID == "" {
		return nil, errors.New("the id is missing")
	}
	s.AddClient(Client(c))
	return map[string]bool{"ok": true}, nil
}

func controlReset(s *Server, in *json.Decoder) (any, error) {
	var of struct {
		Everything bool `json:"everything"`
	}
	if err := input(in, &of); err != nil {
		return nil, err
	}
	s.Reset(of.Everything)
	return map[string]bool{"ok": true}, nil
}

func millis(d time.Duration) int64 { return d.Milliseconds() }
