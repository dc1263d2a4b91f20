package gridfs

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

const (
	// defaultDatabase is where blobs are if the URL names no database.
	defaultDatabase = "alchemist"
	// connectTime bounds connecting to a server and choosing one.
	connectTime = 5 * time.Second
	// connections is the most to each server at once.
	connections = 64
	// srv is the scheme of a URL whose servers are found in DNS.
	srv = "mongodb+srv"
)

// Open makes a store of the database that a mongodb:// or mongodb+srv:// URL
// names in its path ("alchemist" if in vain). It asks nothing of the server,
// which may be away: then every operation is fail.Unavailable within seconds,
// until it is back. A URL that cannot be right is fail.Invalid; the error does
// not repeat it, for it may hold a password.
//
// What the URL says of timeouts, pool sizes, TLS, authentication and the like
// is done, with timeoutMS for each command, which is at most a fifth of
// Options.Abandoned; read and write concerns are not its to say.
func Open(address string, opts Options) (*Store, error) {
	s := &Store{address: address, options: opts, trip: tripTime}
	if s.options.Abandoned <= 0 {
		s.options.Abandoned = 5 * time.Minute
	}
	var err error
	if s.database, err = databaseOf(address); err != nil {
		return nil, err
	}
	plain, inDNS := address, strings.HasPrefix(address, srv+"://")
	if inDNS {
		if plain, err = withoutDNS(address); err != nil {
			return nil, err
		}
	}
	if err := s.limit(clientOptions(plain).Timeout); err != nil {
		return nil, err
	}
	if inDNS {
		return s, nil
	}
	if _, err := s.connected(); err != nil {
		return nil, fail.New(fail.Invalid, "want mongodb://[user:password@]host[:port][,…]/database[?options] with options of the MongoDB driver")
	}
	return s, nil
}

// limit has commands take at most so long, if the URL says it. One that takes
// longer than held leaves to it could write what Sweep has looked for already.
func (s *Store) limit(timeout *time.Duration) error {
	if timeout == nil || *timeout == 0 {
		return nil
	}
	if most := s.options.Abandoned / 5; *timeout > most {
		return fail.New(fail.Invalid, "timeoutMS: want at most %d, found %d", most.Milliseconds(), timeout.Milliseconds())
	}
	s.trip = *timeout
	return nil
}

// Close ends all connections. No operation may be under way.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return fail.Wrap(fail.Unavailable, s.db.Client().Disconnect(ctx), "disconnect from MongoDB")
}

// Ready implements blob.Store: the primary answers and has the indexes.
func (s *Store) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	db, err := s.connected()
	if err != nil {
		return err
	}
	if err := db.Client().Ping(ctx, readpref.Primary()); err != nil {
		return fault(ctx, err, "ask whether MongoDB is there")
	}
	return s.index(ctx, db)
}

// connected returns the database. For a mongodb+srv URL it asks DNS first,
// until that succeeds once.
func (s *Store) connected() (*mongo.Database, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil {
		return s.db, nil
	}
	// Those who have waited for a lookup that failed do not each try again.
	if s.reason != nil && time.Since(s.failed) < time.Second {
		return nil, s.reason
	}
	client, err := mongo.Connect(clientOptions(s.address).SetMonitor(s.options.monitor))
	if err != nil {
		s.failed, s.reason = time.Now(), fail.Wrap(fail.Unavailable, withoutURL(err), "find MongoDB")
		return nil, s.reason
	}
	s.db = client.Database(s.database)
	return s.db, nil
}

// clientOptions are those of the URL, and ours where it says nothing or has
// nothing to say.
func clientOptions(address string) *options.ClientOptions {
	o := options.Client().ApplyURI(address)
	if o.ServerSelectionTimeout == nil {
		o.SetServerSelectionTimeout(connectTime)
	}
	if o.ConnectTimeout == nil {
		o.SetConnectTimeout(connectTime)
	}
	if o.MaxPoolSize == nil {
		o.SetMaxPoolSize(connections)
	}
	if o.AppName == nil {
		o.SetAppName("audio-alchemist")
	}
	return o.SetWriteConcern(writeconcern.Majority()).SetReadConcern(readconcern.Local()).SetReadPreference(readpref.Primary())
}

// withoutURL keeps of an error about a URL what cannot hold a password.
func withoutURL(err error) error {
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) {
		return dns
	}
	return errors.New("its address leads nowhere")
}

// databaseOf returns the database that the URL names. The URL may name several
// hosts, which package url does not read.
func databaseOf(address string) (string, error) {
	rest, _, _ := strings.Cut(address, "?")
	scheme, rest, ok := strings.Cut(rest, "://")
	if !ok || scheme != "mongodb" && scheme != srv {
		return "", fail.New(fail.Invalid, "want mongodb://… or mongodb+srv://…")
	}
	_, path, _ := strings.Cut(rest, "/")
	name, err := url.PathUnescape(path)
	switch {
	case err != nil || len(name) > 63 || strings.ContainsAny(name, "/\\. \"$*<>:|?\x00"):
		return "", fail.New(fail.Invalid, "the path is no name of a database")
	case name == "":
		return defaultDatabase, nil
	}
	return name, nil
}

// withoutDNS checks all of a mongodb+srv URL that can be checked without DNS,
// and returns the mongodb URL that says the same of its name.
func withoutDNS(address string) (string, error) {
	rest, query, _ := strings.Cut(strings.TrimPrefix(address, srv), "?")
	options := slices.DeleteFunc(strings.Split(query, "&"), func(o string) bool {
		return o == "" || strings.HasPrefix(strings.ToLower(o), "srv") // of this scheme alone
	})
	authority, _, _ := strings.Cut(strings.TrimPrefix(rest, "://"), "/")
	host := authority[strings.LastIndex(authority, "@")+1:]
	plain := "mongodb" + rest
	if len(options) > 0 {
		plain += "?" + strings.Join(options, "&")
	}
	if host == "" || strings.ContainsAny(host, ":,") || clientOptions(plain).Validate() != nil {
		return "", fail.New(fail.Invalid, "want mongodb+srv://[user:password@]name/database[?options] with options of the MongoDB driver")
	}
	return plain, nil
}

// index makes the indexes that GridFS wants, once for each process. To the
// first of them the store owes that an id is taken only once.
func (s *Store) index(ctx context.Context, db *mongo.Database) error {
	if s.indexed.Load() {
		return nil
	}
	for _, name := range blob.Buckets() {
		b := inDatabase(db, name)
		for _, want := range []struct {
			collection *mongo.Collection
			model      mongo.IndexModel
		}{
			{b.chunks, mongo.IndexModel{Keys: bson.D{{Key: "files_id", Value: 1}, {Key: "n", Value: 1}}, Options: options.Index().SetUnique(true)}},
			{b.files, mongo.IndexModel{Keys: bson.D{{Key: "filename", Value: 1}, {Key: "uploadDate", Value: 1}}}},
		} {
			trip, cancel := write(ctx, s.trip)
			_, err := want.collection.Indexes().CreateOne(trip, want.model)
			cancel()
			if err != nil {
				return fault(ctx, err, "index %s", want.collection.Name())
			}
		}
	}
	s.indexed.Store(true)
	return nil
}
