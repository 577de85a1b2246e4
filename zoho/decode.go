package zoho

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"slices"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

const (
	// maxCodings is more than any honest answer stacks.
	maxCodings = 3
	// maxWindow is what RFC 9659 allows zstd on the web. A frame that asks for
	// more is not decoded; brotli's own limit is 16 MiB.
	maxWindow = 8 << 20
)

// DecodePrefix undoes the Content-Encoding of the beginning of a body, giving
// at most limit bytes. A cut or damaged body gives what could be decoded. ok is
// false if the encoding is unknown or not a byte of raw is in it.
func DecodePrefix(encoding string, raw []byte, limit int) (decoded []byte, ok bool) {
	codings := strings.Split(strings.ToLower(encoding), ",")
	if len(codings) > maxCodings {
		return nil, false
	}
	slices.Reverse(codings) // they are listed in the order in which they were applied
	var r io.Reader = bytes.NewReader(raw)
	for _, coding := range codings {
		d, err := decoder(strings.TrimSpace(coding), r)
		if d == nil || err != nil {
			return nil, d != nil || err == io.EOF || err == io.ErrUnexpectedEOF
		}
		if c, ok := d.(io.Closer); ok {
			defer c.Close()
		}
		r = d
	}
	decoded, err := io.ReadAll(io.LimitReader(r, int64(limit)))
	ok = len(decoded) > 0 || err == nil || err == io.ErrUnexpectedEOF
	return decoded, ok
}

// decoder is nil without an error for an unknown coding.
func decoder(coding string, r io.Reader) (io.Reader, error) {
	switch coding {
	case "", "identity":
		return r, nil
	case "gzip", "x-gzip":
		return reader(gzip.NewReader(r))
	case "deflate":
		return inflate(r)
	case "br":
		return brotli.NewReader(r), nil
	case "zstd":
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(maxWindow), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return nil, nil
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
