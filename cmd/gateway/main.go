// Command gateway is the one origin in front of the functions that people
// call, by itself.
package main

import (
	"net/http"

	"github.com/opengundumstyle/audio-alchemist/cmd/internal/run"
	"github.com/opengundumstyle/audio-alchemist/functions/gateway"
	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
)

func main() {
	run.Function(func(c config.Config, o *backend.Opener) http.Handler {
		return gateway.New(gateway.Deps{Routes: map[string]http.Handler{
			"login":    gateway.Proxy(o.Address("LOGIN_URL", c.LoginURL)),
			"upload":   gateway.Proxy(o.Address("UPLOAD_URL", c.UploadURL)),
			"download": gateway.Proxy(o.Address("DOWNLOAD_URL", c.DownloadURL)),
			"jobs":     gateway.Proxy(o.Address("JOBS_URL", c.JobsURL)),
		}})
	})
}
