// Package apitest holds the traffic of a test against an OpenAPI description:
// a client whose transport is a [Validator] fails its test at the first
// request or response that the description does not allow.
package apitest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/errors"
	"github.com/pb33f/libopenapi-validator/paths"
	"github.com/pb33f/libopenapi/datamodel"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/pb33f/libopenapi/orderedmap"
)

// Reporter is the part of testing.TB that a Validator needs.
type Reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Validator is an http.RoundTripper that checks what passes through it. It is
// safe for concurrent use. Responses are checked by status, headers and
// content type; JSON bodies by their schema as well. Bodies of any other type,
// uploads and streams among them, pass through unread.
type Validator struct {
	// Next sends the requests; nil means http.DefaultTransport.
	Next http.RoundTripper

	t         Reporter
	model     *v3.Document
	validator validator.Validator
}

// New makes a Validator for an OpenAPI 3.1 description. It fails the test at
// once if the description is not valid itself.
func New(t Reporter, description []byte) *Validator {
	t.Helper()
	c := datamodel.NewDocumentConfiguration()
	c.Logger = slog.New(slog.DiscardHandler)
	document, err := libopenapi.NewDocumentWithConfiguration(description, c)
	if err != nil {
		t.Fatalf("read the description: %v", err)
		return nil
	}
	model, err := document.BuildV3Model()
	if err != nil {
		t.Fatalf("read the description: %v", err)
		return nil
	}
	check, faults := validator.NewValidator(document, config.WithFormatAssertions())
	if len(faults) > 0 {
		t.Fatalf("read the description: %v", faults)
		return nil
	}
	if ok, faults := check.ValidateDocument(); !ok {
		t.Fatalf("the description is not valid: %s", list(faults))
	}
	return &Validator{t: t, model: &model.Model, validator: check}
}

type wrongKey struct{}

// Wrong marks a request that breaks the description on purpose: only its
// response is checked. An address or method that the description does not
// have must be answered by 404, or by 405 with Allow, as a problem document.
func Wrong(ctx context.Context) context.Context { return context.WithValue(ctx, wrongKey{}, true) }

func wrong(r *http.Request) bool { return r.Context().Value(wrongKey{}) != nil }

// RoundTrip implements http.RoundTripper.
func (v *Validator) RoundTrip(r *http.Request) (*http.Response, error) {
	next := v.Next
	if next == nil {
		next = http.DefaultTransport
	}
	item, _, path := paths.FindPath(r, v.model, nil)
	known := item != nil && operation(item, r.Method) != nil
	if !wrong(r) {
		v.checkRequest(r, known)
	}
	// The check of the response reads only method, URL and header: the body
	// belongs to the transport from here.
	sent := r.Clone(r.Context())
	sent.Body = http.NoBody
	response, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if !known {
		v.checkRefusal(r, response, item != nil)
		return response, nil
	}
	v.checkResponse(sent, response, item, path)
	return response, nil
}

func (v *Validator) checkRequest(r *http.Request, known bool) {
	if !known {
		v.t.Errorf("%s %s is not in the description", r.Method, r.URL.Path)
		return
	}
	if ok, faults := v.validator.ValidateHttpRequestSync(r); !ok {
		v.t.Errorf("request %s %s: %s", r.Method, r.URL.Path, list(faults))
	}
}

func (v *Validator) checkResponse(r *http.Request, response *http.Response, item *v3.PathItem, path string) {
	body := response.Body
	bodiless := r.Method == http.MethodHead || response.StatusCode == http.StatusNotModified
	if bodiless || mediaType(response) == "text/event-stream" || !strings.Contains(mediaType(response), "json") {
		response.Body = unread{body} // not to be touched: it may never end
	}
	ok, faults := v.validator.GetResponseBodyValidator().ValidateResponseBodyWithPathItem(r, response, item, path)
	if _, same := response.Body.(unread); same {
		response.Body = body
	}
	if !ok {
		v.t.Errorf("response %d to %s %s: %s", response.StatusCode, r.Method, r.URL.Path, list(faults))
	}
	declared := operation(item, r.Method).Responses.Codes.GetOrZero(fmt.Sprint(response.StatusCode))
	if declared != nil && orderedmap.Len(declared.Content) == 0 && response.ContentLength > 0 && !bodiless {
		v.t.Errorf("response %d to %s %s: it has a body, but the description has none", response.StatusCode, r.Method, r.URL.Path)
	}
}

// checkRefusal checks the answer to what the description does not have.
func (v *Validator) checkRefusal(r *http.Request, response *http.Response, path bool) {
	want := http.StatusNotFound
	if path {
		want = http.StatusMethodNotAllowed
	}
	problem := mediaType(response) == "application/problem+json"
	if response.StatusCode != want || !problem || path && response.Header.Get("Allow") == "" {
		v.t.Errorf("%s %s is not in the description: got %d, %s, Allow %q; want a problem %d, with Allow if it is 405",
			r.Method, r.URL.Path, response.StatusCode, mediaType(response), response.Header.Get("Allow"), want)
	}
}

func operation(item *v3.PathItem, method string) *v3.Operation {
	return item.GetOperations().GetOrZero(strings.ToLower(method))
}

func mediaType(response *http.Response) string {
	media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	return media
}

func list(faults []*errors.ValidationError) string {
	var lines []string
	for _, f := range faults {
		line := f.Message + ": " + f.Reason
		for _, s := range f.SchemaValidationErrors {
			line += fmt.Sprintf("; %s %s", s.FieldPath, s.Reason)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n\t")
}

// unread is a body that fails the check if anything reads it.
type unread struct{ io.ReadCloser }

// Read implements io.Reader.
func (unread) Read([]byte) (int, error) { return 0, fmt.Errorf("apitest: this body is not to be read") }

// Close implements io.Closer; the body stays open for the caller.
func (unread) Close() error { return nil }
