package mp4

import (
	"io"
	"iter"
)

// Reader returns a reader of the stream, from its beginning. It gives Len
// bytes, then io.EOF; a source that ends before is io.ErrUnexpectedEOF, other
// errors of the source come as they are. Close frees it.
func (s *Stream) Reader() io.ReadCloser {
	if s.Fragmented() {
		return &reader{stream: s, now: chunk{size: s.length}, next: nothing, stop: func() {}}
	}
	r := &reader{stream: s, head: s.head}
	r.next, r.stop = iter.Pull2(s.chunks())
	return r
}

type reader struct {
	stream *Stream
	head   []byte // what is left of it
	now    chunk  // what is left of it
	next   func() (int, chunk, bool)
	stop   func()
}

func nothing() (int, chunk, bool) { return 0, chunk{}, false }

// Read fills p, however small the chunks are.
func (r *reader) Read(p []byte) (n int, err error) {
	n = copy(p, r.head)
	r.head = r.head[n:]
	for n < len(p) && err == nil {
		if r.now.size == 0 {
			var ok bool
			if _, r.now, ok = r.next(); !ok {
				if n == 0 {
					return 0, io.EOF
				}
				return n, nil
			}
			continue
		}
		want := min(int64(len(p)-n), r.now.size)
		var got int
		if got, err = r.stream.src.ReadAt(p[n:n+int(want)], r.now.at); int64(got) == want {
			err = nil
		} else {
			err = unexpected(err)
		}
		n += got
		r.now.at += int64(got)
		r.now.size -= int64(got)
	}
	return n, err
}

// Close frees the reader.
func (r *reader) Close() error {
	r.stop()
	return nil
}
