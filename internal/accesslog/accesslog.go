// Package accesslog keeps the secrets that requests show out of Caddy's logs.
package accesslog

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Logs writes what Caddy would write of a request whose target holds a secret. Caddy has a copy of the
// target before any handler sees it, so its own lines cannot be mended, only left out.
type Logs struct {
	access, errors *zap.Logger
}

// New returns the logs of Caddy's HTTP app.
func New(ctx caddy.Context) *Logs {
	app := ctx.Logger(new(caddyhttp.App))
	return &Logs{access: app.Named("log.access"), errors: app.Named("log.error")}
}

// Original is the target of a request as it came, before rewrites.
func Original(r *http.Request) string {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return original.RequestURI
	}
	return r.RequestURI
}

// Serve has a request served of which the target and a header are to be shown otherwise. Its lines in
// the logs are as Caddy's. An error is handled as Caddy handles one, for Caddy would log it together with the target.
func (l *Logs) Serve(w http.ResponseWriter, r *http.Request, shown, header string, serve func() error) error {
	began, copied := time.Now(), r.Clone(r.Context())
	copied.RequestURI = shown
	if copied.Header[header] != nil {
		copied.Header[header] = []string{redacted}
	}
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	line := line{Logs: l, server: server, request: zap.Object("request", caddyhttp.LoggableHTTPRequest{
		Request:              copied,
		ShouldLogCredentials: server != nil && server.Logs != nil && server.Logs.ShouldLogCredentials,
	})}
	if skip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.LogSkipVar).(bool); !skip {
		caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
		defer func() { line.handled(w, r, time.Since(began)) }()
	}
	if err := serve(); err != nil {
		line.failed(w, r, err, time.Since(began))
	}
	return nil
}

// line is what is logged of one request.
type line struct {
	*Logs
	server  *caddyhttp.Server
	request zap.Field
}

// handled is the line of the access log, if Caddy was to write one.
func (l *line) handled(w http.ResponseWriter, r *http.Request, took time.Duration) {
	answer := recorder(w)
	if l.server == nil || l.server.Logs == nil || answer == nil {
		return
	}
	level := zapcore.InfoLevel
	if answer.Status() >= http.StatusInternalServerError {
		level = zapcore.ErrorLevel
	}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	user, _ := repl.GetString("http.auth.user.id")
	for _, logger := range l.named(l.access, r) {
		if entry := logger.Check(level, "handled request"); entry != nil {
			entry.Write(l.request,
				zap.String("user_id", user),
				zap.Duration("duration", took),
				zap.Int("size", answer.Size()),
				zap.Int("status", answer.Status()),
				zap.Object("resp_headers", caddyhttp.LoggableHTTPHeader{
					Header:               answer.Header(),
					ShouldLogCredentials: l.server.Logs.ShouldLogCredentials,
				}))
		}
	}
}

// recorder is what the server measures an answer by, nil if it does not: the innermost one.
func recorder(w http.ResponseWriter) (found caddyhttp.ResponseRecorder) {
	for {
		if r, ok := w.(caddyhttp.ResponseRecorder); ok {
			found = r
		}
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return found
		}
		w = outer.Unwrap()
	}
}

// failed logs an error, and has the error routes of the server answer for it.
func (l *line) failed(w http.ResponseWriter, r *http.Request, err error, took time.Duration) {
	status, fields := http.StatusInternalServerError, []zap.Field{l.request, zap.Duration("duration", took)}
	text := err.Error()
	if known, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		status = known.StatusCode
		fields = append(fields, zap.Int("status", status), zap.String("err_id", known.ID), zap.String("err_trace", known.Trace))
		if known.Err != nil {
			text = known.Err.Error()
		}
	}
	level := zapcore.ErrorLevel
	if l.answered(w, r, err) || status < http.StatusInternalServerError {
		level = zapcore.DebugLevel
	}
	for _, logger := range l.named(l.errors, r) {
		if entry := logger.Check(level, text); entry != nil {
			entry.Write(fields...)
		}
	}
}

// answered reports whether there are error routes, and they have answered without a fault.
func (l *line) answered(w http.ResponseWriter, r *http.Request, err error) bool {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		r.Method, r.RemoteAddr, r.RequestURI, *r.URL = original.Method, original.RemoteAddr, original.RequestURI, *original.URL
	}
	status := http.StatusInternalServerError
	if known, ok := err.(caddyhttp.HandlerError); ok {
		status = known.StatusCode
	}
	plain := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(status)
		return nil
	})
	if l.server == nil || l.server.Errors == nil || len(l.server.Errors.Routes) == 0 {
		_ = plain(w, r)
		return false
	}
	r = l.server.Errors.WithError(r, err)
	if l.server.Errors.Routes.Compile(plain).ServeHTTP(w, r) != nil {
		_ = plain(w, r)
		return false
	}
	return true
}

// named are the loggers that Caddy would take, by its variable or the host.
func (l *line) named(base *zap.Logger, r *http.Request) (loggers []*zap.Logger) {
	if l.server == nil || l.server.Logs == nil {
		return []*zap.Logger{base}
	}
	names, ok := caddyhttp.GetVar(r.Context(), caddyhttp.AccessLoggerNameVarKey).([]any)
	if !ok {
		for _, name := range namesFor(l.server.Logs, r.Host) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if text, _ := name.(string); text == "" {
			loggers = append(loggers, base)
		} else {
			loggers = append(loggers, base.Named(text))
		}
	}
	return loggers
}

// namesFor are the names that Caddy's logs have for a host: those of the host itself, those of its
// wildcards, or the default.
func namesFor(logs *caddyhttp.ServerLogConfig, host string) []string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(host)
	if names, ok := logs.LoggerNames[host]; ok {
		return names
	}
	labels := strings.Split(host, ".")
	for i := range labels {
		if labels[i] == "" {
			continue
		}
		labels[i] = "*"
		if names, ok := logs.LoggerNames[strings.Join(labels, ".")]; ok {
			return names
		}
	}
	return []string{logs.DefaultLoggerName}
}
