package media

import (
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// with returns the tags with those that were asked for in their place. A
// comment is not carried over: what programs and people leave there is seldom
// meant for others.
func (t Tags) with(opt options.Options) Tags {
	t.Comment = ""
	for _, one := range []struct {
		has   *string
		asked string
	}{{&t.Title, opt.Title}, {&t.Artist, opt.Artist}, {&t.Album, opt.Album}, {&t.Date, opt.Date}, {&t.Genre, opt.Genre}, {&t.Comment, opt.Comment}} {
		if one.asked != "" {
			*one.has = one.asked
		}
	}
	return t
}

// named returns the tags that are there, by the names that ffmpeg gives them.
func (t Tags) named() [][2]string {
	var all [][2]string
	for _, one := range [][2]string{
		{"title", t.Title}, {"artist", t.Artist}, {"album", t.Album}, {"date", t.Date}, {"genre", t.Genre}, {"comment", t.Comment},
	} {
		if one[1] != "" {
			all = append(all, one)
		}
	}
	return all
}

var escaper = strings.NewReplacer(`\`, `\\`, "=", `\=`, ";", `\;`, "#", `\#`, "\n", " ", "\r", " ")

// escape protects what means something in ffmpeg's metadata files. A backslash
// at the end, escaped or not, would join the next line to this one: hence a
// space behind it.
func escape(value string) string {
	if strings.HasSuffix(value, `\`) {
		value += " "
	}
	return escaper.Replace(value)
}

// metadata is a file in the format that ffmpeg reads and writes metadata in
// (ffmpeg-formats(1), Metadata): tags, chapters, and for Ogg the cover.
func (p Plan) metadata(f options.Format) string {
	var b strings.Builder
	b.WriteString(";FFMETADATA1\n")
	for _, t := range p.tags.named() {
		fmt.Fprintf(&b, "%s=%s\n", t[0], escape(t[1]))
	}
	if p.cover != nil && inComments(f) {
		fmt.Fprintf(&b, "METADATA_BLOCK_PICTURE=%s\n", escape(p.cover.block()))
	}
	if commented(f) {
		for i, c := range p.chapters {
			fmt.Fprintf(&b, "CHAPTER%03d=%s\nCHAPTER%03dNAME=%s\n", i, clockOf(c.Start), i, escape(c.Title))
		}
		return b.String()
	}
	for _, c := range p.chapters {
		fmt.Fprintf(&b, "[CHAPTER]\nTIMEBASE=1/1000000\nSTART=%d\nEND=%d\n", c.Start.Microseconds(), c.End.Microseconds())
		if title := c.titleFor(f); title != "" {
			fmt.Fprintf(&b, "title=%s\n", escape(title))
		}
	}
	return b.String()
}

// longestTitle is how many bytes the title of a chapter may have in an MP3:
// ffmpeg 5.1 writes the size of a chapter of 128 bytes and more in a way that no
// reader of ID3v2.4 understands.
const longestTitle = 90

// titleFor returns the title as the format can have it.
func (c Chapter) titleFor(f options.Format) string {
	if f != options.MP3 || len(c.Title) <= longestTitle {
		return c.Title
	}
	end := longestTitle
	for !utf8.RuneStart(c.Title[end]) {
		end--
	}
	return strings.TrimSpace(c.Title[:end])
}

// commented reports whether the format has Vorbis comments (RFC 9639, 8.6).
// Chapters are comments there as well, by a convention that players and
// ffprobe know; ffmpeg 5.1 writes those for Opus with wrong times.
func commented(f options.Format) bool {
	return f == options.Ogg || f == options.Opus || f == options.FLAC
}

// clockOf writes a time as hh:mm:ss.mmm.
func clockOf(at time.Duration) string {
	return fmt.Sprintf("%02d:%02d:%02d.%03d", at/time.Hour, at/time.Minute%60, at/time.Second%60, at/time.Millisecond%1000)
}

// attachments are the files from which ffmpeg takes what accompanies the
// sound, as its descriptors 5 and 6.
type attachments struct {
	files []*os.File
	args  struct{ inputs, outputs []string }
}

// attach makes them; first is the number that the first of these inputs has
// among those of ffmpeg.
func (t Tools) attach(p Plan, f options.Format, first int) (*attachments, error) {
	a := &attachments{}
	meta, err := t.temporary([]byte(p.metadata(f)))
	if err != nil {
		return nil, err
	}
	a.files = append(a.files, meta)
	a.args.inputs = []string{"-protocol_whitelist", "file", "-f", "ffmetadata", "-i", metadataFile}
	a.args.outputs = []string{"-map_metadata", fmt.Sprint(first), "-map_metadata:s:a", "-1", "-map_chapters", fmt.Sprint(first)}
	if p.cover == nil || !attachable(f) {
		return a, nil
	}
	image, err := t.temporary(p.cover.data)
	if err != nil {
		a.close()
		return nil, err
	}
	a.files = append(a.files, image)
	a.args.inputs = append(a.args.inputs, "-protocol_whitelist", "file", "-f", p.cover.demuxer(), "-i", coverFile)
	a.args.outputs = append(a.args.outputs, "-map", fmt.Sprintf("%d:v:0", first+1), "-c:v", "copy", "-disposition:v:0", "attached_pic",
		"-metadata:s:v", "title=Album cover", "-metadata:s:v", "comment=Cover (front)")
	return a, nil
}

// attachable reports whether ffmpeg writes a picture into the format.
func attachable(f options.Format) bool {
	return f == options.MP3 || f == options.M4A || f == options.FLAC
}

// inComments reports whether a picture is one of the comments of the format.
func inComments(f options.Format) bool { return f == options.Ogg || f == options.Opus }

func (a *attachments) close() {
	for _, f := range a.files {
		_ = f.Close()
	}
}

// temporary makes a file without a name that has the content.
func (t Tools) temporary(content []byte) (*os.File, error) {
	f, err := TempFile(t.WorkDir)
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(content); err != nil {
		_ = f.Close()
		return nil, unwritable(err)
	}
	return f, nil
}
