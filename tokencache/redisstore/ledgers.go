package redisstore

import (
	"crypto/rand"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// LoadLedger is the ledger of a grant, by this machine's clock.
func (s *Store) LoadLedger(of tokencache.Fingerprint) (tokencache.Calls, error) {
	reply, err := s.run(scriptCalls, s.layout.ledger(of))
	return readCalls(reply), err
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
	if len(answer) < 2 || whole(answer[0]) == 0 {
		return tokencache.Entry{Calls: readCalls(answer[min(1, len(answer)):])}, nil
	}
	return tokencache.Entry{ID: id, Calls: readCalls(answer[1:])}, nil
}

// CompleteCall moves a call to now, or strikes it out if it does not count.
func (s *Store) CompleteCall(of tokencache.Fingerprint, id string, counts bool) error {
	_, err := s.run(scriptComplete, s.layout.ledger(of), id, counts)
	return err
}

// readCalls reads what a script has returned: its time, and the age of each call.
func readCalls(reply any) (calls tokencache.Calls) {
	list, _ := reply.([]any)
	if len(list) == 0 {
		return calls
	}
	calls.Read = whole(list[0])
	now := time.Now()
	for _, age := range list[1:] {
		calls.Times = append(calls.Times, sealed.UTC(now.Add(-time.Duration(whole(age))*time.Microsecond)))
	}
	return calls
}
