package alchemist_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	alchemist "github.com/opengundumstyle/audio-alchemist"
	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

func TestAVideoBecomesAnMP3AndAMail(t *testing.T) {
	everywhere(t, aVideoBecomesAnMP3AndAMail)
	t.Run("servers over TLS", func(t *testing.T) { aVideoBecomesAnMP3AndAMail(t, onSecureServers(t)) })
}

func aVideoBecomesAnMP3AndAMail(t *testing.T, p *place) {
	s := start(t, p)
	c := s.admin(t)
	j := c.upload(t, `Füße "live" 🎬.mp4`, video(t, 3, "-metadata", "title=A title"))
	if j.Name != `Füße "live" 🎬.mp4` || j.State.Ended() {
		t.Errorf("accepted %+v", j)
	}
	done := c.await(t, j.ID)
	if done.State != job.Done || done.Progress != 100 || len(done.Results) != 1 {
		t.Fatalf("ended %+v", done)
	}
	r := done.Results[0]
	if r.Name != `Füße "live" 🎬.mp3` || r.Format != "mp3" || r.DurationSeconds < 2.9 || r.DurationSeconds > 3.2 {
		t.Errorf("result %+v", r)
	}
	status, byToken := c.call(t, "GET", "/download?fid="+r.FID)
	if status != 200 || int64(len(byToken)) != r.Bytes {
		t.Fatalf("download: %d, %d bytes, want %d", status, len(byToken), r.Bytes)
	}
	if d := duration(t, byToken); d < 2.9 || d > 3.2 {
		t.Errorf("the MP3 lasts %g s, want 3", d)
	}
	stranger := &client{server: s, http: http.DefaultClient}
	if status, byLink := stranger.call(t, "GET", r.URL); status != 200 || !bytes.Equal(byLink, byToken) {
		t.Errorf("by link: %d, %d bytes", status, len(byLink))
	}
	if status, _ := stranger.call(t, "GET", "/download?fid="+r.FID); status != 401 {
		t.Errorf("without a token: %d, want 401", status)
	}
	eventually(t, "the mail is there", 10*time.Second, func() bool { return len(s.mails(t)) == 1 })
	mail := s.mails(t)[0]
	if !strings.Contains(mail, "To: <"+adminEmail+">") {
		t.Errorf("mail to somebody else:\n%s", mail)
	}
	link := mailLink(t, mail)
	if status, byMail := stranger.call(t, "GET", strings.TrimPrefix(link, s.url)); status != 200 || !bytes.Equal(byMail, byToken) {
		t.Errorf("by the mail's link %s: %d, %d bytes", link, status, len(byMail))
	}
	if status, _ := c.call(t, "DELETE", "/jobs/"+j.ID); status != 204 {
		t.Errorf("delete: %d", status)
	}
	if left := append(s.stored(t, blob.Videos), s.stored(t, blob.Audio)...); len(left) != 0 {
		t.Errorf("blobs left after the deletion: %v", left)
	}
	if status, _ := stranger.call(t, "GET", r.URL); status != 404 {
		t.Errorf("link after the deletion: %d, want 404", status)
	}
}

// mailLink finds the download link in a mail.
func mailLink(t *testing.T, mail string) string {
	t.Helper()
	// Quoted-printable: soft line breaks and an escaped equals sign.
	plain := strings.NewReplacer("=\r\n", "", "=\n", "", "=3D", "=").Replace(mail)
	m := regexp.MustCompile(`http://[^\s"<>]+/download\?fid=[^\s"<>]+`).FindString(plain)
	if m == "" {
		t.Fatalf("no link in the mail:\n%s", mail)
	}
	if _, err := url.Parse(m); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(m, "&amp;", "&")
}

func TestWhatCannotBeConvertedFailsWithAReasonAndAMail(t *testing.T) {
	everywhere(t, whatCannotBeConvertedFailsWithAReasonAndAMail)
}

