package zohosim_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// app is a simulator and a token for everything.
type app struct {
	*zohosim.Server
	t      *testing.T
	access string
}

func newApp(t *testing.T, o zohosim.Options) *app {
	sim := newSim(o)
	return &app{sim, t, sim.AccessToken(sim.Grant(clientID, "", ""))}
}

// json sends a request, wants a status, and gives the answer's JSON.
func (a *app) json(want int, method, target, body string, header ...string) map[string]any {
	a.t.Helper()
	res := call(a.Server, method, target, a.access, body, header...)
	wantStatus(a.t, res, want)
	got := bodyOf(a.t, res)
	if want == 204 || want == 304 {
		if got != "" {
			a.t.Errorf("%s %s: got a body %q, want none", method, target, got)
		}
		return nil
	}
	return decode(a.t, got)
}

func (a *app) want(got any, want any) {
	a.t.Helper()
	if got != want {
		a.t.Errorf("got %v, want %v", got, want)
	}
}

func TestCRM(t *testing.T) {
	clock := newClock()
	a := newApp(t, zohosim.Options{Now: clock.Now})
	const leads = "https://www.zohoapis.com/crm/v8/Leads"
	a.json(204, "GET", leads, "")
	reply := a.json(201, "POST", leads, `{"data":[{"Last_Name":"One","Company":"A"},{"Last_Name":"Two"},{"Company":"nameless"}]}`)
	a.want(at(reply, "data", 0, "code"), "SUCCESS")
	a.want(at(reply, "data", 2, "code"), "MANDATORY_NOT_FOUND")
	id := at(reply, "data", 0, "details", "id").(string)

	list := a.json(200, "GET", leads+"?per_page=1", "")
	a.want(at(list, "info", "more_records"), true)
	a.want(at(list, "data", 0, "Last_Name"), "One")
	a.want(at(a.json(200, "GET", leads+"?per_page=1&page=2", ""), "data", 0, "Last_Name"), "Two")
	a.json(204, "GET", leads+"?page=9", "")
	a.want(at(a.json(200, "GET", leads+"/"+id, ""), "data", 0, "Company"), "A")
	a.json(204, "GET", leads+"/999", "")

	clock.Advance(time.Minute)
	a.want(at(a.json(200, "PUT", leads+"/"+id, `{"data":[{"Company":"B"}]}`), "data", 0, "message"), "record updated")
	a.json(200, "PUT", leads, fmt.Sprintf(`{"data":[{"id":%q,"Phone":"1"},{"id":"999"}]}`, id))
	rec := a.json(200, "GET", leads+"/"+id, "")
	a.want(at(rec, "data", 0, "Company"), "B")
	a.want(at(rec, "data", 0, "Phone"), "1")
	a.want(at(rec, "data", 0, "id"), id)
	a.json(202, "PUT", leads+"/999", `{"data":[{"Company":"B"}]}`)
	a.json(400, "POST", leads, `no json`)

	now := clock.Now()
	a.json(304, "GET", leads+"/"+id, "", "If-Modified-Since", now.Format(time.RFC3339))
	a.json(304, "GET", leads, "", "If-Modified-Since", now.Format(http.TimeFormat))
	a.json(200, "GET", leads, "", "If-Modified-Since", now.Add(-time.Second).Format(time.RFC3339))

	query := `{"select_query":"select Last_Name from Leads where Last_Name is not null"}`
	a.want(at(a.json(200, "POST", "https://www.zohoapis.com/crm/v8/coql", query), "info", "count"), 2.0)
	a.json(400, "POST", "https://www.zohoapis.com/crm/v8/coql", `{"select_query":"select"}`)

	a.want(at(a.json(200, "DELETE", leads+"/"+id, ""), "data", 0, "code"), "SUCCESS")
	a.want(at(a.json(200, "DELETE", leads+"?ids="+id, ""), "data", 0, "code"), "INVALID_DATA")
	a.json(404, "GET", "https://www.zohoapis.com/crm/v8", "")
	a.json(200, "GET", "https://www.zohoapis.com/crm/v8/users?type=CurrentUser", "")
	a.json(200, "GET", "https://www.zohoapis.com/crm/v8/settings/modules", "")
	a.json(405, "PROPFIND", leads, "")
}

