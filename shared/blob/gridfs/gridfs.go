// Package gridfs keeps blobs in MongoDB, as files of GridFS: any client of
// GridFS reads what it has written, and it reads, lists and deletes what any
// client has written under an id of package blob.
//
//	<bucket>.files    {_id: id, length, chunkSize, uploadDate, filename: id, metadata: {put}}
//	<bucket>.chunks   {_id, files_id: id, n, put, data}
//	unfinished        {_id: put, bucket, blob: id, put, seen, dead}
//
// A put is the ObjectID of one call of Put, so that nobody ever removes the
// chunks of another. The document in files comes last and makes the blob
// visible. Before its first chunk, a Put writes an intent into unfinished; as
// long as it lasts, it renews seen there, and its last step is to remove it.
// So Sweep knows what nobody will finish, and never has to look at chunks. A
// Delete does the same.
//
// Writes are acknowledged by a majority, reads go to the primary.
package gridfs

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

const (
	// tripTime bounds one command, unless the URL says so by timeoutMS.
	tripTime = 30 * time.Second
	// clearTime bounds the deletion of the chunks of one blob.
	clearTime = 2 * time.Minute
	// grace is how long a write under way outlives the context of its caller,
	// so that somebody who leaves does not leave its outcome unknown.
	grace = 5 * time.Second
	// undoTime bounds the removal of what a Put that failed has written.
	undoTime = 5 * time.Second
	// closeTime bounds what is said to a server before leaving it.
	closeTime = 2 * time.Second
)

// Options are what a URL does not say; the zero value is for production.
type Options struct {
	// Abandoned is how long nothing has to be heard of a Put or a Delete for
	// Sweep to end it; zero is 5 minutes. It must be the same for all who use
	// the database, and at least five times the URL's timeoutMS.
	Abandoned time.Duration

	monitor *event.CommandMonitor
}

// Store keeps blobs in one database. It implements blob.Store.
type Store struct {
	address  string
	database string
	options  Options
	trip     time.Duration

	indexed atomic.Bool // both indexes of every bucket are known to be there

	mu     sync.Mutex
	db     *mongo.Database // nil until the address was resolved
	failed time.Time       // when resolving it failed last
	reason error
}

// bucket is the two collections of a bucket.
type bucket struct{ files, chunks *mongo.Collection }

func inDatabase(db *mongo.Database, name blob.Bucket) bucket {
	return bucket{files: db.Collection(string(name) + ".files"), chunks: db.Collection(string(name) + ".chunks")}
}

// use checks what every operation is given and connects.
func (s *Store) use(ctx context.Context, name blob.Bucket, id string) (bucket, error) {
	if !slices.Contains(blob.Buckets(), name) {
		return bucket{}, fail.Wrap(fail.Internal, errors.New("no such bucket"), "use bucket %q", name)
	}
	if err := blob.CheckID(id); err != nil {
		return bucket{}, err
	}
	if err := ctx.Err(); err != nil {
		return bucket{}, fail.Wrap(fail.Unavailable, err, "use blob %s", id)
	}
	db, err := s.connected()
	if err != nil {
		return bucket{}, err
	}
	return inDatabase(db, name), nil
}

// read returns a context for one command that changes nothing.
func (s *Store) read(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.trip)
}

// write returns a context for one command that changes something, which takes
// at most the given time and outlives ctx by the grace.
func write(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return longer, func() { stop(); cancel() }
}

// fault makes a failure of the server, or on the way to it, an error. The end
// of the caller's ctx is in its chain, whatever the driver has made of it.
func fault(ctx context.Context, err error, format string, args ...any) error {
	if ended := ctx.Err(); err != nil && ended != nil && !errors.Is(err, ended) {
		err = errors.Join(ended, err)
	}
	return fail.Wrap(fail.Unavailable, err, format, args...)
}

func notFound() error { return fail.New(fail.NotFound, "There is no such file.") }

func exists() error { return fail.New(fail.Exists, "There is such a file already.") }
