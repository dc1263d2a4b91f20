package gridfs

import (
	"bytes"
	"io"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// driverBucket is a bucket as the driver has it, with chunks of a size.
func driverBucket(t *testing.T, s *Store, chunk int32) *mongo.GridFSBucket {
	t.Helper()
	return database(t, s).GridFSBucket(options.GridFSBucket().SetName(string(blob.Videos)).SetChunkSizeBytes(chunk))
}

func TestTheDriverReadsAndDeletesWhatWePut(t *testing.T) {
	s := store(t, servers.Mongo(t), Options{})
	for _, size := range []int{0, 1, chunkSize, 2*chunkSize + 5, (batchChunks + 1) * chunkSize} {
		p := content(size)
		id := put(t, s, p)
		driver := driverBucket(t, s, chunkSize)
		stream, err := driver.OpenDownloadStream(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(stream)
		if err != nil || !bytes.Equal(got, p) {
			t.Errorf("the driver read %d bytes, error %v; want the %d that were put", len(got), err, size)
		}
		if f := stream.GetFile(); f.Name != id || f.Length != int64(size) || f.UploadDate.UTC() != open(t, s, id).Info().Created {
			t.Errorf("the driver's description: %+v", f)
		}
		_ = stream.Close()
		var named bytes.Buffer
		if _, err := driver.DownloadToStreamByName(t.Context(), id, &named); err != nil || !bytes.Equal(named.Bytes(), p) {
			t.Errorf("by name, the driver read %d bytes, error %v", named.Len(), err)
		}
		if err := driver.Delete(t.Context(), id); err != nil {
			t.Error(err)
		}
		if _, err := s.Open(t.Context(), blob.Videos, id); !fail.Is(err, fail.NotFound) {
			t.Errorf("Open after the driver's Delete: %v, want not found", err)
		}
	}
	if got := count(t, s); got != (counts{}) {
		t.Errorf("%+v left", got)
	}
}

func TestWeReadListAndDeleteWhatTheDriverPut(t *testing.T) {
	for name, chunk := range map[string]int32{"chunks of its own size": chunkSize, "small chunks": 1000, "large chunks": 3 << 20} {
		t.Run(name, func(t *testing.T) {
			s := store(t, servers.Mongo(t), Options{})
			p := content(4<<20 + 3)
			driver, id := driverBucket(t, s, chunk), blob.NewID()
			if err := driver.UploadFromStreamWithID(t.Context(), id, "holiday.mp4", bytes.NewReader(p)); err != nil {
				t.Fatal(err)
			}
			// Not ours: its id is none of package blob.
			if _, err := driver.UploadFromStream(t.Context(), "other.mp4", bytes.NewReader([]byte("x"))); err != nil {
				t.Fatal(err)
			}
			wantContent(t, s, id, p)
			r := open(t, s, id)
			for _, at := range []int64{3 << 20, 17, int64(len(p)) - 2} {
				got := make([]byte, 2)
				if _, err := r.Seek(at, io.SeekStart); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, p[at:at+2]) {
					t.Errorf("at %d: %x, error %v", at, got, err)
				}
			}
			for info, err := range s.List(t.Context(), blob.Videos) {
				if err != nil || info != r.Info() {
					t.Errorf("List yields %+v, %v; want %+v", info, err, r.Info())
				}
			}
			if _, err := s.Put(t.Context(), blob.Videos, id, bytes.NewReader(p)); !fail.Is(err, fail.Exists) {
				t.Errorf("Put of its id: %v, want exists", err)
			}
			if err := s.Delete(t.Context(), blob.Videos, id); err != nil {
				t.Fatal(err)
			}
			if got := count(t, s); got != (counts{1, 1, 0}) {
				t.Errorf("%+v left, want the file that is not ours", got)
			}
		})
	}
}

// A blob that the driver would call corrupt is an error, never wrong bytes.
func TestADamagedBlobIsAnError(t *testing.T) {
	s := store(t, servers.Mongo(t), Options{})
	chunk := func(n int) bson.D { return bson.D{{Key: "n", Value: n}} }
	for name, damage := range map[string]func(*mongo.Collection) error{
		"a chunk is missing": func(c *mongo.Collection) error { _, err := c.DeleteOne(t.Context(), chunk(1)); return err },
		"the last chunk is missing": func(c *mongo.Collection) error {
			_, err := c.DeleteOne(t.Context(), chunk(3))
			return err
		},
		"a chunk is short": func(c *mongo.Collection) error {
			_, err := c.UpdateOne(t.Context(), chunk(2), bson.D{{Key: "$set", Value: bson.D{{Key: "data", Value: bson.Binary{Data: []byte("short")}}}}})
			return err
		},
		"a chunk has no data": func(c *mongo.Collection) error {
			_, err := c.UpdateOne(t.Context(), chunk(2), bson.D{{Key: "$set", Value: bson.D{{Key: "data", Value: "text"}}}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := content(3*chunkSize + 9)
			id := put(t, s, p)
			if err := damage(database(t, s).Collection("videos.chunks")); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(open(t, s, id)); !fail.Is(err, fail.Unavailable) || !bytes.HasPrefix(p, got) {
				t.Errorf("read %d bytes, error %v; want unavailable after some that are right", len(got), err)
			}
			if err := s.Delete(t.Context(), blob.Videos, id); err != nil {
				t.Fatal(err)
			}
		})
	}
}
