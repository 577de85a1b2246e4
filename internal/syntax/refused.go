package syntax

// What zoho_proxy does not take of reverse_proxy, and why: it would choose where
// requests go, weaken TLS, change what the app sent, or silently do nothing.

const (
	whyTarget = "where a request goes is decided by its connection and service; for one server of your own " +
		"use `upstream <url>`"
	whyOneUpstream = "each request has exactly one upstream, so there is nothing to choose from"
	whyHealth      = "health checks by request do nothing with upstreams that are found for each request; " +
		"fail_duration and max_fails watch real requests, and zoho_health tells whether there are tokens"
	whyShutOut = "it would shut out a whole Zoho host for all apps because of how one of its APIs answers; " +
		"fail_duration and max_fails count connections that fail"
	whyUntouched = "the request reaches Zoho as the app sent it; to change it, put Caddy's own directive of " +
		"that name before zoho_proxy"
	whyTLS = "connections to Zoho are always verified; a private certificate authority is trusted by " +
		"trusted_ca in the client"
	whyServerName = "the host that a request goes to is also the name its certificate must have"
	whyWay        = "the way to Zoho is the client's, so that token requests take it as well: set network_proxy there"
)

// Refused says why zoho_proxy does not take an option of reverse_proxy.
var Refused = map[string]string{
	"to":        whyTarget,
	"dynamic":   whyTarget,
	"lb_policy": whyOneUpstream,
	"lb_retry_match": "it would send requests again without the rules for tokens and bodies; after a " +
		"refused token a request is sent again anyway",
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
	"response_buffers":  "answers are streamed to the app as they come",
	"proxy_status_name": "the header Zoho-Proxy-Error says which answers are the proxy's own",
	"trusted_proxies":   "X-Forwarded-* headers never reach Zoho, and callers looks at the peer's address alone",
	"method":            whyUntouched,
	"rewrite":           whyUntouched,
	"verbose_logs":      "Caddy's global option debug logs each round trip",
}

// RefusedOfTransport says the same of options of its transport http.
var RefusedOfTransport = map[string]string{
	"tls":                      "Zoho is always spoken to by TLS",
	"tls_client_auth":          "Zoho knows its clients by their tokens, not by certificates",
	"tls_insecure_skip_verify": whyTLS,
	"tls_trust_pool":           whyTLS,
	"tls_trusted_ca_certs":     whyTLS,
	"tls_except_ports":         whyTLS,
	"tls_renegotiation":        "renegotiation weakens TLS, and Zoho does not need it",
	"tls_curves":               "Go's own choice of key exchanges is kept up to date",
	"tls_server_name":          whyServerName,
	"tls_timeout":              "dial_timeout and response_header_timeout bound the wait",
	"forward_proxy_url":        whyWay,
	"network_proxy":            whyWay,
	"local_address": "token requests would not leave from it; choose the address by a route of the " +
		"operating system",
	"resolvers": "Zoho's hosts are looked up as this machine does, for token requests as well",
	"versions": "HTTP/2 and 1.1 are agreed on with each host; h2c has no TLS, and HTTP/3 knows " +
		"neither the network proxy nor the guard against private addresses",
	"proxy_protocol": "Zoho does not speak the PROXY protocol, and it would tell the addresses of callers",
}
