package adminapi

import "time"

// Scopes is the answer of GET /zoho/scopes: what was called beside what was granted.
type Scopes struct {
	// When the running process saw its first call; nil if it has seen none.
	Since       *time.Time         `json:"since,omitempty"`
	Connections []ConnectionScopes `json:"connections"`
}

// ConnectionScopes is what a connection may do and what it was used for.
type ConnectionScopes struct {
	Client  string `json:"client"`
	Account string `json:"account"`
	// What was granted, as Zoho has told it; empty if it has not.
	Granted []string      `json:"granted,omitempty"`
	Called  []ServiceUsed `json:"called"`
	// Scopes of services that nobody has called.
	NeverCalled []string `json:"never_called,omitempty"`
	// Scopes of which it is not known what they are for.
	Unknown []string `json:"unknown,omitempty"`
}

// ServiceUsed is a service that was called.
type ServiceUsed struct {
	Service string   `json:"service"`
	Methods []string `json:"methods"`
	// The granted scopes of that service.
	Scopes []string `json:"scopes,omitempty"`
}
