package redisstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// about is what the store says of itself. The id is random and made with the store: where it
// is missing, or another, while a process runs, Redis was emptied or is not the same one.
// The schema grows when an older version would misread what a newer one has written.
type about struct {
	Program string `json:"program"`
	Schema  int    `json:"schema"`
	ID      string `json:"id"`
}

const (
	program = "caddy-zoho"
	schema  = 1
)

// identify reads which store it is, and makes it one if there is none. One that is another one
// than before is told, and gets what this process knows of deletions.
func (s *Store) identify() error {
	found, err := s.readAbout()
	if err != nil {
		return err
	}
	s.mu.Lock()
	before := s.id
	s.mu.Unlock()
	if before != "" && before != found.ID {
		if err := s.markAgain(); err != nil {
			return err
		}
		s.warnings.WarnAnew("%s was emptied or replaced while Caddy was running", s.Name())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id = found.ID
	return nil
}

// markAgain writes the deletions that this process knows of. Otherwise a grant that was deleted
// would pass for one that was lost, with those who have not heard of it, and with a backup.
func (s *Store) markAgain() error {
	for key, at := range s.index.deletions() {
		if err := s.enlistDeleted(key); err != nil {
			return err
		}
		reply, err := s.run(scriptMark, []string{s.layout.grant(key), s.layout.deleted(key)}, sealed.UTC(at).Format(time.RFC3339Nano))
		if err != nil {
			return err
		}
		if whole(reply) == 1 {
			s.announce(tokencache.Change{Key: key, Grant: true})
		}
	}
	return nil
}

func (s *Store) readAbout() (about, error) {
	fresh, err := json.Marshal(about{program, schema, rand.Text()})
	if err != nil {
		return about{}, err
	}
	text, err := s.get(s.layout.about())
	if err == nil && text == "" {
		err = s.do(func(ctx context.Context, c redis.UniversalClient) error {
			return c.SetNX(ctx, s.layout.about(), fresh, 0).Err()
		})
		if err == nil {
			text, err = s.get(s.layout.about()) // another process may have been first
		}
	}
	if err != nil {
		return about{}, err
	}
	return s.checkAbout(text)
}

// checkAbout refuses what is another program's, or of a version that writes otherwise.
func (s *Store) checkAbout(text string) (found about, err error) {
	err = json.Unmarshal([]byte(text), &found)
	switch {
	case err != nil || found.Program != program || found.ID == "" || found.Schema < 1:
		return found, &tokencache.StoreError{
			File:   s.Name(),
			Reason: fmt.Sprintf("%s is not what was written there", s.layout.about()),
			Remedy: "find what else writes keys with this key_prefix; give each program its own, or delete this one key",
			Err:    tokencache.ErrDamaged,
		}
	case found.Schema > schema:
		return found, &tokencache.StoreError{
			File:   s.Name(),
			Reason: fmt.Sprintf("written by a newer version (schema %d, this one knows %d)", found.Schema, schema),
			Remedy: "run that version again, or use another key_prefix",
			Err:    errRefused,
		}
	}
	return found, nil
}

// isSame reports whether this is the store that it was, without making one.
func (s *Store) isSame() (bool, error) {
	text, err := s.get(s.layout.about())
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found about
	return json.Unmarshal([]byte(text), &found) == nil && found.ID == s.id, nil
}
