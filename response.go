package caddyzoho

import (
	"errors"
	"net/http"
	"runtime/debug"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/internal/body"
	"github.com/caddy-zoho/caddy-zoho/internal/egress"
	"github.com/caddy-zoho/caddy-zoho/internal/fault"
	"github.com/caddy-zoho/caddy-zoho/internal/forward"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
	"github.com/caddy-zoho/caddy-zoho/internal/unrecognized"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// verdictHeader says why a refusal of Zoho's was passed on.
const verdictHeader = "Zoho-Proxy-Verdict"

// call is what the cache is told of a request.
func (s *session) call(req *http.Request) tokencache.Call {
	return tokencache.Call{Resource: s.resource, Likeness: s.likeness(req)}
}

// likeness is the same for requests to a resource server that the grant permits alike.
func (s *session) likeness(req *http.Request) uint64 {
	return s.target.Likeness(req.Method, forward.OriginForm(s.received(req)), req.Header)
}

// refused is a call whose refusal may force a renewal, which is on the caller's account.
func (s *session) refused(req *http.Request) tokencache.Call {
	c := s.call(req)
	c.Caller = s.caller.ID()
	return c
}

// refusal tells how an answer refuses the token, where a renewal may turn it into a
// success. What a server that is not Zoho's means by a 401 of its own is not known.
func (s *session) refusal(res *http.Response, verdict zoho.Verdict) (how tokencache.Refusal, renewable bool) {
	switch verdict {
	case zoho.VerdictRenew:
		return tokencache.RefusalDead, true
	case zoho.VerdictAmbiguous:
		return tokencache.RefusalAmbiguous, true
	case zoho.VerdictUnrecognized:
		if res.Request.Method == http.MethodHead {
			return tokencache.RefusalSilent, !s.stranger
		}
		return tokencache.RefusalUnknown, !s.stranger
	}
	return 0, false
}

// judge says what an answer means for the token that was sent. It reads the body only of
// answers that can be a refusal.
func (s *session) judge(res *http.Response, token *tokencache.Token) zoho.Verdict {
	counted := s.metrics
	if credits, ok := zoho.CreditsRemaining(res.Header); ok {
		counted.Credits(s.key(), s.target.Service, credits)
	}
	var said []byte
	if zoho.MayRefuse(s.target.Service, res.StatusCode, res.Header) {
		said = body.Prefix(res)
	}
	verdict := s.target.Judge(res, said)
	if verdict == zoho.VerdictUnrecognized && res.Request.Method != http.MethodHead && !s.stranger {
		s.tellUnrecognized(res, said, token)
	}
	switch verdict {
	case zoho.VerdictNone:
	case zoho.VerdictLimited:
		counted.Limited(s.client.Name, s.target.Service)
	default:
		counted.Refusal(s.client.Name, s.target.Service, verdict.String())
	}
	return verdict
}

// excerptLimit is how much of a body stands in a log line.
const excerptLimit = 200

// tellUnrecognized tells of a refusal in which nothing was recognized. Its body may repeat
// the token that was sent.
func (s *session) tellUnrecognized(res *http.Response, body []byte, token *tokencache.Token) {
	contentType := zoho.Excerpt(strings.Join(res.Header["Content-Type"], ", "), excerptLimit, token.Value)
	refusal := unrecognized.Refusal{Service: s.target.Service, Status: res.StatusCode, ContentType: contentType}
	s.unknown.Note(s.key(), refusal, func() {
		s.logger.Warn("Zoho refused a call in an unknown way; the token is renewed if that may help",
			s.fields(zap.Int("status", res.StatusCode),
				zap.String("reason", zoho.Excerpt(s.target.Reason(res), excerptLimit, token.Value)),
				zap.String("content_type", contentType),
				zap.String("body", zoho.Excerpt(string(body), excerptLimit, token.Value)))...)
	})
}

// deliver hands an answer to the app that says nothing against the token.
func (s *session) deliver(
	req *http.Request,
	res *http.Response,
	token *tokencache.Token,
	verdict zoho.Verdict,
) *http.Response {
	if s.replays > 0 {
		s.count("ok")
	}
	switch verdict {
	case zoho.VerdictNone:
		s.accepted(req, res, token)
	case zoho.VerdictLimited: // nothing of ours: the app has to wait
	case zoho.VerdictNoHeader:
		s.unseen.Do(func() {
			s.logger.Error(
				"Zoho says that the request came without a token, although one was attached",
				s.fields(zap.Int("status", res.StatusCode))...)
		})
	default:
		return s.labelled(res, verdict.String())
	}
	return s.settled(res)
}

// accepted tells of an answer that only a live token gets. What was refused before, and now has
// another answer that is not a server's trouble, was cured as well.
func (s *session) accepted(req *http.Request, res *http.Response, token *tokencache.Token) {
	if zoho.Accepted(res.StatusCode) {
		s.call(req).Accepted(token.Generation)
	}
	if s.replays > 0 && res.StatusCode < http.StatusInternalServerError {
		s.call(req).ReplayAccepted(token)
	}
}

// maxReplays bounds how often a request is sent again.
const maxReplays = 2

// replayRefused reports whether the refusal of a replay is the last word on its request, which
// was sent before first.
func (s *session) replayRefused(
	req *http.Request,
	res *http.Response,
	token *tokencache.Token,
	verdict zoho.Verdict,
	first tokencache.Mark,
) bool {
	s.count("refused")
	held := s.call(req).ReplayRefused(token, first)
	if held {
		s.refusals.Do(func() {
			s.logger.Warn(
				"a fresh access token was refused as well: no renewal for this service for a while; check data center, organization and scopes",
				s.fields(zap.Int("status", res.StatusCode), zap.String("verdict", verdict.String()))...)
		})
	}
	return held || s.replays == maxReplays
}

// passOn hands a refusal to the app that a renewal might have cured but is not
// going to.
func (s *session) passOn(res *http.Response, token *tokencache.Token, verdict zoho.Verdict) *http.Response {
	word := "fresh-token-refused"
	switch {
	case verdict != zoho.VerdictRenew:
		word = verdict.String()
	case token.APIDomain != "" && !s.center.OwnsAPIDomain(token.APIDomain):
		// Zoho named another API gateway than that of the configured data center.
		word = "data-center"
	}
	return s.labelled(res, word)
}

// labelled is a refusal of Zoho's that the app gets, with our word on why.
func (s *session) labelled(res *http.Response, word string) *http.Response {
	s.settled(res).Header.Set(verdictHeader, word)
	return res
}

// settled is the answer that the app gets, without what only we may say.
func (s *session) settled(res *http.Response) *http.Response {
	forward.StripOurs(res.Header)
	forward.StripAnnounced(res.Trailer)
	if s.target.Foreign {
		forward.Sandbox(res.Header)
	}
	s.body.Settle()
	if res.StatusCode >= http.StatusMultipleChoices { // a success may go on while the body does
		s.stopBody(res)
	}
	s.requests.Count(s.target.Service, res.StatusCode)
	s.usage.Note(s.resource, s.key(), s.target.Service, s.method, s.caller.Name)
	s.note(res.StatusCode, "")
	return res
}

// lose counts a request that cannot be sent again. Want of room is counted when the request ends.
func (s *session) lose(why string) {
	if why != body.LostNoRoom {
		s.count(why)
	}
}

// notReplayed answers where what kept Zoho from carrying out a request is mended, and the request
// cannot be sent again: that is no matter of the app's credentials.
func (s *session) notReplayed(req *http.Request, res *http.Response, why string) *http.Response {
	body.Discard(res)
	return s.respond(req, problem.NotReplayed(why))
}

// noToken answers that there is no token to be had; a caller that hung up gets none.
func (s *session) noToken(req *http.Request, err error) (*http.Response, error) {
	if gone := req.Context().Err(); gone != nil {
		return nil, gone
	}
	return s.respond(req, problem.Token(err, s.client, s.account)), nil
}

// respond answers in our own name.
func (s *session) respond(req *http.Request, p *problem.Problem) *http.Response {
	s.about(p)
	s.metrics.Problem(s.client.Name, p.Code)
	s.note(p.Status, p.Code)
	s.stopBody(nil)
	return p.Response(req)
}

// broken says what a failed attempt means for reverse_proxy. If it was a replay, refused is the
// generation that made it necessary.
func (s *session) broken(req *http.Request, refused uint64, err error) (*http.Response, error) {
	if s.replays > 0 {
		s.count("failed")
		s.refused(req).NotAnswered(refused)
	}
	if cause := s.body.Cut(); cause != nil {
		s.logger.Debug("the body of a request ended early", s.fields(zap.Error(cause))...)
		return nil, err
	}
	s.requests.Count(s.target.Service, 0)
	if errors.Is(err, egress.ErrLoop) {
		return s.respond(req, problem.Loop(s.target.Host)), nil
	}
	// With handle_errors Caddy itself is silent about it.
	if req.Context().Err() == nil {
		s.unanswered.Do(func() {
			s.logger.Error("no answer from Zoho", s.fields(zap.String("host", s.target.Host), zap.Error(err))...)
		})
	}
	return nil, err
}

func (s *session) count(result string) {
	s.metrics.Replay(s.client.Name, result)
}

// internal answers for a panic of ours: one request fails, and the process lives. To
// abort a request is net/http's business.
func internal(logger *zap.Logger, recovered any) *problem.Problem {
	if recovered == http.ErrAbortHandler {
		panic(recovered)
	}
	err := fault.Error(recovered)
	logger.Error(
		"a request failed by a fault of the proxy's own; please report it",
		zap.Error(err),
		zap.ByteString("stack", debug.Stack()),
	)
	return problem.Internal()
}
