package onboard

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// DeviceStart is what a device flow begins with.
type DeviceStart struct {
	Account     string
	Replace     bool // somebody else's grant without a question
	RevokeOld   bool // revoke the grant that this one replaces
	ReplaceLost bool // replace a grant that cannot be read
}

// DeviceStep is what a person who waits for a device flow is told, one at a time. Only the first one has a code in it.
type DeviceStep struct {
	Step DeviceStepName `json:"step"`
	// Of code: what to type in, where, that page with the code filled in already, and how long it is good.
	UserCode                string    `json:"user_code,omitempty"`
	VerificationURL         string    `json:"verification_url,omitempty"`
	VerificationURLComplete string    `json:"verification_url_complete,omitempty"`
	Expires                 time.Time `json:"expires,omitzero"`
	Warnings                []string  `json:"warnings,omitempty"`
	// Of data_center: where the person's account is.
	DataCenter string `json:"data_center,omitempty"`
	// Of slow_down: how often Zoho is asked from now on, in seconds.
	Seconds int `json:"seconds,omitempty"`
	// Of trouble: why Zoho did not answer. It is asked again.
	Trouble string `json:"trouble,omitempty"`
}

// DeviceStepName is what a DeviceStep is about.
type DeviceStepName string

// The steps. After StepCode come any of the others in any order.
const (
	StepCode       DeviceStepName = "code"
	StepDataCenter DeviceStepName = "data_center"
	StepSlowDown   DeviceStepName = "slow_down"
	StepTrouble    DeviceStepName = "trouble"
)

// slower is what RFC 8628 adds to the interval when polls come too fast, and throttledPace the pace where Zoho
// throttles: its page names once in 30 seconds.
const (
	slower        = 5 * time.Second
	throttledPace = 30 * time.Second
)

// Device has a person consent on another device: it asks Zoho for a code, tells it, and polls until the person has
// answered. It ends when the code is over, when ctx does, and at Close; then nothing is left of it here. The grant is
// stored as one of a consent in a browser is, and before Device returns. An error of tell ends it as well.
func (f *Flow) Device(ctx context.Context, cl *Client, s DeviceStart, tell func(DeviceStep) error) (Result, error) {
	if err := cl.mayReplace(s.Account); err != nil {
		return Result{}, err
	}
	if len(cl.Scopes) == 0 {
		return Result{}, errNoScopes(cl)
	}
	if err := f.checkStore(cl, s.Account, s.Replace || s.ReplaceLost); err != nil {
		return Result{}, err
	}
	unregister, err := f.register(cl.key(s.Account), rand.Text(), begun{expires: time.Now().Add(consentLife)})
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(f.ctx, cancel)()
	asked := cl.Scopes // another configuration may run when somebody accepts
	p, err := f.startDevice(ctx, cl)
	if err != nil {
		unregister()
		return Result{}, err
	}
	if err := tell(p.firstStep(f.QuotaWarnings(cl, s.Account))); err != nil {
		return Result{}, err
	}
	p.tell = tell
	reply, err := p.await(ctx)
	if err != nil {
		return Result{}, err
	}
	cl = p.client
	grant, err := f.obtained(cl, p.center, s.Account, reply, asked)
	if err != nil {
		return Result{}, err
	}
	grant.replace, grant.revokeOld, grant.replaceLost = s.Replace, s.RevokeOld, s.ReplaceLost
	return f.complete(ctx, cl, grant)
}

// devicePoll is a device flow that waits for a person.
type devicePoll struct {
	flow     *Flow
	client   *Client
	center   zoho.DataCenter
	code     zoho.DeviceCode
	clientID string
	expires  time.Time
	interval time.Duration
	tell     func(DeviceStep) error
	taken    string // secret that the last poll was answered for

	trouble error // that of the last poll, nil if it has brought an answer
}

// startDevice asks the client's home for a code.
func (f *Flow) startDevice(ctx context.Context, cl *Client) (*devicePoll, error) {
	home := cl.Centers[0]
	ways := cl.Accounts(home)
	if len(ways) == 0 {
		return nil, errNoClientSecret(cl, home)
	}
	asked := time.Now()
	code, err := ways[0].StartDevice(ctx, cl.Scopes)
	if err != nil {
		return nil, errDeviceStart(ctx, cl, ways[0], err)
	}
	return &devicePoll{
		flow:     f,
		client:   cl,
		center:   home,
		code:     code,
		clientID: ways[0].ClientID,
		expires:  asked.Add(code.Life).Truncate(time.Second),
		interval: code.Interval,
	}, nil
}

func (p *devicePoll) firstStep(warnings []string) DeviceStep {
	return DeviceStep{
		Step:                    StepCode,
		UserCode:                p.code.UserCode,
		VerificationURL:         p.code.VerificationURL,
		VerificationURLComplete: p.code.VerificationURLComplete,
		Expires:                 p.expires,
		Warnings:                warnings,
	}
}

