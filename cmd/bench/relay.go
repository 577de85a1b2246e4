package main

import (
	"io"
	"net"
	"sync"
	"time"
)

// relay stands for the way to a server that is away by a round trip of so long. Loopback opens a
// connection at once, so what is sent first waits for the round trip that this takes elsewhere.
type relay struct {
	net.Listener
	to   string
	trip time.Duration
	wg   sync.WaitGroup
}

func startRelay(to string, trip time.Duration) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{Listener: l, to: to, trip: trip}
	r.wg.Go(r.run)
	return r, nil
}

func (r *relay) run() {
	for {
		near, err := r.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", r.to)
		if err != nil {
			_ = near.Close()
			continue
		}
		opened := time.Now().Add(r.trip)
		r.wg.Go(func() { r.carry(far, near, opened) })
		r.wg.Go(func() { r.carry(near, far, opened) })
	}
}

// piece is what has come at once.
type piece struct {
	data []byte
	at   time.Time // when it arrives
}

// carry delivers what comes from one side to the other, half a round trip later.
func (r *relay) carry(to, from net.Conn, opened time.Time) {
	pieces := make(chan piece, 4096)
	r.wg.Go(func() {
		defer to.Close()
		for p := range pieces {
			time.Sleep(time.Until(p.at))
			if _, err := to.Write(p.data); err != nil {
				_ = from.Close() // which ends the reading
				break
			}
		}
		for range pieces {
		}
	})
	defer close(pieces)
	for {
		buffer := make([]byte, 32<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			sent := time.Now()
			if sent.Before(opened) {
				sent = opened
			}
			pieces <- piece{buffer[:n], sent.Add(r.trip / 2)}
		}
		if err != nil {
			if err != io.EOF {
				_ = to.Close()
			}
			return
		}
	}
}
