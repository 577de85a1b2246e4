package redisstore_test

import (
	"fmt"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/internal/redistest"
)

// BenchmarkOpen reads which of 10,000 grants are stored.
func BenchmarkOpen(b *testing.B) {
	server := redistest.Start(b)
	config := configOf(server.Addr, "p:")
	s := open(b, config)
	save(b, s, "first")
	const many = 10_000
	server.CLI("EVAL", fmt.Sprintf(`local grant = redis.call('GET', 'p:{main/first}:grant')
		for i = 1, %d do
			redis.call('SET', 'p:{main/' .. i .. '}:grant', grant)
			redis.call('SADD', 'p:accounts:main', tostring(i))
		end`, many), "0")
	for b.Loop() {
		again := open(b, config)
		if got := len(again.Accounts("main")); got != many+1 {
			b.Fatalf("%d accounts", got)
		}
		_ = again.Close()
	}
}
