package login

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/token"
)

const here = "192.0.2.1"

func TestLoginAnswersTheBareToken(t *testing.T) {
	w := start(t, nil)
	r := login(t, w.url, " Anna@Example.ORG ", password, here) // any spelling of the address
	if r.status != http.StatusOK || r.header.Get("Content-Type") != "text/plain; charset=utf-8" || r.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("answer: %+v", r)
	}
	c, err := w.Verifier.Verify(r.body)
	if err != nil {
		t.Fatal(err)
	}
	if c.Subject != w.anna.ID || c.Username != email || !c.Admin || c.Expires.Sub(c.IssuedAt) != time.Hour {
		t.Errorf("claims: %+v", c)
	}
	if r.header.Get("WWW-Authenticate") != "" {
		t.Errorf("a good login is challenged: %v", r.header)
	}
}

func TestLoginAnswersJSONWhereAsked(t *testing.T) {
	w := start(t, nil)
	r := login(t, w.url, email, password, here, "Accept", "application/json")
	var got map[string]any
	if err := json.Unmarshal([]byte(r.body), &got); err != nil || r.status != http.StatusOK {
		t.Fatalf("answer: %+v, %v", r, err)
	}
	raw, _ := got["access_token"].(string)
	if _, err := w.Verifier.Verify(raw); err != nil {
		t.Error(err)
	}
	if got["token_type"] != "Bearer" || got["expires_in"] != 3600.0 || len(got) != 3 {
		t.Errorf("answer: %v", got)
	}
	if r.header.Get("Content-Type") != "application/json" || r.header.Get("Cache-Control") != "no-store" || r.header.Get("Vary") != "Accept" {
		t.Errorf("header: %v", r.header)
	}
}

func TestLoginWithoutCredentialsIsChallenged(t *testing.T) {
	w := start(t, nil)
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	tests := map[string]string{
		"none":          "",
		"bearer":        "Bearer " + strings.Repeat("a", 40),
		"no base64":     "Basic %%%",
		"no colon":      basic(email),
		"no address":    basic(":" + password),
		"not UTF-8":     basic("anna\xff:" + password),
		"scheme only":   "Basic",
		"another order": "basic" + basic(email+":"+password),
	}
	for name, value := range tests {
		t.Run(name, func(t *testing.T) {
			r := do(t, http.MethodPost, w.url+"/login", "", "Authorization", value)
			checkProblem(t, r, http.StatusUnauthorized)
			if got := r.header.Get("WWW-Authenticate"); got != `Basic realm="audio-alchemist", charset="UTF-8"` {
				t.Errorf("WWW-Authenticate = %q", got)
			}
		})
	}
}

// checkProblem checks that the answer is a problem document of the status.
func checkProblem(t *testing.T, r reply, status int) {
	t.Helper()
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	if err := json.Unmarshal([]byte(r.body), &p); err != nil || r.status != status || p.Status != status ||
		p.Type != "about:blank" || p.Title != http.StatusText(status) || p.Detail == "" ||
		r.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("answer: %+v, %v, want a problem of status %d", r, err, status)
	}
}

func TestWrongPasswordAndUnknownUserLookTheSame(t *testing.T) {
	w := start(t, nil)
	wrong := login(t, w.url, email, "wrong horse", here)
	checkProblem(t, wrong, http.StatusUnauthorized)
	if got := wrong.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Basic ") {
		t.Errorf("WWW-Authenticate = %q", got)
	}
	tests := map[string]struct{ email, password string }{
		"unknown user":           {"nobody@example.org", password},
		"no address at all":      {"nobody", password},
		"endless address":        {strings.Repeat("a", 5000) + "@example.org", password},
		"empty password":         {email, ""},
		"endless password":       {email, strings.Repeat("x", 5000)},
		"password and something": {email, password + "\x00"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := login(t, w.url, tt.email, tt.password, here)
			wrong.header.Del("Date")
			r.header.Del("Date")
			if r.status != wrong.status || r.body != wrong.body || len(r.header) != len(wrong.header) {
				t.Errorf("answer: %+v\nwant    %+v", r, wrong)
			}
		})
	}
}

