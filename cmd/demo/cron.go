package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// cron is a job that somebody wrote with care: a failure leaves the token as it is.
type cron struct {
	*stage
	refused int // runs that got no token
	loaded  int // configurations so far
}

func withCron(ctx context.Context, life time.Duration, play func(context.Context, *cron) (string, error)) (string, error) {
	s, err := newSimulator(zohosim.Options{TokenLife: life}, &clock{moved: true, start: time.Now()})
	if err != nil {
		return "", err
	}
	defer s.close()
	c := &cron{stage: s}
	config := filepath.Join(s.dir, "Caddyfile")
	if err := os.WriteFile(config, c.config(c.fetch()), 0o600); err != nil {
		return "", err
	}
	if err := s.startCaddy(ctx, config); err != nil {
		return "", err
	}
	return play(ctx, c)
}

// config is the next configuration, which names itself at /zoho-health.
func (c *cron) config(token string) []byte {
	c.loaded++
	return fmt.Appendf(nil, "http://:{$ZOHO_PORT} {\nbind 127.0.0.1\nrespond /zoho-health %q\nreverse_proxy %s {\nheader_up Authorization %q\n}\n}\n",
		c.name(), c.simURL, "Zoho-oauthtoken "+token)
}

func (c *cron) name() string { return fmt.Sprint("configuration ", c.loaded) }

// fetch asks for a token, "" if there is none to be had.
func (c *cron) fetch() string {
	asked := c.clock.now()
	res, err := http.PostForm(c.simURL+"/oauth/v2/token", url.Values{"grant_type": {"refresh_token"},
		"client_id": {clientID}, "client_secret": {clientSecret}, "refresh_token": {c.grant}})
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	var reply struct {
		AccessToken string `json:"access_token"`
	}
	_ = json.NewDecoder(res.Body).Decode(&reply)
	if reply.AccessToken != "" {
		c.asked = asked
	}
	return reply.AccessToken
}

// run is the job.
func (c *cron) run(ctx context.Context) error {
	token := c.fetch()
	if token == "" {
		c.refused++
		return nil
	}
	if err := c.reload(ctx, string(c.config(token))); err != nil {
		return err
	}
	return c.changeOver(ctx)
}

// reload loads a configuration. The admin endpoint of the one before, which is about to stop, may
// take the call and cut it.
func (c *cron) reload(ctx context.Context, config string) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.admin+"/load", strings.NewReader(config))
		if err != nil {
			return err
		}
		req.Close = true
		req.Header.Set("Content-Type", "text/caddyfile")
		res, err := http.DefaultClient.Do(req)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			continue
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			text, _ := io.ReadAll(res.Body)
			return fmt.Errorf("reload: %s", text)
		}
		return nil
	}
}

// changeOver has the app go on by a connection to the configuration that was loaded last. For
// a moment the one before may answer as well, or cut a connection, which is not counted here.
func (c *cron) changeOver(ctx context.Context) error {
	for {
		c.app.CloseIdleConnections()
		if _, answer, err := c.send(ctx, http.MethodGet, "/zoho-health", "", ""); err == nil && string(answer) == c.name() {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
