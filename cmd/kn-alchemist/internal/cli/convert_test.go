package cli

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ending is a job that ends in one step, with results of so many formats.
func ending(id, name, state string, formats ...string) string {
	var results []string
	for _, f := range formats {
		results = append(results, fmt.Sprintf(`{"fid":"%s.%s","name":"x","format":"%s","bytes":5}`, id, f, f))
	}
	return fmt.Sprintf(`{"id":"%s","name":"%s","state":"%s","error":%s,"options":{"format":["mp3","flac"]},"results":[%s]}`,
		id, name, state, map[bool]string{true: `"It has no sound."`, false: "null"}[state == "failed"], strings.Join(results, ","))
}

func stream(job string) http.HandlerFunc { return answer("event: job\ndata: " + job + "\n\n") }

// accept takes an upload, as job 7.
func accept(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	_, _ = io.WriteString(w, `{"id":"7","state":"queued"}`)
}

// converting is a gateway that converts everything into a job 7.
func converting(t *testing.T) *gateway {
	t.Helper()
	return serve(t, map[string]http.HandlerFunc{
		"POST /validate":     answer("{}"),
		"POST /upload":       accept,
		"GET /jobs/7/events": stream(ending("7", "a.mp4", "done", "mp3")),
		"GET /download":      answer("sound"),
	})
}

// expireByUpload ends the token of each upload with that.
func (g *gateway) expireByUpload() {
	g.on("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		accept(w, r)
		g.expire()
	})
}

