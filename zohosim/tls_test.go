package zohosim_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// tlsClient reaches the simulator whatever the host name, and trusts its CA only.
func tlsClient(t *testing.T, addr, caFile string, h2 bool) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("no certificate in %q", pem)
	}
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: pool},
		ForceAttemptHTTP2: h2,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestTLS(t *testing.T) {
	sim := newSim(zohosim.Options{ExtraHosts: []string{"evil.example"}})
	dir := t.TempDir()
	addr, caFile, stop := sim.StartTLS(dir)
	defer stop()
	if caFile != filepath.Join(dir, "ca.pem") {
		t.Errorf("CA: got %s", caFile)
	}
	access := sim.AccessToken(sim.Grant(clientID, "", "eu"))
	for _, h2 := range []bool{true, false} {
		client := tlsClient(t, addr, caFile, h2)
		for target, want := range map[string]int{
			"https://accounts.zoho.eu/oauth/serverinfo":        200,
			"https://accounts.zohocloud.ca/oauth/serverinfo":   200,
			"https://www.zohoapis.eu/crm/v8/Leads":             204,
			"https://www.zohoapis.com/crm/v8/Leads":            401,
			"https://desk.zoho.eu/api/v1/tickets":              204,
			"https://api.catalyst.zoho.eu/baas/v1/x":           200,
			"https://sim.localhost/stats":                      200,
			"https://desk.zoho.eu/_sim/stats":                  200,
			"https://localhost/crm/v8/Leads":                   401, // one origin, home data center
			"https://127.0.0.1/oauth/serverinfo":               200,
			"https://evil.example/":                            404,
			"https://content.zohoapis.com.au/crm/v8/org":       401,
			"https://projectsapi.zohohq.in/api/v3/portals":     401,
			"https://developer.zohoapis.com.cn/crm/v8/Leads":   401,
			"https://sandbox.zohoapis.eu/crm/v8/Leads":         401,
			"https://WWW.ZOHOAPIS.EU/crm/v8/Leads":             204,
			"https://analyticsapi.zoho.uk/restapi/v2/orgs":     401,
			"https://download.zoho.ae/v1/workdrive/download/1": 401,
		} {
			r, _ := http.NewRequest("GET", target, nil)
			r.Header.Set("Authorization", "Zoho-oauthtoken "+access)
			res, err := client.Do(r)
			if err != nil {
				t.Errorf("%s: %v", target, err)
				continue
			}
			res.Body.Close()
			if wantProto := map[bool]int{true: 2, false: 1}[h2 && !strings.Contains(target, "//download.")]; res.StatusCode != want || res.ProtoMajor != wantProto {
				t.Errorf("%s: got %d over %s, want %d", target, res.StatusCode, res.Proto, want)
			}
		}
		strangers := "accounts.zoho.ca www.example.com accounts.zoho.com.evil.example nonesuch.zoho.com"
		for _, host := range strings.Fields(strangers) {
			if _, err := client.Get("https://" + host + "/"); err == nil {
				t.Errorf("%s: got an answer, want a failed handshake", host)
			}
		}
	}
}

// On HTTP/2 connection faults hit the stream.
func TestFaultsOverHTTP2(t *testing.T) {
	a := newApp(t, zohosim.Options{})
	addr, caFile, stop := a.StartTLS(t.TempDir())
	defer stop()
	client := tlsClient(t, addr, caFile, true)
	post := func() (*http.Response, error) {
		r, _ := http.NewRequest("POST", "https://desk.zoho.com/api/v1/tickets",
			strings.NewReader(strings.Repeat(" ", 5000)+"{}"))
		r.Header.Set("Authorization", "Zoho-oauthtoken "+a.access)
		return client.Do(r)
	}
	for _, kind := range []string{"reset", "lost"} {
		a.fault(zohosim.Fault{Where: "desk", Kind: kind, Count: 1})
		if res, err := post(); err == nil {
			t.Errorf("%s: got %d, want an error", kind, res.StatusCode)
		}
	}
	for _, mode := range []string{"discard", "close"} {
		a.fault(zohosim.Fault{Where: "desk", Kind: "midupload", Mode: mode, Count: 1})
		res, err := post()
		if err != nil {
			t.Fatalf("midupload, %s: %v", mode, err)
		}
		if got := bodyOf(t, res); got != a.Refusal("desk", "dead").Body {
			t.Errorf("midupload, %s: got %q", mode, got)
		}
	}
	res, err := post()
	if err != nil {
		t.Fatal(err)
	}
	wantStatus(t, res, 200)
	a.want(a.Stats().Writes["desk/tickets"], 2) // the lost one, and the last
}

func TestListenErrors(t *testing.T) {
	sim := newSim(zohosim.Options{})
	if _, _, err := sim.ListenHTTP("127.0.0.1:-1"); err == nil {
		t.Error("plain: got no error")
	}
	if _, _, _, err := sim.ListenTLS("127.0.0.1:-1", filepath.Join(t.TempDir(), "ca.pem")); err == nil {
		t.Error("TLS: got no error")
	}
	if _, _, _, err := sim.ListenTLS("127.0.0.1:0", filepath.Join(t.TempDir(), "no", "ca.pem")); err == nil {
		t.Error("CA file: got no error")
	}
	mustPanic(t, func() { sim.StartTLS(filepath.Join(t.TempDir(), "no")) })
}

// TestReason: hosts for files say in the status line of HTTP/1.1 why they refuse, and speak nothing else.
func TestReason(t *testing.T) {
	sim := newSim(zohosim.Options{})
	addr, caFile, stop := sim.StartTLS(t.TempDir())
	defer stop()
	narrow := sim.AccessToken(sim.Grant(clientID, "", "", "ZohoCRM.modules.ALL"))
	for _, tt := range []struct{ method, target, access, want string }{
		{"GET", "https://download.zoho.com/v1/workdrive/download/1", "1000.dead", "401 INVALID_OAUTHTOKEN"},
		{"HEAD", "https://download.zoho.com/v1/workdrive/download/1", "1000.dead", "401 INVALID_OAUTHTOKEN"},
		{"POST", "https://upload.zoho.eu/workdrive-api/v1/stream/upload", "1000.dead", "401 INVALID_OAUTHTOKEN"},
		{"GET", "https://files.zoho.sa/v1/workdrive/download/1", "1000.dead", "401 INVALID_OAUTHTOKEN"},
		{"GET", "https://download.zoho.com/v1/workdrive/download/1", narrow, "401 INVALID_OAUTHSCOPE"},
		{"GET", "https://www.zohoapis.com/workdrive/api/v1/files/1", "1000.dead", "401 Unauthorized"},
	} {
		for _, h2 := range []bool{false, true} {
			req, err := http.NewRequest(tt.method, tt.target, strings.NewReader(strings.Repeat("x", 1<<20)))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Zoho-oauthtoken "+tt.access)
			res, err := tlsClient(t, addr, caFile, h2).Do(req)
			if err != nil {
				t.Errorf("%s %s, HTTP/2 %v: %v", tt.method, tt.target, h2, err)
				continue
			}
			overHTTP2 := h2 && tt.want == "401 Unauthorized"
			if got := strings.TrimSpace(res.Status); overHTTP2 && got == "401" {
				res.Status = tt.want // it has no phrase
			}
			if body := bodyOf(t, res); res.Status != tt.want || (res.ProtoMajor == 2) != overHTTP2 || (body == "") != (tt.method == "HEAD") {
				t.Errorf("%s %s: got %q over %s and %q, want %q", tt.method, tt.target, res.Status, res.Proto, body, tt.want)
			}
		}
	}
}
