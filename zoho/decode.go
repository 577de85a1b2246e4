package zoho

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

const (
	// maxCodings is more than any honest answer stacks.
	maxCodings = 3
	// maxWindow is how far back a coding may reach, which is what its decoder keeps. What
	// asks for more is not decoded, though RFC 9659 allows zstd 8 MiB on the web and brotli
	// goes to 16 MiB: refusals are short.
	maxWindow = 4 << 20
	// slack is how much longer than its content a coding's own bytes may be.
	slack = 64 << 10
)

var errWindow = errors.New("the window is too large")

// DecodePrefix undoes the Content-Encoding of the beginning of a body, giving
// at most limit bytes. A cut or damaged body gives what could be decoded. ok is
// false if the encoding is unknown, asks for too large a window, or not a byte of raw is in it.
func DecodePrefix(encoding string, raw []byte, limit int) (decoded []byte, ok bool) {
	codings := strings.Split(strings.ToLower(encoding), ",")
	if len(codings) > maxCodings {
		return nil, false
	}
	slices.Reverse(codings) // they are listed in the order in which they were applied
	var r io.Reader = bytes.NewReader(raw)
	for _, coding := range codings {
		d, err := decoder(strings.TrimSpace(coding), r, limit+slack)
		if d == nil || err != nil {
			return nil, d != nil || err == io.EOF || err == io.ErrUnexpectedEOF
		}
		if c, ok := d.(io.Closer); ok {
			defer c.Close()
		}
		r = io.LimitReader(d, int64(limit)+slack)
	}
	decoded, err := io.ReadAll(io.LimitReader(r, int64(limit)))
	ok = len(decoded) > 0 || err == nil || err == io.ErrUnexpectedEOF
	return decoded, ok
}

// decoder is nil without an error for an unknown coding. No more than limit bytes are read of it.
func decoder(coding string, r io.Reader, limit int) (io.Reader, error) {
	switch coding {
	case "", "identity":
		return r, nil
	case "gzip", "x-gzip":
		return reader(gzip.NewReader(r))
	case "deflate":
		return inflate(r)
	case "br":
		return unbrotli(r, limit)
	case "zstd":
		return unzstd(r, limit)
	}
	return nil, nil
}

// unbrotli looks at the window, whose size stands in the first bits (RFC 7932, 9.1), before
// a decoder is made. A block may announce 16 MiB, and then the decoder keeps as much as the
// window has. Whoever reads only limit bytes cannot tell a larger window from one that just
// holds these: the decoder gets to see the latter.
func unbrotli(r io.Reader, limit int) (io.Reader, error) {
	head := make([]byte, 1)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	const large = 0x11 // of seven bits: the window's size follows, and may be 1 GiB
	if head[0]&0x7f == large {
		return nil, errWindow
	}
	if size := head[0] >> 1 & 7; head[0]&1 == 1 && size > 0 { // 2 to the power of 17+size
		if 1<<(17+size) > maxWindow {
			return nil, errWindow
		}
		for size > 1 && 1<<(16+size)-16 >= limit {
			size--
		}
		head[0] = head[0]&^0x0e | size<<1
	}
	return brotli.NewReader(io.MultiReader(bytes.NewReader(head), r)), nil
}

// unzstd reads what there is and gives each frame a window that holds all that is read of it,
// the same one: a decoder keeps as much as a frame announces, and makes room anew for each that
// announces more.
func unzstd(r io.Reader, limit int) (io.Reader, error) {
	raw, err := io.ReadAll(io.LimitReader(r, int64(limit)))
	if len(raw) == 0 && err != nil {
		return nil, err
	}
	window := uint64(maxZstdBlock)
	for window < uint64(limit)+maxZstdBlock {
		window *= 2
	}
	frames, err := zstdFrames(raw, window)
	if err != nil {
		return nil, err
	}
	d, err := zstd.NewReader(bytes.NewReader(frames), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxWindow), zstd.WithDecoderMaxWindow(window))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

const (
	maxZstdBlock  = 128 << 10 // decoded (RFC 8878, 3.1.1.2.4)
	maxZstdFrames = 16        // more than any honest refusal has
)

// zstdFrames are the first frames of raw, with another window. It ends at what is cut or is no
// frame, which is left to the decoder, and before a window that is too large.
func zstdFrames(raw []byte, window uint64) (frames []byte, err error) {
	for range maxZstdFrames {
		var h zstd.Header
		content, err := h.DecodeAndStrip(raw)
		if err != nil {
			return append(frames, raw...), nil
		}
		if h.Skippable {
			raw = content[min(int64(h.SkippableSize), int64(len(content))):]
			continue
		}
		asked := h.WindowSize
		if h.SingleSegment {
			asked = h.FrameContentSize
		}
		if asked > maxWindow {
			if len(frames) == 0 {
				return nil, errWindow
			}
			return frames, nil
		}
		h.SingleSegment, h.FrameContentSize, h.WindowSize = false, 0, window
		if frames, err = h.AppendTo(frames); err != nil {
			return nil, err
		}
		n := zstdBlocks(content, h.HasCheckSum)
		frames, raw = append(frames, content[:n]...), content[n:]
	}
	return frames, nil
}

// zstdBlocks is how long the blocks of a frame are, with its checksum, as far as they are there.
func zstdBlocks(b []byte, checksum bool) int {
	n := 0
	for len(b)-n >= 3 {
		head := int(b[n]) | int(b[n+1])<<8 | int(b[n+2])<<16
		size := head >> 3
		if head>>1&3 == 1 { // one byte, repeated
			size = 1
		}
		if n += 3 + size; head&1 == 1 {
			if checksum {
				n += 4
			}
			return min(n, len(b))
		}
	}
	return len(b)
}

// inflate takes both things that servers call deflate: zlib, as it is defined,
// and the bare stream.
func inflate(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	if head, err := b.Peek(2); err == nil && head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
		return reader(zlib.NewReader(b))
	}
	return flate.NewReader(b), nil
}

// reader keeps a nil pointer from becoming a non-nil io.Reader.
func reader[R io.Reader](r R, err error) (io.Reader, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}
