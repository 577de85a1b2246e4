package body

import (
	"net/http"
	"time"
)

const (
	lingerIdle = 5 * time.Second // without a byte
	lingerTime = 30 * time.Second
)

// KeepReading prepares for Linger, before the answer is written. The connection serves no other
// request: what is left of this one would be read as one.
func KeepReading(w http.ResponseWriter) bool {
	if http.NewResponseController(w).EnableFullDuplex() != nil {
		return false
	}
	w.Header().Set("Connection", "close")
	return true
}

// Linger throws away what an app goes on to send over HTTP/1 after it was answered. One that reads
// nothing before it has sent everything finds its answer then; otherwise it would find that the
// connection was reset. It ends early where stop says so.
func Linger(w http.ResponseWriter, read func([]byte) (int, error), stop func() bool) {
	control := http.NewResponseController(w)
	if control.Flush() != nil {
		return
	}
	piece := newChunk(largeChunk)
	defer freeChunk(piece)
	for end := time.Now().Add(lingerTime); time.Now().Before(end) && !stop(); {
		if control.SetReadDeadline(time.Now().Add(lingerIdle)) != nil {
			return
		}
		if _, err := read(piece[:cap(piece)]); err != nil {
			return
		}
	}
}
