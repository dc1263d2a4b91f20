package broker_test

import (
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
)

// BenchmarkThroughput counts the events per second that go the whole way:
// posted to the ingress, stored durably, delivered over loopback HTTP.
func BenchmarkThroughput(b *testing.B) {
	for _, senders := range []int{1, 16, 64} {
		b.Run("senders="+strconv.Itoa(senders), func(b *testing.B) {
			var left atomic.Int64
			left.Store(int64(b.N))
			done := make(chan bool)
			w := start(b, manifest([4]string{"a", "dev.test.a", "a", quick}), map[string]http.HandlerFunc{
				"a": func(_ http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					if left.Add(-1) == 0 {
						close(done)
					}
				},
			}, dead, func(o *broker.Options) { o.Parallelism = map[string]int{"a": 32} })
			http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = senders
			b.ResetTimer()
			var wg sync.WaitGroup
			for s := range senders {
				wg.Go(func() {
					for i := s; i < b.N; i += senders {
						if err := post(w.ingress, sample(strconv.Itoa(i))); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			next(b, done)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
