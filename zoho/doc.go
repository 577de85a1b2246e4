// Package zoho is the protocol of Zoho's OAuth and of the servers behind it,
// as facts and plain functions: no Caddy, no state, no clock of its own.
//
// A [DataCenter] is one of Zoho's regions. It knows its accounts server, where
// [Accounts] exchanges codes and renews access tokens, and it routes: given the
// host or the path of an app's request, [DataCenter.RouteHost] and
// [DataCenter.RoutePath] name the one host that the request, and with it the
// token, may go to. That host comes from a table, never from the caller.
//
// What the accounts server refuses comes as a [Failure], classified once:
// temporary, throttled, grant dead, client rejected. What a resource server
// refuses is read by [Judge] or [Target.Judge]: would a new token help? Zoho's
// products answer a dead token in some twenty ways, in JSON, XML, by a page or in the
// status line, a missing scope often in the same words, so the answer depends on
// service, status and shape.
//
// No error and no printed value of this package holds a token or a secret.
//
// # Where the facts are from
//
// Nothing here was tried against Zoho by this project. Each table says beside its
// rows where they are known from: a page of Zoho's, Zoho's own SDKs, a reply that
// somebody measured and wrote down, or a report in another project. Where sources
// disagree the careful reading counts: a refusal that may be a dead token is
// [VerdictAmbiguous], a token that may have been made counts as made.
package zoho