// await polls until the person has answered.
func (p *devicePoll) await(ctx context.Context) (tokenReply, error) {
	for {
		if err := p.pause(ctx); err != nil {
			return tokenReply{}, err
		}
		if err := p.renewClient(); err != nil {
			return tokenReply{}, err
		}
		asked := time.Now()
		poll, err := p.askToTheEnd(ctx)
		if err == nil {
			p.trouble = nil
		}
		var ended error
		switch {
		case err != nil:
			ended = p.failed(err)
		case poll.State == zoho.DeviceGranted && (ctx.Err() != nil || p.flow.ctx.Err() != nil):
			p.discard(poll.Reply)
			ended = p.flow.errEnded()
		case poll.State == zoho.DeviceGranted:
			return tokenReply{poll.Reply, asked}, nil
		default:
			ended = p.goOn(poll)
		}
		if ended != nil {
			return tokenReply{}, ended
		}
	}
}

// lastAnswer is how long the answer to a poll is waited for when nobody waits for the flow any more. Caddy stops
// within ten seconds.
const lastAnswer = 3 * time.Second

// askToTheEnd polls once, and has the answer even if the flow ends meanwhile: what it brings must not be lost.
func (p *devicePoll) askToTheEnd(ctx context.Context) (zoho.DevicePoll, error) {
	asking, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastAnswer, cancel) })()
	return p.ask(asking)
}

// pause waits for the next poll. The last one may come early: somebody may have accepted in the last seconds.
func (p *devicePoll) pause(ctx context.Context) error {
	left := time.Until(p.expires)
	if left <= 0 {
		return errDeviceExpired(p.trouble)
	}
	timer := time.NewTimer(min(p.interval, left))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return p.flow.errEnded()
	}
}

// errEnded is for a flow that nobody waits for any more, or whose process stops.
func (f *Flow) errEnded() error {
	if f.ctx.Err() != nil {
		return errClosed()
	}
	return errDeviceLeft()
}

// renewClient takes the client as it is configured by now: a reload may have changed it.
func (p *devicePoll) renewClient() error {
	all := p.flow.Clients()
	i := slices.IndexFunc(all, func(cl *Client) bool { return cl.Name == p.client.Name })
	if i < 0 || all[i].ID() != p.clientID {
		return errDeviceClientGone(p.client)
	}
	p.client = all[i]
	if !slices.Contains(p.client.Centers, p.center) {
		return errLocation(p.client, p.center.Code)
	}
	return nil
}

// ask polls once, with each of the client's secrets in turn until one is taken: at the next poll that one comes first.
func (p *devicePoll) ask(ctx context.Context) (poll zoho.DevicePoll, err error) {
	ways := p.client.Accounts(p.center)
	if i := slices.IndexFunc(ways, func(a *zoho.Accounts) bool { return a.ClientSecret == p.taken }); i > 0 {
		ways[0], ways[i] = ways[i], ways[0]
	}
	err = errNoClientSecret(p.client, p.center)
	for _, accounts := range ways {
		poll, err = accounts.PollDevice(ctx, p.code.Secret)
		var failure *zoho.Failure
		if !errors.As(err, &failure) || failure.Code != "invalid_client_secret" {
			p.taken = accounts.ClientSecret
			return poll, err
		}
	}
	return poll, err
}

// failed goes on after what says nothing of the flow, as a network that is away for a moment.
func (p *devicePoll) failed(err error) error {
	var failure *zoho.Failure
	if !errors.As(err, &failure) || failure.Kind != zoho.FailureTemporary && failure.Kind != zoho.FailureThrottled {
		return errDevice(p.client, p.center, err)
	}
	told := p.trouble != nil
	p.trouble = err
	if failure.Kind == zoho.FailureThrottled {
		p.interval = max(p.interval, throttledPace)
	}
	p.interval = max(p.interval, min(failure.RetryAfter, throttledPace))
	if told {
		return nil
	}
	return p.tell(DeviceStep{Step: StepTrouble, Trouble: failure.Error()})
}

// goOn does what Zoho asks for instead of giving tokens.
func (p *devicePoll) goOn(poll zoho.DevicePoll) error {
	switch poll.State {
	case zoho.DeviceSlowDown:
		p.interval += slower
		return p.tell(DeviceStep{Step: StepSlowDown, Seconds: int(p.interval / time.Second)})
	case zoho.DeviceElsewhere:
		return p.moveTo(poll.Location)
	case zoho.DeviceDenied:
		return errDeviceDenied()
	case zoho.DeviceExpired:
		return errDeviceExpired(nil)
	}
	return nil
}

// moveTo polls the data center of the person from now on, if it is one of the client's: no other one is
// trusted with the code and the secret.
func (p *devicePoll) moveTo(location string) error {
	center, known := zoho.LookupLocation(location)
	if !known || !slices.Contains(p.client.Centers, center) {
		return errLocation(p.client, location)
	}
	if center == p.center {
		return nil
	}
	p.center = center
	return p.tell(DeviceStep{Step: StepDataCenter, DataCenter: center.Code})
}

// discard gives back what came when nobody waited for it any more.
func (p *devicePoll) discard(reply zoho.Reply) {
	if reply.RefreshToken == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	grant := tokencache.Grant{RefreshToken: reply.RefreshToken, AccountsServer: p.center.Accounts}
	_ = p.client.revoke(ctx, grant) // nobody is left to be told
}
