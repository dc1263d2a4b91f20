package token

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/MicahParks/jwkset"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// KeyID returns the id of a public key: its RFC 7638 thumbprint, SHA-256 in
// unpadded base64url.
func KeyID(key ed25519.PublicKey) string {
	// The required members of an OKP key (RFC 8037, 2) in lexical order.
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"Ed25519","kty":"OKP","x":"%s"}`,
		base64.RawURLEncoding.EncodeToString(key)))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// KeySet is the public keys that tokens are verified with. More than one is
// there while keys rotate: the new one signs, tokens of the old one run out.
// A KeySet does not change; its zero value is empty.
type KeySet struct {
	ids  []string
	keys map[string]ed25519.PublicKey
}

// NewKeySet makes a set in the given order; a key of the wrong size or one
// that is already there is left out.
func NewKeySet(keys ...ed25519.PublicKey) KeySet {
	s := KeySet{keys: make(map[string]ed25519.PublicKey, len(keys))}
	for _, k := range keys {
		id := KeyID(k)
		if _, there := s.keys[id]; there || len(k) != ed25519.PublicKeySize {
			continue
		}
		s.ids, s.keys[id] = append(s.ids, id), k
	}
	return s
}

// Key returns the key with the id.
func (s KeySet) Key(id string) (ed25519.PublicKey, bool) {
	k, ok := s.keys[id]
	return k, ok
}

// IDs returns the ids of all keys, in the order of the set.
func (s KeySet) IDs() []string { return append([]string(nil), s.ids...) }

// With returns the keys of both sets, those of s first.
func (s KeySet) With(more KeySet) KeySet {
	var all []ed25519.PublicKey
	for _, set := range []KeySet{s, more} {
		for _, id := range set.ids {
			all = append(all, set.keys[id])
		}
	}
	return NewKeySet(all...)
}

// MarshalJSON writes a JWK set (RFC 7517): OKP keys with crv Ed25519, alg
// EdDSA, use sig and their kid; never a private part.
func (s KeySet) MarshalJSON() ([]byte, error) {
	set := jwkset.JWKSMarshal{Keys: make([]jwkset.JWKMarshal, 0, len(s.ids))}
	for _, id := range s.ids {
		k, err := jwkset.NewJWKFromKey(s.keys[id], jwkset.JWKOptions{
			Metadata: jwkset.JWKMetadataOptions{ALG: jwkset.AlgEdDSA, KID: id, USE: jwkset.UseSig},
		})
		if err != nil {
			return nil, fail.Wrap(fail.Internal, err, "encode key %s", id)
		}
		set.Keys = append(set.Keys, k.Marshal())
	}
	return json.Marshal(set)
}

// ParseKeySet reads a JWK set. Keys of another type or use are passed over, as
// RFC 7517 asks; fail.Invalid for a set with no key for us, with a private or
// symmetric key in it, or with a kid that is not the key's thumbprint.
func ParseKeySet(data []byte) (KeySet, error) {
	var set jwkset.JWKSMarshal
	if err := json.Unmarshal(data, &set); err != nil {
		return KeySet{}, fail.Wrap(fail.Invalid, err, "read key set")
	}
	var keys []ed25519.PublicKey
	for n, m := range set.Keys {
		k, err := parseKey(m)
		if err != nil {
			return KeySet{}, fail.Wrap(fail.Invalid, err, "read key %d of the key set", n+1)
		}
		if k != nil {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return KeySet{}, fail.New(fail.Invalid, "the key set has no Ed25519 key for signatures")
	}
	return NewKeySet(keys...), nil
}

// parseKey returns nil for a key that is not for us.
func parseKey(m jwkset.JWKMarshal) (ed25519.PublicKey, error) {
	if m.D != "" || m.K != "" || m.P != "" || m.Q != "" {
		return nil, errors.New("it is not public")
	}
	if m.KTY != jwkset.KtyOKP || m.CRV != jwkset.CrvEd25519 ||
		(m.USE != "" && m.USE != jwkset.UseSig) || (m.ALG != "" && m.ALG != jwkset.AlgEdDSA) {
		return nil, nil
	}
	k, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return nil, err
	}
	public, ok := k.Key().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("it is a %T", k.Key())
	}
	if m.KID != "" && m.KID != KeyID(public) {
		return nil, errors.New("its kid is not its thumbprint")
	}
	return public, nil
}
