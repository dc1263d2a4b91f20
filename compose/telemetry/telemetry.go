// Package telemetry makes what traces and counts of the configuration, for
// whichever functions are in the process.
package telemetry

import (
	"os"
	"path/filepath"

	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/shared/telemetry"
)

// Open returns that of the process, nil after an error of the Opener: before
// all else, so that it is closed last. In traces a program by itself is named
// after its file, as convert, unless OTEL_SERVICE_NAME or FUNCTION says
// otherwise.
func Open(c config.Config, o *backend.Opener) *telemetry.Telemetry {
	name := c.ServiceName
	if name == "" {
		name = c.Function
	}
	if name == "" {
		name = filepath.Base(os.Args[0])
	}
	return o.Telemetry(telemetry.Options{
		Service: name, Traces: c.TracesURL, Headers: c.TracesHeaders, Sampler: c.TracesSampler, SamplerArg: c.TracesSamplerArg,
		MetricsAddress: c.MetricsAddress(),
	})
}
