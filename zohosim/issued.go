package zohosim

import "slices"

// Issued are the secrets that came into being here, the oldest first, so that a test can look for them
// where none may be seen. The latest 10,000 of each kind are known.
type Issued struct {
	Codes         []string
	RefreshTokens []string
	AccessTokens  []string
	EnhanceTokens []string
	States        []string // which clients have brought to the consent
	DeviceCodes   []string
	UserCodes     []string // which people type in
}

const maxIssued = 10_000

// Issued tells the secrets that came into being since the start.
func (s *Server) Issued() Issued {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Issued{
		Codes:         slices.Clone(s.issued.Codes),
		RefreshTokens: slices.Clone(s.issued.RefreshTokens),
		AccessTokens:  slices.Clone(s.issued.AccessTokens),
		EnhanceTokens: slices.Clone(s.issued.EnhanceTokens),
		States:        slices.Clone(s.issued.States),
		DeviceCodes:   slices.Clone(s.issued.DeviceCodes),
		UserCodes:     slices.Clone(s.issued.UserCodes),
	}
}

// noteLocked adds a secret to those of its kind, once.
func noteLocked(kind *[]string, secret string) {
	if secret == "" || slices.Contains((*kind)[max(0, len(*kind)-10):], secret) {
		return
	}
	if *kind = append(*kind, secret); len(*kind) > maxIssued {
		*kind = slices.Delete(*kind, 0, 1)
	}
}
