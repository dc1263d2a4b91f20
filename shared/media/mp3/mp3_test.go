package mp3

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// kinds are the kinds of stream that an encoder makes.
var kinds = map[string]struct {
	rate, channels int
	args           []string
}{
	"192k stereo":  {44100, 2, []string{"-b:a", "192k"}},
	"320k 48 kHz":  {48000, 2, []string{"-b:a", "320k"}},
	"V0":           {44100, 2, []string{"-q:a", "0"}},
	"V7 32 kHz":    {32000, 2, []string{"-q:a", "7"}},
	"64k mono":     {44100, 1, []string{"-b:a", "64k"}},
	"22 kHz":       {22050, 2, []string{"-b:a", "64k"}},
	"8 kHz mono":   {8000, 1, []string{"-b:a", "16k"}},
	"no reservoir": {44100, 2, []string{"-b:a", "128k", "-reservoir", "0"}},
}

// sound makes n samples of something that keeps an encoder busy: a sweep, a
// beat and noise that comes and goes, from a fixed seed.
func sound(n, rate, channels int) []float32 {
	random := rand.New(rand.NewPCG(1, 2))
	p := make([]float32, 0, n*channels)
	for i := range n {
		t := float64(i) / float64(rate)
		beat := math.Exp(-8*math.Mod(t, 0.5)) * 0.3
		for c := range channels {
			sweep := 0.3 * math.Sin(2*math.Pi*t*(200+40*t+float64(c)*30))
			noise := beat * (random.Float64() - 0.5)
			p = append(p, float32(sweep+noise))
		}
	}
	return p
}

// ffmpeg pipes p through the program, which may say nothing at the log level.
func ffmpeg(t *testing.T, p []byte, level string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-v", level, "-xerror"}, args...)...)
	var out, messages bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(p), &out, &messages
	if err := cmd.Run(); err != nil || messages.Len() > 0 {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, &messages)
	}
	return out.Bytes()
}

func raw(samples []float32) []byte {
	p := make([]byte, 0, 4*len(samples))
	for _, s := range samples {
		p = binary.LittleEndian.AppendUint32(p, math.Float32bits(s))
	}
	return p
}

func encode(t *testing.T, samples []float32, rate, channels int, args ...string) []byte {
	t.Helper()
	in := []string{"-f", "f32le", "-ar", strconv.Itoa(rate), "-ac", strconv.Itoa(channels), "-i", "pipe:0"}
	return ffmpeg(t, raw(samples), "error", append(append(in, args...), "-write_xing", "0", "-id3v2_version", "0", "-f", "mp3", "pipe:1")...)
}

// decode returns what a player hears, delay and padding cut off.
func decode(t *testing.T, stream []byte, level string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.mp3")
	if err := os.WriteFile(path, stream, 0o600); err != nil {
		t.Fatal(err)
	}
	return ffmpeg(t, nil, level, "-i", path, "-f", "f32le", "pipe:1")
}

// frames takes a stream apart.
func frames(t *testing.T, stream []byte) []Frame {
	t.Helper()
	var all []Frame
	for s := NewScanner(bytes.NewReader(stream)); ; {
		f, err := s.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
}

// finish closes the joiner and puts the header frame in front.
func finish(t *testing.T, j *Joiner, body *bytes.Buffer, d Details) []byte {
	t.Helper()
	s, err := j.Close()
	if err != nil {
		t.Fatal(err)
	}
	head, err := s.Head(d)
	if err != nil {
		t.Fatal(err)
	}
	if len(head) != s.Header.HeadSize() || int64(body.Len()) != s.Bytes {
		t.Errorf("header frame of %d bytes, want %d; stream of %d, said %d", len(head), s.Header.HeadSize(), body.Len(), s.Bytes)
	}
	return append(head, body.Bytes()...)
}

func TestAStreamThatIsLaidOutAnewSoundsTheSame(t *testing.T) {
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			n := 3*k.rate + 777
			stream := encode(t, sound(n, k.rate, k.channels), k.rate, k.channels, k.args...)
			var body bytes.Buffer
			j := NewJoiner(&body)
			add(t, j, frames(t, stream))
			whole := finish(t, j, &body, Details{Delay: 576, Samples: int64(n), Encoder: "LAME3.100", Quality: -1})
			got := decode(t, whole, "warning")
			if want := 4 * n * k.channels; len(got) != want {
				t.Fatalf("decoded to %d bytes, want %d", len(got), want)
			}
			want := decode(t, stream, "error")[4*k.channels*(576+DecoderDelay):]
			if !bytes.Equal(got, want[:len(got)]) {
				t.Error("it does not sound the same")
			}
			info, err := ReadInfo(bytes.NewReader(whole))
			if err != nil || info.Samples != int64(n) || info.SampleRate != k.rate || info.Channels != k.channels || info.Bytes != int64(len(whole)) {
				t.Errorf("the header tells %+v, %v", info, err)
			}
		})
	}
}

