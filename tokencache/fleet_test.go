package tokencache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/storetest"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// fleet are processes with one store and one server, each with a cache of its own.
type fleet struct {
	*testing.T
	server   *server
	grants   *grants
	replicas []*replica
}

type replica struct {
	*rig
	store *storetest.Memory
}

// odd is a handle on a store that behaves oddly.
type odd struct {
	*storetest.Memory
	beforeCall func()                                            // of EnterCall
	load       func(tokencache.Record) (tokencache.Record, bool) // changes what was loaded; nil = nothing
	slow       time.Duration                                     // CheckGrants
	failing    error                                             // of EnterCall

	mu         sync.Mutex
	saved      []uint64 // generations
	unwritable error    // of Save
}

// writes has what is written fail, or not, and forgets what was.
func (o *odd) writes(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.saved, o.unwritable = nil, err
}

// written are the generations of the records that were to be written.
func (o *odd) written() []uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.saved)
}

func (o *odd) EnterCall(of tokencache.Fingerprint, budget int, window time.Duration) (tokencache.Entry, error) {
	if o.beforeCall != nil {
		o.beforeCall()
	}
	if o.failing != nil {
		return tokencache.Entry{}, o.failing
	}
	return o.Memory.EnterCall(of, budget, window)
}

func (o *odd) CheckGrants() error {
	time.Sleep(o.slow)
	return o.Memory.CheckGrants()
}

func (o *odd) Load(key tokencache.Key, secrets [][]byte) (tokencache.Record, bool, error) {
	r, found, err := o.Memory.Load(key, secrets)
	if o.load != nil && found {
		r, found = o.load(r)
	}
	return r, found, err
}

func (o *odd) Save(key tokencache.Key, secrets [][]byte, r tokencache.Record) error {
	o.mu.Lock()
	o.saved = append(o.saved, r.Generation)
	err := o.unwritable
	o.mu.Unlock()
	if err != nil {
		return err
	}
	return o.Memory.Save(key, secrets, r)
}

func newFleet(t *testing.T, size int) *fleet {
	f := &fleet{T: t, server: &server{}, grants: &grants{}}
	f.grants.set("default", "refresh token")
	store := storetest.NewMemory()
	for i := range size {
		handle := store
		if i > 0 {
			handle = store.Replica()
		}
		f.start(handle)
	}
	return f
}

// start starts a process on a handle of the store.
func (f *fleet) start(handle *storetest.Memory) *replica {
	return f.startOn(handle, handle)
}

// startOn starts a process on a store that has the handle in it.
func (f *fleet) startOn(store tokencache.Store, handle *storetest.Memory) *replica {
	r := &replica{store: handle}
	r.rig = newRig(f.T, func(o *tokencache.Options) { o.Store = store })
	r.rig.server, r.rig.grants = f.server, f.grants
	r.rig.client = r.rig.newClient()
	f.Cleanup(r.cache.Use(func(string) *tokencache.Client { return r.rig.client }))
	f.replicas = append(f.replicas, r)
	return r
}

func (r *replica) ask() (*tokencache.Token, error) {
	return r.resource("crm").Get(context.Background(), r.client)
}

// all has each process called by many at once, and returns the tokens that they got.
func (f *fleet) all(callers int, call func(*replica) (*tokencache.Token, error)) map[string]bool {
	var all sync.WaitGroup
	var mu sync.Mutex
	tokens := make(map[string]bool)
	for _, r := range f.replicas {
		for range callers {
			all.Go(func() {
				t, err := call(r)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					f.Error(err)
					return
				}
				tokens[fmt.Sprint(t.Generation, t.Value)] = true
			})
		}
	}
	all.Wait()
	return tokens
}

func (f *fleet) wantCalls(want int) {
	f.Helper()
	if got := f.server.count(); got != want {
		f.Errorf("%d token calls, want %d", got, want)
	}
}

// Whoever asks first asks for all (S-53).
func TestFleetAsksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3)
		f.server.slow(time.Second)
		if got := f.all(100, (*replica).ask); len(got) != 1 {
			t.Errorf("tokens: %v", got)
		}
		f.wantCalls(1)
		for _, r := range f.replicas {
			r.resource("crm").Accepted(1)
		}
		time.Sleep(10 * time.Minute)
		got := f.all(100, func(r *replica) (*tokencache.Token, error) { // a revocation that all of them meet
			return r.resource("crm").Refused(context.Background(), r.client, 1, tokencache.RefusalDead)
		})
		if len(got) != 1 {
			t.Errorf("tokens: %v", got)
		}
		f.wantCalls(2)
	})
}

