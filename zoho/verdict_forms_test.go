package zoho_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

const (
	xmlType   = "text/xml;charset=UTF-8"
	htmlType  = "text/html;charset=UTF-8"
	plainType = "text/plain"
	prolog    = `<?xml version="1.0" encoding="UTF-8" ?>`
)

// bookingsPage is what Bookings answers to a dead token and to a missing header.
const bookingsPage = "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n<title>Zoho Creator - Error Page</title>\n" +
	"<style>body { color: #333 }</style>\n</head>\n<body><h1>Something went wrong</h1>\n" +
	"<p>Please contact support@zohobookings.com.</p></body>\n</html>\n"

// forms are refusals that are no JSON object of their service's usual shape.
var forms = []struct {
	service     string
	status      int
	contentType string
	body        string
	want        zoho.Verdict
}{
	// Bookings: the status alone tells a dead token from a missing header.
	{"bookings", 401, htmlType, bookingsPage, renew},
	{"bookings", 400, htmlType, bookingsPage, noHeader},
	{"bookings", 401, "", "<HTML><HEAD><TITLE\n>\nZoho Creator -\n Error Page </TITLE></HEAD></HTML>", renew},
	{"bookings", 401, htmlType, "<html><head><title>Error Page</title></head><body>x</body></html>", renew},
	{"bookings", 401, "application/xhtml+xml", prolog + "<!-- x -->\n<html xmlns=\"http://www.w3.org/1999/xhtml\"><head><title>Zoho Creator - Error Page</title></head></html>", renew},
	{"bookings", 401, htmlType, "<html><head><title>Sign in</title></head><body>x</body></html>", unrecognized},
	{"bookings", 400, htmlType, "<html><head><title>Bad Request</title></head><body>x</body></html>", none},
	{"bookings", 400, "application/json", `{"response":{"errormessage":"x","status":"failure"}}`, none},
	{"bookings", 404, htmlType, bookingsPage, none},
	{"bookings", 200, htmlType, bookingsPage, none},
	{"crm", 401, htmlType, bookingsPage, unrecognized},
	// Analytics API v1 in XML
	{"analytics", 400, xmlType, prolog + "\n<response uri=\"/api/o/w/t\" action=\"EXPORT\">\n<error>\n<code>8535</code>\n<message>Invalid OAuth token</message>\n</error>\n</response>", renew},
	{"analytics", 401, xmlType, `<response uri="/api/o/w/t"><error><code>8535</code><message>x</message></error></response>`, renew},
	{"analytics", 401, xmlType, `<response uri="/api/o/w/t"><error><code>8540</code><message>x</message></error></response>`, scope},
	{"analytics", 400, xmlType, `<response uri="/api/o/w/t"><error><code>6045</code><message>x</message></error></response>`, limited},
	{"analytics", 400, "application/xml", `<response><error><code> 85<!-- -->35
		</code><message><![CDATA[x]]></message></error></response>`, renew},
	{"analytics", 400, xmlType, `<response><error code="8535" message="x"/></response>`, renew},
	{"analytics", 400, htmlType, prolog + `<!-- no <html> --><!DOCTYPE response><response><error><code>8535</code><message>` +
		`<![CDATA[<html><title>x</title></html>]]></message></error></response>`, renew},
	{"analytics", 400, htmlType, `<response><error><code>8535</code><message/></error></response>`, renew},
	{"analytics", 400, "", `<z:response xmlns:z="urn:z"><z:error><z:code>8535</z:code><z:message>x</z:message></z:error></z:response>`, renew},
	{"analytics", 400, xmlType, `<response><error><code>8535</code></error></response>`, renew},
	{"analytics", 400, xmlType, `<response><result><code>8535</code><message>x</message></result></response>`, none},
	{"analytics", 400, xmlType, `<response><error><message>8535</message></error></response>`, none},
	{"analytics", 401, xmlType, `<failure><summary>INVALID_OAUTHTOKEN</summary><data><errorCode>8535</errorCode></data></failure>`, renew},
	{"analytics", 200, xmlType, `<response><error><code>8535</code><message>x</message></error></response>`, none},
	// other services in XML: the root is left out of a row's place
	{"campaigns", 401, xmlType, `<response><status>error</status><code>1007</code><message>Unauthorized request.</message></response>`, renew},
	{"campaigns", 401, xmlType, `<response><status>error</status><Code>1007</Code></response>`, renew},
	{"campaigns", 401, xmlType, `<response><code>1007</code></response>`, unrecognized},
	{"campaigns", 401, xmlType, `<response><status>error</status><code>9</code></response>`, unrecognized},
	{"sign", 401, xmlType, `<response><code>9041</code><message>x</message><status>failure</status></response>`, renew},
	{"projects", 400, xmlType, `<error><code>6401</code><message>x</message></error>`, renew},
	{"projects", 400, xmlType, `<response><error><code>6401</code><message>x</message></error></response>`, renew},
	{"people", 200, xmlType, `<response><errors><code>7202</code><message>x</message></errors><status>1</status></response>`, renew},
	{"people", 200, xmlType, `<response><result><code>7202</code></result></response>`, none},
	{"recruit", 200, xmlType, `<response uri="/recruit/private/xml/x"><error><code>4834</code><message>Invalid Ticket Id</message></error></response>`, renew},
	{"books", 401, xmlType, `<response><code>57</code><message>x</message></response>`, ambiguous},
	{"books", 401, xmlType, `<invoices><invoice><code>57</code><message>x</message></invoice></invoices>`, unrecognized},
	{"desk", 401, xmlType, `<error><errorCode>INVALID_OAUTH</errorCode></error>`, renew},
	{"mail", 401, xmlType, `<data><errorCode>INVALID_OAUTHSCOPE</errorCode></data>`, scope},
	{"writer", 401, xmlType, `<a><b><c d="INVALID_OAUTHTOKEN"/></b></a>`, renew},
	{"writer", 401, xmlType, `<a>the code is INVALID_OAUTHTOKEN, they say</a>`, unrecognized},
	{"writer", 403, xmlType, `<a>INVALID_OAUTHTOKEN</a>`, none},
	// XML that is none, or not for us
	{"crm", 401, xmlType, `<?xml version="1.0" encoding="ISO-8859-1"?><r><m>` + "d\xe9fense" + `</m><code>INVALID_TOKEN</code></r>`, renew},
	{"crm", 401, xmlType, "<r><m>\x01&nbsp;&no; & x</m><code>INVALID_TOKEN</code></r>", renew},
	{"crm", 401, xmlType, `<r><br><code>INVALID_TOKEN</code>`, renew},
	{"crm", 401, xmlType, `<r><code>INVALID_TOKEN`, renew},
	{"crm", 401, xmlType, `</r><code>INVALID_TOKEN</code>`, unrecognized},
	{"crm", 401, xmlType, `<!DOCTYPE r [<!ENTITY c "INVALID_TOKEN">]><r><code>&c;</code></r>`, unrecognized},
	{"crm", 401, xmlType, `<`, unrecognized},
	// pages
	{"desk", 401, htmlType, `<html><head><title>INVALID_OAUTH</title></head><body>Error</body></html>`, renew},
	{"campaigns", 401, htmlType, `<html><body><h1>401</h1><p>Error: INVALID_OAUTHTOKEN.</p></body></html>`, renew},
	{"campaigns", 401, "", `<!doctype html><p>(code=INVALID_OAUTHSCOPE)<br>INVALID_OAUTHSCOPE</p>`, scope},
	{"crm", 401, htmlType, `<h1>Unauthorized</h1><p>Your token is refused: &quot;INVALID_TOKEN&quot;</p>`, renew},
	{"cliq", 401, htmlType, `<html><body>oauthtoken_invalid</body></html>`, renew},
	{"desk", 401, htmlType, `<html><body>Unauthorized UNAUTHORIZED</body></html>`, unrecognized},
	{"desk", 401, htmlType, `<html><body>invalid_token Invalid_Token</body></html>`, unrecognized},
	{"desk", 401, htmlType, `<html><body>MY_INVALID_TOKEN INVALID_TOKENS x.INVALID_TOKEN #INVALID_TOKEN me@INVALID_TOKEN</body></html>`, unrecognized},
	{"desk", 401, htmlType, `<html><body>See <a href="/docs#INVALID_TOKEN">what INVALID_TOKEN means</a> at https://www.zoho.com/docs?INVALID_TOKEN</body></html>`, unrecognized},
	{"desk", 401, htmlType, `<html><!-- INVALID_TOKEN --><script>if (a < b) x = "INVALID_TOKEN"</script><style>INVALID_TOKEN</style><p class="INVALID_TOKEN">x</p></html>`, unrecognized},
	{"desk", 401, htmlType, `<html><body>INVALID_TOKEN: a dead token. INVALID_OAUTHSCOPE: no scope.</body></html>`, unrecognized},
	{"creator", 401, htmlType, `<html><code>1030</code><description>x</description></html>`, unrecognized},
	{"mail", 400, htmlType, `<html><title>INVALID_TICKET</title></html>`, none},
	{"desk", 401, htmlType, `<html>1 < 2 <`, unrecognized},
	// text, and JSON that something stands around
	{"crm", 401, plainType, "INVALID_TOKEN\n", renew},
	{"crm", 401, plainType, "401 Unauthorized: INVALID_TOKEN", renew},
	{"workdrive", 401, plainType, "F7003", renew},
	{"workdrive", 401, plainType, "file F7003 is not yours", unrecognized},
	{"crm", 401, plainType, "error=INVALID_TOKEN&status=401", renew},
	{"crm", 401, plainType, "Unauthorized", unrecognized},
	{"crm", 200, plainType, "INVALID_TOKEN", none},
	{"books", 401, "text/javascript", `done({"code":57,"message":"x"});`, ambiguous},
	{"books", 401, plainType, `we are (sorry) {"code":57,"message":"x"}`, unrecognized},
	{"crm", 401, plainType, "{\"status\":\"error\"}\n{\"code\":\"INVALID_TOKEN\"}", renew},
	{"crm", 401, plainType, "{code: INVALID_TOKEN}", unrecognized},
}

