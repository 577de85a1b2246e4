package zohosim_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// send makes a request over a real connection.
func send(t *testing.T, method, target, access string, body io.Reader, header ...string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if access != "" {
		r.Header.Set("Authorization", "Zoho-oauthtoken "+access)
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return client.Do(r)
}

func TestConnectionFaults(t *testing.T) {
	for _, tt := range []struct {
		kind, mode string
		executed   int
		check      func(t *testing.T, res *http.Response, err error)
	}{
		{"reset", "", 0, wantReset},
		{"lost", "", 1, wantReset},
		{"truncated", "cut", 1, func(t *testing.T, res *http.Response, err error) {
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(res.Body)
			if !errors.Is(err, io.ErrUnexpectedEOF) || int64(len(b)) != res.ContentLength/2 {
				t.Errorf("got %d of %d bytes, %v, want half and an unexpected EOF", len(b), res.ContentLength, err)
			}
		}},
		{"truncated", "", 1, func(t *testing.T, res *http.Response, err error) {
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(res.Body); err != nil || len(b) == 0 || strings.HasSuffix(string(b), "}") {
				t.Errorf("got %q, %v, want half of the JSON", b, err)
			}
		}},
		{"drip", "", 1, func(t *testing.T, res *http.Response, err error) {
			if err != nil {
				t.Fatal(err)
			}
			decode(t, bodyOf(t, res))
		}},
		{"slow", "", 1, func(t *testing.T, res *http.Response, err error) {
			if err != nil {
				t.Fatal(err)
			}
			decode(t, bodyOf(t, res))
		}},
	} {
		t.Run(tt.kind+tt.mode, func(t *testing.T) {
			a := newApp(t, zohosim.Options{})
			base := start(t, a.Server)
			a.fault(zohosim.Fault{Where: "books", Kind: tt.kind, Mode: tt.mode, Millis: 1, Bytes: 64, Count: 1})
			res, err := send(t, "POST", base+"/books/v3/items", a.access,
				strings.NewReader(`{"name":"`+strings.Repeat("x", 300)+`"}`), "X-Test-Id", "one")
			tt.check(t, res, err)
			a.want(a.Stats().Executed["one"], tt.executed)
		})
	}
}

func wantReset(t *testing.T, res *http.Response, err error) {
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
		t.Errorf("got %v, %v, want a reset", res, err)
	}
}

// Who hangs up is noticed; who waits goes on when the fault is cleared.
func TestHang(t *testing.T) {
	a := newApp(t, zohosim.Options{})
	base := start(t, a.Server)
	refreshToken := a.Grant(clientID, "", "")
	a.fault(zohosim.Fault{Where: "accounts", Kind: "hang"})
	form := base + "/oauth/v2/token?" + refreshForm(refreshToken).Encode()

	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "POST", form, nil)
	done := make(chan error)
	go func() {
		_, err := http.DefaultClient.Do(r)
		done <- err
	}()
	waitFor(t, func() bool { return a.Stats().Faults["accounts/hang"] == 1 })
	cancel()
	if err := <-done; err == nil {
		t.Error("got an answer, want none")
	}
	waitFor(t, func() bool { return a.Stats().TokenResults["fault:hang"] == 1 })

	go func() {
		res, err := send(t, "POST", form, "", nil)
		if err == nil && res.StatusCode != 200 {
			err = errors.New(res.Status)
		}
		done <- err
	}()
	waitFor(t, func() bool { return a.Stats().Faults["accounts/hang"] == 2 })
	a.ClearFaults("accounts")
	if err := <-done; err != nil {
		t.Errorf("after clearing: %v", err)
	}
	a.want(a.Stats().TokenResults["ok"], 1)
}

func TestHugeAndBomb(t *testing.T) {
	a := newApp(t, zohosim.Options{})
	base := start(t, a.Server)
	a.fault(zohosim.Fault{Where: "accounts", Kind: "huge", Bytes: 3<<20 + 1, Count: 1})
	res, err := send(t, "POST", base+"/oauth/v2/token?grant_type=refresh_token", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(bodyOf(t, res)); got < 3<<20 || got > 3<<20+100 {
		t.Errorf("huge: got %d bytes", got)
	}
	a.fault(zohosim.Fault{Where: "crm", Kind: "bomb", Bytes: 8 << 20, Count: 1})
	res, err = send(t, "GET", base+leadsPath, a.access, nil)
	if err != nil {
		t.Fatal(err)
	}
	packed := bodyOf(t, res)
	z, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, z)
	if n != 8<<20 || err != nil || len(packed) > 64<<10 || res.StatusCode != 401 {
		t.Errorf("bomb: got %d from %d bytes, %v, status %d", n, len(packed), err, res.StatusCode)
	}
}

// slowBody is a body whose second half is held back until the answer is there.
type slowBody struct {
	first  *bytes.Reader
	answer <-chan struct{}
	second *bytes.Reader
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.first.Len() > 0 {
		return b.first.Read(p)
	}
	<-b.answer
	return b.second.Read(p)
}

func TestMidUpload(t *testing.T) {
	for _, mode := range []string{"discard", "close", "reset"} {
		t.Run(mode, func(t *testing.T) {
			a := newApp(t, zohosim.Options{})
			base := start(t, a.Server)
			a.fault(zohosim.Fault{Where: "desk", Kind: "midupload", Mode: mode, Bytes: 1000, Count: 1})
			answered := make(chan struct{})
			body := &slowBody{bytes.NewReader(make([]byte, 2000)), answered, bytes.NewReader(make([]byte, 2000))}
			res, err := send(t, "POST", base+"/desk/api/v1/tickets/1/attachments", a.access, body, "X-Test-Id", "up")
			close(answered)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(res.Body); string(got) != a.Refusal("desk", "dead").Body ||
				res.StatusCode != 401 || err != nil {
				t.Errorf("got %d %q, %v, want Desk's refusal while the body was under way", res.StatusCode, got, err)
			}
			st := a.Stats()
			a.want(st.Refusals["desk/dead"], 1)
			a.want(st.Executed["up"], 0)
		})
	}
}

// waitFor waits until something has happened on another goroutine.
func waitFor(t *testing.T, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !happened(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("it never happened")
		}
	}
}