func TestTheReservoirIsRepairedAcrossAJoint(t *testing.T) {
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			const before, overlap, joint = 6, 6, 60
			per := 1152
			if k.rate < 32000 {
				per = 576
			}
			n := 120 * per
			samples := sound(n, k.rate, k.channels)
			stream := encode(t, samples, k.rate, k.channels, k.args...)
			one := frames(t, stream)
			other := frames(t, encode(t, samples[(joint-before)*per*k.channels:], k.rate, k.channels, k.args...))[before:]
			var body bytes.Buffer
			j := NewJoiner(&body)
			add(t, j, one[:joint])
			if err := j.Join(one[joint:joint+overlap], other[:overlap]); err != nil {
				t.Fatal(err)
			}
			add(t, j, other[overlap:])
			whole := finish(t, j, &body, Details{Delay: 576, Samples: int64(n), Encoder: "LAME3.100", Quality: -1})
			got, plain := floats(decode(t, whole, "warning")), floats(decode(t, stream, "error")[4*k.channels*(576+DecoderDelay):])
			if len(got) != len(samples) {
				t.Fatalf("%d samples, want %d", len(got), len(samples))
			}
			// Around the joint, and in all, it is as near to the source as what one
			// encoder makes.
			for what, part := range map[string][2]int{"around the joint": {joint - 10, joint + 10}, "in all": {0, 118}} {
				from, to := part[0]*per*k.channels, part[1]*per*k.channels
				joined, alone := distance(got[from:to], samples[from:to]), distance(plain[from:to], samples[from:to])
				if joined > 1.1*alone {
					t.Errorf("error of %.5f %s, of one encoder %.5f", joined, what, alone)
				}
			}
			t.Logf("%d frames raised", j.pack.raised)
		})
	}
}

func add(t *testing.T, j *Joiner, frames []Frame) {
	t.Helper()
	for _, f := range frames {
		if err := j.Add(f); err != nil {
			t.Fatal(err)
		}
	}
}

func floats(p []byte) []float32 {
	all := make([]float32, 0, len(p)/4)
	for c := range slices.Chunk(p, 4) {
		all = append(all, math.Float32frombits(binary.LittleEndian.Uint32(c)))
	}
	return all
}

// distance returns the root mean square of the difference.
func distance(a, b []float32) float64 {
	sum := 0.0
	for i := range a {
		d := float64(a[i] - b[i])
		sum += d * d
	}
	return math.Sqrt(sum / float64(len(a)))
}

// FuzzScanner takes streams apart and lays them out anew: what was taken apart
// once must be the same frames when it is taken apart again.
func FuzzScanner(f *testing.F) {
	f.Add([]byte("ID3\x04\x00\x00\x00\x00\x00\x00"))
	for _, head := range []uint32{0xFFFB9064, 0xFFFB90C4, 0xFFF38064, 0xFFE318C4} {
		h := Header(head)
		one := binary.BigEndian.AppendUint32(nil, head)
		one = append(one, make([]byte, h.Size()-headerBytes)...)
		f.Add(bytes.Repeat(one, 4))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		all, body := scan(p), &bytes.Buffer{}
		j := NewJoiner(body)
		for i, frame := range all {
			if j.Add(frame) != nil {
				all = all[:i]
				break
			}
		}
		s, err := j.Close()
		if err != nil || s.Frames != len(all) || s.Bytes != int64(body.Len()) {
			t.Fatalf("%d frames became %+v with %d bytes, %v", len(all), s, body.Len(), err)
		}
		again := scan(body.Bytes())
		if len(again) != len(all) {
			t.Fatalf("%d frames became %d", len(all), len(again))
		}
		for i := range all {
			if !bytes.Equal(all[i].data, again[i].data) {
				t.Fatalf("frame %d lost its data", i)
			}
		}
		if len(all) > 0 {
			head, err := s.Head(Details{Samples: int64(len(all) * all[0].Header.Samples())})
			if err != nil {
				t.Fatal(err)
			}
			if i, err := ReadInfo(bytes.NewReader(append(head, body.Bytes()...))); err != nil || i.Frames != len(all) {
				t.Fatalf("header of %d frames reads as %+v, %v", len(all), i, err)
			}
		}
		_, _ = ReadInfo(bytes.NewReader(p))
	})
}

// scan returns the frames up to the first fault.
func scan(p []byte) (all []Frame) {
	for s := NewScanner(bytes.NewReader(p)); ; {
		f, err := s.Next()
		if err != nil {
			return all
		}
		all = append(all, f)
	}
}

// TestCRC16: "123456789" is what the catalogue of CRCs (reveng) checks by; of
// any length it must be that of one bit after the other.
func TestCRC16(t *testing.T) {
	if got := crc16(0, []byte("123456789")); got != 0xBB3D {
		t.Errorf("%#x, want 0xBB3D", got)
	}
	p := make([]byte, 40)
	for i := range p {
		p[i] = byte(37*i + 11)
	}
	for n := range p {
		want := uint16(0x1234)
		for _, b := range p[:n] {
			want ^= uint16(b)
			for range 8 {
				if want&1 != 0 {
					want = want>>1 ^ 0xA001
				} else {
					want >>= 1
				}
			}
		}
		if got := crc16(0x1234, p[:n]); got != want {
			t.Errorf("%d bytes: %#x, want %#x", n, got, want)
		}
	}
}
