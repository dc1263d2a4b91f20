// Package convert makes the function convert of the configuration.
package convert

import (
	"net/http"

	"github.com/opengundumstyle/audio-alchemist/compose/telemetry"
	"github.com/opengundumstyle/audio-alchemist/functions/convert"
	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
)

// New makes the function. Ask the Opener for its error before use.
func New(c config.Config, o *backend.Opener) http.Handler {
	t := telemetry.Open(c, o)
	return t.Handler("convert", convert.New(convert.Deps{
		Metrics: t.Metrics(),
		Ledger:  o.Ledger(c.LedgerURL),
		Blobs:   o.Blobs(c.BlobsURL),
		Media:   o.Media(c.FFmpeg, c.FFprobe, c.MediaSandbox),
		WorkDir: c.WorkDir,
		Timeout: c.ConvertTimeout,
		Bitrate: c.Bitrate,
		Longest: c.MaxDuration,
		Largest: c.MaxResult,
	}))
}
