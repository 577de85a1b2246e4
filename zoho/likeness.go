package zoho

import (
	"hash/maphash"
	"net/http"
	"strings"
)

// likenessSeed makes a likeness worth nothing outside of this process.
var likenessSeed = maphash.MakeSeed()

// Likeness is the same number for calls to the target that the same right permits: those of one
// method and path, whatever ids stand in it, for one organization. It is never 0.
func (t Target) Likeness(method, pathAndQuery string, h http.Header) uint64 {
	path, query, _ := strings.Cut(pathAndQuery, "?")
	var hash maphash.Hash
	hash.SetSeed(likenessSeed)
	_, _ = hash.WriteString(method)
	for path != "" {
		var segment string
		segment, path, _ = strings.Cut(path, "/")
		if isID(segment) {
			segment = "#" // never part of a path
		}
		_ = hash.WriteByte('/')
		_, _ = hash.WriteString(segment)
	}
	if header, ok := organizationHeaders[t.Service]; ok {
		writeOrganization(&hash, header, query, h)
	}
	return max(hash.Sum64(), 1)
}

// organizationHeaders are those of services whose refusals may mean that the organization in
// the call is not one of the token's, and say nothing of that. They take organization_id in the
// query as well.
var organizationHeaders = map[string]string{
	"billing":   "X-Com-Zoho-Subscriptions-Organizationid",
	"erp":       "", // not known
	"books":     "X-Com-Zoho-Books-Organizationid",
	"expense":   "X-Com-Zoho-Expense-Organizationid",
	"inventory": "X-Com-Zoho-Inventory-Organizationid",
	"invoice":   "X-Com-Zoho-Invoice-Organizationid",
}

func writeOrganization(hash *maphash.Hash, header, query string, h http.Header) {
	_ = hash.WriteByte('?')
	for query != "" {
		var parameter string
		parameter, query, _ = strings.Cut(query, "&")
		if strings.HasPrefix(parameter, "organization_id=") {
			_, _ = hash.WriteString(parameter)
		}
	}
	for _, value := range h[header] {
		_ = hash.WriteByte('&')
		_, _ = hash.WriteString(value)
	}
}

const (
	shortestHash = 20 // letters of what nobody has given a name
	idDigits     = 4  // more than a version has, such as v2.1
)

// isID reports whether a segment of a path looks like an id: a number, or something with many
// digits or letters.
func isID(segment string) bool {
	digits := 0
	for i := range len(segment) {
		if '0' <= segment[i] && segment[i] <= '9' {
			digits++
		}
	}
	return digits >= idDigits || digits > 0 && digits == len(segment) || len(segment) >= shortestHash && digits > 0
}
