package main

// usage stands above the flags, controlHelp below them. A test finds every command and kind of fault in it.
const usage = `usage: zohosim [flags]

Runs a Zoho to test against: accounts servers, resource servers and faults on demand.
It listens only on loopback addresses, because its control API has no authentication.

`

const controlHelp = `
Control API, under /_sim/ on any host (or at the host sim.localhost), POST with JSON:
  GET stats      what arrived, and the results
  expire         {refresh_token | user}: their access tokens expire; {}: everyone's
  revoke-access  the same, as a revocation
  revoke         the refresh tokens too
  evict          only the oldest access token of each grant
  fault          {where, kind, path, method, count, status, content_type, body, millis, bytes, mode}
  clear          {where}: ends the faults there; {}: all
  limits         {token_life_ms, code_life_ms, max_tokens, token_window_ms, max_live, max_grants,
                 max_codes, sticky, consent, user, user_data_center, bare_denial, device_life_ms,
                 device_interval_ms, unknown_scopes, org, require_org, accept_bearer, omit_scope,
                 variants}; GET shows them
  answer         {service, case, status, content_type, body, header, reason}: replaces a refusal
  client         {id, secret, secrets, redirect_uris, self_client, device, org, orgs,
                 data_centers}
  grant          {client_id, user, data_center, environment, org, scopes, refresh_token}
  token          {refresh_token}: an access token, uncounted
  code           as grant: a self client's authorization code
  reset          {everything}

Faults, at where = accounts, a service (crm, books, desk, ...) or *: throttle, localized, error,
refuse, status, html, empty, redirect, hang, reset, lost, slow, drip, truncated, huge, bomb,
expires_in, reply, midupload, gzip. What each does: go doc github.com/caddy-zoho/caddy-zoho/zohosim
`
