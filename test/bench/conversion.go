package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

const (
	decoding  = 0.06 // of the time of plain ffmpeg: the part that is not shared out
	maxRatio  = 1.10 // whole conversion, of plain ffmpeg with its encoding shared out
	maxRemux  = 0.05 // of plain ffmpeg that encodes
	maxOther  = 1.1  // of plain ffmpeg, in a format that one encoder makes
	maxClip   = 1.3  // of plain ffmpeg
	clip      = time.Second
	slow      = time.Minute // a plain conversion that takes longer is repeated less often
	slowPairs = 3
)

// wish is what is made of a video: by the fields of its upload, and by plain
// ffmpeg with these arguments, the last of them the name of the file.
type wish struct{ fields, args []string }

var (
	asMP3  = wish{nil, []string{"-b:a", "192k", "plain.mp3"}}
	asFLAC = wish{[]string{"format=flac"}, []string{"plain.flac"}}
)

// conversion measures the time from the start of an upload until its owner
// knows that the job is done.
func (b *bench) conversion(ctx context.Context) (rows []row, err error) {
	short := filepath.Join(b.dir, "short.mp4")
	long, err := b.longVideo(ctx)
	if err != nil {
		return nil, err
	}
	if err := makeVideo(ctx, short, clip); err != nil {
		return nil, err
	}
	err = b.serving(ctx, func(_ *server, c *client) error {
		whole, err := b.inTurns(ctx, c, long, b.video, asMP3, b.pairCount)
		if err != nil {
			return err
		}
		copied, err := b.remux(ctx, c, long, len(whole))
		if err != nil {
			return err
		}
		for i := range copied {
			copied[i].rival = whole[i].rival
		}
		lossless, err := b.inTurns(ctx, c, long, b.video, asFLAC, b.pairCount)
		if err != nil {
			return err
		}
		clips, err := b.inTurns(ctx, c, short, clip, asMP3, func(time.Duration) int { return b.clips })
		if err != nil {
			return err
		}
		rows = []row{b.wholeRow(whole), remuxRow(copied), timesRow("the same to FLAC; plain ffmpeg to FLAC", lossless, maxOther), clipRow(clips)}
		return nil
	})
	return rows, err
}

func (b *bench) pairCount(plain time.Duration) int {
	if plain > slow {
		return min(b.pairs, slowPairs)
	}
	return b.pairs
}

func (b *bench) wholeRow(pairs []pair) row {
	most := maxRatio * (decoding + (1-decoding)/float64(runtime.GOMAXPROCS(0)))
	what := fmt.Sprintf("conversion of a video of %g min, upload to done; plain ffmpeg", b.video.Minutes())
	return timesRow(what, pairs, most)
}

func remuxRow(pairs []pair) row {
	return timesRow("the same to m4a, where the sound is copied", pairs, maxRemux)
}

func clipRow(pairs []pair) row { return timesRow("the same of a clip of 1 s, to MP3", pairs, maxClip) }

// timesRow compares by the ratio of the times.
func timesRow(what string, pairs []pair, most float64) row {
	ratios := each(pairs, func(p pair) float64 { return seconds(p.ours) / seconds(p.rival) })
	return row{
		what:   what,
		ours:   fmt.Sprintf("%.3g s", median(each(pairs, func(p pair) float64 { return seconds(p.ours) }))),
		rival:  fmt.Sprintf("%.3g s", median(each(pairs, func(p pair) float64 { return seconds(p.rival) }))),
		result: fmt.Sprintf("× %.3f (%s, %d pairs)", median(ratios), spread("%.3f", ratios), len(ratios)),
		target: fmt.Sprintf("≤ × %.2f", most),
		met:    yes(median(ratios) <= most),
	}
}

// remux has the sound copied, so often, and once before that to warm up.
func (b *bench) remux(ctx context.Context, c *client, path string, n int) ([]pair, error) {
	var pairs []pair
	for range n + 1 {
		took, err := convert(ctx, c, path, b.video, "format=m4a")
		if err != nil {
			return nil, err
		}
		b.log.Printf("conversion: %s: copied in %v", filepath.Base(path), took.Round(time.Millisecond))
		pairs = append(pairs, pair{ours: took})
	}
	return pairs[1:], nil
}

