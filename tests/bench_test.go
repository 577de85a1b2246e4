// What the proxy costs beside a plain reverse_proxy: benchmarks, and allocations that may not grow.

package tests

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"
)

// sites are, in this process, a plain reverse_proxy that sets a fixed token, and
// zoho_proxy, in front of the same server with the same pool: what differs between
// them is ours.
type sites struct {
	plain, zoho, unkept string
	client              *http.Client
}

const comparedSites = `{
	admin off
	persist_config off
	auto_https off
	log {
		output discard
	}
	zoho {
		store bolt %[4]s
		client main {
			data_center %[3]s %[3]s
			client_id insecure_literal 1000.ID
			client_secret insecure_literal secret
			refresh_token insecure_literal 1000.refresh
		}
	}
}
http://:%[1]s {
	bind 127.0.0.1
	reverse_proxy %[3]s {
		header_up Authorization "Zoho-oauthtoken 1000.0123456789abcdef0123456789abcdef.0123456789abcdef0123456789abcdef"
		transport http {
			keepalive_idle_conns_per_host 512
			compression off
			dial_timeout 5s
			response_header_timeout 5m
			expect_continue_timeout 1s
		}
	}
}
http://:%[2]s {
	bind 127.0.0.1
	zoho_proxy
}
http://:%[5]s {
	bind 127.0.0.1
	zoho_proxy {
		replay_buffer 1MiB 0
	}
}
`

// startSites loads both into this process.
func startSites(tb testing.TB) *sites {
	tb.Helper()
	answer := bytes.Repeat([]byte("x"), 1024)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth/v2/token" {
			_, _ = io.WriteString(w, `{"access_token":"1000.0123456789abcdef0123456789abcdef.0123456789abcdef0123456789abcdef","expires_in":3600}`)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(answer)
	}))
	tb.Cleanup(server.Close)
	plain, zoho, unkept := freePort(tb), freePort(tb), freePort(tb)
	load(tb, fmt.Sprintf(comparedSites, plain, zoho, server.URL, tb.TempDir(), unkept))
	s := &sites{plain: "http://127.0.0.1:" + plain, zoho: "http://127.0.0.1:" + zoho, unkept: "http://127.0.0.1:" + unkept,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true}}}
	for _, url := range []string{s.plain, s.zoho, s.unkept} {
		for range 50 {
			s.call(tb, url, nil)
		}
	}
	return s
}

func (s *sites) call(tb testing.TB, url string, body []byte) {
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequest(method, url+"/crm/v8/Leads?page=1", bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	res, err := s.client.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer res.Body.Close()
	if n, err := io.Copy(io.Discard, res.Body); err != nil || n != 1024 || res.StatusCode != http.StatusOK {
		tb.Fatal(res.Status, n, err)
	}
}

// TestAllocationsEndToEnd: a call costs at most two allocations more than through
// plain reverse_proxy. Both are counted in this process, client and server included.
func TestAllocationsEndToEnd(t *testing.T) {
	s := startSites(t)
	// The lowest of several runs: what other goroutines allocate only adds.
	plain, zoho := 1e9, 1e9
	for round := 0; round < 5 || round < 50 && zoho > plain+2.5; round++ {
		plain = min(plain, s.allocations(t, s.plain))
		zoho = min(zoho, s.allocations(t, s.zoho))
	}
	t.Logf("allocations a call: plain reverse_proxy %.1f, zoho_proxy %.1f", plain, zoho)
	if zoho > plain+2.5 {
		t.Errorf("zoho_proxy takes %.1f allocations a call, plain reverse_proxy %.1f", zoho, plain)
	}
}

func (s *sites) allocations(t *testing.T, url string) float64 {
	const calls = 500
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		s.call(t, url, nil)
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / calls
}

// BenchmarkEndToEnd compares calls; only the ratio within one run counts.
func BenchmarkEndToEnd(b *testing.B) {
	s := startSites(b)
	for _, site := range []struct{ name, url string }{{"plain", s.plain}, {"zoho", s.zoho}} {
		b.Run(site.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.call(b, site.url, nil)
			}
		})
	}
}

// BenchmarkUpload compares uploads below and above what is kept in memory, and those that are
// not kept at all. They take turns, so that what else the machine does hits all alike; what
// counts is the ratio of processor time.
func BenchmarkUpload(b *testing.B) {
	s := startSites(b)
	ways := []struct{ name, url string }{{"plain", s.plain}, {"kept", s.zoho}, {"unkept", s.unkept}}
	for _, size := range []int{512 << 10, 32 << 20} {
		body := bytes.Repeat([]byte("0123456789abcdef"), size/16)
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			spent := make([]time.Duration, len(ways))
			for b.Loop() {
				for i, way := range ways {
					before := processorTime(b)
					s.call(b, way.url, body)
					spent[i] += processorTime(b) - before
				}
			}
			for i, way := range ways {
				b.ReportMetric(float64(spent[i].Microseconds())/float64(b.N), way.name+"-µs")
			}
			b.ReportMetric(float64(spent[2])/float64(spent[1]), "unkept/kept")
			b.ReportMetric(float64(spent[0])/float64(spent[1]), "plain/kept")
		})
	}
}
