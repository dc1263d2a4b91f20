// Package gateway makes the function gateway of the configuration: in front
// of functions that run elsewhere.
package gateway

import (
	"net/http"

	"github.com/opengundumstyle/audio-alchemist/compose/telemetry"
	"github.com/opengundumstyle/audio-alchemist/functions/gateway"
	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
)

// New makes the function. Ask the Opener for its error before use.
func New(c config.Config, o *backend.Opener) http.Handler {
	t := telemetry.Open(c, o)
	return t.Handler("gateway", gateway.New(gateway.Deps{Routes: map[string]http.Handler{
		"login":    gateway.Proxy(o.Address("LOGIN_URL", c.LoginURL)),
		"upload":   gateway.Proxy(o.Address("UPLOAD_URL", c.UploadURL)),
		"download": gateway.Proxy(o.Address("DOWNLOAD_URL", c.DownloadURL)),
		"jobs":     gateway.Proxy(o.Address("JOBS_URL", c.JobsURL)),
	}}))
}
