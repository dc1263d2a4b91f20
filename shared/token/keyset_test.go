package token

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// rfc8037 is the key of RFC 8037, appendix A.
func rfc8037(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	seed, err := base64.RawURLEncoding.DecodeString("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
	if err != nil {
		t.Fatal(err)
	}
	return ed25519.NewKeyFromSeed(seed)
}

func TestKeyIDIsTheThumbprintOfRFC8037(t *testing.T) {
	const want = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" // appendix A.3
	if got := KeyID(public(rfc8037(t))); got != want {
		t.Errorf("KeyID = %q, want %q", got, want)
	}
}

func TestKeySetAsJSON(t *testing.T) {
	got, err := json.Marshal(NewKeySet(public(rfc8037(t))))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"keys":[{"kty":"OKP","use":"sig","alg":"EdDSA","kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",` +
		`"crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`
	if string(got) != want {
		t.Errorf("JSON = %s\nwant   %s", got, want)
	}
	if empty, err := json.Marshal(KeySet{}); err != nil || string(empty) != `{"keys":[]}` {
		t.Errorf("the empty set is %s, %v", empty, err)
	}
}

func TestKeysRotate(t *testing.T) {
	old, young := newKey(t), newKey(t)
	both := NewKeySet(public(young)).With(NewKeySet(public(old), public(young)))
	if want := []string{KeyID(public(young)), KeyID(public(old))}; !slices.Equal(both.IDs(), want) {
		t.Fatalf("IDs = %v, want %v", both.IDs(), want)
	}
	data, err := json.Marshal(both)
	if err != nil {
		t.Fatal(err)
	}
	read, err := ParseKeySet(data)
	if err != nil || !slices.Equal(read.IDs(), both.IDs()) {
		t.Fatalf("read back: %v, %v", read.IDs(), err)
	}
	v := NewVerifier(read, testIssuer, testAudience, at(0))
	for name, key := range map[string]ed25519.PrivateKey{"old": old, "young": young} {
		signed, _, err := newIssuer(t, key).Issue("user-1", "anna@example.org", false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(signed); err != nil {
			t.Errorf("token of the %s key: %v", name, err)
		}
	}
}

func TestParseKeySet(t *testing.T) {
	const (
		x    = `"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`
		okp  = `"kty":"OKP","crv":"Ed25519",` + x
		good = `{` + okp + `}`
		id   = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
		rsa  = `{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN","e":"AQAB"}`
	)
	tests := map[string]struct {
		keys string
		ok   bool
	}{
		"plain":             {good, true},
		"all members":       {`{` + okp + `,"use":"sig","alg":"EdDSA","kid":"` + id + `"}`, true},
		"twice":             {good + `,` + good, true},
		"beside others":     {rsa + `,` + good + `,{"kty":"new"}`, true},
		"none":              {``, false},
		"of others only":    {rsa, false},
		"for encryption":    {`{` + okp + `,"use":"enc"}`, false},
		"another algorithm": {`{` + okp + `,"alg":"HS256"}`, false},
		"X25519":            {`{"kty":"OKP","crv":"X25519",` + x + `}`, false},
		"private":           {`{` + okp + `,"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`, false},
		"private beside":    {good + `,{"kty":"oct","k":"c2VjcmV0"}`, false},
		"another kid":       {`{` + okp + `,"kid":"login"}`, false},
		"short":             {`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKx"}`, false},
		"no base64":         {`{"kty":"OKP","crv":"Ed25519","x":"§"}`, false},
		"not JSON":          {`{`, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			set, err := ParseKeySet([]byte(`{"keys":[` + tt.keys + `]}`))
			if !tt.ok {
				if !fail.Is(err, fail.Invalid) {
					t.Fatalf("ParseKeySet = %v, %v, want fail.Invalid", set.IDs(), err)
				}
				return
			}
			if err != nil || !slices.Equal(set.IDs(), []string{id}) {
				t.Fatalf("ParseKeySet = %v, %v", set.IDs(), err)
			}
			if out, err := json.Marshal(set); err != nil || strings.Contains(string(out), `"d":`) {
				t.Errorf("written again: %s, %v", out, err)
			}
		})
	}
}

func TestNewIssuerRefuses(t *testing.T) {
	key := newKey(t)
	good := Options{Issuer: "i", Audience: "a", TTL: time.Hour}
	tests := map[string]struct {
		key ed25519.PrivateKey
		o   Options
	}{
		"no key":      {nil, good},
		"short key":   {key[:32], good},
		"no issuer":   {key, Options{Audience: "a", TTL: time.Hour}},
		"no audience": {key, Options{Issuer: "i", TTL: time.Hour}},
		"no TTL":      {key, Options{Issuer: "i", Audience: "a"}},
		"short TTL":   {key, Options{Issuer: "i", Audience: "a", TTL: 1}},
		"negative":    {key, Options{Issuer: "i", Audience: "a", TTL: -1}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if i, err := NewIssuer(tt.key, tt.o); i != nil || !fail.Is(err, fail.Invalid) {
				t.Errorf("NewIssuer = %v, %v", i, err)
			}
		})
	}
	i, err := NewIssuer(key, good)
	if err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][2]string{"no id": {"", "anna"}, "no name": {"user-1", ""}, "endless name": {"user-1", strings.Repeat("x", maxToken)}} {
		if tok, _, err := i.Issue(args[0], args[1], false); tok != "" || !fail.Is(err, fail.Internal) {
			t.Errorf("%s: Issue = %q, %v", name, tok, err)
		}
	}
}
