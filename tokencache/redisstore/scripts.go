package redisstore

import (
	"embed"

	"github.com/redis/go-redis/v9"
)

// What has to be compared and set in one step is done by scripts, which Redis runs one at a
// time. Each says at its head what it takes and returns. All keys of one are of one hash tag,
// so that a cluster has them at one node.

//go:embed lua
var sources embed.FS

var (
	scriptSave     = script("save")
	scriptLease    = script("lease")
	scriptExtend   = script("extend")
	scriptRelease  = script("release")
	scriptRemove   = script("remove")
	scriptMark     = script("mark")
	scriptSwap     = script("swap")
	scriptEnter    = script("enter")
	scriptComplete = script("complete")
	scriptCalls    = script("calls")

	textSwap   = source("swap") // sent whole: they run beside a WAIT, in one pipeline
	textGrant  = source("grant")
	textDelete = source("delete")
)

func source(name string) string {
	text, err := sources.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err) // it is compiled in
	}
	return string(text)
}

func script(name string) *redis.Script { return redis.NewScript(source(name)) }
