package redisstore

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Concerns lists what does not stop the store, but should be looked at. Where no grant is stored
// Redis is a cache, and may lose what it likes.
func (s *Store) Concerns() (all []tokencache.Concern) {
	if gone := s.index.gone(); len(gone) > 0 {
		lost := s.lost(gone)
		all = append(all, tokencache.Concern{
			What: lost.File + ": " + lost.Reason, Why: "processes that start from now on do not serve these accounts", Do: lost.Remedy, Failed: true,
		})
	}
	if len(s.index.all()) > 0 {
		all = append(all, s.examineKeeping()...)
	}
	if deaf := s.deaf.Load(); deaf != nil {
		all = append(all, tokencache.Concern{
			What: s.Name() + ": changes by other replicas are not noticed", Why: deaf.Reason, Do: deaf.Remedy, Failed: true,
		})
	}
	for _, text := range s.warnings.Latest() {
		all = append(all, explainNoticed(text))
	}
	return all
}

// examineKeeping looks whether Redis is set up such that it can lose grants.
func (s *Store) examineKeeping() (all []tokencache.Concern) {
	k, err := s.readKeeping()
	var known *tokencache.StoreError
	if errors.As(err, &known) && errors.Is(err, tokencache.ErrAway) {
		return nil // the error of the store says it
	}
	return k.concerns(s.Name())
}

// keeping is how a Redis keeps what it is given.
type keeping struct {
	unchecked bool   // it does not say
	aof       string // "1" = it writes an append-only file
	save      string // when it writes snapshots, "" = never
	policy    string // which keys it drops when its memory is full
}

func (s *Store) readKeeping() (k keeping, err error) {
	for _, read := range []func(context.Context, *redis.Client) error{k.readSave, k.readPolicy, k.readPersistence} {
		err := s.look(func(ctx context.Context, c redis.UniversalClient) error {
			node, err := primaryOf(ctx, c, s.layout.about())
			if err == nil {
				err = read(ctx, node)
			}
			var refused redis.Error
			if errors.As(err, &refused) { // CONFIG or INFO is forbidden, or there is none
				k.unchecked, err = true, nil
			}
			return err
		})
		if err != nil || k.unchecked {
			return k, err
		}
	}
	return k, nil
}

func (k *keeping) readSave(ctx context.Context, node *redis.Client) error {
	settings, err := node.ConfigGet(ctx, "save").Result()
	k.save = settings["save"]
	return err
}

func (k *keeping) readPolicy(ctx context.Context, node *redis.Client) error {
	settings, err := node.ConfigGet(ctx, "maxmemory-policy").Result()
	k.policy = settings["maxmemory-policy"]
	return err
}

func (k *keeping) readPersistence(ctx context.Context, node *redis.Client) error {
	info, err := node.Info(ctx, "persistence").Result()
	k.aof = infoFields(info)["aof_enabled"]
	return err
}

func (k keeping) concerns(server string) (all []tokencache.Concern) {
	if k.unchecked {
		return []tokencache.Concern{{
			What: server + ": whether Redis can lose stored grants was not checked",
			Why:  "CONFIG or INFO is forbidden",
			Do:   "check that it has `appendonly yes` or a replica, and `maxmemory-policy noeviction`; or let its user read that: +config|get +info",
		}}
	}
	switch {
	case k.aof != "1" && k.save == "":
		all = append(all, tokencache.Concern{
			What: server + ": Redis writes nothing to disk",
			Why:  "if it restarts, all stored grants are lost, and a person has to connect each account again",
			Do:   "set `appendonly yes`",
		})
	case k.aof != "1":
		all = append(all, tokencache.Concern{
			What: server + ": Redis writes only snapshots to disk (save " + k.save + ")",
			Why:  "if it crashes, the grants stored since the last snapshot are lost, and a person has to connect each of those accounts again",
			Do:   "set `appendonly yes`",
		})
	}
	if strings.HasPrefix(k.policy, "allkeys-") {
		all = append(all, tokencache.Concern{
			What: server + ": Redis drops keys when its memory is full (maxmemory-policy " + k.policy + ")",
			Why:  "those may be stored grants, and a person has to connect each of those accounts again",
			Do:   "set `maxmemory-policy noeviction`, or one that begins with volatile-, which does not evict grants",
		})
	}
	return all
}

// explainNoticed explains what was noticed since the store was opened.
func explainNoticed(text string) tokencache.Concern {
	c := tokencache.Concern{
		What: text,
		Why:  "Caddy noticed this after it opened the store",
		Do: "tokens need nothing, because Caddy requests new ones; a problem with a grant is listed at its account. " +
			"If this happens again, find what else writes keys with this key_prefix, and check Redis's log",
	}
	if strings.Contains(text, tokencache.ErrWrongKey.Error()) {
		c.Why = "it was sealed by another key: another replica has a different encryption_key, or encryption_key was changed and the previous one removed"
		c.Do = "give all replicas the same encryption_key, with the previous one after it"
	}
	return c
}
