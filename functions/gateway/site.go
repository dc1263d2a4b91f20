package gateway

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

//go:embed page openapi.yaml
var content embed.FS

// The types of what the page is made of, written down so that they do not
// depend on the tables of the machine.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".yaml": "application/yaml",
}

// policy is the Content-Security-Policy of the page: everything from this
// origin only, no inline script or style, no form that leaves the page, no
// frame round it, and no string that becomes markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"media-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; " +
	"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// site serves the embedded files, each with a hash of its content as ETag: a
// browser asks again every time and gets 304 until the file changes.
type site struct {
	files map[string]file
}

type file struct {
	body        []byte
	etag        string
	contentType string
}

// newSite reads the embedded files. It panics when they cannot be read, which
// only a broken build can cause.
func newSite() *site {
	s := &site{files: map[string]file{}}
	err := fs.WalkDir(content, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := content.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		s.files[name] = file{
			body:        body,
			etag:        `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
			contentType: contentTypes[path.Ext(name)],
		}
		return nil
	})
	if err != nil {
		panic("gateway: embedded files: " + err.Error())
	}
	return s
}

// file serves the one file of that name.
func (s *site) file(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, name) })
}

// assets serves page/assets/{name}.
func (s *site) assets() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, "page/assets/"+r.PathValue("name"))
	})
}

func (s *site) serve(w http.ResponseWriter, r *http.Request, name string) {
	f, ok := s.files[name]
	if !ok {
		web.Error(w, r, fail.New(fail.NotFound, "There is nothing at this address."))
		return
	}
	secure(w.Header())
	w.Header().Set("Content-Type", f.contentType)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", f.etag)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(f.body))
}

// secure sets the headers that keep other sites and injected markup out.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
	h.Set("X-Frame-Options", "DENY")
}
