package caddyzoho

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

const (
	excerptLimit    = 200         // of a body, in a log line
	unrecognizedLog = time.Minute // between lines about one service
	unrecognizedAge = 24 * time.Hour
)

// unrecognized remembers refusals in which nothing was recognized: the last one of each
// service of a connection, for doctor.
type unrecognized struct {
	mu   sync.Mutex
	last map[serviceOf]strangeRefusal
	log  map[string]*rate.Sometimes // by service
}

type serviceOf struct {
	tokencache.Key
	service string
}

type strangeRefusal struct {
	at          time.Time
	status      int
	contentType string
	count       int
}

// note remembers a refusal, and has log called once in a while.
func (u *unrecognized) note(of serviceOf, status int, contentType string, log func()) {
	u.mu.Lock()
	if u.last == nil {
		u.last, u.log = make(map[serviceOf]strangeRefusal), make(map[string]*rate.Sometimes)
	}
	u.last[of] = strangeRefusal{time.Now(), status, contentType, u.last[of].count + 1}
	line := u.log[of.service]
	if line == nil {
		line = &rate.Sometimes{First: 1, Interval: unrecognizedLog}
		u.log[of.service] = line
	}
	u.mu.Unlock()
	line.Do(log)
}

// forget forgets an account that is gone.
func (u *unrecognized) forget(key tokencache.Key) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for of := range u.last {
		if of.Key == key {
			delete(u.last, of)
		}
	}
}

// of lists what is remembered of an account and not too old, by service.
func (u *unrecognized) of(key tokencache.Key) (services []string, refusals map[string]strangeRefusal) {
	u.mu.Lock()
	defer u.mu.Unlock()
	refusals = make(map[string]strangeRefusal)
	for of, refusal := range u.last {
		if of.Key == key && time.Since(refusal.at) < unrecognizedAge {
			services, refusals[of.service] = append(services, of.service), refusal
		}
	}
	slices.Sort(services)
	return services, refusals
}

// tellUnrecognized tells of a refusal in which nothing was recognized. Its body may repeat
// the token that was sent.
func (s *session) tellUnrecognized(res *http.Response, body []byte, token *tokencache.Token) {
	of := serviceOf{tokencache.Key{Client: s.client.name, Account: s.account}, s.target.Service}
	contentType := zoho.Excerpt(strings.Join(res.Header["Content-Type"], ", "), excerptLimit, token.Value)
	s.handler.app.state.unknown.note(of, res.StatusCode, contentType, func() {
		s.handler.logger.Warn("Zoho refused a call in a way that is not known; the token is renewed if that may help",
			s.fields(zap.Int("status", res.StatusCode), zap.String("content_type", contentType),
				zap.String("body", zoho.Excerpt(string(body), excerptLimit, token.Value)))...)
	})
}
