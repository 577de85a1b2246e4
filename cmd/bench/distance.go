package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// distance compares calls to a server far away with the same calls through a proxy on this machine,
// whose connections stay open.
type distance struct {
	calls    int
	silences []time.Duration
}

var trips = []time.Duration{20 * time.Millisecond, 40 * time.Millisecond, 120 * time.Millisecond}

func (d *distance) addSilence(text string) error {
	silence, err := time.ParseDuration(text)
	if err == nil && silence <= 0 {
		err = fmt.Errorf("%s is not an idle time", text)
	}
	d.silences = append(d.silences, silence)
	return err
}

func (d *distance) measure(ctx context.Context) error {
	fmt.Printf("%d calls of each kind, TLS to the server, medians and 99th percentiles in ms\n\n", d.calls)
	fmt.Println("| round trip | call | a connection for each call: direct | through the proxy | times faster | a kept connection: direct | through the proxy |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- |")
	for _, trip := range trips {
		if err := d.away(ctx, trip); err != nil {
			return err
		}
	}
	return nil
}

// away measures at one distance.
func (d *distance) away(ctx context.Context, trip time.Duration) error {
	dir, err := os.MkdirTemp("", "caddy-zoho-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	zoho := zohosim.New(zohosim.Options{})
	zoho.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret})
	grant := zoho.Grant(clientID, "bench@example.com", "us", "ZohoCRM.modules.ALL")
	address, ca, stop := zoho.StartTLS(dir)
	defer stop()
	far, err := startRelay(address, trip)
	if err != nil {
		return err
	}
	defer far.Close()
	proxy, err := caddy{dir, fmt.Sprintf(`zoho {
		store bolt %s
		client main {
			data_center   us
			client_id     {env.ZOHO_CLIENT_ID}
			client_secret {env.ZOHO_CLIENT_SECRET}
			refresh_token {env.ZOHO_REFRESH_TOKEN}
			simulator     %s %s
		}
	}`, dir+"/store", far.Addr(), ca), "zoho_proxy", []string{"ZOHO_REFRESH_TOKEN=" + grant}}.start(ctx)
	if err != nil {
		return err
	}
	defer proxy.stop()

	direct, err := directWay(far.Addr().String(), ca, grant)
	if err != nil {
		return err
	}
	return d.compare(ctx, trip, direct, &way{url: proxy.url + leads, client: &http.Client{Transport: new(http.Transport)}})
}

// compare makes the calls by both ways.
func (d *distance) compare(ctx context.Context, trip time.Duration, direct, through *way) error {
	ways := []*way{direct.once(), through.once(), direct, through}
	for _, w := range ways {
		if _, err := w.call(ctx, http.MethodGet); err != nil {
			return err
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		took := make([]series, len(ways))
		for range d.calls {
			for i, w := range ways { // in turn, so that what else the machine does hits all alike
				t, err := w.call(ctx, method)
				if err != nil {
					return err
				}
				took[i] = append(took[i], float64(t)/float64(time.Millisecond))
			}
		}
		fmt.Printf("| %d ms | %s | %s | %s | **%.1f** | %s | %s |\n", trip.Milliseconds(), method,
			took[0].text(), took[1].text(), took[0].median()/took[1].median(), took[2].text(), took[3].text())
	}
	for _, silence := range d.silences {
		select {
		case <-time.After(silence):
		case <-ctx.Done():
			return ctx.Err()
		}
		first, err := through.once().call(ctx, http.MethodGet)
		if err != nil {
			return err
		}
		fmt.Printf("| %d ms | GET after %s of silence | | %d | | | |\n", trip.Milliseconds(), silence, first.Milliseconds())
	}
	return nil
}

const leads = "/crm/v8/Leads?per_page=3"

// way is how a script calls.
type way struct {
	url, authorization string
	client             *http.Client
}

// directWay is without the proxy, by a token that the script has fetched.
func directWay(address, ca, grant string) (*way, error) {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	w := &way{url: "https://www.zohoapis.com" + leads, client: &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		},
	}}}
	res, err := w.client.PostForm("https://accounts.zoho.com/oauth/v2/token", url.Values{"grant_type": {"refresh_token"},
		"client_id": {clientID}, "client_secret": {clientSecret}, "refresh_token": {grant}})
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var reply struct {
		AccessToken string `json:"access_token"`
	}
	err = json.NewDecoder(res.Body).Decode(&reply)
	w.authorization = "Zoho-oauthtoken " + reply.AccessToken
	return w, err
}

// once is the way of a script that opens a connection for each call.
func (w *way) once() *way {
	transport := w.client.Transport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	return &way{w.url, w.authorization, &http.Client{Transport: transport}}
}

// call makes a call and says how long it took.
func (w *way) call(ctx context.Context, method string) (time.Duration, error) {
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(`{"data":[{"Last_Name":"Bench"}]}`)
	}
	req, err := http.NewRequestWithContext(ctx, method, w.url, body)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if w.authorization != "" {
		req.Header.Set("Authorization", w.authorization)
	}
	begun := time.Now()
	res, err := w.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s %s", method, w.url, res.Status, bytes.TrimSpace(said))
	}
	return time.Since(begun), err
}
