package media

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// script makes a program of shell commands.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// limited gives ffmpeg no room for more than 16 KiB of output.
func limited(t *testing.T, real Tools) Tools {
	t.Helper()
	return Tools{Bare: true, FFprobe: real.FFprobe, FFmpeg: script(t, "trap '' XFSZ\nulimit -f 32\nexec "+real.FFmpeg+` "$@"`)}
}

// canary is what a file under conversion must not reach: an address that
// counts its callers and a file with sound.
type canary struct {
	url, path string
	calls     atomic.Int64
}

func newCanary(t *testing.T) *canary {
	t.Helper()
	c := &canary{path: filepath.Join(t.TempDir(), "canary.ts")}
	sound := sample(t, "canary.ts", tone+" -c:a aac")
	if err := os.WriteFile(c.path, sound, 0o600); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(sound) }))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			c.calls.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	c.url = srv.URL
	return c
}

func TestAFileThatNamesOthersReachesNothing(t *testing.T) {
	c := newCanary(t)
	media := map[string][]byte{
		"a.mp4": sample(t, "a.mp4", tone+" -c:a aac"), "a.mp3": sample(t, "a.mp3", tone), "a.mkv": sample(t, "a.mkv", tone),
	}
	for name, content := range hostile(t, c.url, c.path, media) {
		t.Run(name, func(t *testing.T) {
			_, m, _, err := convert(t, content, options.Options{})
			if name == "mp4 with a playlist" || name == "mp3 with a playlist" || name == "mkv with a playlist" {
				if err != nil || !near(m.Duration, 4*time.Second) { // of the media alone
					t.Errorf("result %+v, error %v", m, err)
				}
				return
			}
			if !fail.Is(err, fail.Invalid) {
				t.Errorf("result %+v, error %v", m, err)
			}
		})
	}
	if n := c.calls.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

// TestTheCanarySings proves that the test above would notice: with no look at
// it and no allow-list, the same playlist does reach the address.
func TestTheCanarySings(t *testing.T) {
	c := newCanary(t)
	playlist := "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4.0,\n" + c.url + "/a.ts\n#EXT-X-ENDLIST\n"
	open := Tools{Bare: true, FFprobe: script(t, `exec `+tools(t).FFprobe+` -v error -of json -show_format -show_streams -protocol_whitelist file,http,tcp /dev/fd/3`)}
	in := local(t, []byte(playlist))
	in.kind = &kind{demuxer: "hls"}
	info, err := open.Probe(t.Context(), in)
	if err != nil || info.Audio.Codec != "aac" || c.calls.Load() == 0 {
		t.Errorf("%+v, %v, %d connections", info, err, c.calls.Load())
	}
}

// aviWithSubtitles is an AVI with one GAB2 subtitle stream: what it holds is
// opened by a second demuxer inside that of AVI.
func aviWithSubtitles(text string) []byte {
	le := func(v ...int) (b []byte) {
		for _, n := range v {
			b = append(b, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
		}
		return b
	}
	chunk := func(id string, body []byte) []byte {
		b := append(append([]byte(id), le(len(body))...), body...)
		return append(b, make([]byte, len(body)%2)...)
	}
	list := func(id, kind string, parts ...[]byte) []byte {
		body := []byte(kind)
		for _, p := range parts {
			body = append(body, p...)
		}
		return chunk(id, body)
	}
	gab2 := append([]byte("GAB2\x00\x02\x00"), le(2)...)
	gab2 = append(append(append(gab2, 'a', 0), 4, 0), le(len(text))...)
	gab2 = append(gab2, text...)
	head := chunk("avih", le(40000, 0, 0, 0x10, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0))
	strh := chunk("strh", append([]byte("txts\x00\x00\x00\x00"), le(0, 0, 0, 1, 25, 0, 1, 0, 0, 0, 0, 0)...))
	strl := list("LIST", "strl", strh, chunk("strf", nil))
	return list("RIFF", "AVI ", list("LIST", "hdrl", head, strl), list("LIST", "movi", chunk("00tx", gab2)))
}

func TestProgramsSeeNoEnvironmentAndAnEmptyFolder(t *testing.T) {
	t.Setenv("LEDGER_SECRET", "hunter2")
	seen := filepath.Join(t.TempDir(), "seen")
	spy := Tools{Bare: true, FFprobe: script(t, `cat /proc/$$/environ >`+seen+`.env; ls -a . >`+seen+`.dir 2>&1; (echo x >file) 2>/dev/null && echo wrote >>`+seen+`.dir; tr '\0' ' ' </proc/$$/cmdline >`+seen+`.args; exit 1`)}
	_, _ = spy.Probe(t.Context(), local(t, sample(t, "a.wav", tone)))
	if b, err := os.ReadFile(seen + ".env"); err != nil || len(b) != 0 {
		t.Errorf("environment %q, %v", b, err)
	}
	if b, err := os.ReadFile(seen + ".dir"); err != nil || strings.Trim(strings.TrimSpace(string(b)), ".\n") != "" {
		t.Errorf("folder %q, %v", b, err)
	}
	if b, err := os.ReadFile(seen + ".args"); err != nil || !strings.Contains(string(b), inputFile) {
		t.Errorf("arguments %q, %v", b, err)
	}
}

func TestCancelKillsTheWholeGroup(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	spawning := Tools{Bare: true, FFmpeg: script(t, "sleep 300 &\necho $$ $! >"+pids+".new; mv "+pids+".new "+pids+"\nwait")}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	in, out := local(t, nil), file(t, nil)
	go func() {
		_, err := save(spawning.Convert(ctx, in, Plan{info: Info{Audio: Stream{SampleRate: 44100, Channels: 1}}}, options.MP3, nil), out)
		ended <- err
	}()
	var b []byte
	within(t, 10*time.Second, func() (ok bool) { b, _ = os.ReadFile(pids); return len(b) > 0 })
	cancel()
	if err := <-ended; !fail.Is(err, fail.Unavailable) {
		t.Errorf("error %v, want Unavailable", err)
	}
	for _, f := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		within(t, 5*time.Second, func() bool { return gone(pid) })
	}
}

// gone reports whether a process has ended; one that only waits to be reaped
// by its parent has.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(b), ") Z ")
}

func within(t *testing.T, d time.Duration, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not so after %v", d)
		}
	}
}
