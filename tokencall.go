package caddyzoho

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/internal/forward"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// What apps get that insist on a token of their own. It opens nothing, and does not
// look like one of Zoho's: the transport takes out whatever comes back.
const (
	placeholderToken        = "answered-by-caddy-zoho"
	placeholderRefreshToken = "kept-by-caddy-zoho"
)

// Bounds on token calls, far above what any of them needs: they are read before it is known who calls.
const (
	maxTokenCall  = 64 << 10
	tokenCallTime = 30 * time.Second
)

// tokenCall reports whether SDKs ask for tokens there, or give them back; for the latter Zoho
// documents two places.
func tokenCall(path string) bool {
	switch path {
	case "/oauth/v2/token", "/oauth/v2/token/revoke", "/oauth/v2/revoke/token":
		return true
	}
	return false
}

// tokenReply has the fields of Zoho's own reply.
type tokenReply struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"`
	APIDomain    string `json:"api_domain"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
}

// answerTokenCall gives an app the token that it insists on. Whatever it sends to prove
// itself is not forwarded, and looked at only where callers have keys.
func (h *Handler) answerTokenCall(w http.ResponseWriter, r *http.Request) error {
	s := h.newSession(r)
	reply, p := s.tokenReply(w, r, h.admit)
	if p != nil {
		s.about(p)
		s.note(p.Status, p.Code)
		return h.answer(w, r, p)
	}
	s.note(http.StatusOK, "")
	w.Header().Set("Cache-Control", "no-store")
	if forward.Path(r.RequestURI) != "/oauth/v2/token" {
		return writeJSON(w, map[string]string{"status": "success"}) // nothing of ours is revoked
	}
	h.logger.Debug("answered a token call of an app", zap.String("api_domain", reply.APIDomain))
	return writeJSON(w, reply)
}

// tokenReply is what the app is told. Where callers have keys, theirs is the token: it comes back
// with each call.
func (s *session) tokenReply(w http.ResponseWriter, r *http.Request, admit func(*http.Request) *problem.Problem) (
	reply tokenReply, p *problem.Problem,
) {
	if p = admit(r); p != nil {
		return reply, p
	}
	if p = readTokenCall(w, r); p != nil {
		return reply, p
	}
	if p = s.identify(r, r.Form.Get("client_secret"), r.Form.Get("token")); p != nil {
		return reply, p
	}
	if p = s.chooseAccount(r); p != nil {
		return reply, p
	}
	reply = tokenReply{AccessToken: cmp.Or(s.who.Key, placeholderToken), APIDomain: s.origin(r), TokenType: "Bearer",
		ExpiresIn: 3600}
	switch grantType := r.Form.Get("grant_type"); {
	case s.path != "/oauth/v2/token":
	case grantType == "refresh_token", grantType == "client_credentials":
	case grantType == "authorization_code":
		reply.RefreshToken = placeholderRefreshToken
	default:
		return reply, problem.TokenCall("grant_type must be refresh_token, authorization_code or client_credentials")
	}
	return reply, nil
}

// readTokenCall takes the parameters from where SDKs put them: query, form or multipart.
func readTokenCall(w http.ResponseWriter, r *http.Request) *problem.Problem {
	if r.Method != http.MethodPost {
		return problem.TokenCall("a token call must be a POST")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxTokenCall)
	control := http.NewResponseController(w)
	if control.SetReadDeadline(time.Now().Add(tokenCallTime)) == nil {
		defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	}
	var err error
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		err = r.ParseMultipartForm(maxTokenCall)
	} else {
		err = r.ParseForm()
	}
	if err != nil {
		return problem.TokenCall("its parameters cannot be read") // the reason may hold what was sent
	}
	return nil
}

// origin is where the app's next calls are to go: to where this one went. An app that
// a hosts file leads here called an accounts host; its calls go to the API's.
func (s *session) origin(r *http.Request) string {
	origin := url.URL{Scheme: "http", Host: r.Host}
	if r.TLS != nil {
		origin.Scheme = "https"
	}
	api := strings.TrimPrefix(s.client.CenterNow(s.account).API, "https://")
	if host := origin.Hostname(); api != "" && zoho.IsHost(strings.TrimSuffix(host, ".")) {
		origin.Host = strings.Replace(r.Host, host, api, 1) // its port leads here
	}
	return origin.String()
}

// writeJSON writes no newline at the end, as Zoho does: its PHP SDK takes the last line of an answer for the JSON.
func writeJSON(w http.ResponseWriter, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(body)
	return err
}
