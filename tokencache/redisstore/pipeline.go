package redisstore

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

// maxPart is how many things are asked or written at once, so that others get in between.
const maxPart = 1000

// pipelined asks something of each, some at once.
func pipelined[K, T any](s *Store, of []K, ask func(context.Context, redis.Pipeliner, K) T) (replies []T, err error) {
	for part := range slices.Chunk(of, maxPart) {
		var some []T
		err := s.do(func(ctx context.Context, c redis.UniversalClient) error {
			some = nil
			_, err := c.Pipelined(ctx, func(pipe redis.Pipeliner) error {
				for _, one := range part {
					some = append(some, ask(ctx, pipe, one))
				}
				return nil
			})
			return err
		})
		if err != nil {
			return nil, err
		}
		replies = append(replies, some...)
	}
	return replies, nil
}