// What one process renews is in use by all within a moment, and no timer asks again.
func TestFleetFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3)
		f.all(1, (*replica).ask)
		f.wantCalls(1)
		if _, err := f.replicas[1].conn().Refresh(t.Context(), f.replicas[1].client); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, r := range f.replicas {
			if got := r.conn().Peek(); got.Generation != 2 {
				t.Errorf("generation %d", got.Generation)
			}
		}
		for range 24 {
			time.Sleep(time.Hour)
			f.all(1, (*replica).ask)
		}
		if calls := f.server.count(); calls > 2+27 {
			t.Errorf("%d token calls in a day", calls)
		}
	})
}

// A leader that dies is followed when its lease is over. What it brings late displaces nothing (S-53).
func TestFleetLeaderStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3)
		stopped, follower := f.replicas[0], f.replicas[1]
		resume := make(chan struct{})
		stopped.client.Fetch = func(context.Context, tokencache.Key, tokencache.Grant) (tokencache.Fetched, error) {
			<-resume
			return tokencache.Fetched{AccessToken: "late", Life: time.Hour}, nil
		}
		go func() { _, _ = stopped.ask() }()
		synctest.Wait()
		stopped.store.Away(true) // whoever is stopped extends nothing
		begun := time.Now()
		tok, err := follower.ask()
		if err != nil || tok.Value != "token-1" {
			t.Fatalf("%v, %v", tok, err)
		}
		if took := time.Since(begun); took > 6*time.Second {
			t.Errorf("followed after %s", took)
		}
		time.Sleep(time.Minute)
		stopped.store.Away(false)
		close(resume)
		synctest.Wait()
		time.Sleep(time.Minute)
		for _, r := range f.replicas[1:] {
			if got, err := r.ask(); err != nil || got.Value != "token-1" || got.Generation != tok.Generation {
				t.Errorf("%v, %v, want that of the follower", got, err)
			}
		}
		if got, err := stopped.ask(); err != nil || got.Generation != tok.Generation || got.Value != "token-1" {
			t.Errorf("%v, %v: the late one is in use", got, err)
		}
		f.wantCalls(1)
	})
}

// All of a fleet keep to one budget, whatever operators and refusals want.
func TestFleetBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3)
		var all sync.WaitGroup
		for range 10 {
			for _, r := range f.replicas {
				all.Go(func() { _, _ = r.conn().Refresh(context.Background(), r.client) })
			}
		}
		all.Wait()
		for range 5 {
			for _, r := range f.replicas {
				_, _ = r.conn().Refresh(context.Background(), r.client)
			}
		}
		f.wantCalls(10)
		_, err := f.replicas[0].conn().Refresh(context.Background(), f.replicas[0].client)
		if e := f.replicas[0].wantError(nil, err, tokencache.KindBudget); e.RetryAfter <= 9*time.Minute {
			t.Errorf("retry after %s", e.RetryAfter)
		}
		for _, s := range f.replicas[2].cache.Status(f.replicas[2].client) {
			if s.BudgetLeft != 0 {
				t.Errorf("budget left %d", s.BudgetLeft)
			}
		}
		time.Sleep(10 * time.Minute)
		if _, err := f.replicas[1].conn().Refresh(context.Background(), f.replicas[1].client); err != nil {
			t.Error(err)
		}
	})
}

// Accounts with one grant share its budget, whichever process asks for which.
func TestFleetBudgetOfSharedGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1)
		for range 2 { // others call while an answer of the store is on its way
			store := &odd{Memory: f.replicas[0].store.Replica(), beforeCall: func() { time.Sleep(10 * time.Millisecond) }}
			f.startOn(store, store.Memory)
		}
		f.server.slow(time.Second)
		var all sync.WaitGroup
		for i := range 30 {
			account := fmt.Sprint("account ", i)
			f.grants.set(account, "refresh token")
			r := f.replicas[i%3]
			all.Go(func() {
				n, err := r.cache.Conn(r.client, account)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = n.Refresh(context.Background(), r.client)
			})
		}
		all.Wait()
		f.wantCalls(10)
	})
}

// A process that is stopped between taking the lead and asking does not ask: somebody else leads.
func TestFleetStoppedBeforeItAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1)
		store := &odd{Memory: f.replicas[0].store.Replica()}
		stopped := f.startOn(store, store.Memory)
		store.beforeCall = func() {
			store.beforeCall = nil
			store.Away(true) // its lease is not extended
			time.Sleep(time.Minute)
			store.Away(false)
		}
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := stopped.ask(); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		f.replicas[0].get("crm")
		all.Wait()
		f.wantCalls(1)
		if got := f.replicas[0].cache.Status(f.replicas[0].client)[0].BudgetLeft; got != 9 {
			t.Errorf("budget left %d: a call that was not made counts", got)
		}
	})
}

