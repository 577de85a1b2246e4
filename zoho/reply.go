package zoho

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Reply is a successful token reply. Wherever it is printed, logged or
// marshalled, its tokens are left out.
type Reply struct {
	AccessToken string
	// RefreshToken comes with an exchange only; it is "" when the user had consented
	// before and was not shown the consent screen again.
	RefreshToken string
	// APIDomain is as sent, "" if absent or no URL. It must not be used unless
	// DataCenter.OwnsAPIDomain agrees.
	APIDomain string
	TokenType string // as sent; Zoho says Bearer and wants Zoho-oauthtoken
	Scope     string // as sent: joined by blanks or commas, often absent
	// ExpiresIn is one hour if the server named no life that makes sense.
	ExpiresIn time.Duration
	Date      time.Time // of the server's clock, zero if it did not tell
}

const (
	// defaultLifetime is what Zoho's pages name.
	defaultLifetime = time.Hour
	// No token of Zoho's lives for more than a day. That of another server may live for
	// months; what is longer than a year is a mistake, or means that it never ends.
	maxLifetime       = 24 * time.Hour
	maxLifeOfStranger = 366 * 24 * time.Hour
	// maxReply, in bytes, is far more than any reply: a token reply has some 300.
	maxReply = 1 << 20
	// maxToken, in bytes, is what fits into a header everywhere. Zoho's have 70; its
	// pages promise nothing, so no closer look is taken.
	maxToken = 8 << 10
)

// rawReply is a reply of the accounts server before it is understood.
type rawReply struct {
	status int
	header http.Header
	body   []byte
}

// readReply reads a reply as far as it is looked at.
func readReply(resp *http.Response, secrets []string) (rawReply, *Failure) {
	raw := rawReply{status: resp.StatusCode, header: resp.Header}
	if 300 <= resp.StatusCode && resp.StatusCode < 400 {
		return raw, raw.fail(true, "the server redirects, and the proxy does not follow")
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	raw.body = body
	switch encoding := strings.Join(resp.Header.Values("Content-Encoding"), ","); {
	case err != nil:
		// Who only answered with a 5xx made no token; otherwise it may be lost.
		f := raw.fail(resp.StatusCode >= 500, "the reply was cut off")
		f.Err = redactError(err, secrets)
		return raw, f
	case len(body) > maxReply:
		return raw, raw.fail(resp.StatusCode >= 500, fmt.Sprintf("the reply is longer than %d bytes", maxReply))
	case encoding != "":
		decoded, ok := DecodePrefix(encoding, body, maxReply+1)
		if !ok || len(decoded) > maxReply {
			return raw, raw.fail(resp.StatusCode >= 500,
				"the reply is compressed, which was not requested, and could not be decoded within limits")
		}
		raw.body = decoded
	}
	return raw, nil
}

// replyFields are the members of a reply that count, named exactly so.
// encoding/json would take any letter case, and of two the last.
type replyFields map[string]json.RawMessage

// replyNames are those members. A reply that has one of them twice is refused.
var replyNames = map[string]bool{
	"access_token": true, "refresh_token": true, "api_domain": true, "token_type": true, "scope": true,
	"expires_in": true, "expires_in_sec": true, "error": true, "error_description": true, "status": true,
	"device_code": true, "user_code": true, "verification_url": true, "verification_uri": true,
	"verification_url_complete": true, "verification_uri_complete": true, "interval": true, "user_location": true, "dc": true,
}

// parseReply reads a reply's object. Its errors quote nothing of it.
func parseReply(body []byte) (replyFields, error) {
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\ufeff"))))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("the reply is not a JSON object")
	}
	fields := replyFields{}
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errors.New("the reply is broken JSON")
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, errors.New("the reply is broken or incomplete JSON")
		}
		if !replyNames[name] {
			continue
		}
		if _, twice := fields[name]; twice {
			return nil, fmt.Errorf("the reply has %s twice", name)
		}
		fields[name] = raw
	}
	if _, err := dec.Token(); err != nil {
		return nil, errors.New("the reply is incomplete JSON")
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("the reply has more after its JSON object")
	}
	return fields, nil
}

// text gives a member that is a string. A member that is there, but of another
// kind, is an error; null counts as absent.
func (f replyFields) text(name string) (string, error) {
	raw := f[name]
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", fmt.Errorf("%s is not text", name)
	}
	return s, nil
}

