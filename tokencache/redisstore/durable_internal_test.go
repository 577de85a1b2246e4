package redisstore

import "testing"

// TestDurability: WAITAOF is used where a server has it and writes an append-only file, WAIT
// where it has replicas, and nothing is waited for where neither can be had.
func TestDurability(t *testing.T) {
	t.Parallel()
	info := func(version, aof, replicas string) string {
		return "# Server\r\nredis_version:" + version + "\r\n# Persistence\r\naof_enabled:" + aof +
			"\r\n# Replication\r\nconnected_slaves:" + replicas + "\r\n"
	}
	for text, want := range map[string]durability{
		"":                         {},
		info("7.0.15", "0", "0"):   {},
		info("7.0.15", "1", "2"):   {replicas: true},
		info("7.2.0", "1", "0"):    {aof: true},
		info("7.2.4", "0", "0"):    {},
		info("8.0.1", "1", "1"):    {aof: true, replicas: true},
		info("10.0", "1", "1"):     {aof: true, replicas: true},
		info("unknown", "1", "no"): {},
	} {
		if got := readDurability(text); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}
