package redisstore

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// followPause is the time between two looks, at most.
const followPause = time.Second

// What is changed is added to a stream, of which the latest entries are kept. Whoever follows it
// reads on from where it was: a change that comes while nobody reads is told later, and one
// beyond the end of what is kept is noticed as a gap.

// maxChanges is about how many changes the stream keeps: minutes of a large fleet.
const maxChanges = 10_000

// changeOfGrant is what an entry says of a change that is about the grant.
const changeOfGrant = "grant"

// announce tells the others of changes. If that fails they learn of it later: the grant when
// they next look, the record when they next want to ask for a token.
func (s *Store) announce(changes ...tokencache.Change) {
	_, _ = pipelined(s, changes, func(ctx context.Context, pipe redis.Pipeliner, change tokencache.Change) *redis.StringCmd {
		what := "record"
		if change.Grant {
			what = changeOfGrant
		}
		return pipe.XAdd(ctx, &redis.XAddArgs{
			Stream: s.layout.changes(), MaxLen: maxChanges, Approx: true,
			Values: []string{"by", s.process, "client", change.Key.Client, "account", change.Key.Account, "what", what},
		})
	})
}

// announceGrants is announce for grants.
func (s *Store) announceGrants(keys []tokencache.Key) {
	var changes []tokencache.Change
	for _, key := range keys {
		changes = append(changes, tokencache.Change{Key: key, Grant: true})
	}
	s.announce(changes...)
}

// readChange is what an entry says; ok is false for own ones, and for what is none of ours.
func (s *Store) readChange(entry redis.XMessage) (change tokencache.Change, ok bool) {
	by, _ := entry.Values["by"].(string)
	change.Key.Client, _ = entry.Values["client"].(string)
	change.Key.Account, _ = entry.Values["account"].(string)
	change.Grant = entry.Values["what"] == changeOfGrant
	if checkKey(change.Key) != nil || by == "" {
		s.warnings.Warn("%s: the stream %s has an entry of another program, which is ignored", s.Name(), s.layout.changes())
		return change, false
	}
	return change, by != s.process
}

// endOfChanges is where the stream ends now.
func (s *Store) endOfChanges() (end string, err error) {
	end = "0-0"
	err = s.do(func(ctx context.Context, c redis.UniversalClient) error {
		last, err := c.XRevRangeN(ctx, s.layout.changes(), "+", "-", 1).Result()
		if len(last) > 0 {
			end = last[0].ID
		}
		return err
	})
	return end, err
}

// changesAfter waits a while for entries after one. gap says that there may have been more.
func (s *Store) changesAfter(after string) (entries []redis.XMessage, gap bool, err error) {
	server, err := s.opened()
	if err != nil {
		return nil, false, err
	}
	err = server.ask(callLimit+followPause, func(ctx context.Context, c redis.UniversalClient) error {
		streams, err := c.XRead(ctx, &redis.XReadArgs{
			Streams: []string{s.layout.changes(), after}, Count: maxRead, Block: followPause,
		}).Result()
		if err == nil && len(streams) > 0 {
			entries = streams[0].Messages
		}
		return err
	})
	return entries, len(entries) == maxRead, err
}

// maxRead is how many entries are read at once. Whoever finds as many is behind, and looks at
// all there is instead.
const maxRead = 1000
