package options

import (
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/text/language"
)

// Track chooses one of the audio tracks: by its place among them, "0" for the
// first, or by the language that it says it has, a BCP 47 tag or an ISO 639
// code such as "en", "eng", "ger" or "pt-BR"; "" for the default one.
type Track string

// Index returns the place among the audio tracks, 0 to 99, if the track is
// chosen by it.
func (t Track) Index() (int, bool) {
	if len(t) == 0 || len(t) > 2 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(t), 10, 8)
	return int(n), err == nil
}

// Speaks reports whether tag, the language of a stream in any of the ways in
// which Track has it, is the language wanted. Countries and scripts must agree
// only where both name one. A stream without a tag is "und". Always false for
// a track that is not chosen by its language.
func (t Track) Speaks(tag string) bool {
	want, ok := parseLanguage(string(t))
	if !ok {
		return false
	}
	if tag == "" {
		tag = "und"
	}
	got, ok := parseLanguage(tag)
	if !ok {
		return false
	}
	wantBase, wantScript, wantRegion := want.Raw()
	gotBase, gotScript, gotRegion := got.Raw()
	return wantBase == gotBase &&
		(wantScript == gotScript || wantScript == language.Script{} || gotScript == language.Script{}) &&
		(wantRegion == gotRegion || wantRegion == language.Region{} || gotRegion == language.Region{})
}

// tag is the shape of a language: a code of ISO 639-1, -2 or -3, and subtags.
var tag = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}$`)

// canon makes one tag of those that mean the same: Norwegian is Bokmål,
// Chinese Mandarin, Hebrew no longer "iw".
const canon = language.DeprecatedBase | language.Macro

// parseLanguage reads the language that s names; not ok where there is no such
// language.
func parseLanguage(s string) (language.Tag, bool) {
	if !tag.MatchString(s) {
		return language.Und, false
	}
	base, rest, _ := strings.Cut(s, "-")
	if code, ok := bibliographic[strings.ToLower(base)]; ok {
		s = strings.TrimSuffix(code+"-"+rest, "-")
	}
	t, err := canon.Parse(s)
	return t, err == nil
}

// bibliographic are the codes of ISO 639-2/B that differ from those of
// 639-2/T; MP4 and Matroska have either, BCP 47 and package language only the
// latter. See https://www.loc.gov/standards/iso639-2/php/code_list.php.
var bibliographic = map[string]string{
	"alb": "sqi", "arm": "hye", "baq": "eus", "bur": "mya", "chi": "zho",
	"cze": "ces", "dut": "nld", "fre": "fra", "geo": "kat", "ger": "deu",
	"gre": "ell", "ice": "isl", "mac": "mkd", "mao": "mri", "may": "msa",
	"per": "fas", "rum": "ron", "slo": "slk", "tib": "bod", "wel": "cym",
}