func whatCannotBeConvertedFailsWithAReasonAndAMail(t *testing.T, p *place) {
	good := video(t, 20)
	noise := make([]byte, 200_000)
	_, _ = rand.Read(noise)
	silent := filepath.Join(t.TempDir(), "silent.mp4")
	ffmpeg(t, "-f", "lavfi", "-i", "testsrc2=s=160x120:r=10:d=1", "-c:v", "libx264", silent)
	soundless, err := os.ReadFile(silent)
	if err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int32
	canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	defer canary.Close()
	song := filepath.Join(t.TempDir(), "secret.wav")
	ffmpeg(t, "-f", "lavfi", "-i", "sine=d=2", song)
	bad := map[string][]byte{
		"text.mp4":      []byte("this is a text, not a video"),
		"truncated.mp4": good[:len(good)/2],
		"no sound.mp4":  soundless,
		"noise.mkv":     noise,
		"hls.m3u8":      []byte("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://" + song + "\n#EXTINF:2,\n" + canary.URL + "/a.ts\n#EXT-X-ENDLIST\n"),
		"concat.mp4":    []byte("ffconcat version 1.0\nfile '" + song + "'\nfile '" + canary.URL + "/a.wav'\n"),
		"dash.mp4": []byte(`<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="audio/wav"><Representation id="1" bandwidth="1"><BaseURL>` +
			canary.URL + `/a.wav</BaseURL><SegmentBase/></Representation></AdaptationSet></Period></MPD>`),
	}
	s := start(t, p)
	c := s.admin(t)
	for name, content := range bad {
		began := time.Now()
		j := c.await(t, c.upload(t, name, content).ID)
		if j.State != job.Failed || j.Error == nil || len(*j.Error) < 20 || len(j.Results) != 0 {
			t.Errorf("%s: ended %+v", name, j)
			continue
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: failed only after %v", name, took)
		}
		if strings.Contains(*j.Error, "/dev/fd") || strings.Contains(*j.Error, "ffmpeg") {
			t.Errorf("%s: the reason is not for people: %s", name, *j.Error)
		}
		t.Logf("%s: %s", name, *j.Error)
	}
	eventually(t, "each failure has its mail", 10*time.Second, func() bool { return len(s.mails(t)) == len(bad) })
	if calls.Load() != 0 {
		t.Errorf("%d connections were made", calls.Load())
	}
	if left, stored := s.files(t, "work"), s.stored(t, blob.Audio); len(left)+len(stored) != 0 {
		t.Errorf("left: %v, %v", left, stored)
	}
}

func TestASecondStartCarriesOn(t *testing.T) { everywhere(t, aSecondStartCarriesOn) }

func aSecondStartCarriesOn(t *testing.T, p *place) {
	first := start(t, p)
	c := first.admin(t)
	done := c.await(t, c.upload(t, "a.mp4", video(t, 1)).ID)
	if code := first.stop(t); code != 0 {
		t.Fatalf("exit code %d\n%s", code, first.log)
	}
	second := start(t, p)
	c = &client{server: second, http: http.DefaultClient, token: c.token} // the token is still good
	if again := c.job(t, done.ID); again.State != job.Done || again.Results[0].FID != done.Results[0].FID {
		t.Errorf("after the restart: %+v", again)
	}
	if strings.Contains(second.out.String(), "password") {
		t.Errorf("the second start speaks of a password: %s", second.out)
	}
}

func TestWhatIsKeptIsItsUsersAlone(t *testing.T) {
	p := embedded(t)
	if err := os.Chmod(p.data, 0o755); err != nil { // others may read the folder itself
		t.Fatal(err)
	}
	s := start(t, p)
	c := s.admin(t)
	c.await(t, c.upload(t, "a.mp4", video(t, 1)).ID)
	eventually(t, "the mail is there", 10*time.Second, func() bool { return len(s.mails(t)) == 1 })
	all := s.files(t, ".")
	if len(all) < 8 {
		t.Fatalf("only %v", all)
	}
	for _, path := range all {
		if fi, err := os.Stat(path); err == nil && fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, fi.Mode())
		}
	}
}

