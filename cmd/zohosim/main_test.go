package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// What is printed can be used as it is, and the end of the context ends the program.
func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, in := io.Pipe()
	done := make(chan error, 1)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	go func() {
		done <- run(ctx, []string{
			"-address", "127.0.0.1:0", "-tls-address", "localhost:0", "-ca-file", caFile,
			"-client-id", "1000.X", "-client-secret", "s", "-refresh-token", "1000.fixed.token",
			"-token-life", "30s", "-redirect-uri", "http://localhost/cb", "-data-center", "eu",
		}, in, io.Discard)
		in.Close()
	}()
	printed := bufio.NewScanner(out)
	var base string
	for printed.Scan() {
		line := printed.Text()
		if m := regexp.MustCompile(`^export ZOHO_DATA_CENTER="(http://\S+) http://\S+"$`).FindStringSubmatch(line); m != nil {
			base = m[1]
		}
		if strings.HasPrefix(line, "#     simulator ") && !strings.HasSuffix(line, " "+caFile) {
			t.Errorf("got %q, want the CA file at its end", line)
		}
		if strings.HasPrefix(line, "# control API") {
			break
		}
	}
	res, err := http.Post(base+"/oauth/v2/token?grant_type=refresh_token&client_id=1000.X&client_secret=s&refresh_token=1000.fixed.token", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if !strings.Contains(string(body), `"api_domain":"`+base+`"`) ||
		!strings.Contains(string(body), `"expires_in":30`) {
		t.Errorf("got %s, want a token", body)
	}
	cancel()
	for printed.Scan() {
		if got, want := printed.Text(), "# 1 token requests"; got != want {
			t.Errorf("at the end: got %q, want %q", got, want)
		}
	}
	if err := <-done; err != nil {
		t.Errorf("got %v, want a clean end", err)
	}
}

func TestFlags(t *testing.T) {
	for _, tt := range []struct {
		args string
		want string
	}{
		{"-address 0.0.0.0:1", "not a loopback address"},
		{"-tls-address :1", "not a loopback address"},
		{"-address nonsense", "not a loopback address"},
		{"-address= -tls-address=", "nothing to listen on"},
		{"-consent maybe", "consent"},
		{"-data-center mars", "data center"},
		{"-variant nonesuch", "variant"},
		{"extra", "unexpected argument"},
		{"-address 127.0.0.1:-1", "invalid port"},
	} {
		err := run(t.Context(), strings.Fields(tt.args), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.args, err, tt.want)
		}
	}
	if _, err := parse([]string{"-any-address", "-address", "0.0.0.0:1"}, io.Discard); err != nil {
		t.Errorf("any address: got %v", err)
	}
}

// The help names every flag, command and kind of fault.
func TestHelp(t *testing.T) {
	var help strings.Builder
	if err := run(t.Context(), []string{"-help"}, io.Discard, &help); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("got %v, want ErrHelp", err)
	}
	words := []string{
		"-client-id", "-max-tokens", "GET stats", "expire", "revoke-access", "evict", "fault", "clear", "limits", "answer",
		"grant", "token ", "code ", "reset",
	}
	for _, word := range append(words, zohosim.FaultKinds()...) {
		if !strings.Contains(help.String(), word) {
			t.Errorf("help lacks %q", word)
		}
	}
}