// What a failover has lost of a token is stored again by whoever has it.
func TestFleetRestoresWhatTheStoreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, load := range map[string]func(tokencache.Record) (tokencache.Record, bool){
			"the record": func(tokencache.Record) (tokencache.Record, bool) { return tokencache.Record{}, false },
			"the last write": func(r tokencache.Record) (tokencache.Record, bool) {
				r.Generation, r.Token = r.Generation-1, ""
				return r, true
			},
		} {
			f := newFleet(t, 1)
			store := &odd{Memory: f.replicas[0].store.Replica()}
			r := f.startOn(store, store.Memory)
			r.get("crm")
			synctest.Wait()
			store.load = load
			store.writes(nil)
			store.Away(true)
			store.Away(false)
			synctest.Wait()
			if got := store.written(); !slices.Equal(got, []uint64{1}) {
				t.Errorf("%s: saved generations %v", name, got)
			}
			f.wantCalls(1)
		}
	})
}

// A call that plainly brought no token counts for nobody; one that may have counts for all.
func TestFleetCountsWhatCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		f.server.set(failing(tokencache.KindTemporary, true))
		left := func() int { return f.replicas[1].cache.Status(f.replicas[1].client)[0].BudgetLeft }
		f.replicas[0].refusal("crm", tokencache.KindTemporary)
		synctest.Wait()
		if _, err := f.replicas[1].ask(); err == nil || left() != 10 {
			t.Errorf("%v, budget left %d", err, left())
		}
		f.wantCalls(1) // the other one has read what it was told
		time.Sleep(time.Minute)
		f.server.set(failing(tokencache.KindTemporary, false))
		f.replicas[0].refusal("crm", tokencache.KindTemporary)
		synctest.Wait()
		if _, err := f.replicas[1].ask(); err == nil || left() != 9 {
			t.Errorf("%v, budget left %d", err, left())
		}
		f.wantCalls(2)
	})
}

// A grant that is dead is so for all, is tried by one, and heals for all.
func TestFleetDeadGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3)
		f.server.set(failing(tokencache.KindDead, true))
		end := time.Now().Add(10*time.Minute + 30*time.Second)
		for time.Now().Before(end) {
			for _, r := range f.replicas {
				r.refusal("crm", tokencache.KindDead)
			}
			time.Sleep(time.Second)
		}
		if calls := f.server.count(); calls > 8 {
			t.Errorf("%d token calls", calls)
		}
		for _, r := range f.replicas {
			r.wantState(tokencache.StateDead)
		}
		f.server.set(nil)
		time.Sleep(10 * time.Minute)
		f.all(1, (*replica).ask)
		for _, r := range f.replicas {
			r.wantState(tokencache.StateOK)
		}
	})
}

// While the store is away, tokens at hand serve, and a process asks once in ten minutes where
// none does. What it has asked alone counts for all afterwards.
func TestFleetStoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3)
		f.all(1, (*replica).ask)
		away := func(is bool) {
			for _, r := range f.replicas {
				r.store.Away(is)
			}
		}
		away(true)
		for range 50 {
			f.all(1, (*replica).ask)
			time.Sleep(time.Minute)
		}
		f.wantCalls(1)
		time.Sleep(10 * time.Minute) // it has ended
		f.all(20, (*replica).ask)
		f.wantCalls(4)
		r := f.replicas[0]
		_, err := r.resource("crm").Refused(context.Background(), r.client, 2, tokencache.RefusalDead)
		r.wantError(nil, err, tokencache.KindStore)
		f.wantCalls(4)
		away(false)
		synctest.Wait()
		f.all(20, (*replica).ask)
		f.wantCalls(5) // for the one that was refused
		if _, err := r.conn().Refresh(context.Background(), r.client); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if s := f.replicas[1].cache.Status(f.replicas[1].client)[0]; s.BudgetLeft != 10-5 {
			t.Errorf("budget left %d after what was asked alone", s.BudgetLeft)
		}
	})
}

// A process that starts while the store is away asks once, if it knows the grant.
func TestFleetStartsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		f.replicas[0].get("crm")
		f.replicas[1].store.Away(true)
		for range 50 {
			if _, err := f.replicas[1].ask(); err != nil {
				t.Fatal(err)
			}
		}
		f.wantCalls(2)
		f.grants.remove("default")
		late := f.start(f.replicas[0].store.Replica())
		late.store.Away(true)
		_, err := late.cache.Conn(late.client, "default")
		late.wantError(nil, err, tokencache.KindStore)
	})
}

