package zohosim

import "time"

// limits is what the control API can set of the Options, times in milliseconds. A field left out stays as
// it is: that is why they are pointers. Now, DataCenter, HTTP1 and ExtraHosts are set by New alone.
type limits struct {
	TokenLife      *int64    `json:"token_life_ms"`
	CodeLife       *int64    `json:"code_life_ms"`
	MaxTokens      *int      `json:"max_tokens"`
	TokenWindow    *int64    `json:"token_window_ms"`
	MaxLive        *int      `json:"max_live"`
	MaxGrants      *int      `json:"max_grants"`
	MaxCodes       *int      `json:"max_codes"`
	Sticky         *bool     `json:"sticky"`
	Consent        *string   `json:"consent"`
	User           *string   `json:"user"`
	UserDataCenter *string   `json:"user_data_center"`
	BareDenial     *bool     `json:"bare_denial"`
	DeviceLife     *int64    `json:"device_life_ms"`
	DeviceInterval *int64    `json:"device_interval_ms"`
	UnknownScopes  *[]string `json:"unknown_scopes"`
	Org            *string   `json:"org"`
	RequireOrg     *bool     `json:"require_org"`
	AcceptBearer   *bool     `json:"accept_bearer"`
	OmitScope      *bool     `json:"omit_scope"`
	Variants       *[]string `json:"variants"`
}

// controlLimits sets what was given and replies with all of them.
func controlLimits(s *Server, l limits) (any, error) {
	if err := s.change(l.apply); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return limitsOf(s.o), nil
}

// apply sets what was given.
func (l limits) apply(o *Options) {
	setMillis(&o.TokenLife, l.TokenLife)
	setMillis(&o.CodeLife, l.CodeLife)
	set(&o.MaxTokens, l.MaxTokens)
	setMillis(&o.TokenWindow, l.TokenWindow)
	set(&o.MaxLive, l.MaxLive)
	set(&o.MaxGrants, l.MaxGrants)
	set(&o.MaxCodes, l.MaxCodes)
	set(&o.Sticky, l.Sticky)
	set(&o.Consent, l.Consent)
	set(&o.User, l.User)
	set(&o.UserDataCenter, l.UserDataCenter)
	set(&o.BareDenial, l.BareDenial)
	setMillis(&o.DeviceLife, l.DeviceLife)
	setMillis(&o.DeviceInterval, l.DeviceInterval)
	set(&o.UnknownScopes, l.UnknownScopes)
	set(&o.Org, l.Org)
	set(&o.RequireOrg, l.RequireOrg)
	set(&o.AcceptBearer, l.AcceptBearer)
	set(&o.OmitScope, l.OmitScope)
	set(&o.Variants, l.Variants)
}

// set copies a value, if there is one.
func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

func setMillis(to *time.Duration, from *int64) {
	if from != nil {
		*to = time.Duration(*from) * time.Millisecond
	}
}

// limitsOf shows all of them, as they are.
func limitsOf(o Options) limits {
	tokenLife, codeLife, window := millis(o.TokenLife), millis(o.CodeLife), millis(o.TokenWindow)
	deviceLife, deviceInterval := millis(o.DeviceLife), millis(o.DeviceInterval)
	return limits{
		TokenLife: &tokenLife, CodeLife: &codeLife, MaxTokens: &o.MaxTokens, TokenWindow: &window,
		MaxLive: &o.MaxLive, MaxGrants: &o.MaxGrants, MaxCodes: &o.MaxCodes, Sticky: &o.Sticky,
		Consent: &o.Consent, User: &o.User, UserDataCenter: &o.UserDataCenter, BareDenial: &o.BareDenial,
		Org: &o.Org, RequireOrg: &o.RequireOrg, DeviceLife: &deviceLife, DeviceInterval: &deviceInterval, UnknownScopes: &o.UnknownScopes,
		AcceptBearer: &o.AcceptBearer, OmitScope: &o.OmitScope,
		Variants: &o.Variants,
	}
}

func millis(d time.Duration) int64 { return d.Milliseconds() }
