package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strconv"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// LinkPath is the path that a signed link leads to.
const LinkPath = "/download"

// linkVersion separates these signatures from any other use of the key.
const linkVersion = "audio-alchemist download v1"

// Links makes and checks links to one file that work without logging in,
// until they expire. Safe for concurrent use.
type Links struct {
	key []byte
	now func() time.Time
}

// NewLinks makes Links over a secret of at least 32 bytes, as
// LoadOrCreateSecret returns it: it panics for a shorter one. A nil now is
// time.Now.
func NewLinks(key []byte, now func() time.Time) *Links {
	if len(key) < secretBytes {
		panic("token: the secret for links is shorter than 32 bytes")
	}
	if now == nil {
		now = time.Now
	}
	return &Links{key: append([]byte(nil), key...), now: now}
}

// Path returns the path and query of a link to the blob fid that is valid for
// the given time, counted in whole seconds:
// /download?fid=…&expires=<Unix seconds>&signature=<base64url HMAC-SHA256>
func (l *Links) Path(fid string, valid time.Duration) string {
	expires := strconv.FormatInt(l.now().Add(valid).Unix(), 10)
	return LinkPath + "?fid=" + url.QueryEscape(fid) + "&expires=" + expires +
		"&signature=" + l.sign(fid, expires)
}

// Result returns the link to a result that the API shows beside its job: it
// works for at least 24 hours, and stays the same for up to an hour, so that
// whoever shows a job again and again keeps one address.
func (l *Links) Result(fid string) string {
	now := l.now()
	return l.Path(fid, now.Truncate(time.Hour).Add(25*time.Hour).Sub(now))
}

// Verify returns the fid that the query of a link names. fail.Unauthorized,
// with a text for the client, if the link was not made by Path or has expired.
func (l *Links) Verify(q url.Values) (fid string, err error) {
	invalid := fail.New(fail.Unauthorized, "This link is not valid.")
	for _, name := range []string{"fid", "expires", "signature"} {
		if len(q[name]) != 1 {
			return "", invalid
		}
	}
	fid, expires := q.Get("fid"), q.Get("expires")
	if !hmac.Equal([]byte(q.Get("signature")), []byte(l.sign(fid, expires))) {
		return "", invalid
	}
	until, err := strconv.ParseInt(expires, 10, 64)
	if err != nil || fid == "" {
		return "", invalid
	}
	if l.now().Unix() >= until {
		return "", fail.New(fail.Unauthorized, "This link has expired.")
	}
	return fid, nil
}

// sign covers the version, the fid and the expiry. No two pairs give the same
// text: expires is what follows the last line break.
func (l *Links) sign(fid, expires string) string {
	mac := hmac.New(sha256.New, l.key)
	mac.Write([]byte(linkVersion + "\n" + fid + "\n" + expires))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