// video is a program that stands in a folder with videos.
func (g *gateway) video(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := program(t, g, anna, args...)
	for _, name := range []string{"a.mp4", "b.mp4"} {
		write(t, filepath.Join(cmd.Dir, name), "video")
	}
	return cmd
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// files are those of a folder, with what is in them, but for videos.
func files(t *testing.T, dir string) string {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, f := range all {
		if text, err := os.ReadFile(filepath.Join(dir, f.Name())); err == nil && filepath.Ext(f.Name()) != ".mp4" {
			said = append(said, f.Name()+":"+string(text))
		}
	}
	return strings.Join(said, " ")
}

func TestNothingIsUploadedWhoseResultCannotBeWritten(t *testing.T) {
	for name, out := range map[string]string{
		"into no folder":            "none/x.mp3",
		"below a file":              "b.mp4/x.mp3",
		"where nothing can be made": "/proc/self/x.mp3",
	} {
		t.Run(name, func(t *testing.T) {
			g := converting(t)
			_, errs, code := run(t, g.video(t, "convert", "a.mp4", "-o", out))
			if code != 1 || g.times("POST /upload") != 0 || lines(errs) != 1 || !strings.Contains(errs, " -o") {
				t.Errorf("exit code %d, %q after %d uploads", code, errs, g.times("POST /upload"))
			}
		})
	}
}

func TestATokenThatExpiresUploadsNothingTwice(t *testing.T) {
	for name, videos := range map[string][]string{"one": {"a.mp4"}, "several": {"a.mp4", "b.mp4"}} {
		t.Run(name, func(t *testing.T) {
			g := converting(t)
			g.expireByUpload()
			out, errs, code := run(t, g.video(t, append([]string{"convert", "--parallel", "1"}, videos...)...))
			if code != 0 || lines(out) != len(videos) || g.times("POST /upload") != len(videos) || len(g.entered()) != 1+len(videos) {
				t.Errorf("exit code %d, %q, %q after %d uploads and %d logins", code, out, errs, g.times("POST /upload"), len(g.entered()))
			}
		})
	}
}

func TestAConversionThatIsCutOffTellsHowToGoOn(t *testing.T) {
	g := converting(t)
	g.on("GET /download", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	if _, errs, code := run(t, g.video(t, "convert", "a.mp4", "-o", "x y.mp3")); code != 1 || !strings.HasSuffix(errs, "kn alchemist job download 7 -o 'x y.mp3'\n") {
		t.Errorf("a fault: exit code %d, %q", code, errs)
	}
	following := make(chan struct{}, 1)
	g.on("GET /jobs/7/events", func(_ http.ResponseWriter, r *http.Request) {
		following <- struct{}{}
		<-r.Context().Done()
	})
	cmd := g.video(t, "convert", "a.mp4")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-following
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	if errs, code := said.String(), cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.HasSuffix(errs, "kn alchemist job download 7\n") {
		t.Errorf("an interruption: exit code %d, %q", code, errs)
	}
}

func TestAResultIsReadByWhomTheUmaskLets(t *testing.T) {
	cmd := converting(t).video(t)
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Args = []string{"sh", "-c", `umask 027; exec "$0" convert a.mp4`, cmd.Path}
	cmd.Path = shell
	if _, errs, code := run(t, cmd); code != 0 {
		t.Fatalf("exit code %d, %q", code, errs)
	}
	if fi, err := os.Stat(filepath.Join(cmd.Dir, "a.mp3")); err != nil || fi.Mode() != 0o640 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
}

func TestJobDownload(t *testing.T) {
	paths := map[string]http.HandlerFunc{
		"GET /jobs/1":        answer(ending("1", "../talk.mp4", "done", "mp3", "flac")),
		"GET /jobs/2":        answer(ending("2", "b.mp4", "done", "mp3")),
		"GET /jobs/3":        answer(ending("3", "c.mp4", "converting")),
		"GET /jobs/3/events": stream(ending("3", "c.mp4", "done", "mp3", "flac")),
		"GET /jobs/4":        answer(ending("4", "d.mp4", "failed")),
		"GET /jobs/5":        answer(ending("5", "talk.mov", "done", "mp3")),
		"GET /download":      func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprintf(w, "%-5s", r.FormValue("fid")[:3]) },
	}
	for name, tt := range map[string]struct {
		args  string
		code  int
		files string // in the end
		says  string
	}{
		"all results":          {"1", 0, "b.mp3:old talk.flac:1.f   talk.mp3:1.m  ", ""},
		"into a new folder":    {"2 -o new/", 0, "b.mp3:old new/b.mp3:2.m  ", ""},
		"under a name":         {"2 -o x.mp3", 0, "b.mp3:old x.mp3:2.m  ", ""},
		"two under a name":     {"1 -o b.mp3", 2, "b.mp3:old", "is a file"},
		"over a file":          {"2", 1, "b.mp3:old", "--force"},
		"over a file by force": {"2 --force -q", 0, "b.mp3:2.m  ", ""},
		"one that still runs":  {"3", 0, "b.mp3:old c.flac:3.f   c.mp3:3.m  ", ""},
		"one that failed":      {"4", 5, "b.mp3:old", "4: It has no sound. Once that is mended, run kn alchemist job retry 4."},
		"one that is not":      {"9", 4, "b.mp3:old", "9: There is no such thing."},
		"some that are not":    {"9 4 1", 4, "b.mp3:old talk.flac:1.f   talk.mp3:1.m  ", "9: There is"},
		"two of a name":        {"1 5", 2, "b.mp3:old", "would both become talk.mp3"},
		"into no folder":       {"2 -o none/x.mp3", 1, "b.mp3:old", "no such"},
		"none":                 {"", 2, "b.mp3:old", "--help"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := program(t, serve(t, paths), anna, append([]string{"job", "download"}, strings.Fields(tt.args)...)...)
			write(t, filepath.Join(cmd.Dir, "b.mp3"), "old")
			out, errs, code := run(t, cmd)
			got := files(t, cmd.Dir)
			if made, err := filepath.Glob(filepath.Join(cmd.Dir, "new", "*")); err == nil && len(made) > 0 {
				got += " new/" + files(t, filepath.Join(cmd.Dir, "new"))
			}
			if code != tt.code || got != tt.files || !strings.Contains(errs, tt.says) || (errs == "") != (code == 0) {
				t.Errorf("exit code %d, files %q, %q, %q", code, got, out, errs)
			}
			for path := range strings.Lines(out) {
				if _, err := os.Stat(filepath.Join(cmd.Dir, strings.TrimSpace(path))); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
