package media

import (
	"bytes"
	"image"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

func TestAnAttachedPictureIsCarriedOver(t *testing.T) {
	in := sample(t, "cover.mp3", "-f lavfi -i sine=d=2 -f lavfi -i color=red:size=64x48:d=1 -map 0 -map 1 -frames:v 1 -c:v png -disposition:v attached_pic")
	for _, f := range []options.Format{options.MP3, options.M4A, options.FLAC, options.Ogg, options.Opus} {
		for cover, want := range map[options.Cover]int{"": 2, options.NoCover: 1} {
			_, _, out, err := convert(t, in, options.Options{Formats: []options.Format{f}, Cover: cover})
			if err != nil {
				t.Fatal(err)
			}
			if s := show(t, out); len(s.Streams) != want || want == 2 && (s.Streams[1].Codec != "png" || s.Streams[1].Width != 64) {
				t.Errorf("%s, cover %q: %+v", f, cover, s.Streams)
			}
		}
	}
}

// TestAFrameIsTakenAtATime has a video that is black, then white, then black.
func TestAFrameIsTakenAtATime(t *testing.T) {
	const video = "-f lavfi -i color=black:s=64x48:r=10:d=2 -f lavfi -i color=white:s=64x48:r=10:d=2 -f lavfi -i sine=d=6" +
		" -filter_complex [0][1][0]concat=n=3 -g 100"
	for _, name := range []string{"a.mp4", "a.mkv", "a.flv", "a.ts", "a.avi"} {
		content := sample(t, "frames-"+name, video)
		remote, err := tools(t).Open(t.Context(), bytes.NewReader(content), int64(len(content)), true)
		if err != nil {
			t.Fatal(err)
		}
		for place, in := range map[string]*Input{"here": local(t, content), "elsewhere": remote} {
			for at, white := range map[options.Cover]bool{"0": false, "0.5": false, "2.5": true, "3.7": true, "5.5": false} {
				p := plan(t, in, options.Options{Cover: at})
				picture, _, err := image.Decode(bytes.NewReader(p.cover.data))
				if err != nil {
					t.Fatal(err)
				}
				if r, _, _, _ := picture.At(30, 20).RGBA(); (r > 0x8000) != white {
					t.Errorf("%s %s at %s: red is %d", name, place, at, r)
				}
			}
		}
	}
}

// TestALongMP3HasALargeTag has a cover that no buffer of ffmpeg holds.
func TestALongMP3HasALargeTag(t *testing.T) {
	content := sample(t, "noisy.mp4", "-f lavfi -i nullsrc=s=640x480:r=1:d=45,geq=random(1)*255:128:128 -f lavfi -i sine=d=45 -c:v libx264 -preset ultrafast -crf 1 -pix_fmt yuv420p -c:a aac")
	_, m, out, err := convertInput(t, local(t, content), options.Options{Cover: "20", Title: "large"})
	if err != nil || (m.Duration-45*time.Second).Abs() > 50*time.Millisecond {
		t.Fatalf("%+v, %v", m, err)
	}
	s := show(t, out)
	if len(s.Streams) != 2 || s.Streams[1].Width != 640 || s.Format.Tags["title"] != "large" {
		t.Errorf("%+v", s)
	}
	samples(t, out)
}