func TestUnknownUserTakesAsLongAsWrongPassword(t *testing.T) {
	w := start(t, nil)
	var took [2][]time.Duration
	for i := range 9 { // by turns, so that other load meets both
		for n, who := range []string{email, "nobody@example.org"} {
			before := time.Now()
			if r := login(t, w.url, who, "wrong horse", fmt.Sprintf("192.0.2.%d", i)); r.status != http.StatusUnauthorized {
				t.Fatalf("answer: %+v", r)
			}
			took[n] = append(took[n], time.Since(before))
		}
	}
	wrong, unknown := slices.Min(took[0]), slices.Min(took[1])
	ratio := float64(unknown) / float64(wrong)
	t.Logf("wrong password %v, unknown user %v, ratio %.2f", wrong, unknown, ratio)
	if ratio < 0.5 || ratio > 2 { // without the work for unknown users it is below 0.1
		t.Errorf("ratio = %.2f", ratio)
	}
}

func TestFiftyLoginsAtOnceAllEndWell(t *testing.T) {
	w := start(t, nil)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			r := login(t, w.url, email, password, here)
			for range 5 { // on a busy machine some are told to come again
				if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" {
					break
				}
				r = login(t, w.url, email, password, here)
			}
			if r.status != http.StatusOK {
				t.Errorf("answer: %+v", r)
			}
		})
	}
	all.Wait()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("heap at its largest: %d MiB", m.HeapSys>>20)
	if m.HeapSys > 320<<20 { // fifty hashes at once would take 2.3 GiB
		t.Errorf("heap at its largest: %d MiB", m.HeapSys>>20)
	}
}

func TestValidate(t *testing.T) {
	w := start(t, nil)
	raw := login(t, w.url, email, password, here).body
	r := do(t, http.MethodPost, w.url+"/validate", "", "Authorization", "Bearer "+raw)
	var got map[string]any
	if err := json.Unmarshal([]byte(r.body), &got); err != nil || r.status != http.StatusOK {
		t.Fatalf("answer: %+v, %v", r, err)
	}
	if got["sub"] != w.anna.ID || got["username"] != email || got["admin"] != true || got["iss"] != "test" ||
		got["exp"] != float64(w.clock.Now().Unix()+3600) || got["iat"] != float64(w.clock.Now().Unix()) || got["jti"] == "" {
		t.Errorf("claims: %v", got)
	}
	for name, header := range map[string]string{"no token": "", "garbled": "Bearer x.y.z", "basic": "Basic YTpi"} {
		t.Run(name, func(t *testing.T) {
			r := do(t, http.MethodPost, w.url+"/validate", "", "Authorization", header)
			checkProblem(t, r, http.StatusUnauthorized)
			if got := r.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
				t.Errorf("WWW-Authenticate = %q", got)
			}
		})
	}
	w.clock.Advance(2 * time.Hour)
	checkProblem(t, do(t, http.MethodPost, w.url+"/validate", "", "Authorization", "Bearer "+raw), http.StatusUnauthorized)
}

func TestPublishedKeysVerifyTokens(t *testing.T) {
	w := start(t, nil)
	r := do(t, http.MethodGet, w.url+"/.well-known/jwks.json", "")
	if r.status != http.StatusOK || r.header.Get("Content-Type") != "application/json" || r.header.Get("Cache-Control") != "public, max-age=300" {
		t.Fatalf("answer: %+v", r)
	}
	set, err := token.ParseKeySet([]byte(r.body))
	if err != nil {
		t.Fatal(err)
	}
	raw := login(t, w.url, email, password, here).body
	if _, err := token.NewVerifier(set, "test", "test", w.clock.Now).Verify(raw); err != nil {
		t.Error(err)
	}
	if strings.Contains(r.body, `"d"`) {
		t.Errorf("the answer has a private part: %s", r.body)
	}
}

func TestLogNamesPeopleByIDOnly(t *testing.T) {
	w := start(t, nil)
	raw := login(t, w.url, email, password, here).body
	login(t, w.url, email, "wrong horse", here)
	login(t, w.url, "nobody@example.org", "wrong horse", here)
	log := w.log.String()
	lines := strings.Split(strings.TrimSpace(log), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], `msg="login ok" user=`+w.anna.ID) ||
		!strings.Contains(lines[1], `msg="login failed" user=`+w.anna.ID) || !strings.Contains(lines[2], `msg="login failed"`) {
		t.Errorf("log:\n%s", log)
	}
	for _, secret := range []string{"example.org", "horse", raw, raw[:20], here} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q:\n%s", secret, log)
		}
	}
}
