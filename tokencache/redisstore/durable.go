package redisstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// What costs a human to bring back is written such that Redis has it on a disk, or at a
// replica, before it says so. If that cannot be had in time, the write counts all the same and
// a warning tells: the grant is there, and an error would have somebody consent once more.

// durability is what a server can do for a write to stay.
type durability struct {
	replicas bool // some are connected
	aof      bool // it writes an append-only file, and can wait for that
}

// readDurability takes it from what INFO says. Of a server that says nothing nothing is expected.
func readDurability(info string) (d durability) {
	fields := infoFields(info)
	if n, err := strconv.Atoi(fields["connected_slaves"]); err == nil {
		d.replicas = n > 0
	}
	d.aof = fields["aof_enabled"] == "1" && knowsWaitAOF(fields["redis_version"])
	return d
}

func infoFields(info string) map[string]string {
	fields := make(map[string]string)
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

// knowsWaitAOF reports whether this version has WAITAOF, which came with 7.2.
func knowsWaitAOF(version string) bool {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, err := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	return err == nil && err2 == nil && (a > 7 || a == 7 && b >= 2)
}

// await adds to a pipeline the waits for what stands before them, on the same connection.
// missing says afterwards who should have it and does not, "" if all have.
func (d durability) await(ctx context.Context, pipe redis.Pipeliner) (missing func() string) {
	var disk *redis.IntSliceCmd
	var replicas *redis.IntCmd
	if d.aof {
		disk = redis.NewIntSliceCmd(ctx, "waitaof", 1, 0, waitLimit.Milliseconds())
		_ = pipe.Process(ctx, disk) // its error is that of the pipeline
	}
	if d.replicas {
		replicas = redis.NewIntCmd(ctx, "wait", 1, waitLimit.Milliseconds())
		_ = pipe.Process(ctx, replicas)
	}
	return func() string {
		var all []string
		if replicas != nil && replicas.Val() == 0 {
			all = append(all, without("replica", "wait", replicas.Err()))
		}
		if disk != nil && (len(disk.Val()) == 0 || disk.Val()[0] == 0) {
			all = append(all, without("disk", "waitaof", disk.Err()))
		}
		return strings.Join(all, ", and ")
	}
}

// without says that a replica or a disk does not have something, or that this could not be asked.
func without(who, command string, err error) string {
	if err != nil && judge(err) == refusals["NOPERM"] {
		return fmt.Sprintf("Redis's user is not allowed to ask whether a %s has it: add +%s", who, command)
	}
	return fmt.Sprintf("no %s had it within %s", who, waitLimit)
}

// durabilityOf is what the node that holds a key can do. Where INFO is forbidden nothing is waited for.
func (s *Store) durabilityOf(key string) (d durability, err error) {
	err = s.do(func(ctx context.Context, c redis.UniversalClient) error {
		node, err := primaryOf(ctx, c, key)
		if err != nil {
			return err
		}
		info, err := node.Info(ctx, "server", "replication", "persistence").Result()
		var refused redis.Error
		if errors.As(err, &refused) {
			return nil
		}
		d = readDurability(info)
		return err
	})
	return d, err
}

// write is a script that writes what is to stay.
type write struct {
	what string // for the warning
	text string
	keys []string
	args []any
}

// durably runs a script on the node that holds its first key, and waits for others to have
// what it wrote. what names it, for the warning.
func (s *Store) durably(what, text string, keys []string, args ...any) (reply any, err error) {
	replies, err := s.durablyAll([]write{{what, text, keys, args}})
	return replies[0], err
}

// durablyAll is durably for many: others are waited for once for a part of them. A reply that is nil is that of
// a script that may not have run; there is an error then.
func (s *Store) durablyAll(writes []write) (replies []any, err error) {
	replies = make([]any, len(writes))
	nodes, err := s.byNode(writes)
	if err != nil {
		return replies, err
	}
	for _, of := range nodes {
		for part := range slices.Chunk(of, maxPart) {
			if err := s.writePart(writes, part, replies); err != nil {
				return replies, err
			}
		}
	}
	return replies, nil
}

// byNode says which of the writes are those of one node.
func (s *Store) byNode(writes []write) (nodes [][]int, err error) {
	err = s.do(func(ctx context.Context, c redis.UniversalClient) error {
		place := make(map[*redis.Client]int)
		nodes = nil
		for i, w := range writes {
			node, err := primaryOf(ctx, c, w.keys[0])
			if err != nil {
				return err
			}
			at, ok := place[node]
			if !ok {
				at, nodes = len(nodes), append(nodes, nil)
				place[node] = at
			}
			nodes[at] = append(nodes[at], i)
		}
		return nil
	})
	return nodes, err
}

// writePart runs some of the writes, which are those of one node.
func (s *Store) writePart(writes []write, part []int, replies []any) error {
	first := writes[part[0]]
	d, err := s.durabilityOf(first.keys[0])
	if err != nil {
		return err
	}
	server, err := s.opened()
	if err != nil {
		return err
	}
	var missing func() string
	err = server.within(callLimit+2*waitLimit, func(ctx context.Context, c redis.UniversalClient) error {
		node, err := primaryOf(ctx, c, first.keys[0])
		if err != nil {
			return err
		}
		scripts := make([]*redis.Cmd, len(part))
		_, failed := node.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i, one := range part {
				scripts[i] = pipe.Eval(ctx, writes[one].text, writes[one].keys, writes[one].args...)
			}
			missing = d.await(ctx, pipe)
			return nil
		})
		for i, script := range scripts {
			if script.Err() == nil && script.Val() != nil {
				replies[part[i]] = script.Val()
			} else if err == nil {
				err = cmp.Or(script.Err(), failed)
			}
		} // if all have run, what failed is the wait
		if cluster, ok := c.(*redis.ClusterClient); ok && judge(err) == refusals["MOVED"] {
			cluster.ReloadState(ctx) // for the next try
		}
		return err
	})
	if err != nil {
		return err
	}
	if who := missing(); who != "" {
		what := first.what
		if more := len(part) - 1; more > 0 {
			what += fmt.Sprintf(" and %d more", more)
		}
		s.warnings.WarnAnew("%s: %s is stored, but %s: if Redis fails now, it is lost", s.Name(), what, who)
	}
	return nil
}
