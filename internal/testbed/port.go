package testbed

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
)

// Ports are given out below those that the system hands out by itself, in blocks. Whoever
// gives out those of a block listens at its first one, so that no two programs give out the
// same: Caddy, which shares its ports (SO_REUSEPORT), would not notice.
const (
	firstBlock = 10_000
	blockSize  = 100
	blocks     = 220
)

// ports are those of the block that this process holds.
var ports struct {
	sync.Mutex
	next, end int
	held      []net.Listener // until the process ends
}

// FreePort gives a port of this machine that nobody listens at, and nobody else is given.
func FreePort() (string, error) {
	ports.Lock()
	defer ports.Unlock()
	for {
		if ports.next == ports.end && !holdBlock() {
			return "", errors.New("no free port")
		}
		port := ports.next
		ports.next++
		if l := listenAt(port); l != nil {
			_ = l.Close()
			return strconv.Itoa(port), nil
		}
	}
}

func holdBlock() bool {
	for i := range blocks {
		first := firstBlock + i*blockSize
		if l := listenAt(first); l != nil {
			ports.held = append(ports.held, l)
			ports.next, ports.end = first+1, first+blockSize
			return true
		}
	}
	return false
}

func listenAt(port int) net.Listener {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil
	}
	return l
}
