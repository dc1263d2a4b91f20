package gridfs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// wrongly has an amendment that is not within what was read.
type wrongly struct{ io.Reader }

func (wrongly) Amend() (int64, []byte) { return 3 * batchChunks * chunkSize, []byte("too late") }

// A Put that fails removes its chunks itself, of which the server has two
// batches by then, and no others: nothing is left to Sweep.
func TestAPutThatFailsLeavesNothingEvenWithoutSweep(t *testing.T) {
	const sent = 2 * batchChunks * chunkSize
	broken := errors.New("the source is broken")
	for name, test := range map[string]struct {
		foreign int                       // the number of a chunk of somebody else's; none at 0
		fails   func(cancel func()) error // called once two batches are there; its error is the source's
		of      func(io.Reader) io.Reader // makes the source of one that is fine
		want    func(error) bool
	}{
		"cancelled": {
			fails: func(cancel func()) error { cancel(); return nil },
			want:  func(err error) bool { return errors.Is(err, context.Canceled) },
		},
		"the source fails": {
			fails: func(func()) error { return broken },
			want:  func(err error) bool { return errors.Is(err, broken) },
		},
		"its amendment is bad": {
			of:   func(r io.Reader) io.Reader { return wrongly{r} },
			want: func(err error) bool { return fail.Is(err, fail.Internal) },
		},
		"a later chunk is somebody else's": {
			foreign: 2*batchChunks + 2,
			want:    func(err error) bool { return fail.Is(err, fail.Exists) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := store(t, servers.Mongo(t), Options{})
			if err := s.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			id, left := blob.NewID(), counts{}
			if test.foreign > 0 {
				left.chunks = 1
				chunk := bson.D{{Key: "files_id", Value: id}, {Key: "n", Value: test.foreign}, {Key: "data", Value: bson.Binary{Data: []byte("x")}}}
				if _, err := database(t, s).Collection("videos.chunks").InsertOne(t.Context(), chunk); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			// The last half of a batch is read when all before it is there.
			between := readerFunc(func([]byte) (int, error) {
				until(t, "two batches are there", func() bool { return count(t, s).chunks == 2*batchChunks+left.chunks })
				if test.fails != nil {
					if err := test.fails(cancel); err != nil {
						return 0, err
					}
				}
				return 0, io.EOF
			})
			p := content(sent + batchChunks*chunkSize/2)
			source := io.MultiReader(bytes.NewReader(p[:sent]), between, bytes.NewReader(p[sent:]))
			if test.of != nil {
				source = test.of(source)
			}
			if _, err := s.Put(ctx, blob.Videos, id, source); !test.want(err) {
				t.Errorf("Put: %v", err)
			}
			if got := count(t, s); got != left {
				t.Errorf("%+v left, want %+v", got, left)
			}
		})
	}
}
