package login

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

const (
	asJSON = "application/json"
	asForm = "application/x-www-form-urlencoded"
)

func open(d *Deps) { d.Open = true }

func TestRegisterThenLogin(t *testing.T) {
	w := start(t, open)
	tests := map[string]struct{ contentType, body, email, password string }{
		"JSON": {asJSON + "; charset=utf-8", `{"email":" Ben@Example.org ","password":"pass wörd"}`, "ben@example.org", "pass wörd"},
		"form": {asForm, "email=eva%40example.org&password=pass+w%C3%B6rd", "eva@example.org", "pass wörd"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := do(t, http.MethodPost, w.url+"/register", tt.body, "Content-Type", tt.contentType)
			var got map[string]string
			if err := json.Unmarshal([]byte(r.body), &got); err != nil || r.status != http.StatusCreated {
				t.Fatalf("answer: %+v, %v", r, err)
			}
			u, err := w.Ledger.UserByEmail(t.Context(), tt.email)
			if err != nil || u.Admin || !strings.HasPrefix(u.PasswordHash, "$argon2id$v=19$m=47104,t=1,p=1$") {
				t.Fatalf("stored: %+v, %v", u, err)
			}
			if got["id"] != u.ID || got["email"] != tt.email || len(got) != 2 {
				t.Errorf("answer: %v", got)
			}
			if r := login(t, w.url, tt.email, tt.password, here); r.status != http.StatusOK {
				t.Errorf("login: %+v", r)
			}
		})
	}
}

func TestRegisterRefuses(t *testing.T) {
	w := start(t, open)
	good := `{"email":"ben@example.org","password":"longenough"}`
	tests := map[string]struct {
		contentType, body string
		status            int
	}{
		"address taken":              {asJSON, `{"email":"ANNA@example.org","password":"longenough"}`, 409},
		"no address":                 {asJSON, `{"password":"longenough"}`, 400},
		"bad address":                {asJSON, `{"email":"ben","password":"longenough"}`, 400},
		"no password":                {asJSON, `{"email":"ben@example.org"}`, 400},
		"short password":             {asJSON, `{"email":"ben@example.org","password":"short"}`, 400},
		"long password":              {asJSON, `{"email":"ben@example.org","password":"` + strings.Repeat("x", 1025) + `"}`, 400},
		"wants to be admin":          {asJSON, `{"email":"ben@example.org","password":"longenough","admin":true}`, 400},
		"address is a number":        {asJSON, `{"email":1,"password":"longenough"}`, 400},
		"an array":                   {asJSON, `[` + good + `]`, 400},
		"two documents":              {asJSON, good + good, 400},
		"not JSON":                   {asJSON, `email=ben`, 400},
		"empty":                      {asJSON, ``, 400},
		"form with two addresses":    {asForm, "email=ben%40example.org&email=b&password=longenough", 400},
		"form garbled":               {asForm, "email=%zz", 400},
		"no type":                    {"", good, 415},
		"multipart":                  {"multipart/form-data; boundary=x", good, 415},
		"text":                       {"text/plain", good, 415},
		"a body that is far too big": {asJSON, `{"email":"` + strings.Repeat("x", maxForm) + `"}`, 413},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			checkProblem(t, do(t, http.MethodPost, w.url+"/register", tt.body, "Content-Type", tt.contentType), tt.status)
			if _, err := w.Ledger.UserByEmail(t.Context(), "ben@example.org"); !fail.Is(err, fail.NotFound) {
				t.Errorf("there is an account now: %v", err)
			}
		})
	}
}

func TestRegistrationIsClosedUnlessOpened(t *testing.T) {
	w := start(t, nil)
	for name, body := range map[string]string{"good": `{"email":"ben@example.org","password":"longenough"}`, "taken": `{"email":"anna@example.org","password":"longenough"}`, "bad": `{`} {
		t.Run(name, func(t *testing.T) {
			checkProblem(t, do(t, http.MethodPost, w.url+"/register", body, "Content-Type", asJSON), http.StatusForbidden)
		})
	}
	if _, err := w.Ledger.UserByEmail(t.Context(), "ben@example.org"); !fail.Is(err, fail.NotFound) {
		t.Errorf("there is an account now: %v", err)
	}
}

func TestOneOfManyGetsTheAddress(t *testing.T) {
	w := start(t, open)
	var (
		all         sync.WaitGroup
		made, taken atomic.Int64
	)
	for range 5 {
		all.Go(func() {
			r := do(t, http.MethodPost, w.url+"/register", `{"email":"ben@example.org","password":"longenough"}`, "Content-Type", asJSON)
			switch r.status {
			case http.StatusCreated:
				made.Add(1)
			case http.StatusConflict:
				taken.Add(1)
			default:
				t.Errorf("answer: %+v", r)
			}
		})
	}
	all.Wait()
	if made.Load() != 1 || taken.Load() != 4 {
		t.Errorf("%d accounts, %d refusals", made.Load(), taken.Load())
	}
}
