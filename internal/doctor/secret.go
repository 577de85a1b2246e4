package doctor

import (
	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/secret"
)

// examineSecret looks at a secret, as it is read, and where it comes from, nothing if that is in order.
func examineSecret(option, client string, ref secret.Ref, read func(secret.Ref) (string, error)) (found adminapi.Findings) {
	if _, err := read(ref); err != nil {
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckCredentials,
			Result: adminapi.ResultFailed,
			Client: client,
			What:   option + " has no usable value",
			Why:    err.Error(),
			Do: "make sure that Caddy's own environment has it; a changed file is read without a reload, " +
				"a changed variable takes a restart",
		})
	}
	return append(found, examineFile(client, ref)...)
}

// examineFile looks at who else can read a secret.
func examineFile(client string, ref secret.Ref) (found adminapi.Findings) {
	text, err := ref.Exposed()
	switch {
	case err != nil:
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckCredentials,
			Result: adminapi.ResultFailed,
			Client: client,
			What:   "a secret cannot be read anew",
			Why:    err.Error(),
			Do:     "see to the disk; until it answers, the value that was read last counts",
		})
	case text != "":
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckCredentials,
			Result: adminapi.ResultFailed,
			Client: client,
			What:   text,
			Why:    "other users of this machine can take the secret",
			Do:     "roll the secret over if others have been there",
		})
	}
	return found
}
