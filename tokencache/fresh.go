package tokencache

import "context"

// GetFresh is Get for a request that cannot be repeated: a token whose time to be
// renewed has come is renewed first. If that fails, the current one has to do.
func (r *Resource) GetFresh(ctx context.Context, cl *Client) (*Token, error) {
	t, err := r.Get(ctx, cl)
	if err != nil {
		return nil, err
	}
	n := r.conn
	l := n.live.Load()
	if l == nil || l.Generation != t.Generation || n.cache.clock.now().mono < l.early {
		return t, nil
	}
	if newer, err := n.obtain(ctx, cl, want{after: t.Generation, cause: CauseExpiry}); err == nil {
		return &newer.Token, nil
	}
	return t, nil
}
