package gridfs

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	// firstChunks is how many chunks a run fetches first: it may be all that
	// is wanted. Each piece after it is twice as large as the one before.
	firstChunks = 2
	// pieceBytes bounds a piece, but for a chunk that is larger.
	pieceBytes = batchChunks * chunkSize
)

// piece is a part of a blob, of whole chunks.
type piece struct {
	start int64
	data  []byte
}

func (p piece) holds(at int64) bool { return at >= p.start && at < p.start+int64(len(p.data)) }

type fetched struct {
	piece piece
	err   error
}

// source is where the chunks of one blob are.
type source struct {
	store  *Store
	chunks *mongo.Collection
	file   file
}

func (s source) chunkSize() int64 { return int64(s.file.ChunkSize) }

// count is how many chunks there are.
func (s source) count() int64 { return (s.file.Length + s.chunkSize() - 1) / s.chunkSize() }

// from makes a run that begins with the chunk at a position.
func (s source) from(ctx context.Context, at int64) *run {
	ctx, cancel := context.WithCancel(ctx)
	r := &run{source: s, ctx: ctx, cancel: cancel, chunk: at / s.chunkSize(), size: min(firstChunks, s.largest())}
	r.expect()
	return r
}

// largest is how many chunks a piece has at most.
func (s source) largest() int64 { return max(1, pieceBytes/s.chunkSize()) }

// run fetches one piece of a blob after another, with one cursor. It is for
// one goroutine at a time, but for its reach, which is its reader's.
type run struct {
	source
	ctx    context.Context
	cancel context.CancelFunc

	cursor *mongo.Cursor // nil before the first piece
	chunk  int64         // the next one to come
	size   int64         // how many to ask for
	again  bool          // the cursor was lost and nothing has come since

	// The reach: where the next piece will be.
	next struct{ start, end int64 }
}

// expect takes note of where the next piece will be.
func (r *run) expect() {
	r.next.start = r.chunk * r.chunkSize()
	r.next.end = min(r.file.Length, r.next.start+r.size*r.chunkSize())
}

// reaches reports whether the next piece is to hold the position.
func (r *run) reaches(at int64) bool { return at >= r.next.start && at < r.next.end }

// done reports whether there is no next piece.
func (r *run) done() bool { return r.next.start >= r.file.Length }

// fetch returns the next piece, in the room if that is enough. A cursor or a
// connection that was lost is replaced once.
func (r *run) fetch(room []byte) (piece, error) {
	p, err := r.try(room)
	if errors.Is(err, errLost) && r.ctx.Err() == nil && !r.again {
		r.again = true
		r.leave()
		p, err = r.try(room)
	}
	if err != nil {
		return piece{}, fault(r.ctx, err, "read blob %s", r.file.ID)
	}
	r.again = false
	return p, nil
}

// errLost is in the chain of what another cursor may mend.
var errLost = errors.New("the cursor was lost")

// try fetches the next piece with one command.
func (r *run) try(room []byte) (piece, error) {
	size := min(r.size, r.count()-r.chunk)
	if err := r.point(size); err != nil {
		return piece{}, err
	}
	p := piece{start: r.chunk * r.chunkSize(), data: room[:0]}
	if need := min(size*r.chunkSize(), r.file.Length-p.start); int64(cap(room)) < need {
		p.data = make([]byte, 0, need)
	}
	n := r.chunk
	for ; n < r.chunk+size && (n == r.chunk || r.cursor.RemainingBatchLength() > 0); n++ {
		switch {
		case r.store.next(r.ctx, r.cursor):
		case r.cursor.Err() != nil:
			return piece{}, fmt.Errorf("%w: %w", errLost, r.cursor.Err())
		default:
			return piece{}, fmt.Errorf("chunk %d is missing", n)
		}
		data, err := r.check(r.cursor.Current, n)
		if err != nil {
			return piece{}, err
		}
		p.data = append(p.data, data...)
	}
	r.chunk, r.size = n, min(2*r.size, r.largest())
	return p, nil
}

// point sees to a cursor whose next command fetches so many chunks.
func (r *run) point(size int64) error {
	batch := int32(size) // #nosec G115 -- at most pieceBytes
	if r.cursor != nil {
		r.cursor.SetBatchSize(batch)
		return nil
	}
	trip, cancel := r.store.read(r.ctx)
	defer cancel()
	cursor, err := r.chunks.Find(trip,
		bson.D{{Key: "files_id", Value: r.file.ID}, {Key: "n", Value: bson.D{{Key: "$gte", Value: r.chunk}}}},
		// The limit ends the cursor on the server with the last chunk.
		options.Find().SetSort(bson.D{{Key: "n", Value: 1}}).SetLimit(r.count()-r.chunk).SetBatchSize(batch))
	if err != nil {
		return fmt.Errorf("%w: %w", errLost, err)
	}
	r.cursor = cursor
	return nil
}

// check returns the data of a chunk that is the one expected. One of another
// put comes from a blob that has taken the place of this one.
func (r *run) check(doc bson.Raw, want int64) ([]byte, error) {
	n, ok := doc.Lookup("n").AsInt64OK()
	_, data, isData := doc.Lookup("data").BinaryOK()
	put, isOurs := doc.Lookup("put").ObjectIDOK()
	switch length := min(r.chunkSize(), r.file.Length-want*r.chunkSize()); {
	case !ok || n != want:
		return nil, fmt.Errorf("chunk %d is missing", want)
	case isOurs != (r.file.Metadata.Put != nil) || isOurs && put != *r.file.Metadata.Put:
		return nil, fmt.Errorf("chunk %d is of another blob", want)
	case !isData || int64(len(data)) != length:
		return nil, fmt.Errorf("chunk %d has %d bytes, want %d", want, len(data), length)
	}
	return data, nil
}

// leave closes the cursor, if there is one.
func (r *run) leave() {
	if r.cursor != nil {
		leave(r.cursor)
		r.cursor = nil
	}
}
