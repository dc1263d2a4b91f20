package options

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// FuzzParse gives lines of "name=value" as fields. What Parse takes comes back
// from JSON and from its own fields as it was, and is within its bounds; what
// it does not take, it refuses as the client's fault.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "format=mp3,flac\nbitrate=192k", "quality=v2\nchannels=mono\nsample_rate=44100", "start=1:23.45\nend=01:02:03.004\ncover=999999.999",
		"track=ger-AT\nnormalize=-16.05", "track=07\ntitle=Füße\nartist=a\nalbum=b\ndate=2026\ngenre=c\ncomment=<&>\u2028\x00", "cover=none\ncover=0",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, lines string) {
		fields := map[string]string{}
		for line := range strings.SplitSeq(lines, "\n") {
			name, value, _ := strings.Cut(line, "=")
			fields[name] = value
		}
		o, err := Parse(fields)
		if err != nil {
			if !fail.Is(err, fail.Invalid) || len(fail.Detail(err)) > 1000 {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if err := Check(fields); err != nil {
			t.Fatalf("Check refuses what Parse takes: %v", err)
		}
		text, err := json.Marshal(o)
		var read Options
		if err == nil {
			err = json.Unmarshal(text, &read)
		}
		if err != nil || !reflect.DeepEqual(read, o) {
			t.Fatalf("through JSON:\n%+v became, with %v,\n%+v", o, err, read)
		}
		if again, err := Parse(o.Fields()); err != nil || !reflect.DeepEqual(again, o) {
			t.Fatalf("through fields:\n%+v became, with %v,\n%+v", o, err, again)
		}
		if o.Start < 0 || o.End < 0 || o.End != 0 && o.End <= o.Start || len(o.Outputs()) > len(Formats()) || len(text) > 64<<10 {
			t.Fatalf("out of bounds: %s", text)
		}
		_, byPlace := o.Track.Index()
		if o.Track != "" && byPlace == o.Track.Speaks(string(o.Track)) {
			t.Fatalf("track %q", o.Track)
		}
	})
}
