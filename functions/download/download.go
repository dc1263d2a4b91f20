// Package download is the function that hands out results: GET and HEAD
// /download?fid=, with the token of the owner or of an administrator, or by a
// signed link (see token.Links) without any.
//
// It answers ranges and conditions (RFC 9110, 13 and 14) and streams: memory
// does not grow with the size. A result of somebody else is not there (404),
// and neither is a video.
package download

import (
	"io"
	"net/http"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

// Deps is what download works with.
type Deps struct {
	Ledger   *ledger.Ledger
	Blobs    blob.Store
	Verifier *token.Verifier
	Links    *token.Links
}

// New makes the function.
func New(d Deps) http.Handler {
	var mux web.Mux
	mux.Handle("GET "+token.LinkPath, web.Handler(d.download)) // GET takes HEAD too
	return &mux
}

func (d Deps) download(w http.ResponseWriter, r *http.Request) error {
	result, err := d.find(r)
	if err != nil {
		return err
	}
	content, err := d.Blobs.Open(r.Context(), blob.Audio, result.FID)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	h := w.Header()
	h.Set("Content-Type", options.Format(result.Format).MediaType())
	h.Set("Content-Disposition", disposition(result.Name))
	h.Set("ETag", `"`+result.FID+`"`) // strong: a blob never changes
	h.Set("Cache-Control", "private, no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	var source io.ReadSeeker = content
	if local, ok := content.(blob.Local); ok {
		source = local.File() // the kernel copies it to the connection
	}
	answer := &ranged{ResponseWriter: w}
	http.ServeContent(answer, r, "", content.Info().Created, source)
	if answer.refused {
		return fail.New(fail.NoSuchRange, "The file does not have this range.")
	}
	return nil
}

// find returns the result that the request names and may have.
func (d Deps) find(r *http.Request) (job.Result, error) {
	q := r.URL.Query()
	if q.Has("signature") {
		fid, err := d.Links.Verify(q)
		if err != nil {
			return job.Result{}, err
		}
		_, result, err := d.Ledger.Result(r.Context(), fid)
		return result, err
	}
	who, err := web.Bearer(d.Verifier, r)
	if err != nil {
		return job.Result{}, err
	}
	if q.Get("fid") == "" {
		return job.Result{}, fail.New(fail.Invalid, "fid: the id of the file is missing.")
	}
	j, result, err := d.Ledger.Result(r.Context(), q.Get("fid"))
	if err != nil || j.Owner == who.Subject {
		return result, err
	}
	// An administrator is who is one by the token, and still by the ledger.
	admin := who.Admin
	if admin {
		if admin, err = d.Ledger.IsAdmin(r.Context(), who.Subject); err != nil {
			return job.Result{}, err
		}
	}
	if !admin {
		// The same answer as for a file that there is not.
		return job.Result{}, fail.New(fail.NotFound, "There is no such file.")
	}
	return result, nil
}
