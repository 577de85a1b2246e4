package zoho

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Verdict says what a resource server's answer means for the token that was sent.
type Verdict int

// The verdicts. Those that stand later win when an answer gives cause for
// several: a scope that is missing is not cured by the new token for which
// other words of the same answer might ask.
const (
	// VerdictNone is no refusal of the token: the answer is passed on.
	VerdictNone Verdict = iota
	// VerdictUnrecognized is a 401 in which nothing is recognized: a page without a code,
	// nothing at all, another shape. To apps and in metrics it is ambiguous.
	VerdictUnrecognized
	// VerdictAmbiguous may be a dead token, or a refusal that no token cures.
	VerdictAmbiguous
	// VerdictRenew is a dead token: a new one helps.
	VerdictRenew
	// VerdictNoHeader means that no Authorization header arrived: our own fault.
	VerdictNoHeader
	// VerdictOrg is a token bound to another organization or portal.
	VerdictOrg
	// VerdictPermission is something that the resource owner may not do, or that
	// is not there.
	VerdictPermission
	// VerdictScope is a scope that was not consented to.
	VerdictScope
	// VerdictLimited is a limit of the API that was reached: the token is good.
	VerdictLimited
)

// verdictNames are labels of metrics and the values of a header: apps compare them.
var verdictNames = [...]string{
	VerdictNone:         "none",
	VerdictUnrecognized: "ambiguous",
	VerdictAmbiguous:    "ambiguous",
	VerdictRenew:        "renew",
	VerdictNoHeader:     "no-header",
	VerdictOrg:          "org",
	VerdictPermission:   "permission",
	VerdictScope:        "scope",
	VerdictLimited:      "limited",
}

// String names the verdict in one word, of a closed set.
func (v Verdict) String() string {
	if v < 0 || int(v) >= len(verdictNames) {
		return "none"
	}
	return verdictNames[v]
}

// maxJudged bounds what is read of a body: refusals have some hundred bytes.
const maxJudged = 64 << 10

// MayRefuse reports, before any of the body is read, whether Judge needs the body of
// an answer. If not, it can be streamed at once. Service "" stands for all services at
// once, but for answers of the 400s only.
func MayRefuse(service string, status int, h http.Header) bool {
	set, ok := refusalStatuses[service]
	if !ok {
		set = statusBit(http.StatusUnauthorized)
	}
	if set&statusBit(status) == 0 {
		return false
	}
	if status != http.StatusOK {
		return true
	}
	// A 200 that refuses is JSON or XML, and short; downloads, pages and lists are not held up.
	// "/xml" leaves out images (image/svg+xml) and office documents (vnd.openxmlformats-…).
	contentType := h.Get("Content-Type")
	return (containsFold(contentType, "json") || containsFold(contentType, "/xml")) && !longerThan(h, maxRefusal)
}

// maxRefusal, in bytes, is more than any refusal under a status of success has.
const maxRefusal = 4 << 10

// longerThan reports whether Content-Length announces more than limit bytes.
func longerThan(h http.Header, limit int) bool {
	announced := h.Get("Content-Length")
	if announced == "" {
		return false
	}
	length, err := strconv.Atoi(announced)
	return err == nil && length > limit
}

// Judge reads an answer of that service; of the body, already decoded, at most
// 64 KiB. The service's own rows decide first. If none fits, which is also so
// for services without rows, the textual codes decide wherever they stand in a 401. A 401
// in which none is found is VerdictUnrecognized. Service "" has the rows of all.
func Judge(service string, status int, h http.Header, body []byte) Verdict {
	return judge(service, status, h, body, "")
}

// Judge is the function of that name for an answer of the target, whose body begins with body.
// It knows the hosts that say the cause in the status line.
func (t Target) Judge(res *http.Response, body []byte) Verdict {
	return judge(t.Service, res.StatusCode, res.Header, body, t.Reason(res))
}

// Reason is the reason phrase of an answer, "" where the host does not speak by it. Over HTTP/2
// there is none: what net/http puts in its place holds no code.
func (t Target) Reason(res *http.Response) string {
	if !speaksByReason(t.Host) {
		return ""
	}
	_, reason, _ := strings.Cut(res.Status, " ")
	return reason
}

func judge(service string, status int, h http.Header, body []byte, reason string) Verdict {
	if status == http.StatusTooManyRequests {
		return VerdictLimited
	}
	if !MayRefuse(service, status, h) {
		return VerdictNone
	}
	values := meant(readBody(h, body[:min(len(body), maxJudged)]))
	if status == http.StatusOK {
		for i := range values {
			values[i].root = 0 // an answer that carries data has roots of any name
		}
	}
	if v := strongest(rowsOf(service), status, values); v != VerdictNone {
		return v
	}
	if status != http.StatusUnauthorized {
		return VerdictNone
	}
	if reason != "" {
		values = append(values, meant(readText(reason))...)
	}
	if v := strongest(textualRows, status, values); v != VerdictNone {
		return v
	}
	// What cannot be cured may stand in a sentence as well; a cure is not spent on one.
	if v := strongest(textualRows, status, meant(wordsIn(values))); v > VerdictRenew {
		return v
	}
	return judgeWithoutCode(service, h, body)
}