// inTurns makes what is wished of the video both ways in turns: once to warm up, then as often
// as count says of the time that the plain conversion took.
func (b *bench) inTurns(ctx context.Context, c *client, path string, length time.Duration, made wish, count func(plain time.Duration) int) ([]pair, error) {
	var pairs []pair
	for n := 0; n == 0 || n <= count(pairs[0].rival); n++ {
		ours, err := convert(ctx, c, path, length, made.fields...)
		if err != nil {
			return nil, err
		}
		rival, err := b.plainly(ctx, path, made.args)
		if err != nil {
			return nil, err
		}
		b.log.Printf("conversion: %s to %s: ours %v, plain %v", filepath.Base(path), made.args[len(made.args)-1], ours.Round(time.Millisecond), rival.Round(time.Millisecond))
		pairs = append(pairs, pair{ours, rival})
	}
	return pairs[1:], nil
}

// convert uploads a video and waits until its job is done.
func convert(ctx context.Context, c *client, path string, length time.Duration, fields ...string) (time.Duration, error) {
	start := time.Now()
	j, err := c.upload(ctx, path, fields...)
	if err != nil {
		return 0, err
	}
	j, err = c.await(ctx, j.ID)
	took := time.Since(start)
	if err != nil {
		return 0, err
	}
	if j.State != job.Done || len(j.Results) != 1 || math.Abs(j.Results[0].DurationSeconds-length.Seconds()) > 0.2 {
		return 0, fmt.Errorf("the job is %s, with results %+v", j.State, j.Results)
	}
	return took, c.remove(ctx, j.ID)
}

// plainly converts a video as a person would by hand.
func (b *bench) plainly(ctx context.Context, path string, args []string) (time.Duration, error) {
	last := len(args) - 1
	out := filepath.Join(b.dir, args[last])
	start := time.Now()
	err := ffmpeg(ctx, append(append([]string{"-i", path, "-vn"}, args[:last]...), out)...)
	took := time.Since(start)
	if err != nil {
		return 0, err
	}
	return took, os.Remove(out)
}

// longVideo makes the long video, once for all parts.
func (b *bench) longVideo(ctx context.Context) (string, error) {
	path := filepath.Join(b.dir, "long.mp4")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	b.log.Printf("making a video of %v", b.video)
	return path, makeVideo(ctx, path, b.video)
}

// makeVideo makes a video with a picture that costs little and sound that an
// encoder has work with: a chord, different on the left and on the right,
// and noise.
func makeVideo(ctx context.Context, path string, length time.Duration) error {
	d := strconv.FormatFloat(length.Seconds(), 'f', -1, 64)
	const sound = "aevalsrc=exprs='0.2*sin(2*PI*220*t)+0.15*sin(2*PI*554.4*t)*sin(PI*t/2)+0.1*sin(2*PI*1760*t)|" +
		"0.2*sin(2*PI*329.6*t)+0.15*sin(2*PI*880*t)*cos(PI*t/3)+0.1*sin(2*PI*2637*t)':s=44100:d="
	return ffmpeg(ctx,
		"-f", "lavfi", "-i", "testsrc2=s=320x240:r=10:d="+d,
		"-f", "lavfi", "-i", sound+d,
		"-f", "lavfi", "-i", "anoisesrc=color=pink:amplitude=0.2:seed=1:r=44100:d="+d,
		"-filter_complex", "[2:a]aformat=channel_layouts=stereo[n];[1:a][n]amix=inputs=2:duration=first[a]",
		"-map", "0:v", "-map", "[a]", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
		"-c:a", "aac", "-b:a", "160k", "-t", d, path)
}

func ffmpeg(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "ffmpeg", append([]string{"-v", "error", "-nostdin", "-y"}, args...)...) // #nosec G204 -- all ours
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ffmpeg: %w: %s", err, out)
	}
	return nil
}
