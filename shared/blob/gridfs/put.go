package gridfs

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Put implements blob.Store. It holds two batches of chunks: one is filled
// while the other is on its way.
func (s *Store) Put(ctx context.Context, name blob.Bucket, id string, r io.Reader) (blob.Info, error) {
	b, err := s.use(ctx, name, id)
	if err != nil {
		return blob.Info{}, err
	}
	db := b.files.Database()
	if err := s.index(ctx, db); err != nil {
		return blob.Info{}, err
	}
	put := bson.NewObjectID()
	u := &upload{store: s, db: db, bucket: b, intent: intent{ID: put, Bucket: name, Blob: id, Put: &put}, began: time.Now()}
	if err := s.note(ctx, db, u.intent); err != nil {
		return blob.Info{}, err
	}
	info, err := u.run(ctx, r)
	if err != nil {
		u.undo(ctx)
		return blob.Info{}, err
	}
	return info, nil
}

// upload is one Put whose intent is written.
type upload struct {
	store  *Store
	db     *mongo.Database
	bucket bucket
	intent intent

	began time.Time
	heard atomic.Int64 // when the intent was last renewed for sure: ns since began

	chunks  int32 // sent or on their way
	length  int64
	written bool // something may be in the collections
	unsure  bool // something may yet get there
}

// run does all of it, but cleans nothing up.
func (u *upload) run(ctx context.Context, r io.Reader) (blob.Info, error) {
	err := u.whileAlive(ctx, func(ctx context.Context, end context.CancelCauseFunc) error {
		if err := u.send(ctx, end, r); err != nil {
			return err
		}
		return u.amend(ctx, r)
	})
	if err != nil {
		return blob.Info{}, err
	}
	return u.publish(ctx)
}

// whileAlive runs do, and meanwhile renews the intent. If that is taken away,
// it ends the context of do.
func (u *upload) whileAlive(ctx context.Context, do func(context.Context, context.CancelCauseFunc) error) error {
	ctx, end := context.WithCancelCause(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(u.store.options.Abandoned / 5)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			now := time.Since(u.began)
			switch err := u.store.renew(ctx, u.db, u.intent); {
			case errors.Is(err, errTaken):
				end(err)
			case err == nil:
				u.heard.Store(int64(now))
			}
		}
	}()
	err := do(ctx, end)
	end(nil)
	<-stopped
	return err
}

// held returns an error unless the intent was renewed so lately that nobody
// can have taken it, nor will while a command is under way.
func (u *upload) held() error {
	if time.Since(u.began)-time.Duration(u.heard.Load()) > u.store.options.Abandoned*3/4 {
		return fail.Wrap(fail.Unavailable, errTaken, "write blob %s", u.intent.Blob)
	}
	return nil
}

// send sends all of r as chunks. The end of ctx gives its cause, and so does
// end to a chunk that cannot be written.
func (u *upload) send(ctx context.Context, end context.CancelCauseFunc, r io.Reader) error {
	filling, sending := batches.Get().(*batch), (*batch)(nil)
	onTheWay := make(chan error, 1)
	onTheWay <- nil
	for {
		readErr := filling.fill(ctx, r, *u.intent.Put, u.intent.Blob, u.chunks)
		err := <-onTheWay // with it, its batch is free
		if sending == nil {
			sending = batches.Get().(*batch)
		}
		filling, sending = sending, filling
		eof := errors.Is(readErr, io.EOF)
		switch {
		case err != nil:
		case ctx.Err() != nil:
			err = ended(ctx, u.intent.Blob)
		case readErr != nil && !eof:
			err = fail.Wrap(fail.KindOf(readErr), readErr, "read the content of a blob")
		case len(sending.docs) > 0:
			u.written = true
			u.chunks += int32(len(sending.docs)) // #nosec G115 -- at most batchChunks
			u.length += sending.size
			go func() {
				err := u.insert(ctx, sending.docs)
				if err != nil {
					end(err)
				}
				onTheWay <- err
			}()
			if eof {
				err = <-onTheWay
			}
		}
		if err != nil || eof {
			batches.Put(filling)
			batches.Put(sending)
			return err
		}
	}
}