func TestBooks(t *testing.T) {
	a := newApp(t, zohosim.Options{})
	const contacts = "https://www.zohoapis.com/books/v3/contacts"
	list := a.json(200, "GET", contacts, "")
	a.want(list["code"], 0.0)
	a.want(len(list["contacts"].([]any)), 0)
	made := a.json(201, "POST", contacts, `{"contact_name":"Ann"}`)
	a.want(at(made, "code"), 0.0)
	id := at(made, "contact", "contact_id").(string)
	form := url.Values{"JSONString": {`{"contact_name":"Bob"}`}}.Encode()
	made = a.json(201, "POST", contacts, form, "Content-Type", "application/x-www-form-urlencoded")
	a.want(at(made, "contact", "contact_name"), "Bob")
	list = a.json(200, "GET", contacts+"?per_page=1", "")
	a.want(at(list, "page_context", "has_more_page"), true)
	a.want(at(list, "contacts", 0, "contact_name"), "Ann")
	a.json(200, "PUT", contacts+"/"+id, `{"contact_name":"Anna"}`)
	a.want(at(a.json(200, "GET", contacts+"/"+id, ""), "contact", "contact_name"), "Anna")
	a.want(a.json(200, "DELETE", contacts+"/"+id, "")["message"], "The contact has been deleted.")
	a.want(a.json(404, "GET", contacts+"/"+id, "")["code"], 1002.0)
	a.json(400, "POST", contacts, `no json`)
	a.json(404, "GET", "https://www.zohoapis.com/books/v3", "")
	for _, resource := range []string{"invoices", "items"} {
		one := strings.TrimSuffix(resource, "s")
		made := a.json(201, "POST", "https://books.zoho.com/api/v3/"+resource, `{"name":"x"}`)
		a.json(200, "GET", "https://www.zohoapis.com/books/v3/"+resource+"/"+at(made, one, one+"_id").(string), "")
	}
	a.json(200, "GET", "https://www.zohoapis.com/books/v3/organizations", "")
}

func TestDesk(t *testing.T) {
	a := newApp(t, zohosim.Options{})
	const tickets = "https://desk.zoho.com/api/v1/tickets"
	a.json(204, "GET", tickets, "")
	id := a.json(200, "POST", tickets, `{"subject":"Help"}`)["id"].(string)
	a.want(at(a.json(200, "GET", tickets+"?from=1&limit=5", ""), "data", 0, "subject"), "Help")
	a.json(200, "PATCH", tickets+"/"+id, `{"status":"Open"}`)
	a.want(a.json(200, "GET", tickets+"/"+id, "")["status"], "Open")
	a.json(204, "DELETE", tickets+"/"+id, "")
	a.want(a.json(404, "GET", tickets+"/"+id, "")["errorCode"], "RESOURCE_NOT_FOUND")
	a.json(404, "DELETE", tickets+"/"+id, "")
	a.json(422, "POST", tickets, `no json`)
	a.json(404, "GET", "https://desk.zoho.com/api/v1", "")
	a.json(200, "GET", "https://desk.zoho.com/api/v1/organizations", "")
	a.json(200, "POST", "https://desk.zoho.com/api/v1/contacts", `{"lastName":"x"}`)
	a.json(204, "GET", "https://desk.zoho.com/api/v1/accounts", "")
}

// Data centers keep their records apart.
func TestRecordsByDataCenter(t *testing.T) {
	a := newApp(t, zohosim.Options{})
	a.json(201, "POST", "https://www.zohoapis.com/crm/v8/Deals", `{"data":[{"Deal_Name":"x"}]}`)
	a.access = a.AccessToken(a.Grant(clientID, "", "eu"))
	a.json(204, "GET", "https://www.zohoapis.eu/crm/v8/Deals", "")
}

