package syntax

// What zoho_proxy does not take of reverse_proxy, and why: it would choose where
// requests go, weaken TLS, change what the app sent, or silently do nothing.

const (
	whyTarget = "the connection and the service decide where a request goes; for a server of your own " +
		"use `upstream <url>`"
	whyOneUpstream = "each request has exactly one upstream, so there is nothing to choose from"
	whyHealth      = "active health checks do nothing with upstreams that are chosen for each request; " +
		"fail_duration and max_fails watch real requests, and zoho_health shows whether there are tokens"
	whyShutOut = "it would block a whole Zoho host for all apps because one of its APIs answers badly; " +
		"fail_duration and max_fails count failed connections"
	whyUntouched = "the request reaches Zoho as the app sent it; to change it, put Caddy's own directive of " +
		"that name before zoho_proxy"
	whyTLS = "connections to Zoho are always verified; to trust a private certificate authority, set " +
		"trusted_ca in the client"
	whyServerName = "the server's certificate must be for the host that the request goes to"
	whyWay        = "token requests must take the same way to Zoho: set network_proxy in the client"
)

// Refused says why zoho_proxy does not take an option of reverse_proxy.
var Refused = map[string]string{
	"to":        whyTarget,
	"dynamic":   whyTarget,
	"lb_policy": whyOneUpstream,
	"lb_retry_match": "it would resend requests without the rules for tokens and bodies; after a " +
		"refused token the proxy resends a request anyway",
	"health_uri":              whyHealth,
	"health_path":             whyHealth,
	"health_upstream":         whyHealth,
	"health_port":             whyHealth,
	"health_headers":          whyHealth,
	"health_method":           whyHealth,
	"health_request_body":     whyHealth,
	"health_interval":         whyHealth,
	"health_timeout":          whyHealth,
	"health_status":           whyHealth,
	"health_body":             whyHealth,
	"health_follow_redirects": whyHealth,
	"health_passes":           whyHealth,
	"health_fails":            whyHealth,
	"unhealthy_request_count": whyShutOut,
	"unhealthy_status":        whyShutOut,
	"unhealthy_latency":       whyShutOut,
	"request_buffers": "bodies are kept for a replay while they are sent, see replay_buffer; buffering " +
		"them first would only delay uploads",
	"response_buffers":  "answers are streamed to the app as they arrive",
	"proxy_status_name": "the header Zoho-Proxy-Error marks the proxy's own answers",
	"trusted_proxies":   "X-Forwarded-* headers never reach Zoho, and callers looks only at the peer's address",
	"method":            whyUntouched,
	"rewrite":           whyUntouched,
	"verbose_logs":      "Caddy's global option debug logs each request",
}

// RefusedOfTransport says the same of options of its transport http.
var RefusedOfTransport = map[string]string{
	"tls":                      "connections to Zoho always use TLS",
	"tls_client_auth":          "Zoho knows its clients by their tokens, not by certificates",
	"tls_insecure_skip_verify": whyTLS,
	"tls_trust_pool":           whyTLS,
	"tls_trusted_ca_certs":     whyTLS,
	"tls_except_ports":         whyTLS,
	"tls_renegotiation":        "renegotiation weakens TLS, and Zoho does not need it",
	"tls_curves":               "Go's own choice of key exchanges is kept up to date",
	"tls_server_name":          whyServerName,
	"tls_timeout":              "dial_timeout and response_header_timeout limit the wait",
	"forward_proxy_url":        whyWay,
	"network_proxy":            whyWay,
	"local_address": "token requests would not use it; choose the address with a route of the " +
		"operating system",
	"resolvers": "Zoho's hosts are looked up as this machine does, for token requests as well",
	"versions": "HTTP/2 or 1.1 is negotiated with each host; h2c has no TLS, and HTTP/3 knows " +
		"neither the network proxy nor the guard against private addresses",
	"proxy_protocol": "Zoho does not speak the PROXY protocol, and it would reveal the callers' addresses",
}
