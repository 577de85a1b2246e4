package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/oauth2"
)

const token = "1000.0123456789abcdef0123456789abcdef.0123456789abcdef0123456789abcdef"

// serve serves at BENCH_PORT until ctx ends.
func serve(ctx context.Context, handler http.Handler) {
	srv := &http.Server{Addr: "127.0.0.1:" + os.Getenv("BENCH_PORT"), Handler: handler}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	_ = srv.ListenAndServe()
}

// origin answers as Zoho does, as cheaply as can be, so that it hides nothing of what is measured.
func origin() http.Handler {
	answer := append(append([]byte(`{"data":"`), bytes.Repeat([]byte("x"), 1000)...), `"}`...)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/oauth/v2/token" {
			_, _ = fmt.Fprintf(w, `{"access_token":%q,"expires_in":3600,"token_type":"Bearer"}`, token)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(answer)
	})
}

// oauth2Proxy is what a Go programmer writes in ten lines: it has no answer to a refused token.
func oauth2Proxy(origin string) http.Handler {
	to, err := url.Parse(origin)
	if err != nil {
		panic(err) // this program has made it
	}
	config := oauth2.Config{ClientID: clientID, ClientSecret: clientSecret, Endpoint: oauth2.Endpoint{TokenURL: origin + "/oauth/v2/token"}}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost, transport.DisableCompression = 512, true
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: &oauth2.Transport{
			Source: config.TokenSource(context.Background(), &oauth2.Token{RefreshToken: "1000.refresh"}),
			Base:   transport,
		},
	}
}

// nginxConfig has the token in a file, which a cron job writes anew, with a reload, before each hour is over.
const nginxConfig = `worker_processes auto;
daemon off;
pid %[1]s/nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	upstream zoho { server %[2]s; keepalive 512; }
	server {
		listen 127.0.0.1:%[3]s;
		keepalive_requests 1000000;
		location / {
			include %[1]s/token.conf;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_pass http://zoho;
		}
	}
}
`

func startNginx(ctx context.Context, dir, origin string) (*server, error) {
	if err := os.WriteFile(filepath.Join(dir, "token.conf"), fmt.Appendf(nil, "proxy_set_header Authorization \"Zoho-oauthtoken %s\";\n", token), 0o600); err != nil {
		return nil, err
	}
	return start(ctx, func(port string) *exec.Cmd {
		config := filepath.Join(dir, "nginx.conf")
		_ = os.WriteFile(config, fmt.Appendf(nil, nginxConfig, dir, origin, port), 0o600) // nginx says that it is not there
		return exec.CommandContext(ctx, "nginx", "-p", dir, "-c", config)
	})
}
