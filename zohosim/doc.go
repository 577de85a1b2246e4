// Package zohosim is a Zoho to test against: its accounts servers, its resource servers and faults on
// demand, in one http.Handler.
//
//	sim := zohosim.New(zohosim.Options{})
//	sim.AddClient(zohosim.Client{ID: "1000.APP", Secret: "secret"})
//	refreshToken := sim.Grant("1000.APP", "", "", "ZohoCRM.modules.ALL")
//	base, stop := sim.StartHTTP()
//	defer stop()
//	// POST base/oauth/v2/token, then GET base/crm/v8/Leads
//	... sim.Stats().TokenRequests ...
//
// It keeps Zoho's limits: 10 token requests in 10 minutes per refresh token, or per self client that
// asks without one, 10 live access tokens, 20
// refresh tokens per user and client, codes good once, tokens good at one data center. Times and limits
// can be set, the clock too. It does not check what Zoho checks of the data itself.
//
// # How it is built
//
// A request becomes a call. Its route says which data center it is for, and which endpoint of an accounts
// server or which product; then a fault may take it. An accounts server answers from clients, codes, grants
// and tokens; a resource server finds the token, its scopes and its organization, and refuses in the words of
// the product's family, before it executes anything. Everything is in memory, under one lock.
//
// Its files need each other in one direction only: the tables and types of Zoho's facts come first, then
// Server, which holds what is remembered, then call, then what accounts servers and products do with a call,
// and last ServeHTTP, which chooses among them.
//
// What Zoho does is written down here a second time. Nothing is imported from package zoho: a mistake that
// both shared would pass every test. Where an answer is from stands beside it in the table of refusals: most
// were measured or documented, some have only their family's pattern.
//
// # Addresses
//
// On a host of Zoho's (accounts.zoho.eu, www.zohoapis.in, sandbox.zohoapis.com, desk.zoho.com.au) the
// simulator is that host; StartTLS has certificates for all of them, from a CA of its own. On any other
// host it plays one data center at one origin: accounts under /oauth/v2/, services behind the API gateway
// under their path (/crm/v8/Leads, /books/v3/contacts), services with their own host under their name
// (/desk/api/v1/tickets, /mail/api/accounts). Token replies then name that origin as api_domain.
//
// CRM (Bigin, Recruit), Books (Invoice, Inventory, Billing, Expense) and Desk keep records and files in
// memory. Other services answer any path with JSON. Answers carry X-Sim-Request-Id; to who is admitted,
// X-Sim-User (whose grant) and X-Sim-Token (which access token of that grant); where a body was read,
// X-Sim-Body-Length and X-Sim-Body-Sha256. Every service also has, at any path that contains them,
// with a live token:
//
//	/_echo            what arrived: method, raw target, headers, trailer, length and digest of the body
//	/_sse?n=&ms=      n events, each after ms milliseconds
//	/_ws              a WebSocket that sends frames back
//	/_gzip            compressed JSON
//	/_status/NNN      that status
//	/_slow?ms=        /_echo, later
//	/_bytes?n=        n bytes; the one at offset i is i modulo 251
//
// # Control API
//
// Under /_sim/ on any host, or at the host sim.localhost. POST with a JSON body, all fields optional,
// client_id as long as there is one client; replies are JSON, errors {"error": …} with status 400. Nobody
// is asked who he is, so the simulator belongs on a loopback address.
//
//	GET  stats          Stats
//	POST expire         {refresh_token | user}: their access tokens end; {}: everyone's
//	POST revoke-access  the same, as a revocation: they look alive to who holds them
//	POST revoke         … the refresh tokens too
//	POST evict          … only the oldest access token of each grant
//	POST fault          Fault: {where, kind, path, method, count, status, content_type, body, millis, bytes, mode}
//	POST clear          {where}: ends faults there; {}: all. Who hangs goes on
//	POST limits         {token_life_ms, code_life_ms, max_tokens, token_window_ms, max_live, max_grants,
//	                    max_codes, sticky, consent, user, user_data_center, bare_denial, device_life_ms,
//	                    device_interval_ms, unknown_scopes, org, require_org, accept_bearer, omit_scope,
//	                    variants}; replies with all of them (GET: only that)
//	POST answer         {service, case, status, content_type, body, header, reason}: replaces a refusal
//	POST client         {id, secret, secrets, redirect_uris, self_client, device, org, orgs, data_centers}
//	POST grant          {client_id, user, data_center, environment, org, scopes, refresh_token};
//	                    replies with the same, complete
//	POST token          {refresh_token}: an access token, uncounted
//	POST code           as grant: a self client's authorization code
//	POST reset          {everything}: statistics, records, faults, windows; with everything grants too
//
// # Faults
//
// A fault hits the next count requests (0: all until cleared) at "accounts", a service, or "*":
//
//	throttle    Access Denied, or the service's answer to too many requests
//	localized   Access Denied in Chinese
//	error       accounts: {"error": body}, status 200
//	refuse      a service's refusal in the case that body names: no-header, dead, scope, permission,
//	            org, limit, other; dead
//	status      status (500) and body
//	html        a page, status 200
//	empty       nothing, status 200
//	redirect    status (302) to the URL in body
//	hang        no answer for millis, or until the caller hangs up or the fault is cleared
//	reset       a TCP reset after bytes of the body
//	lost        the request is executed, then a reset instead of its answer
//	slow        the answer millis (1000) later
//	drip        the answer by bytes (1) every millis (1000)
//	truncated   half of the answer; mode "cut": with the length of the whole, then the connection ends
//	huge        bytes (10 GiB) of JSON without an end
//	bomb        gzip that unpacks to bytes (10 GiB); status 200, from services 401
//	expires_in  body as raw JSON in place of expires_in; empty: the field is missing
//	reply       body in place of a token reply; {{token}} and {{api_domain}} stand for the real ones
//	midupload   a refusal (case in body, dead) after bytes (1024) of the request's body; mode "discard"
//	            reads the rest, "close" ends the connection, "reset" resets it
//	gzip        refusals are compressed; mode "gzip", "deflate", or any name to send them as is under it
package zohosim
