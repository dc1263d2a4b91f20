package media

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// Plan is what is to be made of one file: what Prepare has found out for all
// its results. It is not changed by Convert.
type Plan struct {
	info     Info
	opt      options.Options
	tags     Tags
	chapters []Chapter
	cover    *cover // nil for none
	level    level
}

// Prepare decides how the sound that info describes becomes what opt asks for:
// it chooses the track, fetches the cover, and measures the loudness if that
// is to be changed. A wish that this file cannot fulfil is fail.Invalid with a
// text for its owner: no such track, no picture at that time, a start behind
// the end. Otherwise errors are as from Probe.
func (t Tools) Prepare(ctx context.Context, in *Input, info Info, opt options.Options) (Plan, error) {
	if err := info.choose(opt.Track); err != nil {
		return Plan{}, err
	}
	p := Plan{info: info, opt: opt, tags: info.Tags.with(opt)}
	if start, _ := p.part(); info.Duration > 0 && start >= info.Duration {
		return Plan{}, p.pastEnd()
	}
	p.chapters = p.within(info.Chapters)
	var err error
	if p.cover, err = t.cover(ctx, in, info, opt.Cover); err != nil {
		return Plan{}, err
	}
	if opt.Normalize != 0 {
		if p.level, err = t.measure(ctx, in, p); err != nil {
			return Plan{}, err
		}
	}
	return p, nil
}

// pastEnd is the error where no sound is in the part that was asked for.
func (p Plan) pastEnd() error {
	const text = "There is no sound in the part that was asked for."
	if p.info.Duration == 0 {
		return fail.New(fail.Invalid, text)
	}
	return fail.New(fail.Invalid, text+" It ends at %s.", (p.info.Audio.lead + p.info.Duration).Round(time.Millisecond))
}

// choose makes the track that was asked for the one to convert.
func (i *Info) choose(track options.Track) error {
	if track == "" {
		return nil
	}
	n, byPlace := track.Index()
	if !byPlace {
		n = slices.IndexFunc(i.Tracks, func(s Stream) bool { return track.Speaks(s.Language) })
	}
	if n < 0 || n >= len(i.Tracks) {
		return fail.New(fail.Invalid, "There is no track %q; the file has %s.", string(track), i.listTracks())
	}
	i.use(n)
	return i.readable()
}

// listTracks names the tracks as they can be asked for, ten at most.
func (i *Info) listTracks() string {
	var all []string
	for n, s := range i.Tracks[:min(10, len(i.Tracks))] {
		one := fmt.Sprintf("%d", n)
		if s.Language != "" && len(s.Language) <= 20 {
			one += " (" + s.Language + ")"
		}
		all = append(all, one)
	}
	if len(i.Tracks) > len(all) {
		all = append(all, "more")
	}
	return strings.Join(all, ", ")
}

// cut reports whether only a part of the sound is wanted.
func (p Plan) cut() bool { return p.opt.Start != 0 || p.opt.End != 0 }

// part is what is wanted, counted from the first sample: the sound may begin
// later than the video. A zero end is the end.
func (p Plan) part() (start, end time.Duration) {
	start = max(0, p.opt.Start.Duration()-p.info.Audio.lead)
	if p.opt.End != 0 {
		end = max(1, p.opt.End.Duration()-p.info.Audio.lead)
	}
	return start, end
}

// length is how long the result will be; zero where nobody knows.
func (p Plan) length() time.Duration {
	start, end := p.part()
	switch {
	case end > 0 && (p.info.Duration == 0 || end < p.info.Duration):
		return max(0, end-start)
	case p.info.Duration > 0:
		return p.info.Duration - start
	}
	return 0
}

// within returns the chapters of the part that is wanted, counted from its
// beginning: in order, none in another or behind the end, since no format keeps
// such ones, and none shorter than a millisecond.
func (p Plan) within(all []Chapter) []Chapter {
	start, end := p.part()
	start += p.info.Audio.lead
	if length := p.length(); length > 0 {
		end = start + length
	} else if end > 0 {
		end += p.info.Audio.lead
	}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b Chapter) int { return cmp.Compare(a.Start, b.Start) })
	var kept []Chapter
	for i, c := range all {
		if i+1 < len(all) {
			c.End = min(c.End, all[i+1].Start)
		}
		if end > 0 {
			c.End = min(c.End, end)
		}
		if c.Start = max(c.Start, start); c.End >= c.Start+time.Millisecond {
			kept = append(kept, Chapter{Start: c.Start - start, End: c.End - start, Title: c.Title})
		}
	}
	return kept
}

// judge finds out whether sound that was decoded without an error is worth
// anything; got is the length of what came out.
func (p Plan) judge(got time.Duration, log *messages) error {
	info := p.info
	start, end := p.part()
	if p.cut() && got == 0 && log.errors == 0 {
		return p.pastEnd()
	}
	if end > 0 && info.claimed > end {
		info.claimed, info.oddly = end, false // the rest was not looked at
	}
	info.claimed = max(0, info.claimed-start)
	return judgement(info, got, log, &ProgramError{Program: "ffmpeg", Messages: log.String(), Err: fmt.Errorf("%w, %d reported", errEndedWell, log.errors)})
}
