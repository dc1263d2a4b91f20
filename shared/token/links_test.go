package token

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

const fid = "3f2b8a54-6f0e-4a51-9a35-0a1b2c3d4e5f"

var secret = []byte("0123456789abcdef0123456789abcdef")

func query(tb testing.TB, path string) url.Values {
	tb.Helper()
	u, err := url.Parse(path)
	if err != nil || u.Path != LinkPath {
		tb.Fatalf("link %q: %v", path, err)
	}
	return u.Query()
}

func TestLinkHasItsShape(t *testing.T) {
	got := NewLinks(secret, at(0)).Path(fid, time.Hour)
	const want = "/download?fid=" + fid + "&expires=1767326645&signature=YCtQt9wmcXire-INw7dM31q2zH6HE_1osz5p0TFY9lc"
	if got != want { // links in mails that are out already depend on it
		t.Errorf("Path = %q\nwant   %q", got, want)
	}
}

func TestLinkLastsAsLongAsItSays(t *testing.T) {
	const week = 7 * 24 * time.Hour
	q := query(t, NewLinks(secret, at(0)).Path(fid, week))
	tests := map[string]struct {
		at   time.Duration
		want string // the text for the client; empty if it is accepted
	}{
		"at once":         {0, ""},
		"a second before": {week - time.Second, ""},
		"at the end":      {week, "This link has expired."},
		"a year later":    {365 * 24 * time.Hour, "This link has expired."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := NewLinks(secret, at(tt.at)).Verify(q)
			if tt.want == "" && (err != nil || got != fid) {
				t.Fatalf("Verify = %q, %v", got, err)
			}
			if tt.want != "" && (got != "" || !fail.Is(err, fail.Unauthorized) || fail.Detail(err) != tt.want) {
				t.Fatalf("Verify = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestForgedLinksAreRefused(t *testing.T) {
	links := NewLinks(secret, at(0))
	good := query(t, links.Path(fid, time.Hour))
	expired := query(t, links.Path(fid, -time.Hour))
	set := func(name string, values ...string) url.Values {
		q := url.Values{}
		for k, v := range good {
			q[k] = v
		}
		q[name] = values
		return q
	}
	signature, expires := good.Get("signature"), good.Get("expires")
	tests := map[string]url.Values{
		"nothing":                {},
		"another file":           set("fid", "00000000-6f0e-4a51-9a35-0a1b2c3d4e5f"),
		"no file":                set("fid"),
		"two files":              set("fid", fid, "another"),
		"two files, ours last":   set("fid", "another", fid),
		"later end":              set("expires", "9999999999"),
		"same end, other form":   set("expires", "+"+expires),
		"end with a zero":        set("expires", "0"+expires),
		"end moved to the file":  {"fid": {fid + "\n" + expires}, "expires": {""}, "signature": {signature}},
		"no end":                 set("expires"),
		"two ends":               set("expires", expires, "9999999999"),
		"no signature":           set("signature"),
		"empty signature":        set("signature", ""),
		"two signatures":         set("signature", "x", signature),
		"signature cut short":    set("signature", signature[:20]),
		"signature flipped":      set("signature", flip(signature)),
		"padded signature":       set("signature", signature+"="),
		"signature with a break": set("signature", signature[:9]+"\n"+signature[9:]),
		"no base64":              set("signature", "§§§"),
		"expired and forged":     {"fid": {"another"}, "expires": expired["expires"], "signature": expired["signature"]},
		"of another secret":      query(t, NewLinks([]byte(strings.Repeat("k", 32)), at(0)).Path(fid, time.Hour)),
	}
	for name, q := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := links.Verify(q)
			if got != "" || !fail.Is(err, fail.Unauthorized) || fail.Detail(err) != "This link is not valid." {
				t.Errorf("Verify = %q, %v", got, err)
			}
		})
	}
}

func TestLinksNeedASecret(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("NewLinks took a short secret")
		}
	}()
	NewLinks([]byte("short"), nil)
}

func FuzzLinksRoundTrip(f *testing.F) {
	links := NewLinks(secret, at(0))
	f.Add(fid, fid)
	f.Add("a&b=c#d", "a")
	f.Add("a\n1", "a")
	f.Fuzz(func(t *testing.T, name, other string) {
		q := query(t, links.Path(name, time.Hour))
		if got, err := links.Verify(q); name != "" && (err != nil || got != name) {
			t.Fatalf("Verify = %q, %v, want %q", got, err, name)
		}
		q.Set("fid", other)
		if got, err := links.Verify(q); other != name && err == nil {
			t.Fatalf("the link to %q leads to %q", name, got)
		}
	})
}
