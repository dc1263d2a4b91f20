package gridfs

import (
	"context"
	"encoding/binary"
	"io"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
)

const (
	// chunkSize is what GridFS clients take by default, in bytes.
	chunkSize = 255 << 10
	// batchChunks is how many chunks go to the server at once.
	batchChunks = 8
)

// headSize is how much of the document of a chunk is not data, in bytes.
var headSize = len(head(bson.NilObjectID, blob.NewID(), 0))

// slot is the room for one such document.
var slot = headSize + chunkSize

// batch is some successive chunks of one Put, as the documents that go to the
// server: what is read goes right to its place in them.
type batch struct {
	mem  []byte
	docs []any // of bson.Raw, in mem
	size int64 // of the data
}

var batches = sync.Pool{New: func() any {
	return &batch{mem: make([]byte, batchChunks*slot), docs: make([]any, 0, batchChunks)}
}}

// fill reads chunks from n on until the batch is full; fewer come with an
// error, which is io.EOF at the end of r.
func (b *batch) fill(ctx context.Context, r io.Reader, put bson.ObjectID, id string, n int32) error {
	b.docs, b.size = b.docs[:0], 0
	for i := range batchChunks {
		place := b.mem[i*slot : (i+1)*slot]
		got, err := readFull(ctx, r, place[headSize-1:][:chunkSize])
		if got > 0 {
			b.docs = append(b.docs, finish(place, head(put, id, n+int32(i)), got))
			b.size += int64(got)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readFull reads until p is full; a shorter count comes with an error. The end
// of ctx gives its cause.
func readFull(ctx context.Context, r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		var k int
		k, err = r.Read(p[n:])
		n += k
	}
	return n, err
}

// head is the document of a chunk without data. Its data goes before its last
// byte.
func head(put bson.ObjectID, id string, n int32) []byte {
	doc, err := bson.Marshal(bson.D{
		{Key: "_id", Value: bson.NewObjectID()},
		{Key: "files_id", Value: id},
		{Key: "n", Value: n},
		{Key: "put", Value: put},
		{Key: "data", Value: bson.Binary{}},
	})
	if err != nil {
		panic(err) // nothing in it can fail
	}
	return doc
}

// finish makes a document of a place where size bytes of data are already. Of
// BSON it has to know that the length of a document is in its first 4 bytes,
// and that of the data 5 bytes before them.
func finish(place, head []byte, size int) bson.Raw {
	last := len(head) - 1
	copy(place, head[:last])
	doc := place[:len(head)+size]
	doc[len(doc)-1] = head[last]
	binary.LittleEndian.PutUint32(doc, uint32(len(doc)))      // #nosec G115 -- at most slot
	binary.LittleEndian.PutUint32(doc[last-5:], uint32(size)) // #nosec G115 -- at most chunkSize
	return doc
}
