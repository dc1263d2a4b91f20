package gateway

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"

	"github.com/opengundumstyle/audio-alchemist/functions/gateway/apitest"
)

func description(t *testing.T) []byte {
	t.Helper()
	body, err := content.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestTheDescriptionIsValid(t *testing.T) {
	apitest.New(t, description(t)) // fails the test where it is not
}

func TestTheDescriptionHasEveryRoute(t *testing.T) {
	document, err := libopenapi.NewDocument(description(t))
	if err != nil {
		t.Fatal(err)
	}
	model, err := document.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	ids := map[string]bool{}
	for path, item := range model.Model.Paths.PathItems.FromOldest() {
		for method, operation := range item.GetOperations().FromOldest() {
			described[strings.ToUpper(method)+" "+path] = true
			if operation.OperationId == "" || ids[operation.OperationId] || operation.Summary == "" {
				t.Errorf("%s %s: operationId %q is empty or not unique, or there is no summary", method, path, operation.OperationId)
			}
			ids[operation.OperationId] = true
		}
	}
	for route := range routes {
		if !described[route] {
			t.Errorf("%s is not described", route)
		}
		delete(described, route)
	}
	for _, own := range []string{"HEAD /download", "GET /", "GET /assets/{name}", "GET /openapi.yaml", "GET /healthz", "GET /readyz"} {
		if !described[own] {
			t.Errorf("%s is not described", own)
		}
		delete(described, own)
	}
	for route := range described {
		t.Errorf("%s is described but nobody answers it", route)
	}
}

// The backend of the browser test answers as described, so that what the page
// is tested against is what it will meet.
func TestTheBackendOfThePageKeepsToTheDescription(t *testing.T) {
	b := newBackend()
	j := b.add("a.mp4", "done")
	srv := serve(t, New(Deps{Routes: b.routes()}))
	client := &http.Client{Transport: apitest.New(t, description(t))}
	for _, path := range []string{"/", "/assets/page.css", "/assets/main.js", "/assets/icon.svg", "/openapi.yaml", "/jobs", "/jobs/" + j.ID, "/jobs/" + j.ID + "/events"} {
		request(t, client, http.MethodGet, srv+path, http.StatusOK)
	}
	request(t, client, http.MethodDelete, srv+"/jobs/"+j.ID, http.StatusNoContent)
	request(t, client, http.MethodGet, srv+"/jobs/"+j.ID, http.StatusNotFound)
}

func request(t *testing.T, client *http.Client, method, url string, want int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer t1")
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != want {
		t.Errorf("%s %s: %d, want %d", method, url, response.StatusCode, want)
	}
}
