package zoho

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"time"
)

// The device flow (RFC 8628 as Zoho speaks it): a program without a browser shows a code, and a person types
// it in on any device. Zoho knows it for clients of the type "Non-browser applications" alone, whose ids begin with
// 1004. (zoho.com/accounts/protocol/oauth/devices, initiation-request.html and polling-request.html).

// DeviceCode is what a device flow begins with. Wherever it is printed or logged, its secret
// and what the person types in are left out.
type DeviceCode struct {
	Secret string // device_code, which polls for the tokens
	// UserCode is what the person types in at VerificationURL. VerificationURLComplete has it in it, and is "" if
	// the server gives none. All three are printable ASCII without blanks.
	UserCode                string
	VerificationURL         string
	VerificationURLComplete string
	Interval                time.Duration // to wait before each poll: 1s to 1m
	Life                    time.Duration // from the request on: at most 30m
}

// DeviceState is what a poll came to.
type DeviceState int

// The states of a device flow.
const (
	DeviceGranted   DeviceState = iota // the reply has the tokens
	DevicePending                      // nobody has answered yet
	DeviceSlowDown                     // the same, and polls come too fast
	DeviceElsewhere                    // the person's account is in another data center, which has to be polled from now on
	DeviceDenied                       // the person has refused
	DeviceExpired                      // the code is over, or is not known any more
)

// DevicePoll is the answer to a poll.
type DevicePoll struct {
	State DeviceState
	// Location is where the person's account is, with DeviceElsewhere: as sent, see LookupLocation.
	Location string
	Reply    Reply // with DeviceGranted
}

const (
	grantDevice     grantType = "device_token"
	grantDeviceCode grantType = "device_request"
)

// deviceStates are Zoho's words, and RFC 8628's where those are others. Zoho's access_denied is the throttle
// elsewhere; here it is the person's answer.
var deviceStates = map[string]DeviceState{
	"authorization_pending": DevicePending,
	"slow_down":             DeviceSlowDown,
	"other_dc":              DeviceElsewhere,
	"access_denied":         DeviceDenied,
	"expired":               DeviceExpired,
	"expired_token":         DeviceExpired,
}

// StartDevice asks for a code. It takes no secret. The error is a *Failure, of which IsWrongClientType and
// IsUnknownScope say more.
func (a *Accounts) StartDevice(ctx context.Context, scopes []string) (DeviceCode, error) {
	form := url.Values{
		"grant_type":  {string(grantDeviceCode)},
		"client_id":   {a.ClientID},
		"scope":       {strings.Join(scopes, ",")},
		"access_type": {"offline"},
		"prompt":      {"consent"},
	}
	raw, f := a.post(ctx, a.DataCenter.deviceURL("code"), form, nil)
	if f != nil {
		return DeviceCode{}, a.annotate(f, grantDeviceCode)
	}
	code, f := raw.deviceCode()
	if f != nil {
		return DeviceCode{}, a.annotate(f, grantDeviceCode)
	}
	if code.VerificationURL == "" {
		code.VerificationURL = a.DataCenter.deviceURL("")
	}
	return code, nil
}

// PollDevice asks once what came of a code, at the data center that a poll before has named, or where the code is
// from. It does not wait. The error is a *Failure; one that is temporary or throttled says nothing about the flow.
func (a *Accounts) PollDevice(ctx context.Context, secret string) (DevicePoll, error) {
	form := a.form(grantDevice)
	form.Set("code", secret)
	secrets := a.secrets(secret)
	raw, f := a.post(ctx, a.DataCenter.deviceURL("token"), form, secrets)
	if f != nil {
		return DevicePoll{}, a.annotate(f, grantDevice)
	}
	poll, f := raw.devicePoll(a.DataCenter.Zohos(), secrets)
	if f != nil {
		return DevicePoll{}, a.annotate(f, grantDevice)
	}
	return poll, nil
}

// IsWrongClientType reports whether Zoho refuses a client a device code: its type does not have them, or its id
// is unknown there. Zoho says invalid_client for both; unauthorized_client is RFC 6749's word for the first.
func IsWrongClientType(err error) bool {
	var f *Failure
	return errors.As(err, &f) && f.grant == grantDeviceCode && (f.Code == "invalid_client" || f.Code == "unauthorized_client")
}

// IsUnknownScope reports whether Zoho says that one of the scopes does not exist.
func IsUnknownScope(err error) bool {
	var f *Failure
	return errors.As(err, &f) && f.Code == "invalid_scope"
}

// devicePoll understands an answer to a poll.
func (raw rawReply) devicePoll(zohos bool, secrets []string) (DevicePoll, *Failure) {
	fields, err := parseReply(raw.body)
	if err == nil && raw.status < 500 && fields["access_token"] == nil {
		code, _ := fields.text("error")
		if state, known := deviceStates[strings.TrimSpace(code)]; known {
			poll := DevicePoll{State: state}
			if state == DeviceElsewhere {
				poll.Location = fields.location()
			}
			return poll, nil
		}
	}
	reply, f := raw.token(grantDevice, zohos, secrets)
	switch {
	case f == nil:
	case f.Kind == FailureGrantDead:
		return DevicePoll{State: DeviceExpired}, nil
	case f.Kind == FailureTemporary && f.Code != "" && f.Code != "general_error" && f.Status < 500:
		f.Kind = FailureMisconfigured // RFC 8628: with any other error no poll comes after it
	}
	return DevicePoll{Reply: reply}, f
}