// ended is the error of a context that has ended: its cause, if that is one
// of ours.
func ended(ctx context.Context, id string) error {
	err := context.Cause(ctx)
	if ours := (*fail.Error)(nil); errors.As(err, &ours) {
		return err
	}
	return fail.Wrap(fail.Unavailable, err, "write blob %s", id)
}

// insert writes a batch of chunks. A chunk that is there already belongs to
// another Put of the id.
func (u *upload) insert(ctx context.Context, docs []any) error {
	if err := u.held(); err != nil {
		return err
	}
	trip, cancel := write(ctx, u.store.trip)
	defer cancel()
	_, err := u.bucket.chunks.InsertMany(trip, docs)
	return u.outcome(ctx, err)
}

// amend replaces bytes in the chunks that were written, which nobody sees yet.
func (u *upload) amend(ctx context.Context, r io.Reader) error {
	at, p, err := blob.Amendment(r, u.length)
	if err != nil {
		return err
	}
	for len(p) > 0 {
		n, offset := at/chunkSize, int(at%chunkSize)
		k := min(len(p), chunkSize-offset)
		if err := u.amendChunk(ctx, n, offset, p[:k]); err != nil {
			return err
		}
		at, p = at+int64(k), p[k:]
	}
	return nil
}

func (u *upload) amendChunk(ctx context.Context, n int64, offset int, p []byte) error {
	if err := u.held(); err != nil {
		return err
	}
	trip, cancel := write(ctx, u.store.trip)
	defer cancel()
	which := bson.D{{Key: "files_id", Value: u.intent.Blob}, {Key: "n", Value: n}}
	var chunk struct {
		ID   bson.ObjectID `bson:"_id"`
		Data []byte        `bson:"data"`
	}
	err := u.bucket.chunks.FindOne(trip, which).Decode(&chunk)
	if err == nil {
		copy(chunk.Data[offset:], p)
		_, err = u.bucket.chunks.UpdateOne(trip, bson.D{{Key: "_id", Value: chunk.ID}},
			bson.D{{Key: "$set", Value: bson.D{{Key: "data", Value: bson.Binary{Data: chunk.Data}}}}})
	}
	if err != nil {
		u.unsure = true
		return fault(ctx, err, "amend blob %s", u.intent.Blob)
	}
	return nil
}

// publish makes the blob visible and removes the intent, in this order: only
// then is the Put done.
func (u *upload) publish(ctx context.Context) (blob.Info, error) {
	if err := ctx.Err(); err != nil {
		return blob.Info{}, fail.Wrap(fail.Unavailable, err, "write blob %s", u.intent.Blob)
	}
	if err := u.held(); err != nil {
		return blob.Info{}, err
	}
	file := file{ID: u.intent.Blob, Length: u.length, ChunkSize: chunkSize, Uploaded: bson.NewDateTimeFromTime(time.Now()), Name: u.intent.Blob}
	file.Metadata.Put = u.intent.Put
	u.written = true
	trip, cancel := write(ctx, u.store.trip)
	defer cancel()
	if _, err := u.bucket.files.InsertOne(trip, file); err != nil {
		return blob.Info{}, u.outcome(ctx, err)
	}
	if err := u.store.finish(ctx, u.db, u.intent); err != nil {
		u.unsure = true
		return blob.Info{}, err
	}
	return file.info(), nil
}

// outcome is the error of an insertion. After any but a collision, it may
// still happen.
func (u *upload) outcome(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case mongo.IsDuplicateKeyError(err):
		return exists()
	}
	u.unsure = true
	return fault(ctx, err, "write blob %s", u.intent.Blob)
}

// undo removes what the Put has written. What it cannot remove, or what may
// yet arrive, keeps its intent and is for Sweep.
func (u *upload) undo(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	if u.written && u.store.clear(ctx, u.db, u.intent) != nil || u.unsure {
		return
	}
	_ = u.store.finish(ctx, u.db, u.intent)
}
