// Command zohosim runs a Zoho to test against, on a loopback address: accounts servers, resource
// servers and faults on demand. It prints what a client needs to know. See package zohosim.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "zohosim:", err)
		os.Exit(1)
	}
}

// config is what the flags say.
type config struct {
	address, tlsAddress, caFile string
	anyAddress                  bool
	clientID, clientSecret      string
	refreshToken                string
	dataCenter, user, scopes    string
	redirectURIs                string
	options                     zohosim.Options
}

// parse reads the flags. The defaults are what a newcomer needs: one client, one grant for everything,
// Zoho's own limits.
func parse(args []string, stderr io.Writer) (config, error) {
	var c config
	f := flag.NewFlagSet("zohosim", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(stderr, usage)
		f.PrintDefaults()
		fmt.Fprint(stderr, controlHelp)
	}
	f.StringVar(&c.address, "address", "127.0.0.1:8900", "plain HTTP, one data center at one origin; empty: off")
	f.StringVar(&c.tlsAddress, "tls-address", "127.0.0.1:8943", "TLS for every host name of Zoho's; empty: off")
	f.StringVar(&c.caFile, "ca-file", "zohosim-ca.pem", "where to write the CA's certificate, new at each start")
	f.BoolVar(&c.anyAddress, "any-address", false,
		"allow addresses other than loopback: anyone who reaches them controls the simulator")
	f.StringVar(&c.clientID, "client-id", "1000.SIMULATEDCLIENT", "the client")
	f.StringVar(&c.clientSecret, "client-secret", "simulated-secret", "its secret")
	f.StringVar(&c.refreshToken, "refresh-token", "", "its refresh token; empty: a new one")
	f.StringVar(&c.redirectURIs, "redirect-uri", "", "its redirect URIs, separated by commas; empty: any")
	f.StringVar(&c.scopes, "scopes", "", "the scopes that are granted; empty: all")
	f.StringVar(&c.user, "user", "", "who granted it, and who uses the browser")
	f.StringVar(&c.dataCenter, "data-center", "us", "the data center of the grant")
	o := &c.options
	f.StringVar(&o.Consent, "consent", zohosim.ConsentPage, "what the authorization page does: page, auto or deny")
	f.DurationVar(&o.TokenLife, "token-life", time.Hour, "lifetime of an access token")
	f.IntVar(&o.MaxTokens, "max-tokens", 10, "token requests per refresh token and window; negative: unlimited")
	f.DurationVar(&o.TokenWindow, "token-window", 10*time.Minute, "that window")
	f.IntVar(&o.MaxLive, "max-live", 10, "live access tokens of a refresh token; negative: unlimited")
	f.IntVar(&o.MaxGrants, "max-grants", 20, "refresh tokens of a user and client; negative: unlimited")
	names := strings.Join(zohosim.Variants(), ", ")
	f.Func("variant", "use another answer that was observed at Zoho; may be repeated: "+names, func(s string) error {
		o.Variants = append(o.Variants, s)
		return nil
	})
	if err := f.Parse(args); err != nil {
		return c, err
	}
	o.DataCenter, o.User = c.dataCenter, c.user
	return c, c.check(f.Args())
}

// check refuses what would listen nowhere, or where others could take control.
func (c *config) check(rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("unexpected argument %q", rest[0])
	}
	if c.address == "" && c.tlsAddress == "" {
		return errors.New("nothing to listen on: set -address or -tls-address")
	}
	for _, address := range []string{c.address, c.tlsAddress} {
		if address != "" && !c.anyAddress && !loopback(address) {
			return fmt.Errorf("%s is not a loopback address, "+
				"and the control API has no authentication (-any-address allows it)", address)
		}
	}
	return c.options.Check()
}

// loopback reports whether an address can be reached from this machine alone.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// run serves until ctx ends, and then says how many token requests there were.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, err := parse(args, stderr)
	if err != nil {
		return err
	}
	sim := zohosim.New(c.options)
	client := zohosim.Client{ID: c.clientID, Secret: c.clientSecret, SelfClient: true}
	if c.redirectURIs != "" {
		client.RedirectURIs = strings.Split(c.redirectURIs, ",")
	}
	sim.AddClient(client)
	c.refreshToken = sim.GrantAs(zohosim.GrantSpec{
		ClientID: c.clientID, Scopes: []string{c.scopes}, RefreshToken: c.refreshToken,
	})
	var base, secure string
	if c.address != "" {
		var stop func()
		if base, stop, err = sim.ListenHTTP(c.address); err != nil {
			return err
		}
		defer stop()
	}
	if c.tlsAddress != "" {
		var stop func()
		if secure, _, stop, err = sim.ListenTLS(c.tlsAddress, c.caFile); err != nil {
			return err
		}
		defer stop()
	}
	fmt.Fprint(stdout, c.announcement(base, secure))
	<-ctx.Done()
	fmt.Fprintf(stdout, "# %d token requests\n", sim.Stats().TokenRequests)
	return nil
}

// announcement is what to copy: the environment for Caddyfile.example, and the lines of the Caddyfile.
func (c *config) announcement(base, secure string) string {
	var b strings.Builder
	dataCenter := c.dataCenter
	if base != "" {
		dataCenter = base + " " + base
		fmt.Fprintf(&b, "# plain HTTP at %s\n", base)
	}
	fmt.Fprintf(&b, "export ZOHO_DATA_CENTER=%q\n", dataCenter)
	fmt.Fprintf(&b, "export ZOHO_CLIENT_ID=%q\n", c.clientID)
	fmt.Fprintf(&b, "export ZOHO_CLIENT_SECRET=%q\n", c.clientSecret)
	fmt.Fprintf(&b, "export ZOHO_REFRESH_TOKEN=%q\n", c.refreshToken)
	if secure != "" {
		fmt.Fprintf(&b, "\n# TLS for Zoho's host names at %s; in the Caddyfile, in the client's block:\n", secure)
		fmt.Fprintf(&b, "#     data_center %s\n#     simulator %s %s\n", c.dataCenter, secure, c.caFile)
		fmt.Fprintf(&b, "# curl --cacert %s --connect-to ::%s https://accounts.zoho.com/oauth/serverinfo\n",
			c.caFile, secure)
	}
	if base != "" {
		fmt.Fprintf(&b, "\n# a self client's code, for `caddy zoho connect --self-client`: "+
			"curl -d '{}' %s/_sim/code\n", base)
		fmt.Fprintf(&b, "# control API: curl %s/_sim/stats; curl -d '{}' %[1]s/_sim/expire\n", base)
	}
	return b.String()
}
