// Command convert is the function that turns videos into audio, by itself.
package main

import (
	"net/http"

	"github.com/opengundumstyle/audio-alchemist/cmd/internal/run"
	"github.com/opengundumstyle/audio-alchemist/functions/convert"
	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
)

func main() {
	run.Function(func(c config.Config, o *backend.Opener) http.Handler {
		return convert.New(convert.Deps{
			Ledger:  o.Ledger(c.LedgerURL),
			Blobs:   o.Blobs(c.BlobsURL),
			Media:   o.Media(c.FFmpeg, c.FFprobe),
			WorkDir: c.WorkDir,
			Timeout: c.ConvertTimeout,
			Bitrate: c.Bitrate,
		})
	})
}
