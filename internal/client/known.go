package client

import (
	"context"
	"sync"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/fault"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// ReachLimit is for a server that does not answer at all.
const ReachLimit = 10 * time.Second

// KnownAt asks all of Zoho's data centers whether they know the client's id.
func (c *Client) KnownAt(ctx context.Context) []string {
	centers := zoho.DataCenters()
	if c.Centers[0].Custom || !c.Shared.Asked.AllowN(time.Now(), len(centers)) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, ReachLimit)
	defer cancel()
	yes := make([]bool, len(centers))
	var running sync.WaitGroup
	for i, center := range centers {
		stranger := &zoho.Accounts{HTTP: c.HTTP, DataCenter: center, ClientID: c.ID()}
		running.Go(func() {
			fault.Guard(c.Shared.Logger, func() { yes[i], _ = stranger.KnowsClient(ctx) })
		})
	}
	running.Wait()
	var known []string
	for i, center := range centers {
		if yes[i] {
			known = append(known, center.Code)
		}
	}
	return known
}
