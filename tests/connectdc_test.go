package tests

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestUserOfAnotherDataCenter: consent begins at home, and the code comes back with the
// server of the user's own data center. It is exchanged there, with the secret that is
// good there, and that is where the connection lives from then on.
func TestUserOfAnotherDataCenter(t *testing.T) {
	t.Parallel()
	server := zohosim.New(zohosim.Options{Consent: zohosim.ConsentAuto, UserDataCenter: "eu"})
	client := zohosim.Client{ID: clientID, Secret: clientSecret, Secrets: map[string]string{"eu": "secret-of-europe"}}
	server.AddClient(client)
	addr, ca, stop := server.StartTLS(t.TempDir())
	t.Cleanup(stop)
	zoho := tlsClient(t, addr, ca)
	connect := func(c *proxy, account string) answer {
		t.Helper()
		var started struct{ URL, State string }
		c.adminCall(http.MethodPost, "/zoho/connections/main/"+account+"/connect", "").decode(t, &started)
		consent, err := readAnswer(zoho.Get(started.URL))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := json.Marshal(map[string]string{"state": started.State, "callback": consent.Header.Get("Location")})
		return c.adminCall(http.MethodPost, "/zoho/connections/main/"+account+"/connect", string(body))
	}
	start := func(centers, more string) *proxy {
		c := newCaddy(t, onboarding, "ZOHO_DATA_CENTER="+centers, "ZOHO_CONNECT_OPTIONS=", "ZOHO_EU_SECRET=secret-of-europe",
			"ZOHO_CLIENT_OPTIONS=simulator "+addr+" "+ca+"\nredirect_uri http://localhost:1/callback\n"+more)
		c.secrets = append(c.secrets, "secret-of-europe")
		c.start()
		return c
	}

	c := start("us eu", "client_secret eu {env.ZOHO_EU_SECRET}")
	if a := connect(c, "anna"); a.StatusCode != http.StatusOK || !strings.Contains(string(a.body), `"data_center":"eu"`) {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	for _, restarted := range []bool{false, true} {
		if restarted {
			c.stop()
			c.start()
		}
		for _, path := range []string{"/crm/_echo", "/desk/api/_echo"} {
			a := c.get(path, "Zoho-Proxy-Account", "anna")
			if a.StatusCode != http.StatusOK || !strings.Contains(string(a.body), ".zohoapis.eu") && !strings.Contains(string(a.body), ".zoho.eu") {
				t.Errorf("restarted %v, %s: %s %s", restarted, path, a.Status, a.body)
			}
		}
	}
	if info := c.connections("").Connections[0]; info.DataCenter != "eu" {
		t.Errorf("%+v", info)
	}

	// What can be wrong with it, each in its own words.
	for name, test := range map[string]struct{ centers, more, says string }{
		"not listed":     {"us", "", "is in the data center eu, which client main does not have"},
		"another secret": {"us eu", "", "each data center has its own"},
	} {
		t.Run(name, func(t *testing.T) {
			if a := connect(start(test.centers, test.more), "anna"); a.StatusCode < 400 || !strings.Contains(string(a.body), test.says) {
				t.Errorf("%s %s", a.Status, a.body)
			}
		})
	}
	t.Run("not enabled", func(t *testing.T) {
		client.DataCenters = []string{"us"}
		server.AddClient(client)
		if a := connect(c, "anna"); a.StatusCode < 400 || !strings.Contains(string(a.body), "not enabled") {
			t.Errorf("%s %s", a.Status, a.body)
		}
	})
}

// tlsClient takes Zoho's names to the simulator, as a browser would be led to Zoho.
func tlsClient(t *testing.T, addr, caFile string) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: noRedirects.CheckRedirect}
}