func TestJudgeForms(t *testing.T) {
	for _, form := range forms {
		h := http.Header{"Content-Type": {form.contentType}}
		if got := zoho.Judge(form.service, form.status, h, []byte(form.body)); got != form.want {
			t.Errorf("%s %d %s %s: got %v, want %v", form.service, form.status, form.contentType, form.body, got, form.want)
		}
		if form.want != none && !zoho.MayRefuse(form.service, form.status, h) {
			t.Errorf("%s %d may not refuse, but does: %s", form.service, form.status, form.body)
		}
	}
}

// TestJudgeByReason: at the hosts for files a code in the status line decides, and only there.
func TestJudgeByReason(t *testing.T) {
	const nothing = `<html><body>401</body></html>`
	tests := []struct {
		host, service, status, body string
		want                        zoho.Verdict
	}{
		{"download.zoho.com", "workdrive", "401 INVALID_OAUTHTOKEN", "", renew},
		{"download.zoho.com", "workdrive", "401 INVALID_OAUTHSCOPE", nothing, scope},
		{"upload.zoho.eu", "workdrive", "401 INVALID_OAUTHTOKEN", nothing, renew},
		{"download-accl.zoho.in", "crm", "401 INVALID_OAUTHTOKEN", nothing, renew},
		{"files.zoho.ae", "workdrive", "401 INVALID_TICKET", "", noHeader},
		{"upload.zohocloud.ca", "crm", "401 INVALID_TOKEN", "", renew},
		{"content.zohoapis.com.au", "crm", "401 INVALID_TOKEN", "", renew},
		{"download.zoho.com", "", "401 INVALID_OAUTHTOKEN", "", renew},
		{"download.zoho.com", "workdrive", "401 Error: INVALID_OAUTHTOKEN", "", renew},
		{"download.zoho.com", "workdrive", "401 F7003", "", renew},
		{"download.zoho.com", "workdrive", "401 Unauthorized", "", unrecognized}, // as over HTTP/2
		{"download.zoho.com", "workdrive", "401 ", "", unrecognized},
		{"download.zoho.com", "workdrive", "401", "", unrecognized},
		{"download.zoho.com", "workdrive", "403 INVALID_OAUTHTOKEN", "", none},
		{"download.zoho.com", "workdrive", "200 INVALID_OAUTHTOKEN", "", none},
		{"download.zoho.com", "workdrive", "401 INVALID_OAUTHTOKEN", `{"errors":[{"id":"R008"}]}`, permission},
		{"download.zoho.com", "workdrive", "401 Unauthorized", `{"errors":[{"id":"F7003"}]}`, renew},
		{"workdrive.zoho.com", "workdrive", "401 INVALID_OAUTHTOKEN", "", unrecognized},
		{"www.zohoapis.com", "crm", "401 INVALID_TOKEN", "", unrecognized},
		{"download.example.com", "", "401 INVALID_OAUTHTOKEN", nothing, unrecognized},
		{"download.zoho.com.example.com", "", "401 INVALID_OAUTHTOKEN", nothing, unrecognized},
		{"127.0.0.1:8080", "workdrive", "401 INVALID_OAUTHTOKEN", "", unrecognized},
	}
	for _, test := range tests {
		target := zoho.Target{Service: test.service, Host: test.host}
		res := &http.Response{StatusCode: int(test.status[0]-'0')*100 + int(test.status[2]-'0'), Status: test.status, Header: htmlHeader()}
		if got := target.Judge(res, []byte(test.body)); got != test.want {
			t.Errorf("%s %q %q: got %v, want %v", test.host, test.status, test.body, got, test.want)
		}
	}
}

// TestJudgeIsQuick: bodies made to cost the most are judged in milliseconds; a minute is only met by what grows with
// the square of the length.
func TestJudgeIsQuick(t *testing.T) {
	for name, part := range map[string]string{
		"elements": "<a>", "empty elements": "<a/>", "attributes": "<a b='c' d='e'/>", "titles": "<title>", "scripts": "<script>", "links": "<a><",
		"comments": "<!--", "tags without end": "<b ", "entities": "&a;", "words": "A_B ", "codes": "INVALID_TOKEN ", "brackets": "[", "texts": "<a>x</a>",
		"calls": "f(", "CDATA": "<![CDATA[x]]>", "declarations": "<!DOCTYPE a [<!ENTITY a 'x'>]>", "instructions": "<?a?>", "ends": "</a>", "values": `"a",`,
	} {
		for _, begin := range []string{"", "<html>", "<a>", "[", prolog} {
			body := []byte(begin + strings.Repeat(part, (100<<10)/len(part)))
			started := time.Now()
			for _, service := range []string{"", "writer"} {
				zoho.Judge(service, 401, htmlHeader(), body)
			}
			if took := time.Since(started); took > time.Minute {
				t.Errorf("%s after %q: %v", name, begin, took)
			}
		}
	}
}
