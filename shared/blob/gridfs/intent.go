package gridfs

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// intent says that a Put or a Delete is under way, and what has to be removed
// if it never ends: the document in files and the chunks of the put. It dies
// when nothing is heard of it, and is removed a while after, when nothing of
// what its owner has sent can still arrive.
type intent struct {
	ID     bson.ObjectID  `bson:"_id"`
	Bucket blob.Bucket    `bson:"bucket"`
	Blob   string         `bson:"blob"`
	Put    *bson.ObjectID `bson:"put"` // null for what another client has written
	Seen   bson.DateTime  `bson:"seen"`
	Dead   bool           `bson:"dead"`
}

var errTaken = errors.New("it was not heard of for too long, and has been swept")

func intents(db *mongo.Database) *mongo.Collection { return db.Collection("unfinished") }

// alive matches the intent while it is its owner's.
func (i intent) alive() bson.D { return bson.D{{Key: "_id", Value: i.ID}, {Key: "dead", Value: false}} }

// now has the server write the time, so that only its clock counts.
var now = bson.E{Key: "$currentDate", Value: bson.D{{Key: "seen", Value: true}}}

// note writes the intent down.
func (s *Store) note(ctx context.Context, db *mongo.Database, i intent) error {
	trip, cancel := write(ctx, s.trip)
	defer cancel()
	_, err := intents(db).UpdateOne(trip, bson.D{{Key: "_id", Value: i.ID}}, bson.D{
		{Key: "$set", Value: bson.D{
			{Key: "bucket", Value: i.Bucket}, {Key: "blob", Value: i.Blob}, {Key: "put", Value: i.Put}, {Key: "dead", Value: false},
		}}, now,
	}, options.UpdateOne().SetUpsert(true))
	return fault(ctx, err, "note what is to be done with blob %s", i.Blob)
}

// renew says that the intent's owner is alive; errTaken if that is too late.
func (s *Store) renew(ctx context.Context, db *mongo.Database, i intent) error {
	trip, cancel := s.read(ctx)
	defer cancel()
	found, err := intents(db).UpdateOne(trip, i.alive(), bson.D{now})
	if err == nil && found.MatchedCount == 0 {
		err = errTaken
	}
	return err
}

// finish removes the intent of what is done; errTaken if that is too late.
func (s *Store) finish(ctx context.Context, db *mongo.Database, i intent) error {
	trip, cancel := write(ctx, s.trip)
	defer cancel()
	found, err := intents(db).DeleteOne(trip, i.alive())
	if err == nil && found.DeletedCount == 0 {
		err = errTaken
	}
	return fault(ctx, err, "finish with blob %s", i.Blob)
}

// clear removes the blob of the intent, what is visible first.
func (s *Store) clear(ctx context.Context, db *mongo.Database, i intent) error {
	b := inDatabase(db, i.Bucket)
	trip, cancel := write(ctx, s.trip)
	defer cancel()
	if _, err := b.files.DeleteOne(trip, bson.D{{Key: "_id", Value: i.Blob}, {Key: "metadata.put", Value: i.Put}}); err != nil {
		return fault(ctx, err, "remove blob %s", i.Blob)
	}
	trip, cancel = write(ctx, clearTime)
	defer cancel()
	_, err := b.chunks.DeleteMany(trip, bson.D{{Key: "files_id", Value: i.Blob}, {Key: "put", Value: i.Put}})
	return fault(ctx, err, "remove the chunks of blob %s", i.Blob)
}

// Sweep implements blob.Store: it ends what was not heard of for
// Options.Abandoned. A Put that comes to life after that fails. Any number of
// sweeps may run at once.
func (s *Store) Sweep(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fail.Wrap(fail.Unavailable, err, "sweep the blobs")
	}
	db, err := s.connected()
	if err != nil {
		return err
	}
	abandoned, err := s.abandoned(ctx, db)
	if err != nil {
		return fault(ctx, err, "find what nobody will finish")
	}
	for _, i := range abandoned {
		if !slices.Contains(blob.Buckets(), i.Bucket) {
			continue // of a version to come
		}
		if err := s.end(ctx, db, i); err != nil {
			return err
		}
	}
	return nil
}

// abandoned returns the intents that were not seen for too long, some at a
// time.
func (s *Store) abandoned(ctx context.Context, db *mongo.Database) ([]intent, error) {
	trip, cancel := s.read(ctx)
	defer cancel()
	var server struct {
		Time time.Time `bson:"localTime"`
	}
	if err := db.RunCommand(trip, bson.D{{Key: "hello", Value: 1}}).Decode(&server); err != nil {
		return nil, err
	}
	last := bson.NewDateTimeFromTime(server.Time.Add(-s.options.Abandoned))
	cursor, err := intents(db).Find(trip, bson.D{{Key: "seen", Value: bson.D{{Key: "$lte", Value: last}}}}, options.Find().SetLimit(1000))
	if err != nil {
		return nil, err
	}
	var all []intent
	err = cursor.All(trip, &all)
	return all, err
}

// end takes one step with an abandoned intent, unless it has changed: a living
// one dies, and its blob is removed; of one that died as long ago, what may
// have come since is removed, and then the intent.
func (s *Store) end(ctx context.Context, db *mongo.Database, i intent) error {
	unchanged := bson.D{{Key: "_id", Value: i.ID}, {Key: "seen", Value: i.Seen}, {Key: "dead", Value: i.Dead}}
	if !i.Dead {
		trip, cancel := write(ctx, s.trip)
		defer cancel()
		found, err := intents(db).UpdateOne(trip, unchanged, bson.D{{Key: "$set", Value: bson.D{{Key: "dead", Value: true}}}, now})
		if err != nil || found.MatchedCount == 0 {
			return fault(ctx, err, "take over blob %s", i.Blob)
		}
		return s.clear(ctx, db, i)
	}
	if err := s.clear(ctx, db, i); err != nil {
		return err
	}
	trip, cancel := write(ctx, s.trip)
	defer cancel()
	_, err := intents(db).DeleteOne(trip, unchanged)
	return fault(ctx, err, "forget blob %s", i.Blob)
}
