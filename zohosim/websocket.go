package zohosim

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strings"
)

// maxFrame is how many bytes of payload a frame may have.
const maxFrame = 16 << 20

// webSocket accepts an upgrade (RFC 6455) and sends every frame back, fragments and all. It does not know
// extensions. A ping is answered by a pong, and a close frame ends it.
func (c *call) webSocket() {
	key := c.r.Header.Get("Sec-WebSocket-Key")
	if !strings.EqualFold(c.r.Header.Get("Upgrade"), "websocket") || key == "" {
		c.write(Answer{
			Status: http.StatusUpgradeRequired, ContentType: typeHTML,
			Header: map[string]string{"Upgrade": "websocket"},
		})
		return
	}
	conn, rw, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		c.write(Answer{Status: http.StatusUpgradeRequired, ContentType: typeHTML})
		return
	}
	defer conn.Close()
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n" +
		"X-Sim-User: " + c.token.grant.User + "\r\n\r\n")
	rw.Flush()
	for {
		first, payload, err := readFrame(rw.Reader)
		if err != nil {
			return
		}
		closing := first&0x0f == 8
		if first&0x0f == 9 { // a ping wants a pong
			first = first&0xf0 | 10
		}
		if writeFrame(rw.Writer, first, payload) != nil || closing {
			return
		}
	}
}

// readFrame reads one frame: its first byte (flags and opcode) and the unmasked payload.
func readFrame(r *bufio.Reader) (first byte, payload []byte, err error) {
	var head [2]byte
	if _, err = io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := uint64(head[1] & 0x7f)
	if extra := map[uint64]int{126: 2, 127: 8}[size]; extra > 0 {
		var long [8]byte
		if _, err = io.ReadFull(r, long[8-extra:]); err != nil {
			return 0, nil, err
		}
		size = binary.BigEndian.Uint64(long[:])
	}
	if size > maxFrame {
		return 0, nil, errors.New("frame too large")
	}
	var mask [4]byte
	if head[1]&0x80 != 0 {
		if _, err = io.ReadFull(r, mask[:]); err != nil {
			return 0, nil, err
		}
	}
	payload = make([]byte, size)
	_, err = io.ReadFull(r, payload)
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return head[0], payload, err
}

// writeFrame writes a frame as servers do, unmasked.
func writeFrame(w *bufio.Writer, first byte, payload []byte) error {
	head := []byte{first, byte(len(payload))}
	switch n := len(payload); {
	case n > 0xffff:
		head = binary.BigEndian.AppendUint64([]byte{first, 127}, uint64(n))
	case n > 125:
		head = binary.BigEndian.AppendUint16([]byte{first, 126}, uint16(n))
	}
	w.Write(head)
	w.Write(payload)
	return w.Flush()
}
