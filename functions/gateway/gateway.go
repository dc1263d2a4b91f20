// Package gateway is the one origin that people and programs talk to: it
// hands each path of the API to the function that answers it and serves the
// web page and the description of the API itself.
//
// On one machine the handlers of the other functions are called directly; on
// Knative each of them is a [Proxy] to the address of its service.
package gateway

import (
	"net/http"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

// Deps is what the gateway is made of.
type Deps struct {
	// Routes maps the name of a function to its handler: "login", "upload",
	// "jobs" and "download". The handler of a path is called with the request
	// as it came. The paths of a function that is missing answer 503.
	Routes map[string]http.Handler
}

// routes names the function that answers each path. A GET pattern takes HEAD
// as well.
var routes = map[string]string{
	"POST /login":                "login",
	"POST /validate":             "login",
	"POST /register":             "login",
	"GET /.well-known/jwks.json": "login",
	"GET /users":                 "login",
	"POST /users":                "login",
	"PATCH /users/{user}":        "login",
	"PUT /users/{user}/password": "login",
	"POST /upload":               "upload",
	"GET /download":              "download",
	"GET /jobs":                  "jobs",
	"GET /jobs/{id}":             "jobs",
	"DELETE /jobs/{id}":          "jobs",
	"GET /jobs/{id}/events":      "jobs",
	"POST /jobs/{id}/retry":      "jobs",
	"GET /deadletters":           "jobs",
	"DELETE /deadletters/{id}":   "jobs",

	"POST /deadletters/{id}/replay": "jobs",
	"GET /status":                   "jobs",
}

// New returns the handler of the whole origin: the paths of the API, the page
// at / with its files under /assets/, and /openapi.yaml. A path that nobody
// has answers 404, a method that a path does not take 405 with Allow, both as
// problem JSON. /healthz and /readyz are the server's, not the gateway's.
func New(d Deps) http.Handler {
	var mux web.Mux
	for pattern, function := range routes {
		h, ok := d.Routes[function]
		if !ok {
			h = missing(function)
		}
		mux.Handle(pattern, h)
	}
	files := newSite()
	mux.Handle("GET /{$}", files.file("page/index.html"))
	mux.Handle("GET /assets/{name}", files.assets())
	mux.Handle("GET /openapi.yaml", files.file("openapi.yaml"))
	return &mux
}

// missing answers for a function that this origin was not given.
func missing(function string) http.Handler {
	return web.Handler(func(http.ResponseWriter, *http.Request) error {
		return fail.New(fail.Unavailable, "The %s service is not running.", function)
	})
}