func TestTheFirstPasswordIsChosenAndShownOnce(t *testing.T) {
	everywhere(t, theFirstPasswordIsChosenAndShownOnce)
}

func theFirstPasswordIsChosenAndShownOnce(t *testing.T, p *place) {
	s := start(t, p, "ADMIN_PASSWORD=", "ADMIN_EMAIL=")
	m := regexp.MustCompile(`email +(\S+)\s+password +(\S+)`).FindStringSubmatch(s.out.String())
	if m == nil {
		t.Fatalf("no password in: %s", s.out)
	}
	s.login(t, m[1], m[2])
	if strings.Contains(s.log.String(), m[2]) {
		t.Error("the password is in the log")
	}
}

func TestWhatIsInUseIsRefusedClearly(t *testing.T) {
	s := start(t, embedded(t))
	port := s.url[strings.LastIndex(s.url, ":")+1:]
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		data, port string
		env        []string
		want       string
	}{
		"the port":                {t.TempDir(), port, nil, "PORT: 127.0.0.1:" + port + " is in use"},
		"the data folder":         {s.data, freePort(t), nil, "DATA_DIR: the folder " + s.data + " is in use"},
		"a folder that is a file": {file, freePort(t), nil, "DATA_DIR: make the folder"},
		"a bad value":             {t.TempDir(), freePort(t), []string{"MAX_UPLOAD=lots"}, "MAX_UPLOAD: want a size"},
		"no ffmpeg":               {t.TempDir(), freePort(t), []string{"PATH=/nowhere"}, "ffmpeg"},
		"a short password":        {t.TempDir(), freePort(t), []string{"ADMIN_PASSWORD=x"}, "ADMIN_PASSWORD"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			other := launch(t, &place{data: tt.data}, tt.port, tt.env...)
			select {
			case <-other.exited:
			case <-time.After(30 * time.Second):
				t.Fatal("it runs")
			}
			if other.code != 1 || !strings.Contains(other.log.String(), tt.want) {
				t.Errorf("exit code %d, want 1 and %q in:\n%s", other.code, tt.want, other.log)
			}
		})
	}
}

// slow hands out its content in two halves, the second when told to.
type slow struct {
	first, second io.Reader
	half          chan<- struct{}
	gone          <-chan struct{}
}

func (s *slow) Read(p []byte) (int, error) {
	if n, err := s.first.Read(p); err == nil || n > 0 {
		return n, nil
	}
	if s.half != nil {
		close(s.half)
		s.half = nil
	}
	<-s.gone
	return s.second.Read(p)
}

func TestSIGTERMLosesNoJobAndCutsNoResponse(t *testing.T) {
	everywhere(t, sIGTERMLosesNoJobAndCutsNoResponse)
}