func multipartFile(content []byte) (body, contentType string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	w.WriteField("title", "a file")
	part, _ := w.CreateFormFile("file", "report.bin")
	part.Write(content)
	w.Close()
	return b.String(), w.FormDataContentType()
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestFiles(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", 4096)
	multi, multiType := multipartFile([]byte(content))
	for _, tt := range []struct {
		name, upload, list, download string // download: ID stands for the file's id
		receipt                      []any
		status, empty                int
	}{
		{"CRM", "https://www.zohoapis.com/crm/v8/Leads/7/Attachments", "https://www.zohoapis.com/crm/v8/Leads/7/Attachments", "https://www.zohoapis.com/crm/v8/Leads/7/Attachments/ID", []any{"data", 0, "details"}, 200, 204},
		{"CRM files", "https://content.zohoapis.com/crm/v8/files", "", "https://content.zohoapis.com/crm/v8/files?id=ID", []any{"data", 0, "details"}, 200, 0},
		{"Desk", "https://desk.zoho.com/api/v1/tickets/7/attachments", "https://desk.zoho.com/api/v1/tickets/7/attachments", "https://desk.zoho.com/api/v1/tickets/7/attachments/ID/content", nil, 200, 204},
		{"Books", "https://www.zohoapis.com/books/v3/invoices/7/attachment", "", "https://www.zohoapis.com/books/v3/invoices/7/attachment", nil, 201, 0},
	} {
		for kind, upload := range map[string]struct{ body, contentType string }{
			"multipart": {multi, multiType},
			"raw":       {content, "application/octet-stream"},
		} {
			t.Run(tt.name+", "+kind, func(t *testing.T) {
				a := newApp(t, zohosim.Options{})
				if tt.list != "" {
					a.json(tt.empty, "GET", tt.list, "")
				}
				reply := a.json(tt.status, "POST", tt.upload, upload.body, "Content-Type", upload.contentType,
					"X-Test-Id", "up")
				receipt := at(reply, tt.receipt...)
				a.want(at(receipt, "length"), float64(len(upload.body)))
				a.want(at(receipt, "sha256"), digest(upload.body))
				a.want(at(receipt, "file_length"), float64(len(content)))
				a.want(at(receipt, "file_sha256"), digest(content))
				target := strings.ReplaceAll(tt.download, "ID", at(receipt, "id").(string))
				res := call(a.Server, "GET", target, a.access, "")
				if got := bodyOf(t, res); got != content ||
					!strings.Contains(res.Header.Get("Content-Disposition"), "attachment") {
					t.Errorf("download: got %d bytes, %v", len(got), res.Header)
				}
				res = call(a.Server, "GET", target, a.access, "", "Range", "bytes=16-19")
				if got := bodyOf(t, res); res.StatusCode != 206 || got != "0123" {
					t.Errorf("range: got %d %q", res.StatusCode, got)
				}
				if tt.list != "" {
					a.want(len(at(a.json(200, "GET", tt.list, ""), "data").([]any)), 1)
				}
				res = call(a.Server, "DELETE", strings.TrimSuffix(target, "/content"), a.access, "")
				if res.StatusCode >= 300 {
					t.Errorf("delete: got %d", res.StatusCode)
				}
				res = call(a.Server, "GET", target, a.access, "")
				if res.StatusCode != 204 && res.StatusCode != 404 {
					t.Errorf("download afterwards: got %d", res.StatusCode)
				}
				a.want(a.Stats().Executed["up"], 1)
			})
		}
	}
}

func TestUploadWithoutFile(t *testing.T) {
	a := newApp(t, zohosim.Options{})
	body, contentType := multipartForm(url.Values{"title": {"x"}})
	a.json(400, "POST", "https://www.zohoapis.com/crm/v8/Leads/7/Attachments", body, "Content-Type", contentType)
	a.json(422, "POST", "https://desk.zoho.com/api/v1/tickets/7/attachments", body, "Content-Type", contentType)
	a.json(400, "POST", "https://www.zohoapis.com/books/v3/invoices/7/attachment", body, "Content-Type", contentType)
	a.json(404, "GET", "https://www.zohoapis.com/books/v3/invoices/7/attachment", "")
	a.json(400, "DELETE", "https://www.zohoapis.com/crm/v8/Leads/7/Attachments/1", "")
}

// A file beyond what is kept in memory is digested all the same.
func TestLargeUpload(t *testing.T) {
	a := newApp(t, zohosim.Options{})
	content := strings.Repeat("x", 17<<20)
	reply := a.json(200, "POST", "https://desk.zoho.com/api/v1/uploads", content)
	a.want(reply["sha256"], digest(content))
	a.want(reply["length"], float64(len(content)))
	res := call(a.Server, "GET", "https://desk.zoho.com/api/v1/uploads/x/attachments/"+reply["id"].(string),
		a.access, "")
	if res.StatusCode == 200 {
		t.Error("download: got 200, want no part of a file")
	}
}

func TestAnyService(t *testing.T) {
	a := newApp(t, zohosim.Options{})
	reply := a.json(200, "POST", "https://cliq.zoho.com/api/v2/channelsbyname/x/message", `{"text":"hi"}`,
		"X-Test-Id", "one")
	a.want(reply["service"], "cliq")
	a.want(reply["sha256"], digest(`{"text":"hi"}`))
	st := a.Stats()
	a.want(st.Writes["cliq/channelsbyname"], 1)
	a.want(st.Executed["one"], 1)
	a.want(strings.Join(st.Bodies["one"], " "), digest(`{"text":"hi"}`))
	a.want(st.Accepted["cliq"], 1)
}