// Grants that come in and go at one process are known to all within a moment.
func TestFleetGrants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3)
		f.grants.remove("default")
		for _, r := range f.replicas {
			_, err := r.cache.Conn(r.client, "default")
			r.wantError(nil, err, tokencache.KindNoGrant)
		}
		key := tokencache.Key{Client: "main", Account: "default"}
		connect := func(r *replica, name string) {
			t.Helper()
			g := tokencache.Grant{RefreshToken: name, AccountsServer: "https://accounts.example"}
			p, err := r.cache.Verify(r.client, key, g)
			if err == nil {
				err = r.cache.Replace(r.client, key, g, p)
			}
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		connect(f.replicas[0], "one")
		if got := f.all(10, (*replica).ask); len(got) != 1 {
			t.Errorf("tokens: %v", got)
		}
		f.wantCalls(1)
		connect(f.replicas[1], "two")
		if got := f.all(10, (*replica).ask); len(got) != 1 {
			t.Errorf("tokens: %v", got)
		}
		f.wantCalls(2)
		if err := f.replicas[2].store.DeleteGrant(key); err != nil {
			t.Fatal(err)
		}
		f.replicas[2].cache.GrantChanged(key)
		synctest.Wait()
		for i, r := range f.replicas {
			if i != 2 && len(r.journal.of(tokencache.EventGone)) != 1 {
				t.Errorf("%d has told %v", i, r.journal.of(tokencache.EventGone))
			}
			_, err := r.ask()
			r.wantError(nil, err, tokencache.KindNoGrant)
		}
		f.wantCalls(2)
	})
}

// TestFleetGoneInFlight: an account that is forgotten elsewhere while a call of its is under way is told of when
// that has ended, once.
func TestFleetGoneInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		f.grants.remove("default")
		key := tokencache.Key{Client: "main", Account: "default"}
		g := tokencache.Grant{RefreshToken: "one", AccountsServer: "https://accounts.example"}
		if err := f.replicas[0].store.SaveGrant(key, f.replicas[0].client.Secrets(), g); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f.server.slow(5 * time.Second)
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			_, _ = f.replicas[1].ask()
		}()
		time.Sleep(time.Second)
		f.wantCalls(1)
		if err := f.replicas[0].store.DeleteGrant(key); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		<-asked
		synctest.Wait()
		if got := f.replicas[1].journal.of(tokencache.EventGone); len(got) != 1 || got[0].Key != key {
			t.Errorf("told %v", got)
		}
	})
}

// TestFleetNoticesStates: what becomes of a connection at one process is told by each that knows it, of the
// same grant.
func TestFleetNoticesStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3)
		f.all(1, (*replica).ask)
		time.Sleep(2 * time.Hour)
		f.server.set(failing(tokencache.KindDead, true))
		if _, err := f.replicas[1].ask(); err == nil {
			t.Fatal("a token of a dead grant")
		}
		synctest.Wait()
		f.server.set(nil)
		time.Sleep(time.Hour)
		if _, err := f.replicas[2].ask(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		grants := make(map[tokencache.Fingerprint]bool)
		for i, r := range f.replicas {
			var states []string
			for _, e := range r.journal.of(tokencache.EventState) {
				states = append(states, e.State)
				grants[e.Grant] = true
			}
			if !slices.Equal(states, []string{tokencache.StateDead, tokencache.StateOK}) {
				t.Errorf("%d has told %v", i, states)
			}
		}
		if len(grants) != 1 || grants[tokencache.Fingerprint{}] {
			t.Errorf("of the grants %v", grants)
		}
	})
}

// A call that the ledger of the fleet cannot take is as one without a store: once in ten minutes.
func TestFleetLedgerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, failing := range map[string]error{"away": tokencache.ErrAway, "broken": errors.New("WRONGTYPE")} {
			f := newFleet(t, 1)
			store := &odd{Memory: f.replicas[0].store.Replica()}
			r := f.startOn(store, store.Memory)
			r.get("crm")
			store.failing = failing
			for range 30 {
				_, err := r.conn().Refresh(context.Background(), r.client)
				r.wantError(nil, err, tokencache.KindStore)
			}
			f.wantCalls(1)
			want := 1
			if name == "away" {
				want = 2
			}
			time.Sleep(2 * time.Second) // what has failed is not tried again at once
			for range 30 {
				_, _ = r.resource("crm").Refused(context.Background(), r.client, 1, tokencache.RefusalDead)
				_, _ = r.resource("crm").Refused(context.Background(), r.client, 2, tokencache.RefusalDead)
			}
			f.wantCalls(want)
			store.failing = nil
			time.Sleep(2 * time.Second)
			if _, err := r.conn().Refresh(context.Background(), r.client); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if s := r.cache.Status(r.client)[0]; s.BudgetLeft != 10-want-1 {
				t.Errorf("%s: budget left %d", name, s.BudgetLeft)
			}
		}
	})
}

