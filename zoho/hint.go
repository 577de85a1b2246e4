package zoho

import "fmt"

// Hint says in one sentence what to do about the failure.
func (f *Failure) Hint() string {
	where := f.dataCenter.Accounts
	if where == "" {
		where = "this accounts server"
	}
	switch {
	case f.Code == "invalid_client_secret":
		return fmt.Sprintf("the secret is not the one for %s: each data center has its own, unless Zoho's API console is told to use one everywhere", where)
	case f.Code == "invalid_redirect_uri":
		return "the redirect URI must equal one registered for the client in Zoho's API console, to the letter; a self client's code goes without"
	case f.Kind == FailureClientRejected:
		return fmt.Sprintf("the client id is unknown at %s: the data center is wrong, or not enabled for the client in Zoho's API console, where each one is switched on by itself", where)
	case f.Kind == FailureGrantDead:
		return f.grantHint(where)
	case f.Kind == FailureThrottled:
		return "Zoho gives 10 access tokens in 10 minutes for a grant: make no token call for at least 10 minutes, and see that no other program uses this grant"
	}
	return f.temporaryHint(where)
}

func (f *Failure) grantHint(where string) string {
	switch f.grant {
	case grantCode:
		return fmt.Sprintf("the code was used before, is more than a minute or two old, or was not made for %s: start consent again", where)
	case grantRevoke:
		return "nothing is left to revoke there: forget the grant"
	}
	return fmt.Sprintf("the refresh token is revoked, not from %s, or was evicted by the user's 21st for this client (Zoho keeps 20): grant consent again", where)
}

func (f *Failure) temporaryHint(where string) string {
	switch {
	case f.Status == 0:
		return fmt.Sprintf("see that %s can be reached from here: name resolution, firewall, proxy, certificates", where)
	case f.Status >= 500:
		return "Zoho Accounts is in trouble, as its status page may say; it is tried again"
	case f.Status >= 300 && f.Status < 400 || f.Code == "" && f.NoToken:
		return fmt.Sprintf("see that %s is the URL of an accounts server; otherwise Zoho is in trouble, it is tried again", where)
	}
	return "the answer makes no sense for a token request; it is tried again"
}
