package zoho

import (
	"net/http"
	"strconv"
)

// creditHeaders say how many calls of an API are left: CRM's of 24 hours (shown once
// half of them are used), those of older versions of CRM, and those of Books, Invoice
// and Inventory. Keys are canonical.
var creditHeaders = [...]string{"X-Api-Credits-Remaining", "X-Ratelimit-Remaining", "X-Rate-Limit-Remaining"}

// CreditsRemaining reads how many calls of its API a resource server says are left. ok is
// false if it does not say: of CRM that means plenty, and Mail never says it.
func CreditsRemaining(h http.Header) (credits int64, ok bool) {
	for _, name := range creditHeaders {
		if values := h[name]; len(values) > 0 {
			credits, err := strconv.ParseInt(values[0], 10, 64)
			return credits, err == nil && credits >= 0
		}
	}
	return 0, false
}
