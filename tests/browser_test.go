package tests

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-rod/rod"
	"github.com/go-rod/rod/lib/cdp"
	"github.com/go-rod/rod/lib/launcher"
	"github.com/go-rod/rod/lib/proto"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// startChromium starts a real browser.
func startChromium(t *testing.T) *rod.Browser {
	t.Helper()
	l := launcher.New().Bin(tool(t, "chromium")).Leakless(false).NoSandbox(true).UserDataDir(t.TempDir()).Set("disable-dev-shm-usage")
	control, err := l.Launch()
	if err != nil {
		t.Fatalf("chromium does not start: %v", err)
	}
	t.Cleanup(l.Kill)
	return rod.New().ControlURL(control).MustConnect()
}

// window is one of a browser, used as a person does.
type window struct {
	t *testing.T
	*rod.Page
}

func newWindow(t *testing.T, b *rod.Browser) *window {
	page := b.MustPage().Timeout(2 * patience) // for all that is done in it
	page.MustSetViewport(800, 900, 1, false)
	return &window{t, page}
}

func (w *window) open(url string) *window {
	w.MustNavigate(url)
	w.find("body", anything)
	return w
}

// anything is a text for find.
const anything = "^"

// find waits for an element that has a text, which is a regular expression. On its way from one page to the
// next the browser says that what was looked at is gone: then it is looked for anew.
func (w *window) find(selector, text string) *rod.Element {
	w.t.Helper()
	for {
		element, err := w.ElementR(selector, text)
		if err == nil {
			err = w.WaitLoad()
		}
		if gone := new(cdp.Error); errors.As(err, &gone) {
			continue
		}
		if err != nil {
			w.t.Fatalf("%s %q: %v", selector, text, err)
		}
		return element
	}
}

// press presses the button with that text.
func (w *window) press(text string) *window {
	w.find("button", text).MustClick()
	return w
}

// heading waits for the page with that heading.
func (w *window) heading(text string) *window {
	w.find("h1", text)
	return w
}

func (w *window) says(text string) *window {
	w.find("main", text)
	return w
}

// accept consents on Zoho's page, as the user given or the one it knows.
func (w *window) accept(user string) *window {
	w.find("#accept", anything)
	if user != "" {
		w.find("input[name=user]", anything).MustSelectAllText().MustInput(user)
	}
	w.find("#accept", anything).MustClick()
	return w
}

// keep makes a picture of the page. Those in docs/ are made by
// `SCREENSHOTS=docs/screenshots go test ./tests -run TestInTheBrowser`.
func (w *window) keep(name string) *window {
	if dir := os.Getenv("SCREENSHOTS"); dir != "" {
		picture, err := w.Screenshot(true, &proto.PageCaptureScreenshot{Format: proto.PageCaptureScreenshotFormatPng})
		if err == nil {
			err = os.WriteFile(filepath.Join("..", dir, name+".png"), picture, 0o644)
		}
		if err != nil {
			w.t.Error(err)
		}
	}
	return w
}

// dark has the window prefer dark colors.
func (w *window) dark(on bool) *window {
	scheme := "light"
	if on {
		scheme = "dark"
	}
	err := proto.EmulationSetEmulatedMedia{Features: []*proto.EmulationMediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}.Call(w)
	if err != nil {
		w.t.Fatal(err)
	}
	return w
}