// optional is text for members whose absence does no harm.
func (f replyFields) optional(name string) string {
	s, err := f.text(name)
	if err != nil || len(s) > maxToken || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return s
}

// token gives a member that has to travel in a header later.
func (f replyFields) token(name string) (string, error) {
	s, err := f.text(name)
	switch {
	case err != nil:
		return "", err
	case len(s) > maxToken:
		return "", fmt.Errorf("%s is longer than %d bytes", name, maxToken)
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fmt.Errorf("%s holds blanks, line breaks or characters that are not printable ASCII", name)
	}
	return s, nil
}

// seconds gives a number, which may come as text; 0 if there is none.
func (f replyFields) seconds(name string) float64 {
	s := string(f[name])
	if text, err := strconv.Unquote(s); err == nil {
		s = strings.TrimSpace(text)
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}

// lifetime reads expires_in. Beside expires_in_sec it counts milliseconds, as replies
// until 2019 had it (schmorrison/Zoho, pull 18) and Zoho's Node SDK still reads it. At
// Zoho's own servers so does a value that would be more than a day: Zoho's tokens live an
// hour. Those of other servers may live for days. What makes no sense either way, is
// missing or negative, counts as an hour.
func (f replyFields) lifetime(zohos bool) time.Duration {
	longest := maxLifeOfStranger
	if zohos {
		longest = maxLifetime
	}
	s := f.seconds("expires_in_sec")
	if s <= 0 {
		s = f.seconds("expires_in")
		if _, both := f["expires_in_sec"]; both || zohos && s > maxLifetime.Seconds() {
			s /= 1000
		}
	}
	if s <= 0 || s > longest.Seconds() {
		return defaultLifetime
	}
	if d := time.Duration(s * float64(time.Second)); d > 0 {
		return d
	}
	return defaultLifetime
}

// apiDomain gives the API gateway that the reply names, "" if that is no URL.
func (f replyFields) apiDomain() string {
	s := f.optional("api_domain")
	if u, err := url.Parse(s); err != nil || u.Host == "" || u.User != nil {
		return ""
	}
	return s
}

// token understands an answer as a token reply. Errors come with status 200 as
// well (a raw dump is in asciisd/zoho, issue 18), so the members decide, not the
// status.
func (raw rawReply) token(g grantType, zohos bool, secrets []string) (Reply, *Failure) {
	fields, err := parseReply(raw.body)
	if err != nil {
		return Reply{}, raw.unreadable(err, secrets)
	}
	_, refused := fields["error"]
	_, granted := fields["access_token"]
	if refused && string(fields["error"]) != "null" {
		f := raw.refusal(fields, g, secrets)
		f.NoToken = f.NoToken && !granted
		return Reply{}, f
	}
	access, err := fields.token("access_token")
	if err != nil {
		return Reply{}, raw.fail(false, err.Error())
	}
	refresh, err := fields.token("refresh_token")
	switch {
	case err != nil:
		return Reply{}, raw.fail(false, err.Error())
	case access == "" && raw.status >= 400:
		return Reply{}, raw.refusal(fields, g, secrets)
	case access == "":
		return Reply{}, raw.fail(false, "the reply has neither access_token nor error")
	case raw.status < 200 || raw.status >= 300:
		return Reply{}, raw.fail(false, "the reply has an access_token, but its status says failure")
	}
	date, _ := http.ParseTime(raw.header.Get("Date"))
	return Reply{
		AccessToken:  access,
		RefreshToken: refresh,
		APIDomain:    fields.apiDomain(),
		TokenType:    fields.optional("token_type"),
		Scope:        fields.optional("scope"),
		ExpiresIn:    fields.lifetime(zohos),
		Date:         date,
	}, nil
}

// replyText stands for a Reply wherever one is printed.
func (r Reply) replyText() string {
	return fmt.Sprintf("token reply (tokens redacted, expires in %v)", r.ExpiresIn)
}

// String leaves out the tokens.
func (r Reply) String() string { return r.replyText() }

// GoString leaves out the tokens.
func (r Reply) GoString() string { return r.replyText() }

// Format leaves out the tokens, whatever the verb.
func (r Reply) Format(s fmt.State, _ rune) { io.WriteString(s, r.replyText()) }

// LogValue leaves out the tokens.
func (r Reply) LogValue() slog.Value { return slog.StringValue(r.replyText()) }

// MarshalJSON leaves out the tokens.
func (r Reply) MarshalJSON() ([]byte, error) { return json.Marshal(r.replyText()) }