// location is where the person's account is. Zoho's page names user_location; one client reads dc.
func (f replyFields) location() string {
	if s := f.optional("user_location"); s != "" {
		return s
	}
	return f.optional("dc")
}

// deviceCode understands the answer to the request for a code.
func (raw rawReply) deviceCode() (DeviceCode, *Failure) {
	fields, err := parseReply(raw.body)
	if err != nil {
		return DeviceCode{}, raw.unreadable(err, nil)
	}
	if fields["error"] != nil && string(fields["error"]) != "null" {
		return DeviceCode{}, raw.refusal(fields, grantDeviceCode, nil)
	}
	var code DeviceCode
	var failed error
	read := func(names ...string) (value string) {
		for _, name := range names {
			got, err := fields.token(name)
			if failed = errors.Join(failed, err); value == "" {
				value = got
			}
		}
		return value
	}
	code.Secret, code.UserCode = read("device_code"), read("user_code")
	code.VerificationURL = read("verification_url", "verification_uri")
	code.VerificationURLComplete = read("verification_uri_complete", "verification_url_complete")
	code.Interval, code.Life = fields.devicePace()
	switch {
	case failed != nil:
		return DeviceCode{}, raw.fail(true, failed.Error())
	case raw.status < 200 || raw.status >= 300:
		return DeviceCode{}, raw.refusal(fields, grantDeviceCode, nil)
	case code.Secret == "" || code.UserCode == "":
		return DeviceCode{}, raw.fail(true, "the reply has neither a device code nor an error")
	}
	for _, address := range []string{code.VerificationURL, code.VerificationURLComplete} {
		if u, err := url.Parse(address); address != "" && (err != nil || checkOrigin(u) != nil) {
			return DeviceCode{}, raw.fail(true, "the address to enter the code at does not begin with https")
		}
	}
	return code, nil
}

const (
	usualDeviceInterval = 5 * time.Second // RFC 8628's, where the server names none
	minDeviceInterval   = time.Second
	maxDeviceInterval   = time.Minute
	usualDeviceLife     = 5 * time.Minute // Zoho's
	minDeviceLife       = 10 * time.Second
	maxDeviceLife       = 30 * time.Minute // RFC 8628's example; consent in a browser has ten minutes
)

// devicePace reads interval and expires_in, which are milliseconds at Zoho (5000 and 300000 on its page) and
// seconds in RFC 8628. Both are of one unit, and the interval tells which: no server has its clients poll every
// tenth of a second or only every other minute, so that what is above 100 is milliseconds. Without an interval the
// life tells: ten seconds are too short to type a code in, and 10,000 of them longer than any server keeps one. What
// makes no sense either way counts as the usual value, and both have bounds.
func (f replyFields) devicePace() (interval, life time.Duration) {
	every, lives := f.seconds("interval"), f.seconds("expires_in")
	unit := time.Second
	if every > 100 || every <= 0 && lives >= 10_000 {
		unit = time.Millisecond
	}
	interval = bounded(every, unit, minDeviceInterval, maxDeviceInterval, usualDeviceInterval)
	if unit == time.Millisecond && lives*float64(unit) < float64(minDeviceLife) {
		unit = time.Second // of two units after all
	}
	return interval, bounded(lives, unit, minDeviceLife, maxDeviceLife, usualDeviceLife)
}

// bounded is a count of units within bounds; usual stands for none.
func bounded(n float64, unit, least, most, usual time.Duration) time.Duration {
	switch {
	case n <= 0:
		return usual
	case n >= float64(most/unit):
		return most
	}
	return max(least, time.Duration(n*float64(unit)))
}

// LookupLocation finds one of Zoho's data centers by what a server calls it: the code, in any letter case, or the
// URL of its accounts server.
func LookupLocation(text string) (DataCenter, bool) {
	if dc, ok := LookupDataCenter(NormalCode(strings.TrimSpace(text))); ok {
		return dc, true
	}
	return LookupAccountsServer(strings.TrimSpace(text))
}

// deviceText stands for a DeviceCode wherever one is printed.
func (c DeviceCode) deviceText() string {
	return fmt.Sprintf("device code (redacted, good for %v)", c.Life)
}

// String leaves out the codes.
func (c DeviceCode) String() string { return c.deviceText() }

// Format leaves out the codes, whatever the verb.
func (c DeviceCode) Format(s fmt.State, _ rune) { io.WriteString(s, c.deviceText()) }

// LogValue leaves out the codes.
func (c DeviceCode) LogValue() slog.Value { return slog.StringValue(c.deviceText()) }

// MarshalJSON refuses: what the person needs is told by name.
func (c DeviceCode) MarshalJSON() ([]byte, error) {
	return nil, errors.New("a DeviceCode holds a secret and is not marshalled")
}
