package options

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

func at(d time.Duration) Time { return Time(d) }

func TestParseTakes(t *testing.T) {
	comment := strings.Repeat("ä", maxComment)
	tests := map[string]struct {
		fields map[string]string
		want   Options
	}{
		"nothing":            {nil, Options{}},
		"an empty value":     {map[string]string{"format": "", "title": " \t"}, Options{}},
		"what is no option":  {map[string]string{"colour": "red", "Format": "wav"}, Options{}},
		"one format":         {map[string]string{"format": "m4a"}, Options{Formats: []Format{M4A}}},
		"several formats":    {map[string]string{"format": "flac, mp3 ,opus"}, Options{Formats: []Format{FLAC, MP3, Opus}}},
		"bit rate with k":    {map[string]string{"bitrate": "192k"}, Options{Bitrate: 192_000}},
		"bit rate without":   {map[string]string{"bitrate": "32000"}, Options{Bitrate: 32_000}},
		"the highest":        {map[string]string{"bitrate": "320k", "format": "flac,m4a"}, Options{Bitrate: 320_000, Formats: []Format{FLAC, M4A}}},
		"quality":            {map[string]string{"quality": "v0"}, Options{Quality: "v0"}},
		"quality of one":     {map[string]string{"quality": "v9", "format": "wav,ogg"}, Options{Quality: "v9", Formats: []Format{WAV, Ogg}}},
		"sample rate":        {map[string]string{"sample_rate": "44100"}, Options{SampleRate: 44100}},
		"one of Opus":        {map[string]string{"sample_rate": "48000", "format": "opus,mp3"}, Options{SampleRate: 48000, Formats: []Format{Opus, MP3}}},
		"a high one":         {map[string]string{"sample_rate": "96000", "format": "m4a,flac,wav"}, Options{SampleRate: 96000, Formats: []Format{M4A, FLAC, WAV}}},
		"mono":               {map[string]string{"channels": "mono"}, Options{Channels: Mono}},
		"start in seconds":   {map[string]string{"start": "83.5"}, Options{Start: at(83500 * time.Millisecond)}},
		"start at once":      {map[string]string{"start": "0", "end": "0.001"}, Options{End: at(time.Millisecond)}},
		"minutes":            {map[string]string{"start": "1:23", "end": "90:00.05"}, Options{Start: at(83 * time.Second), End: at(90*time.Minute + 50*time.Millisecond)}},
		"hours":              {map[string]string{"end": "01:02:03.004"}, Options{End: at(time.Hour + 2*time.Minute + 3*time.Second + 4*time.Millisecond)}},
		"the last moment":    {map[string]string{"end": "999999.999"}, Options{End: at(1_000_000*time.Second - time.Millisecond)}},
		"track by place":     {map[string]string{"track": "01"}, Options{Track: "1"}},
		"track by language":  {map[string]string{"track": "ger"}, Options{Track: "ger"}},
		"loudness":           {map[string]string{"normalize": "-16"}, Options{Normalize: -16}},
		"with decimals":      {map[string]string{"normalize": "-22.95"}, Options{Normalize: -22.95}},
		"text":               {map[string]string{"title": " Füße 東京 🎬; -x=y\\ ", "date": "2026-11"}, Options{Title: `Füße 東京 🎬; -x=y\`, Date: "2026-11"}},
		"the longest text":   {map[string]string{"comment": comment}, Options{Comment: comment}},
		"all text":           {map[string]string{"artist": "a", "album": "b", "genre": "c"}, Options{Artist: "a", Album: "b", Genre: "c"}},
		"no cover":           {map[string]string{"cover": "none"}, Options{Cover: NoCover}},
		"a frame":            {map[string]string{"cover": "1:02.50"}, Options{Cover: "62.5"}},
		"the first frame":    {map[string]string{"cover": "0"}, Options{Cover: "0"}},
		"a value with space": {map[string]string{"channels": " stereo\n"}, Options{Channels: Stereo}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(tt.fields)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, tt.want)
			}
			if err := Check(tt.fields); err != nil {
				t.Errorf("not even for now: %v", err)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	const times = "seconds such as 83.5, or mm:ss, or hh:mm:ss, with at most three decimals"
	const formats = "one or more of mp3, m4a, opus, ogg, flac and wav, separated by commas, none twice"
	tests := map[string]struct {
		name, value string
		want        string // of the message
	}{
		"an unknown format":       {"format", "mp4", "The field format takes " + formats + `; it was "mp4".`},
		"a format twice":          {"format", "mp3,mp3", `takes ` + formats + `; it was "mp3,mp3"`},
		"half a list":             {"format", "mp3,", `it was "mp3,"`},
		"capitals":                {"format", "MP3", `it was "MP3"`},
		"bit rate too low":        {"bitrate", "31k", `The field bitrate takes 32k to 320k (bit/s); it was "31k".`},
		"bit rate too high":       {"bitrate", "320001", `it was "320001"`},
		"bit rate with M":         {"bitrate", "0.1M", `it was "0.1M"`},
		"quality beyond":          {"quality", "v10", `The field quality takes v0 (best) to v9 (smallest); it was "v10".`},
		"quality without v":       {"quality", "2", `it was "2"`},
		"an odd sample rate":      {"sample_rate", "44000", "The field sample_rate takes 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200 or 96000 (Hz)"},
		"sample rate with k":      {"sample_rate", "48k", `it was "48k"`},
		"a sign":                  {"sample_rate", "+48000", `it was "+48000"`},
		"six channels":            {"channels", "6", `The field channels takes mono or stereo; it was "6".`},
		"a negative time":         {"start", "-1", "The field start takes " + times + `; it was "-1".`},
		"four decimals":           {"start", "1.0001", `it was "1.0001"`},
		"61 seconds":              {"start", "1:61", `it was "1:61"`},
		"60 minutes of an hour":   {"start", "1:60:00", `it was "1:60:00"`},
		"one digit of seconds":    {"start", "1:2", `it was "1:2"`},
		"a time that is too far":  {"start", "1000000", `it was "1000000"`},
		"an exponent":             {"start", "1e3", `it was "1e3"`},
		"digits of another kind":  {"start", "１２", `it was "１２"`},
		"the end at the start":    {"end", "0", "The field end takes " + times + `, after start; it was "0".`},
		"no such language":        {"track", "xyz", `The field track takes 0 to 99 (its place among the audio tracks) or a language such as en, eng or pt-BR; it was "xyz".`},
		"a language in words":     {"track", "Deutsch", `it was "Deutsch"`},
		"a place too far":         {"track", "100", `it was "100"`},
		"a place below":           {"track", "-1", `it was "-1"`},
		"too loud":                {"normalize", "-8.9", `The field normalize takes -23 to -9 (LUFS), with at most two decimals; it was "-8.9".`},
		"too quiet":               {"normalize", "-23.01", `it was "-23.01"`},
		"no loudness":             {"normalize", "0", `it was "0"`},
		"no number":               {"normalize", "NaN", `it was "NaN"`},
		"a line break":            {"title", "a\nb", "The field title takes at most 200 characters of UTF-8 in one line, without control characters; it was \"a\\nb\"."},
		"a line separator":        {"artist", "a\u2028b", `it was "a\u2028b"`},
		"a NUL":                   {"album", "a\x00b", `it was "a\x00b"`},
		"not UTF-8":               {"genre", "a\xffb", `it was "a\xffb"`},
		"a character too many":    {"comment", strings.Repeat("x", maxComment+1), "at most 1000 characters of UTF-8 in one line, without control characters; it was \"" + strings.Repeat("x", 40) + `"….`},
		"a byte too many":         {"comment", strings.Repeat("🎬", maxComment) + strings.Repeat("x", 97), "it was"},
		"a long date":             {"date", strings.Repeat("2", maxDate+1), "The field date takes at most 40"},
		"a picture of its own":    {"cover", "cat.png", "The field cover takes none, or the time of a frame: " + times + `; it was "cat.png".`},
		"nothing but spaces":      {"title", strings.Repeat(" ", MaxValue+1), `it was "".`},
		"more digits than a rate": {"bitrate", strings.Repeat("9", 4000), "it was"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			fields := map[string]string{tt.name: tt.value}
			got, err := Parse(fields)
			if !fail.Is(err, fail.Invalid) || !strings.Contains(fail.Detail(err), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			if !reflect.DeepEqual(got, Options{}) {
				t.Errorf("options all the same: %+v", got)
			}
			if Check(fields) == nil {
				t.Error("other fields could make it right")
			}
		})
	}
}

func TestParseRefusesWhatDoesNotGoTogether(t *testing.T) {
	type fields = map[string]string
	tests := map[string]struct {
		fields fields
		want   string
		later  fields // with these it goes together; nil where nothing helps
	}{
		"bit rate and quality": {fields{"bitrate": "192k", "quality": "v2"},
			`The fields bitrate and quality exclude each other, and bitrate was "192k" and quality "v2"; give one of them.`, nil},
		"the end before the start": {fields{"start": "1:00", "end": "59.5"},
			`The field end takes a time after start, which was "60"; it was "59.5".`, nil},
		"the end at the start": {fields{"start": "5", "end": "0:05"}, `The field end takes a time after start`, nil},
		"bit rate of what loses nothing": {fields{"format": "flac,wav", "bitrate": "64k"},
			`The field bitrate takes a value only with a format that has it, mp3, m4a, opus or ogg; it was "64k" with the format flac and wav.`, nil},
		"quality of AAC": {fields{"format": "m4a", "quality": "v2"},
			`The field quality takes a value only with a format that has it, mp3 or ogg; it was "v2" with the format m4a.`, nil},
		"a rate that Opus lacks": {fields{"format": "flac,opus", "sample_rate": "44100"},
			`The field sample_rate takes for opus 8000, 12000, 16000, 24000 or 48000; it was "44100".`, nil},
		"a rate that MP3 lacks": {fields{"sample_rate": "96000"},
			`The field sample_rate takes for mp3 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100 or 48000; it was "96000".`, fields{"format": "wav"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(tt.fields)
			if !fail.Is(err, fail.Invalid) || fail.Detail(err) != tt.want && !strings.HasPrefix(fail.Detail(err), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			if err := Check(tt.fields); (err == nil) != (tt.later != nil) {
				t.Errorf("for now: %v", err)
			}
			if tt.later == nil {
				return
			}
			for k, v := range tt.fields {
				tt.later[k] = v
			}
			if _, err := Parse(tt.later); err != nil {
				t.Errorf("with more fields: %v", err)
			}
		})
	}
}

func TestJSONHasTheFormsNames(t *testing.T) {
	every := map[string]string{
		"format": "mp3,flac", "bitrate": "192k", "sample_rate": "48000", "channels": "mono", "start": "0:01:23.5", "end": "90",
		"track": "eng", "normalize": "-16.5", "title": "T", "artist": "A", "album": "B", "date": "2026", "genre": "G", "comment": "C", "cover": "5",
	}
	const want = `{"format":["mp3","flac"],"bitrate":192000,"sample_rate":48000,"channels":"mono","start":"83.5","end":"90",` +
		`"track":"eng","normalize":-16.5,"title":"T","artist":"A","album":"B","date":"2026","genre":"G","comment":"C","cover":"5"}`
	o, err := Parse(every)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := json.Marshal(o); string(got) != want || err != nil {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	if got, err := json.Marshal(Options{}); string(got) != "{}" || err != nil {
		t.Errorf("nothing is %s, %v", got, err)
	}
	every["quality"] = ""
	for _, name := range Names() {
		if _, there := every[name]; !there {
			t.Errorf("%s is missing here", name)
		}
	}
	if len(Names()) != len(every) {
		t.Errorf("names: %v", Names())
	}
}

func TestOfATimeEveryWayIsRead(t *testing.T) {
	for text, ok := range map[string]bool{`"83.5"`: true, `"00:01:23.500"`: true, `"1:23.5"`: true, `"x"`: false, `83.5`: false, `""`: false} {
		var got Time
		err := json.Unmarshal([]byte(text), &got)
		if (err == nil) != ok || ok && got.Duration() != 83500*time.Millisecond {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
}

func TestFormats(t *testing.T) {
	tests := map[Format]struct {
		media            string
		bitrate, quality bool
		highest          int
	}{
		MP3:  {"audio/mpeg", true, true, 48000},
		M4A:  {"audio/mp4", true, false, 96000},
		Opus: {"audio/ogg", true, false, 48000},
		Ogg:  {"audio/ogg", true, true, 48000},
		FLAC: {"audio/flac", false, false, 96000},
		WAV:  {"audio/wav", false, false, 96000},
	}
	for f, want := range tests {
		rates := f.SampleRates()
		if f.MediaType() != want.media || f.TakesBitrate() != want.bitrate || f.TakesQuality() != want.quality ||
			!slices.IsSorted(rates) || rates[0] != 8000 || rates[len(rates)-1] != want.highest {
			t.Errorf("%s: %s %v %v %v", f, f.MediaType(), f.TakesBitrate(), f.TakesQuality(), rates)
		}
	}
	if len(Formats()) != len(tests) {
		t.Errorf("formats: %v", Formats())
	}
	if f := Format("tar"); f.MediaType() != "application/octet-stream" || f.SampleRates() != nil || f.TakesBitrate() {
		t.Error("a format that is none has abilities")
	}
}

func TestValues(t *testing.T) {
	if got := (Options{}).Outputs(); !slices.Equal(got, []Format{MP3}) {
		t.Errorf("nothing makes %v", got)
	}
	if got := (Options{Formats: []Format{WAV, FLAC}}).Outputs(); !slices.Equal(got, []Format{WAV, FLAC}) {
		t.Errorf("two make %v", got)
	}
	if Mono.Count() != 1 || Stereo.Count() != 2 || Channels("").Count() != 0 {
		t.Error("channels")
	}
	if Quality("v7").Level() != 7 || Quality("").Level() != 0 || Quality("high").Level() != 0 {
		t.Error("levels")
	}
	if n, ok := Track("12").Index(); n != 12 || !ok {
		t.Errorf("place %d, %v", n, ok)
	}
	for _, track := range []Track{"", "en", "-1", "1.", "123", "+1"} {
		if n, ok := track.Index(); ok {
			t.Errorf("%q is place %d", track, n)
		}
	}
	if at, ok := Cover("62.5").At(); at != 62500*time.Millisecond || !ok || Cover("62.5").None() {
		t.Errorf("frame at %v, %v", at, ok)
	}
	for _, c := range []Cover{"", NoCover} {
		if _, ok := c.At(); ok || c.None() != (c == NoCover) {
			t.Errorf("cover %q", c)
		}
	}
}

func TestSpeaks(t *testing.T) {
	tests := map[Track]struct{ yes, no []string }{
		"en":     {[]string{"eng", "en", "ENG", "en-GB"}, []string{"ger", "und", "", "enm", "x"}},
		"eng":    {[]string{"eng", "en"}, []string{"fre"}},
		"de":     {[]string{"ger", "deu", "de", "de-AT"}, []string{"eng", "nds"}},
		"ger":    {[]string{"ger", "deu"}, []string{"dut"}},
		"fr":     {[]string{"fre", "fra"}, []string{"frr"}},
		"zh":     {[]string{"chi", "zho", "cmn", "zh-Hant"}, []string{"yue"}},
		"no":     {[]string{"nor", "nob", "nb"}, []string{"nno"}},
		"he":     {[]string{"heb", "iw"}, []string{"ara"}},
		"pt-BR":  {[]string{"por", "pt", "pt-BR"}, []string{"pt-PT", "spa"}},
		"ger-AT": {[]string{"de", "de-AT"}, []string{"de-DE"}},
		"und":    {[]string{"und", ""}, []string{"eng", "???"}},
		"0":      {nil, []string{"eng", "", "0"}},
		"":       {nil, []string{"eng", "und", ""}},
	}
	for track, tt := range tests {
		for _, tag := range tt.yes {
			if !track.Speaks(tag) {
				t.Errorf("%q does not speak %q", track, tag)
			}
		}
		for _, tag := range tt.no {
			if track.Speaks(tag) {
				t.Errorf("%q speaks %q", track, tag)
			}
		}
	}
	for code := range bibliographic {
		if _, ok := parseLanguage(code); !ok {
			t.Errorf("%s is no language", code)
		}
	}
}
