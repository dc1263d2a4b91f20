package media

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"image"
	_ "image/jpeg" // formats of covers, for image.DecodeConfig
	_ "image/png"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// picture is one that is attached to a file.
type picture struct {
	stream int
	codec  string
}

// cover is an image that goes with the sound: a JPEG or a PNG.
type cover struct {
	data          []byte
	kind          string // "jpeg" or "png"
	width, height int
}

const (
	// maxCover is the largest picture that is carried over, in bytes: in Base64
	// it must be among what Verify sees. A frame of a video is never as large.
	maxCover = 3 << 20
	// maxSide is the longest side of one that is carried over as it is, in
	// pixels: we decode it once, to see that it can be.
	maxSide = 2048
	// coverSide is the longest side of a frame that becomes a cover, in pixels.
	coverSide = 1280
)

// cover fetches what is to go with the sound; nil for nothing. A frame that
// was asked for and is not there is fail.Invalid; a picture that cannot be
// carried over is left out.
func (t Tools) cover(ctx context.Context, in *Input, info Info, wanted options.Cover) (*cover, error) {
	at, frame := wanted.At()
	switch {
	case wanted.None():
		return nil, nil
	case frame && !info.film:
		return nil, fail.New(fail.Invalid, "There is no cover to take: the file has no moving pictures.")
	case frame && info.whole > 0 && at >= info.whole:
		return nil, noFrame(at)
	case frame:
		return t.frame(ctx, in, info, at)
	case info.picture == nil:
		return nil, nil
	}
	which := []string{"-map", "0:" + strconv.Itoa(info.picture.stream), "-frames:v", "1"}
	ways := [][]string{stillArgs()}
	if info.picture.codec == "mjpeg" || info.picture.codec == "png" {
		ways = [][]string{{"-c:v", "copy"}, stillArgs()}
	}
	for _, way := range ways {
		c, err := t.still(ctx, in, info, nil, slices.Concat(which, way))
		if err != nil && !fail.Is(err, fail.Invalid) {
			return nil, err
		}
		if c != nil && err == nil {
			return c, nil
		}
	}
	return nil, nil
}

// indexed are the demuxers that seek to where they are told.
var indexed = []string{"mov", "matroska", "avi"}

// frame takes a frame of the video at a time. Where that cannot be sought, all
// before it is decoded.
func (t Tools) frame(ctx context.Context, in *Input, info Info, at time.Duration) (*cover, error) {
	second := strconv.FormatFloat(at.Seconds(), 'f', 3, 64)
	var c *cover
	var err error
	if at > 0 && !in.Streamed() && slices.Contains(indexed, info.demuxer) {
		c, err = t.still(ctx, in, info, []string{"-ss", second}, append(frameArgs(), stillArgs()...))
	}
	if c == nil && (err == nil || fail.Is(err, fail.Invalid)) {
		c, err = t.still(ctx, in, info, nil, append(frameArgs(), stillArgs("select=gte(t\\,"+second+")")...))
	}
	switch {
	case err == nil && c == nil:
		return nil, noFrame(at)
	case fail.Is(err, fail.Invalid):
		return nil, because(noFrame(at), err)
	}
	return c, err
}

func noFrame(at time.Duration) error {
	return fail.New(fail.Invalid, "There is no picture at %s of the video, which was asked for as the cover.", at)
}

func frameArgs() []string { return []string{"-map", "0:V:0", "-frames:v", "1"} }

// stillArgs make a JPEG of what is decoded, no larger than need be; filters
// come first.
func stillArgs(filters ...string) []string {
	side := strconv.Itoa(coverSide)
	filters = append(filters, "scale='min("+side+",iw)':'min("+side+",ih)':force_original_aspect_ratio=decrease")
	return []string{"-vf", strings.Join(filters, ","), "-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p"}
}

// still has ffmpeg write one picture; nil where there is none, or one that is
// no cover.
func (t Tools) still(ctx context.Context, in *Input, info Info, before, after []string) (*cover, error) {
	args := append(append(programArgs(), inputOptions(info.demuxer)...), before...)
	args = append(append(args, "-an", "-sn", "-dn", "-i", inputFile), after...)
	args = append(args, "-map_metadata", "-1", "-f", "image2pipe", "pipe:1")
	var log messages
	out := bounded{max: maxCover}
	err := outcome(ctx, "ffmpeg", t.runOn(ctx, in, t.FFmpeg, args, &out, &log), &log)
	if out.over && ctx.Err() == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	config, kind, _ := image.DecodeConfig(bytes.NewReader(out.Bytes()))
	if kind == "" || config.Width > maxSide || config.Height > maxSide {
		return nil, nil
	}
	if _, _, err := image.Decode(bytes.NewReader(out.Bytes())); err != nil {
		return nil, nil //nolint:nilerr // ffmpeg would fail over it when it writes the result
	}
	return &cover{data: out.Bytes(), kind: kind, width: config.Width, height: config.Height}, nil
}

// demuxer is what ffmpeg reads it with.
func (c *cover) demuxer() string { return c.kind + "_pipe" }

// block is the picture as Ogg files have it among their comments: a FLAC
// picture block (RFC 9639, 8.8) of the front cover, in Base64.
func (c *cover) block() string {
	mime := "image/" + c.kind
	b := binary.BigEndian.AppendUint32(nil, 3)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(mime))), mime...)
	b = binary.BigEndian.AppendUint32(b, 0) // no description
	for _, n := range []int{c.width, c.height, 24, 0, len(c.data)} {
		b = binary.BigEndian.AppendUint32(b, uint32(n)) //nolint:gosec // sizes of an image of a few MiB
	}
	return base64.StdEncoding.EncodeToString(append(b, c.data...))
}
