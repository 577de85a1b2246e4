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
}

func withCron(ctx context.Context, life time.Duration, play func(context.Context, *cron) (string, error)) (string, error) {
	s, err := newSimulator(zohosim.Options{TokenLife: life})
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

func (c *cron) config(token string) []byte {
	return fmt.Appendf(nil, "http://:{$ZOHO_PORT} {\nbind 127.0.0.1\nrespond /zoho-health 200\nreverse_proxy %s {\nheader_up Authorization %q\n}\n}\n",
		c.simURL, "Zoho-oauthtoken "+token)
}

// fetch asks for a token, "" if there is none to be had.
func (c *cron) fetch() string {
	asked := time.Now()
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
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.admin+"/load", strings.NewReader(string(c.config(token))))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/caddyfile")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		return fmt.Errorf("reload: %s", text)
	}
	c.app.CloseIdleConnections() // a reload cuts them, which is not counted here
	return nil
}
