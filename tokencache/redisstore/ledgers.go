package redisstore

import (
	"crypto/rand"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// LoadLedger is the ledger of a grant, by this machine's clock.
func (s *Store) LoadLedger(of tokencache.Fingerprint) (calls []time.Time, err error) {
	reply, err := s.run(scriptCalls, s.layout.ledger(of))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	for _, age := range ages(reply) {
		calls = append(calls, sealed.UTC(now.Add(-age)))
	}
	return calls, nil
}

// SaveLedger leaves the ledger alone: EnterCall and CompleteCall write it.
func (s *Store) SaveLedger(tokencache.Fingerprint, []time.Time, time.Time) error { return nil }

// EnterCall enters a token call into the ledger of a grant, if there is room.
func (s *Store) EnterCall(of tokencache.Fingerprint, budget int, window time.Duration) (tokencache.Entry, error) {
	id := rand.Text()
	reply, err := s.run(scriptEnter, s.layout.ledger(of), id, budget, window.Microseconds())
	if err != nil {
		return tokencache.Entry{}, err
	}
	answer, _ := reply.([]any)
	if len(answer) == 0 || whole(answer[0]) == 0 {
		id = ""
	}
	return tokencache.Entry{ID: id, Ages: ages(answer[min(1, len(answer)):])}, nil
}

// CompleteCall moves a call to now, or strikes it out if it does not count.
func (s *Store) CompleteCall(of tokencache.Fingerprint, id string, counts bool) error {
	_, err := s.run(scriptComplete, s.layout.ledger(of), id, counts)
	return err
}

// ages are those that a script has returned, in microseconds.
func ages(reply any) (all []time.Duration) {
	list, _ := reply.([]any)
	for _, age := range list {
		all = append(all, time.Duration(whole(age))*time.Microsecond)
	}
	return all
}