// TestInTheBrowser drives Chromium from the empty page through the simulator's consent
// to the first call through the proxy.
func TestInTheBrowser(t *testing.T) {
	t.Parallel()
	browser := startChromium(t)
	c, server := startOnboarding(t, zohosim.Options{})
	c.setenv("ZOHO_CLIENT_OPTIONS=redirect_uri " + c.pages() + "callback")
	c.stop()
	c.start()
	works := func(account string) {
		t.Helper()
		if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", account); a.StatusCode >= 300 {
			t.Errorf("account %s: %s %s", account, a.Status, a.body)
		}
	}
	w := newWindow(t, browser)
	begin := func(account string) *window {
		w.open(c.pages()).heading("Connections of main")
		w.find("#account", anything).MustSelectAllText().MustInput(account)
		return w.press("Go on").heading("Connect " + account)
	}

	w.open(c.pages()).heading("Connections of main").keep("empty")
	w.press("Go on").heading("Connect default").keep("before-consent").press("Ask for consent")
	w.find("#accept", anything)
	consent := w.MustInfo().URL
	w.accept("").heading("Connected").keep("connected")
	if at := w.MustInfo().URL; strings.Contains(at, "code=") || strings.Contains(at, "state=") {
		t.Errorf("the browser stays at %s", at)
	}
	works("default")

	// A second account, by a double click.
	begin("second")
	if err := w.find("button", "Ask for consent").Click(proto.InputMouseButtonLeft, 2); err != nil {
		t.Fatal(err)
	}
	w.accept("").heading("Connected")
	works("second")

	// A stale tab: Zoho's page of the first consent, whose answer was used.
	w.open(consent).accept("").heading("That did not work").says("used already").keep("used")

	// Consent is refused; what was connected stays.
	begin("default").press("Ask for consent")
	w.find("#reject", anything).MustClick()
	w.heading("That did not work").says("Consent was refused").keep("refused")
	works("default")

	// Somebody else consents: the page asks.
	begin("default").press("Ask for consent").accept("ben@example.com").heading("Somebody else than before").keep("somebody-else")
	w.press("Keep the one before").heading("Nothing was changed").says("The grant of before stays").keep("nothing-changed")
	if info := c.connections("?account=default").Connections[0]; info.User != "user@example.com" {
		t.Errorf("%s holds it", info.User)
	}

	// A customer, in a browser of his own.
	link := c.invite("main", "acme")
	customer := newWindow(t, browser.MustIncognito())
	customer.open(link).heading("Give access to your Zoho account").keep("invitation")
	customer.press("Go on to Zoho").accept("ann@customer.example").heading("Connected").keep("invited")
	works("acme")
	customer.open(link).heading("That did not work").says("was used")

	// An answer to a consent that is gone with the Caddy that began it.
	begin("third").press("Ask for consent")
	w.find("#accept", anything)
	c.stop()
	c.start()
	w.accept("").heading("That did not work").says("was forgotten").keep("forgotten")

	server.Revoke("ann@customer.example")
	server.RevokeAccess("ann@customer.example")
	wantProblem(t, c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "acme"), "grant-dead", http.StatusServiceUnavailable)
	w.open(c.pages()).heading("Connections of main").says("give consent: connect it").says("refused by Zoho").keep("connections")
	w.dark(true).open(c.pages()).heading("Connections of main").keep("connections-dark").dark(false)
	w.MustSetViewport(360, 740, 2, true)
	w.open(c.pages()).heading("Connections of main").keep("connections-phone")
	if width := w.MustEval("() => document.documentElement.scrollWidth").Int(); width > 360 {
		t.Errorf("the page is %d wide on a phone of 360", width)
	}
	if n := server.Stats().TokenResults["throttled"]; n != 0 {
		t.Errorf("%d token calls were throttled", n)
	}
}

// TestExpiredInTheBrowser: whoever has taken more than ten minutes for Zoho's page is told so,
// and nothing is exchanged. TestExpiredPage of internal/onboard shows the same by a clock of its own.
func TestExpiredInTheBrowser(t *testing.T) {
	t.Parallel()
	if os.Getenv("WAIT_FOR_EXPIRY") == "" {
		t.Skip("it takes more than ten minutes: set WAIT_FOR_EXPIRY=1")
	}
	browser := startChromium(t)
	c, server := startOnboarding(t, zohosim.Options{})
	c.setenv("ZOHO_CLIENT_OPTIONS=redirect_uri " + c.pages() + "callback")
	c.stop()
	c.start()
	w := newWindow(t, browser)
	w.open(c.pages()).press("Go on").heading("Connect default").press("Ask for consent")
	w.find("#accept", anything)
	w = &window{t, w.CancelTimeout()}
	time.Sleep(10*time.Minute + time.Second) // a consent's life: nothing else is to happen
	w = &window{t, w.Timeout(patience)}
	w.accept("").heading("That did not work").says("more than 10 minutes ago").keep("expired")
	wantTokenCalls(t, server, 0)
	if list := c.connections("").Connections; len(list) != 0 {
		t.Errorf("there is %v", list)
	}
}
