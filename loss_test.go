package alchemist_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/blob/gridfs"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// TestServersThatDieLoseNothing uploads 200 videos while MariaDB, the
// Mongo-wire server and RabbitMQ are each killed twice, at random, and started
// again a little later. In the end every accepted job is done, its MP3 is what
// a quiet run makes of the same video, its owner has one mail, and once a sweep
// has taken what is old, nothing is left in the blob store but what the jobs
// refer to. A mail comes twice only if MariaDB is away for longer than notify
// tries to write down that it was sent, some 57 s; here it is for seconds.
func TestServersThatDieLoseNothing(t *testing.T) {
	const jobs, uploaders, kinds = 200, 4, 5
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	mysql, mongo, rabbit, mailbox := servers.StartMySQL(t), servers.StartMongo(t), servers.StartRabbit(t), servers.NewMailbox(t)
	p := &place{data: t.TempDir(), blobs: mongo.URL(), inbox: func(*testing.T) []string { return mailbox.Mails() }, env: []string{
		"LEDGER_URL=" + mysql.URL(), "BLOBS_URL=" + mongo.URL(), "QUEUE_URL=" + rabbit.URL(), "MAIL_URL=" + mailbox.URL(),
		"SWEEP_EVERY=2s",
	}}
	s := start(t, p)
	c := s.admin(t)

	// Videos of different lengths, and what a quiet run makes of them.
	videos, quiet := make([][]byte, kinds), make([][]byte, kinds)
	for i := range videos {
		videos[i] = video(t, 1+0.3*float64(i))
		_, quiet[i] = c.call(t, "GET", c.await(t, c.upload(t, fmt.Sprintf("%d quiet.mp4", i), videos[i]).ID).Results[0].URL)
	}

	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		accepted = map[string]bool{}
	)
	next := make(chan int)
	for range uploaders {
		wg.Go(func() {
			for i := range next {
				id := c.uploadUntilAccepted(t, fmt.Sprintf("%d of %d.mp4", i%kinds, i), videos[i%kinds])
				mu.Lock()
				accepted[id] = true
				mu.Unlock()
			}
		})
	}
	killing := make(chan struct{})
	longest := time.Duration(0) // that MariaDB was away
	go func() {
		defer close(killing)
		victims := []*servers.Server{mysql, mysql, mongo, mongo, rabbit, rabbit}
		random.Shuffle(len(victims), func(i, k int) { victims[i], victims[k] = victims[k], victims[i] })
		for _, victim := range victims {
			pause(random, time.Second, 4*time.Second)
			victim.Kill()
			killed := time.Now()
			pause(random, 0, 3*time.Second)
			if err := victim.Start(); err != nil {
				t.Error(err)
			}
			if victim == mysql {
				longest = max(longest, time.Since(killed))
			}
		}
	}()
	// Uploads go on for as long as servers die.
	for i := range jobs {
		next <- i
		if i > jobs/2 {
			continue
		}
		select {
		case <-killing:
		case <-time.After(100 * time.Millisecond):
		}
	}
	close(next)
	wg.Wait()
	<-killing

	var all []job.View
	eventually(t, "every job has ended", 12*time.Minute, func() bool {
		all = c.allJobs(t)
		for _, j := range all {
			if !j.State.Ended() {
				return false
			}
		}
		return true
	})
	if len(accepted) != jobs || len(all) < jobs+kinds {
		t.Fatalf("%d accepted, %d jobs", len(accepted), len(all))
	}
	for _, j := range all {
		delete(accepted, j.ID)
		if j.State != job.Done || len(j.Results) != 1 {
			t.Errorf("job %s ended %+v", j.ID, j)
			continue
		}
		if status, mp3 := c.call(t, "GET", j.Results[0].URL); status != 200 || !bytes.Equal(mp3, quiet[j.Name[0]-'0']) {
			t.Errorf("job %s (%s): %d, %d bytes, which is not what a quiet run makes", j.ID, j.Name, status, len(mp3))
		}
	}
	if len(accepted) != 0 {
		t.Errorf("accepted but not there: %v", accepted)
	}
	told := map[string]int{}
	eventually(t, "each job has its mail", 5*time.Minute, func() bool {
		told = byMessageID(t, s.mails(t))
		return len(told) >= len(all)
	})
	s.stop(t)

	p.age(t)
	s = start(t, p)
	wantWhatJobsReferTo(t, s, all)
	s.stop(t)
	wantNoStrayChunks(t, p)
	mails := s.mails(t)
	if told = byMessageID(t, mails); len(told) != len(all) || len(mails) != len(all) {
		t.Errorf("%d mails, %d of them different, for %d jobs; MariaDB was away for %v at most", len(mails), len(told), len(all), longest)
	}
	t.Logf("%d jobs, %d of them not answered for; MariaDB was away for %v at most", len(all), len(all)-jobs-kinds, longest)
}

func pause(random *rand.Rand, least, most time.Duration) {
	<-time.After(least + time.Duration(random.Int64N(int64(most-least))))
}

var messageID = regexp.MustCompile(`(?im)^message-id:\s*(<[^>\r\n]+>)`)

// byMessageID counts the mails by what mail programs tell them apart by.
func byMessageID(t *testing.T, mails []string) map[string]int {
	t.Helper()
	told := map[string]int{}
	for _, m := range mails {
		id := messageID.FindStringSubmatch(m)
		if id == nil {
			t.Fatalf("a mail without an id:\n%s", m)
		}
		told[id[1]]++
	}
	return told
}

// wantWhatJobsReferTo waits until a sweep has left one video for each job, and
// the results that the jobs name: no blob more and none less.
func wantWhatJobsReferTo(t *testing.T, s *server, all []job.View) {
	t.Helper()
	want := map[string]bool{}
	for _, j := range all {
		for _, r := range j.Results {
			want[r.FID] = true
		}
	}
	// Behind a hundred uploads that were cut off, each of which costs FerretDB a second on a busy machine.
	eventually(t, "one video for each job, and its results", 10*time.Minute, func() bool {
		videos, results := s.stored(t, blob.Videos), map[string]bool{}
		for _, info := range s.stored(t, blob.Audio) {
			results[info.ID] = true
		}
		return len(videos) == len(all) && maps.Equal(results, want)
	})
}

// wantNoStrayChunks checks that a blob store of MongoDB holds no chunk of
// anything that is no blob, once a sweep has taken what nobody will finish.
func wantNoStrayChunks(t *testing.T, p *place) {
	t.Helper()
	store, err := gridfs.Open(p.blobs, gridfs.Options{Abandoned: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	if err := store.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	client, err := mongo.Connect(options.Client().ApplyURI(p.blobs))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(t.Context()) }()
	for _, bucket := range blob.Buckets() {
		known := map[string]bool{}
		for _, info := range p.stored(t, bucket) {
			known[info.ID] = true
		}
		t.Logf("%d blobs in %s", len(known), bucket)
		cursor, err := client.Database(p.database(t)).Collection(string(bucket)+".chunks").
			Find(t.Context(), bson.D{}, options.Find().SetProjection(bson.D{{Key: "files_id", Value: 1}}))
		if err != nil {
			t.Fatal(err)
		}
		var chunks []struct {
			File string `bson:"files_id"`
		}
		if err := cursor.All(t.Context(), &chunks); err != nil {
			t.Fatal(err)
		}
		orphans := map[string]int{}
		for _, c := range chunks {
			if !known[c.File] {
				orphans[c.File]++
			}
		}
		if len(orphans) != 0 {
			t.Errorf("chunks of no blob in %s: %v", bucket, orphans)
		}
	}
}
