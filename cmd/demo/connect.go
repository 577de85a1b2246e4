package main

import (
	"context"
	"fmt"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// connectConfig has pages to connect accounts by.
const connectConfig = "Caddyfile.connect"

// connect starts both sides without a grant, for somebody who has a browser.
func connect(ctx context.Context) error {
	stage, err := newStage(ctx, connectConfig, zohosim.Options{})
	if err != nil {
		return err
	}
	defer stage.close()
	fmt.Printf(`Nobody has consented yet. Open this in a browser; Zoho, which asks for consent there, is simulated:

  http://localhost:%[1]s/zoho-connect/

Then call Zoho through the proxy, in another terminal:

  curl http://localhost:%[1]s/crm/v8/org
  curl http://localhost:%[1]s/crm/v8/org -H 'Zoho-Proxy-Account: acme'   # if you have connected that
  go run ./cmd/caddy zoho status --address %[2]s
  go run ./cmd/caddy zoho invite main acme --address %[2]s
  go run ./cmd/caddy zoho doctor --address %[2]s

Ctrl-C ends the demo.
`, stage.port, stage.admin)
	<-ctx.Done()
	return nil
}
