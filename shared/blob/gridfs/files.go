package gridfs

import (
	"context"
	"errors"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// listBatch is how many documents List asks for at once; each has about 100
// bytes.
const listBatch = 1000

// file is a document of files: a blob that is there.
type file struct {
	ID        string        `bson:"_id"`
	Length    int64         `bson:"length"`
	ChunkSize int32         `bson:"chunkSize"`
	Uploaded  bson.DateTime `bson:"uploadDate"`
	Name      string        `bson:"filename"`
	Metadata  struct {
		Put *bson.ObjectID `bson:"put"` // nil in those of other clients
	} `bson:"metadata"`
}

func (f file) info() blob.Info {
	return blob.Info{ID: f.ID, Bytes: f.Length, Created: f.Uploaded.Time().UTC()}
}

// find returns the document of a blob.
func (s *Store) find(ctx context.Context, b bucket, id string) (file, error) {
	trip, cancel := s.read(ctx)
	defer cancel()
	var f file
	err := b.files.FindOne(trip, bson.D{{Key: "_id", Value: id}}).Decode(&f)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return file{}, notFound()
	}
	return f, fault(ctx, err, "find blob %s", id)
}

// Delete implements blob.Store. What it cannot finish is for Sweep.
func (s *Store) Delete(ctx context.Context, name blob.Bucket, id string) error {
	b, err := s.use(ctx, name, id)
	if err != nil {
		return err
	}
	f, err := s.find(ctx, b, id)
	if fail.Is(err, fail.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	db := b.files.Database()
	i := intent{ID: bson.NewObjectID(), Bucket: name, Blob: id, Put: f.Metadata.Put}
	if err := s.note(ctx, db, i); err != nil {
		return err
	}
	if err := s.clear(ctx, db, i); err != nil {
		return err
	}
	if err := s.finish(ctx, db, i); err != nil && !errors.Is(err, errTaken) {
		return err
	}
	return nil
}

// List implements blob.Store. Files with an id that is none of package blob
// are not listed.
func (s *Store) List(ctx context.Context, name blob.Bucket) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		b, err := s.use(ctx, name, blob.NewID())
		if err != nil {
			yield(blob.Info{}, err)
			return
		}
		more, err := s.list(ctx, b, yield)
		if err != nil && more {
			yield(blob.Info{}, fault(ctx, err, "list bucket %s", name))
		}
	}
}

// list yields until it is asked for no more.
func (s *Store) list(ctx context.Context, b bucket, yield func(blob.Info, error) bool) (more bool, err error) {
	fields := bson.D{{Key: "length", Value: 1}, {Key: "uploadDate", Value: 1}}
	trip, cancel := s.read(ctx)
	cursor, err := b.files.Find(trip, bson.D{}, options.Find().SetProjection(fields).SetBatchSize(listBatch))
	cancel()
	if err != nil {
		return true, err
	}
	defer leave(cursor)
	for s.next(ctx, cursor) {
		id, ok := cursor.Current.Lookup("_id").StringValueOK()
		if !ok || blob.CheckID(id) != nil {
			continue
		}
		var f file
		if err := cursor.Decode(&f); err != nil {
			return true, err
		}
		if !yield(f.info(), nil) {
			return false, nil
		}
	}
	return true, cursor.Err()
}

// next goes to the next document, with at most one command.
func (s *Store) next(ctx context.Context, cursor *mongo.Cursor) bool {
	if cursor.RemainingBatchLength() > 0 {
		return ctx.Err() == nil && cursor.Next(ctx)
	}
	trip, cancel := s.read(ctx)
	defer cancel()
	return cursor.Next(trip)
}

// leave closes a cursor, on the server too unless that takes too long.
func leave(cursor *mongo.Cursor) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	_ = cursor.Close(ctx)
}
