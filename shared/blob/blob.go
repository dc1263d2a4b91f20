// Package blob is the contract of the store that keeps videos and the audio
// made of them. Package blobtest holds its conformance suite.
package blob

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Bucket separates uploads from results.
type Bucket string

// The buckets, named as in the database of the original system.
const (
	Videos Bucket = "videos"
	Audio  Bucket = "mp3s"
)

// Buckets lists every bucket.
func Buckets() []Bucket { return []Bucket{Videos, Audio} }

// Info describes a stored blob.
type Info struct {
	ID      string
	Bytes   int64
	Created time.Time // when it became visible; UTC
}

// Reader reads one blob; it seeks to any offset without reading what lies
// between. Not safe for concurrent use. Close releases it.
type Reader interface {
	io.ReadSeekCloser
	Info() Info
}

// Store keeps blobs: written once, never changed, read from any offset. Safe
// for concurrent use. A fault of the storage (full disk, lost connection) is
// fail.Unavailable; an id that NewID cannot have made is fail.NotFound.
type Store interface {
	// Put streams r into a new blob with the id. The blob becomes visible, and
	// durable, only when Put returns without error; after an error, a failed
	// read of r or a cancelled ctx nothing is left, unless the storage itself
	// cannot be reached: then Sweep removes it later. Memory does not grow with
	// the size. An id already in the bucket is fail.Exists. An error of r is
	// wrapped and keeps its kind. Where r is an Amended, its amendment is part
	// of the blob.
	Put(ctx context.Context, bucket Bucket, id string, r io.Reader) (Info, error)

	// Open opens a blob at offset 0; fail.NotFound where there is none. The
	// ctx bounds opening and every later read. Once the blob is deleted, reads
	// may fail; they never give the bytes of another.
	Open(ctx context.Context, bucket Bucket, id string) (Reader, error)

	// Delete removes a blob; one that is not there is no error. After an error
	// it may be gone or not, but what is visible is whole.
	Delete(ctx context.Context, bucket Bucket, id string) error

	// List yields every visible blob of the bucket, in no set order. Blobs
	// that appear or vanish meanwhile may or may not be seen. It ends with the
	// first error.
	List(ctx context.Context, bucket Bucket) iter.Seq2[Info, error]

	// Sweep removes what Puts and Deletes that can no longer finish left
	// behind: their process is gone, or was not heard of for long. It never
	// touches one that is under way, in this process or another.
	Sweep(ctx context.Context) error

	// Ready reports whether the store can be used now.
	Ready(ctx context.Context) error
}

// Amended is implemented by what is given to Put and learns only at its end
// what some of its bytes are, such as a header that tells the length of what
// follows.
type Amended interface {
	io.Reader

	// Amend is called once, when Read has returned io.EOF. p goes in place of
	// as many bytes, read from the offset at on; empty where there is nothing
	// to amend. It must lie within what was read.
	Amend() (at int64, p []byte)
}

// Local is implemented by a Reader whose blob is a file of this machine, so
// that a program can read it without a copy.
type Local interface {
	// File returns the open file. It must only be read; it stays readable
	// until the Reader is closed, even if the blob is deleted meanwhile.
	File() *os.File
}

// Amendment is for stores: what r has to amend, once length bytes of it were
// read to its end. Nothing for what is no Amended; fail.Internal where it is not
// within what was read.
func Amendment(r io.Reader, length int64) (at int64, p []byte, err error) {
	a, ok := r.(Amended)
	if !ok {
		return 0, nil, nil
	}
	at, p = a.Amend()
	if len(p) > 0 && (at < 0 || at > length-int64(len(p))) {
		return 0, nil, fail.New(fail.Internal, "An amendment of %d bytes at %d is not within the %d that were read.", len(p), at, length)
	}
	return at, p, nil
}

// DeleteAll deletes a video and the results made of it. It goes on after an
// error and returns all of them.
func DeleteAll(ctx context.Context, s Store, video string, results []string) error {
	errs := []error{s.Delete(ctx, Videos, video)}
	for _, fid := range results {
		errs = append(errs, s.Delete(ctx, Audio, fid))
	}
	return errors.Join(errs...)
}

// NewID makes an id for a blob: a random UUID, so that it cannot be guessed.
func NewID() string { return uuid.NewString() }

// CheckID returns fail.NotFound for an id that NewID cannot have made: such
// an id never reaches a path or a query.
func CheckID(id string) error {
	if u, err := uuid.Parse(id); err != nil || u.String() != id {
		return fail.New(fail.NotFound, "There is no such file.")
	}
	return nil
}
