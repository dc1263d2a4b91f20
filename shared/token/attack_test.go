package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// forge signs a changed copy of a good token.
func forge(tb testing.TB, method jwt.SigningMethod, key any, header, claims map[string]any) string {
	tb.Helper()
	tok := jwt.New(method)
	body := jwt.MapClaims{
		"iss": testIssuer, "aud": testAudience, "sub": "user-1", "jti": "id-1", "admin": true,
		"username": "anna@example.org", "iat": start.Unix(), "exp": start.Unix() + 3600,
	}
	merge(tok.Header, header)
	merge(body, claims)
	tok.Claims = body
	signed, err := tok.SignedString(key)
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

// merge sets members, and removes those that are nil.
func merge(to, from map[string]any) {
	for k, v := range from {
		to[k] = v
		if v == nil {
			delete(to, k)
		}
	}
}

func TestVerifyRefusesEveryAttack(t *testing.T) {
	key, other := newKey(t), newKey(t)
	pub := public(key)
	v := NewVerifier(NewKeySet(pub), testIssuer, testAudience, at(0))
	type m = map[string]any
	kid := m{"kid": KeyID(pub)}
	with := func(header m) m { h := maps.Clone(kid); maps.Copy(h, header); return h }
	eddsa := func(header, claims m) string { return forge(t, jwt.SigningMethodEdDSA, key, header, claims) }
	good := eddsa(kid, nil)
	if _, err := v.Verify(good); err != nil {
		t.Fatalf("the token that all others are made of: %v", err)
	}
	parts := strings.Split(good, ".")
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	pubPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	otherJWK, err := json.Marshal(NewKeySet(public(other)))
	if err != nil {
		t.Fatal(err)
	}
	none := forge(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid, nil)
	admin := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"alchemist","sub":"root"}`))

	tests := map[string]string{
		"empty":                        "",
		"words":                        "not a token",
		"two parts":                    parts[0] + "." + parts[1],
		"four parts":                   good + "." + parts[2],
		"alg none":                     none,
		"alg none with a signature":    none + parts[2],
		"alg None":                     strings.Replace(none, strings.Split(none, ".")[0], encode(m{"alg": "None", "typ": "JWT", "kid": kid["kid"]}), 1),
		"signature cut off":            parts[0] + "." + parts[1] + ".",
		"HS256 with the public key":    forge(t, jwt.SigningMethodHS256, []byte(pub), kid, nil),
		"HS256 with the public PEM":    forge(t, jwt.SigningMethodHS256, pubPEM, kid, nil),
		"HS256 with the kid":           forge(t, jwt.SigningMethodHS256, []byte(kid["kid"].(string)), kid, nil),
		"ES256":                        forge(t, jwt.SigningMethodES256, ec, kid, nil),
		"another key under our kid":    forge(t, jwt.SigningMethodEdDSA, other, kid, nil),
		"another key under its kid":    forge(t, jwt.SigningMethodEdDSA, other, m{"kid": KeyID(public(other))}, nil),
		"another key in the header":    forge(t, jwt.SigningMethodEdDSA, other, m{"kid": KeyID(public(other)), "jwk": json.RawMessage(otherJWK)}, nil),
		"another key by address":       forge(t, jwt.SigningMethodEdDSA, other, with(m{"jku": "https://evil.example/jwks.json"}), nil),
		"no kid":                       eddsa(nil, nil),
		"wrong kid":                    eddsa(m{"kid": "../../dev/null"}, nil),
		"kid of another type":          eddsa(m{"kid": 7}, nil),
		"no typ":                       eddsa(with(m{"typ": nil}), nil),
		"wrong typ":                    eddsa(with(m{"typ": "logout+jwt"}), nil),
		"crit":                         eddsa(with(m{"crit": []string{"b64"}, "b64": false}), nil),
		"wrong iss":                    eddsa(kid, m{"iss": "evil"}),
		"no iss":                       eddsa(kid, m{"iss": nil}),
		"wrong aud":                    eddsa(kid, m{"aud": "another-api"}),
		"wrong aud of several":         eddsa(kid, m{"aud": []string{"a", "b"}}),
		"empty aud":                    eddsa(kid, m{"aud": []string{}}),
		"no aud":                       eddsa(kid, m{"aud": nil}),
		"no exp":                       eddsa(kid, m{"exp": nil}),
		"exp as words":                 eddsa(kid, m{"exp": "tomorrow"}),
		"exp null":                     eddsa(kid, m{"exp": json.RawMessage("null")}),
		"exp beyond all numbers":       eddsa(kid, m{"exp": json.RawMessage("1e999")}),
		"exp negative":                 eddsa(kid, m{"exp": -1}),
		"expired":                      eddsa(kid, m{"exp": start.Unix() - 60}),
		"no iat":                       eddsa(kid, m{"iat": nil}),
		"iat in the future":            eddsa(kid, m{"iat": start.Unix() + 60}),
		"nbf in the future":            eddsa(kid, m{"nbf": start.Unix() + 60}),
		"no sub":                       eddsa(kid, m{"sub": nil}),
		"empty sub":                    eddsa(kid, m{"sub": ""}),
		"sub of another type":          eddsa(kid, m{"sub": 1}),
		"no jti":                       eddsa(kid, m{"jti": nil}),
		"no username":                  eddsa(kid, m{"username": nil}),
		"admin as text":                eddsa(kid, m{"admin": "true"}),
		"claims swapped":               parts[0] + "." + admin + "." + parts[2],
		"signature with one bit less":  parts[0] + "." + parts[1] + "." + flip(parts[2]),
		"spare bits in the signature":  good[:len(good)-1] + next(good[len(good)-1]),
		"line break in the signature":  good[:len(good)-4] + "\n" + good[len(good)-4:],
		"line break at the end":        good + "\r\n",
		"space at the front":           " " + good,
		"padding":                      good + "==",
		"signature in standard base64": parts[0] + "." + parts[1] + "." + standard(parts[2]),
		"over-long":                    eddsa(kid, m{"more": strings.Repeat("x", maxToken)}),
		"a megabyte":                   strings.Repeat("a", 1<<20),
		"a megabyte of dots":           strings.Repeat(".", 1<<20),
		"deep nesting":                 encode(kid) + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("[", 2000))) + ".x",
	}
	for name, tok := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := v.Verify(tok)
			if !fail.Is(err, fail.Unauthorized) {
				t.Errorf("Verify = %+v, %v, want fail.Unauthorized", c, err)
			}
			if c != (Claims{}) {
				t.Errorf("a refused token gave %+v", c)
			}
			if d := fail.Detail(err); !strings.HasSuffix(d, "log in again.") {
				t.Errorf("the client is told %q", d)
			}
		})
	}
}

func TestVerifierWithoutANameRefusesAll(t *testing.T) {
	key := newKey(t)
	signed, _, err := newIssuer(t, key).Issue("user-1", "anna@example.org", false)
	if err != nil {
		t.Fatal(err)
	}
	keys := NewKeySet(public(key))
	tests := map[string]*Verifier{
		"no issuer":   NewVerifier(keys, "", testAudience, at(0)),
		"no audience": NewVerifier(keys, testIssuer, "", at(0)),
		"no keys":     NewVerifier(KeySet{}, testIssuer, testAudience, at(0)),
	}
	for name, v := range tests {
		t.Run(name, func(t *testing.T) {
			if c, err := v.Verify(signed); !fail.Is(err, fail.Unauthorized) {
				t.Errorf("Verify = %+v, %v", c, err)
			}
		})
	}
}

func TestVerifyKeepsTheCauseForTheLog(t *testing.T) {
	key := newKey(t)
	v := NewVerifier(NewKeySet(public(key)), testIssuer, testAudience, at(0))
	_, err := v.Verify(forge(t, jwt.SigningMethodEdDSA, key, map[string]any{"kid": "x"}, nil))
	if err == nil || !strings.Contains(err.Error(), "no key with this kid") {
		t.Errorf("Verify = %v", err)
	}
	var f *fail.Error
	if !errors.As(err, &f) || strings.Contains(fail.Detail(err), "kid") {
		t.Errorf("the client is told %q", fail.Detail(err))
	}
}

func FuzzVerifyNeverPanics(f *testing.F) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	v := NewVerifier(NewKeySet(public(key)), testIssuer, testAudience, at(0))
	kid := map[string]any{"kid": KeyID(public(key))}
	good := forge(f, jwt.SigningMethodEdDSA, key, kid, nil)
	f.Add(good)
	f.Add("..")
	f.Add("e30.e30.")
	f.Add(encode(map[string]any{"alg": nil}) + ".bnVsbA.")
	f.Add(encode(map[string]any{"alg": "EdDSA", "typ": "JWT", "kid": kid["kid"]}) + ".bnVsbA.AAAA")
	f.Fuzz(func(t *testing.T, tok string) {
		c, err := v.Verify(tok)
		if err == nil && tok != good {
			t.Fatalf("Verify(%q) = %+v", tok, c)
		}
		if err != nil && !fail.Is(err, fail.Unauthorized) {
			t.Fatalf("Verify(%q) = %v", tok, err)
		}
	})
}
