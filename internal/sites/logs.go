package sites

import (
	"reflect"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Logs are those of a configuration, as far as it matters what their filters take out.
type Logs []logging

// logging is a log with what it takes out of its lines.
type logging struct {
	include, exclude []string
	fields           []string // that are deleted, replaced or hashed
	parameters       []string // of request>uri
}

// logsOf finds the logs of a configuration. Caddy shows its encoders to nobody, so they are looked
// at by reflection; known is false where they are not what they were in Caddy 2.11.
func logsOf(ctx caddy.Context) (logs Logs, known bool) {
	defer func() {
		if recover() != nil { // a field is not there any more, or of another kind
			logs, known = nil, false
		}
	}()
	config := reflect.ValueOf(ctx).FieldByName("cfg")
	if config.IsNil() {
		return nil, false
	}
	all := config.Elem().FieldByName("Logging")
	if all.IsNil() {
		return Logs{{}}, true
	}
	entries := all.Elem().FieldByName("Logs")
	for _, name := range entries.MapKeys() {
		logs = append(logs, loggingOf(entries.MapIndex(name).Elem()))
	}
	return logs, true
}

// Includes reports whether a log of a configuration names a logger, so that somebody wants its lines.
func Includes(ctx caddy.Context, logger string) bool {
	logs, _ := logsOf(ctx)
	return slices.ContainsFunc(logs, func(l logging) bool { return slices.Contains(l.include, logger) })
}

func loggingOf(log reflect.Value) logging {
	l := logging{include: stringsOf(log.FieldByName("Include")), exclude: stringsOf(log.FieldByName("Exclude"))}
	encoder := reflect.Indirect(log.FieldByName("encoder").Elem())
	for encoder.Kind() == reflect.Struct {
		if encoder.Type().Name() == "FilterEncoder" {
			l.addFilters(encoder.FieldByName("Fields"))
		}
		wrapped := encoder.FieldByName("wrapped") // as those of `append` are
		if !wrapped.IsValid() || wrapped.IsNil() {
			break
		}
		encoder = reflect.Indirect(wrapped.Elem())
	}
	return l
}

// addFilters notes what fields are filtered. Only what takes the whole value out, or a parameter, is
// known to hide it.
func (l *logging) addFilters(fields reflect.Value) {
	for _, field := range fields.MapKeys() {
		filter := reflect.Indirect(fields.MapIndex(field).Elem())
		if filter.Kind() != reflect.Struct {
			continue
		}
		switch filter.Type().Name() {
		case "DeleteFilter", "ReplaceFilter", "HashFilter":
			l.fields = append(l.fields, field.String())
		case "QueryFilter":
			for actions, i := filter.FieldByName("Actions"), 0; i < actions.Len(); i++ {
				l.parameters = append(l.parameters, actions.Index(i).FieldByName("Parameter").String())
			}
		}
	}
}

func stringsOf(list reflect.Value) (values []string) {
	for i := range list.Len() {
		values = append(values, list.Index(i).String())
	}
	return values
}

// has reports whether the lines of a logger are in a log: the longest of its rules decides, as in
// Caddy.
func (l *logging) has(logger string) bool {
	longest := func(rules []string) (n int) {
		for _, rule := range rules {
			if strings.HasPrefix(logger+".", rule+".") {
				n = max(n, len(rule))
			}
		}
		return n
	}
	in := longest(l.include)
	return (in > 0 || len(l.include) == 0) && longest(l.exclude) <= in
}

// hides reports whether a log takes out one of some fields, or a parameter.
func (l *logging) hides(fields []string, parameter string) bool {
	return slices.ContainsFunc(l.fields, func(field string) bool { return slices.Contains(fields, field) }) ||
		parameter != "" && slices.Contains(l.parameters, parameter)
}

// hide reports whether each log that gets the accesses of a server takes something out.
func (ls Logs) hide(server *caddyhttp.Server, fields []string, parameter string) bool {
	for _, logger := range accessLoggers(server.Logs) {
		for i := range ls {
			if ls[i].has(logger) && !ls[i].hides(fields, parameter) {
				return false
			}
		}
	}
	return true
}

// accessLoggers are the names under which a server logs accesses.
func accessLoggers(logs *caddyhttp.ServerLogConfig) []string {
	const base = "http.log.access"
	loggers := []string{strings.TrimSuffix(base+"."+logs.DefaultLoggerName, ".")}
	for _, names := range logs.LoggerNames {
		for _, name := range names {
			loggers = append(loggers, strings.TrimSuffix(base+"."+name, "."))
		}
	}
	return loggers
}
