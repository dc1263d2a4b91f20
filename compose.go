package alchemist

import (
	"net/http"

	"github.com/opengundumstyle/audio-alchemist/compose/convert"
	"github.com/opengundumstyle/audio-alchemist/compose/download"
	"github.com/opengundumstyle/audio-alchemist/compose/gateway"
	"github.com/opengundumstyle/audio-alchemist/compose/jobs"
	"github.com/opengundumstyle/audio-alchemist/compose/login"
	"github.com/opengundumstyle/audio-alchemist/compose/notify"
	"github.com/opengundumstyle/audio-alchemist/compose/reconcile"
	"github.com/opengundumstyle/audio-alchemist/compose/upload"
	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
)

// builders make each function, by name: the same as in its program of cmd. A
// builder opens what its function works with, and nothing else.
var builders = map[string]func(config.Config, *backend.Opener) http.Handler{
	"login":     login.New,
	"upload":    upload.New,
	"convert":   convert.New,
	"notify":    notify.New,
	"download":  download.New,
	"jobs":      jobs.New,
	"reconcile": reconcile.New,
	"gateway":   gateway.New,
}