// wordsIn are the words of texts that may be codes.
func wordsIn(values []said) []said {
	var found []said
	for _, v := range values {
		for word := range words(v.value) {
			if len(found) == maxValues {
				return found
			}
			found = append(found, said{path: aWord, value: word})
		}
	}
	return found
}

// meant leaves out the words of a text that names codes of several meanings: it explains them,
// and refuses nothing by them.
func meant(values []said) []said {
	found := VerdictNone
	for _, v := range values {
		meaning := meanings[v.value]
		switch {
		case v.path != aWord || meaning == VerdictNone:
		case found == VerdictNone:
			found = meaning
		case found != meaning:
			return slices.DeleteFunc(values, func(v said) bool { return v.path == aWord })
		}
	}
	return values
}

// Accepted reports whether a resource server gives an answer of that status only to a live
// token: a success, "not modified", an upgrade. A front server gives others, such as 404 or
// 413, without a look at the token.
func Accepted(status int) bool {
	return status/100 == 2 || status == http.StatusNotModified || status == http.StatusSwitchingProtocols
}

// strongest gives the verdict that wins among the rows that match.
func strongest(rows []row, status int, values []said) Verdict {
	best := VerdictNone
	for _, r := range rows {
		if r.verdict > best && slices.Contains(r.on, status) && r.matches(values) {
			best = r.verdict
		}
	}
	return best
}

// matches reports whether the answer has what the row describes.
func (r row) matches(values []said) bool {
	found := slices.ContainsFunc(values, func(v said) bool {
		return v.isAt(r.at) && (r.is == nil || slices.Contains(r.is, v.value))
	})
	if !found || r.beside != "" && !slices.ContainsFunc(values, func(v said) bool { return v.isAt(r.beside) }) {
		return false
	}
	return r.says == "" || slices.ContainsFunc(values, func(v said) bool { return containsFold(v.value, r.says) })
}

// isAt reports whether the value stands where a row's at or beside says.
func (v said) isAt(at string) bool {
	switch {
	case at == "":
		return true
	case at[0] == '.':
		return v.path == at[1:] || strings.HasSuffix(v.path, at)
	}
	return v.path == at || 0 < v.root && v.root < len(v.path) && v.path[v.root:] == at
}

// judgeWithoutCode knows the refusals under 401 that no code is in, and takes all others for
// what nothing is recognized in.
func judgeWithoutCode(service string, h http.Header, body []byte) Verdict {
	switch {
	case (service == "cliq" || service == "") && containsFold(h.Get("Content-Type"), "text/html") &&
		len(bytes.TrimSpace(body)) == 0:
		return VerdictNoHeader // Cliq: two blank bytes, measured
	case service == "workdrive" && strings.Contains(h.Get("Www-Authenticate"), "expired_token"):
		return VerdictRenew // WorkDrive of old; rclone still looks for it
	case (service == "bookings" || service == "") && isPage(string(body)) && containsFold(string(body), "error page"):
		return VerdictRenew // see the row of Bookings
	}
	return VerdictUnrecognized
}

// refusalStatuses holds the statuses under which a service's rows can apply at all, as a
// set of statusBits. "" has the 400s of all services, as MayRefuse promises.
var refusalStatuses = func() map[string]uint8 {
	index := map[string]uint8{"": 0}
	for _, s := range services {
		set := statusBit(http.StatusUnauthorized)
		for _, r := range verdictRows[s.refuses] {
			for _, status := range r.on {
				set |= statusBit(status)
			}
		}
		index[s.Name] = set
		index[""] |= set &^ (statusBit(http.StatusOK) | statusBit(http.StatusInternalServerError))
	}
	return index
}()

// allRows are the rows of all services, sorted so that nothing depends on the
// order of a map.
var allRows = func() []row {
	var all []row
	for _, family := range slices.Sorted(maps.Keys(verdictRows)) {
		all = append(all, verdictRows[family]...)
	}
	return all
}()

// rowsOf gives a service's rows, none for a service that has none.
func rowsOf(service string) []row {
	if service == "" {
		return allRows
	}
	return verdictRows[serviceIndex[service].refuses]
}

// statusBit numbers the statuses that occur in the table, 0 for all others.
func statusBit(status int) uint8 {
	switch status {
	case http.StatusOK:
		return 1
	case http.StatusBadRequest:
		return 2
	case http.StatusUnauthorized:
		return 4
	case http.StatusForbidden:
		return 8
	case http.StatusInternalServerError:
		return 16
	}
	return 0
}