// A token that could not be stored keeps its generation: nobody else's token gets that.
func TestFleetGenerationOfUnsaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1)
		store := &odd{Memory: f.replicas[0].store.Replica(), unwritable: tokencache.ErrAway}
		r := f.startOn(store, store.Memory)
		mine := r.get("crm")
		others := f.replicas[0].get("crm")
		if mine.Generation == others.Generation {
			t.Errorf("%v and %v", mine, others)
		}
		store.writes(nil)
		time.Sleep(2 * time.Hour)
		if got, want := r.get("crm"), f.replicas[0].get("crm"); got.Generation != want.Generation || got.Value != want.Value {
			t.Errorf("%v, %v", got, want)
		}
	})
}

// What may be asked without the store is counted by grant, as Zoho counts.
func TestFleetAloneWithSharedGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		for _, r := range f.replicas {
			r.store.Away(true)
			for i := range 5 {
				account := fmt.Sprint("account ", i)
				f.grants.set(account, "one for all")
				if n, err := r.cache.Conn(r.client, account); err == nil {
					_, _ = n.Resource("crm", "").Get(context.Background(), r.client)
				}
			}
		}
		f.wantCalls(2)
	})
}

// A store that is away is not asked for each connection, nor waited for at the end.
func TestFleetUnsaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1)
		const count = 50
		store := &odd{Memory: f.replicas[0].store.Replica(), unwritable: tokencache.ErrAway}
		r := f.startOn(store, store.Memory)
		for i := range count {
			account := fmt.Sprint("account ", i)
			f.grants.set(account, account)
			n, err := r.cache.Conn(r.client, account)
			if err == nil {
				_, err = n.Resource("crm", "").Get(context.Background(), r.client)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		before := len(r.journal.of(tokencache.EventStoreError))
		time.Sleep(5 * time.Minute)
		if n := len(r.journal.of(tokencache.EventStoreError)) - before; n > 20 {
			t.Errorf("%d errors in five minutes", n)
		}
		store.writes(nil)
		time.Sleep(2 * time.Minute)
		store.writes(nil)
		if err := r.cache.Close(); err != nil || len(store.written()) != 0 {
			t.Errorf("%v, %d were not written until the end", err, len(store.written()))
		}
	})
}

// Of thousands of accounts that nobody calls here, some are read for an overview.
func TestFleetOverview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1)
		f.grants.remove("default")
		loads := 0
		store := &odd{Memory: f.replicas[0].store.Replica(), load: func(r tokencache.Record) (tokencache.Record, bool) {
			loads++
			return r, true
		}}
		r := f.startOn(store, store.Memory)
		for i := range 300 {
			key := tokencache.Key{Client: "main", Account: fmt.Sprint("account ", i)}
			g := tokencache.Grant{RefreshToken: key.Account, AccountsServer: "https://accounts.example"}
			if err := store.SaveGrant(key, r.secret.get(), g); err != nil {
				t.Fatal(err)
			}
			if err := store.Save(key, r.secret.get(), tokencache.Record{Generation: 1}); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			connected := 0
			for s := range r.cache.Overview(r.client) {
				if s.HasGrant && s.NoGrant == 0 && !s.NeedsConsent() {
					connected++
				}
			}
			if connected != 300 || loads == 0 || loads > 100 {
				t.Errorf("%d connected, %d records were read", connected, loads)
			}
		}
		gone := tokencache.Key{Client: "main", Account: "account 299"}
		if err := store.DeleteGrant(gone); err != nil {
			t.Fatal(err)
		}
		r.cache.GrantChanged(gone)
		for s := range r.cache.Overview(r.client) {
			if s.Key == gone && !s.NeedsConsent() {
				t.Errorf("%+v", s)
			}
		}
	})
}

// A health check does not wait for a store that is slow, once it has had an answer.
func TestFleetOverviewWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1)
		store := &odd{Memory: f.replicas[0].store.Replica(), slow: 2 * time.Second}
		r := f.startOn(store, store.Memory)
		r.get("crm")
		for range r.cache.Overview(r.client) {
		}
		for range 10 {
			time.Sleep(5 * time.Second)
			begun := time.Now()
			for range r.cache.Overview(r.client) {
			}
			if took := time.Since(begun); took > 0 {
				t.Errorf("it took %s", took)
			}
		}
	})
}