func sIGTERMLosesNoJobAndCutsNoResponse(t *testing.T, p *place) {
	s := start(t, p, "DRAIN_TIMEOUT=20s")
	c := s.admin(t)
	running := c.upload(t, "running.mp4", video(t, 2))
	content := video(t, 1)
	half, gone := make(chan struct{}), make(chan struct{})
	req := c.uploadRequest(t, "slow.mp4", &slow{bytes.NewReader(content[:len(content)/2]), bytes.NewReader(content[len(content)/2:]), half, gone})
	// The server asks for the content once it reads it: then the upload is under way.
	req.Header.Set("Expect", "100-continue")
	asking := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	type answer struct {
		status int
		body   []byte
	}
	answers := make(chan answer, 1)
	go func() {
		resp, err := asking.Do(req)
		if err != nil {
			answers <- answer{0, []byte(err.Error())}
			return
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		answers <- answer{resp.StatusCode, body}
	}()
	<-half
	s.signal(syscall.SIGTERM)
	eventually(t, "it takes no new connections", 10*time.Second, func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	close(gone)
	got := <-answers
	if got.status != http.StatusAccepted {
		t.Fatalf("the upload under way: %d %s", got.status, got.body)
	}
	<-s.exited
	if s.code != 0 {
		t.Errorf("exit code %d\n%s", s.code, s.log)
	}
	next := start(t, p)
	c = &client{server: next, http: http.DefaultClient, token: c.token}
	for _, id := range []string{running.ID, decode[job.View](t, got.body).ID} {
		if j := c.await(t, id); j.State != job.Done {
			t.Errorf("after the restart: %+v", j)
		}
	}
}

func TestOtherPeopleSeeNothing(t *testing.T) { everywhere(t, otherPeopleSeeNothing) }

func otherPeopleSeeNothing(t *testing.T, p *place) {
	s := start(t, p, "REGISTRATION=open")
	anna := s.admin(t)
	done := anna.await(t, anna.upload(t, "a.mp4", video(t, 1)).ID)
	resp, err := http.Post(s.url+"/register", "application/json", strings.NewReader(`{"email":"ben@example.com","password":"another password"}`))
	if err != nil {
		t.Fatal(err)
	}
	if _ = resp.Body.Close(); resp.StatusCode != http.StatusCreated {
		t.Fatalf("register: %d", resp.StatusCode)
	}
	ben := s.login(t, "ben@example.com", "another password")
	for _, path := range []string{"/jobs/" + done.ID, "/jobs/" + done.ID + "/events", "/download?fid=" + done.Results[0].FID} {
		if status, body := ben.call(t, "GET", path); status != http.StatusNotFound {
			t.Errorf("GET %s: %d %s", path, status, body)
		}
	}
	if status, _ := ben.call(t, "DELETE", "/jobs/"+done.ID); status != http.StatusNotFound {
		t.Errorf("DELETE: %d", status)
	}
	if got := anna.job(t, done.ID); got.State != job.Done {
		t.Errorf("the job is %s", got.State)
	}
}

// TestFunctionOfFunc runs the composition as Knative's func does.
func TestFunctionOfFunc(t *testing.T) {
	content := video(t, 1)
	f := alchemist.New()
	if ready, err := f.Ready(t.Context()); ready || err != nil { // an error would be shown to whoever asks
		t.Errorf("ready before it has started: %v, %v", ready, err)
	}
	if err := f.Start(t.Context(), map[string]string{
		"DATA_DIR": t.TempDir(), "ADMIN_EMAIL": adminEmail, "ADMIN_PASSWORD": adminPassword, "LOG_LEVEL": "error",
	}); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(f.Handle))
	defer srv.Close()
	if ready, err := f.Ready(t.Context()); !ready || err != nil {
		t.Errorf("ready: %v, %v", ready, err)
	}
	c := (&server{url: srv.URL}).admin(t)
	if j := c.await(t, c.upload(t, "a.mp4", content).ID); j.State != job.Done {
		t.Errorf("ended %+v", j)
	}
	if err := f.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOneFunctionByItself(t *testing.T) {
	data := t.TempDir()
	for name, want := range map[string]int{"login": 401, "upload": 404, "jobs": 404, "download": 404, "reconcile": 404, "notify": 404, "convert": 404} {
		f := alchemist.New()
		if err := f.Start(t.Context(), map[string]string{"FUNCTION": name, "DATA_DIR": data, "K_SINK": "http://127.0.0.1:9", "LOG_LEVEL": "error"}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w := httptest.NewRecorder()
		f.Handle(w, httptest.NewRequest("POST", "/login", nil))
		if w.Code != want {
			t.Errorf("%s answers POST /login with %d, want %d", name, w.Code, want)
		}
		if err := f.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []map[string]string{{"FUNCTION": "mix", "DATA_DIR": data}, {"FUNCTION": "gateway"}, {"PORT": "x"}} {
		if err := alchemist.New().Start(t.Context(), bad); err == nil {
			t.Errorf("started with %v", bad)
		} else if !strings.Contains(fmt.Sprint(err), "FUNCTION") && !strings.Contains(fmt.Sprint(err), "_URL") && !strings.Contains(fmt.Sprint(err), "PORT") {
			t.Errorf("the error does not name the variable: %v", err)
		}
	}
}
