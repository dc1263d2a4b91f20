package token

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

const (
	testIssuer   = "alchemist"
	testAudience = "alchemist-api"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)

func newKey(tb testing.TB) ed25519.PrivateKey {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func newIssuer(tb testing.TB, key ed25519.PrivateKey) *Issuer {
	tb.Helper()
	i, err := NewIssuer(key, Options{Issuer: testIssuer, Audience: testAudience, TTL: time.Hour, Now: func() time.Time { return start }})
	if err != nil {
		tb.Fatal(err)
	}
	return i
}

func at(d time.Duration) func() time.Time { return func() time.Time { return start.Add(d) } }

func TestIssueThenVerify(t *testing.T) {
	key := newKey(t)
	signed, issued, err := newIssuer(t, key).Issue("user-1", "anna@example.org", true)
	if err != nil {
		t.Fatal(err)
	}
	got, err := NewVerifier(NewKeySet(public(key)), testIssuer, testAudience, at(0)).Verify(signed)
	if err != nil {
		t.Fatal(err)
	}
	want := Claims{
		Issuer: testIssuer, Audience: testAudience, Subject: "user-1", Username: "anna@example.org", Admin: true,
		ID: issued.ID, IssuedAt: start.Truncate(time.Second), Expires: start.Truncate(time.Second).Add(time.Hour),
	}
	if got != want || issued != want || got.ID == "" {
		t.Errorf("issued   %+v\nverified %+v\nwant     %+v", issued, got, want)
	}
	_, again, err := newIssuer(t, key).Issue("user-1", "anna@example.org", true)
	if err != nil || again.ID == issued.ID {
		t.Errorf("the second token has id %q, %v: want another", again.ID, err)
	}
}

func TestTokenOnTheWire(t *testing.T) {
	key := newKey(t)
	signed, c, err := newIssuer(t, key).Issue("user-1", "anna@example.org", false)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(signed, ".")
	wantHeader := map[string]any{"alg": "EdDSA", "typ": "JWT", "kid": KeyID(public(key))}
	wantClaims := map[string]any{
		"iss": testIssuer, "aud": []any{testAudience}, "sub": "user-1", "jti": c.ID, "admin": false,
		"username": "anna@example.org", "iat": float64(start.Unix()), "exp": float64(start.Unix() + 3600),
	}
	if got := decode(t, parts[0]); !equal(got, wantHeader) {
		t.Errorf("header = %v, want %v", got, wantHeader)
	}
	if got := decode(t, parts[1]); !equal(got, wantClaims) {
		t.Errorf("claims = %v, want %v", got, wantClaims)
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if got := decode(t, base64.RawURLEncoding.EncodeToString(asJSON)); !equal(got, wantClaims) {
		t.Errorf("Claims as JSON = %v, want %v", got, wantClaims)
	}
}

func TestVerifyKeepsToTheClock(t *testing.T) {
	key := newKey(t)
	signed, _, err := newIssuer(t, key).Issue("user-1", "anna@example.org", false)
	if err != nil {
		t.Fatal(err)
	}
	issued := start.Truncate(time.Second).Sub(start)
	tests := map[string]struct {
		at   time.Duration
		want string // the text for the client; empty if it is accepted
	}{
		"at once":              {0, ""},
		"just before the end":  {time.Hour - time.Second, ""},
		"within the leeway":    {issued + time.Hour + Leeway - time.Millisecond, ""},
		"past the leeway":      {issued + time.Hour + Leeway, "This login has expired; log in again."},
		"a year later":         {365 * 24 * time.Hour, "This login has expired; log in again."},
		"clock a little slow":  {issued - Leeway, ""},
		"issued in the future": {issued - Leeway - time.Millisecond, "This token is not valid; log in again."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := NewVerifier(NewKeySet(public(key)), testIssuer, testAudience, at(tt.at)).Verify(signed)
			if tt.want == "" && err != nil {
				t.Fatalf("Verify = %v", err)
			}
			if tt.want != "" && (!fail.Is(err, fail.Unauthorized) || fail.Detail(err) != tt.want) {
				t.Fatalf("Verify = %v (%q), want %q", err, fail.Detail(err), tt.want)
			}
		})
	}
}
