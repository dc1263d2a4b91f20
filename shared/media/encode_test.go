package media

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// wave makes a WAV file of n samples that keep an encoder busy: a sweep and a
// beat of noise, from a fixed seed.
func wave(n, rate, channels int) []byte {
	random := rand.New(rand.NewPCG(3, 4))
	size := 2 * n * channels
	p := make([]byte, 0, 44+size)
	p = append(p, "RIFF\x00\x00\x00\x00WAVEfmt "...)
	for _, v := range []int{16, 1 | channels<<16, rate, 2 * rate * channels, 2*channels | 16<<16} {
		p = binary.LittleEndian.AppendUint32(p, uint32(v))
	}
	p = binary.LittleEndian.AppendUint32(append(p, "data"...), uint32(size))
	binary.LittleEndian.PutUint32(p[4:], uint32(36+size))
	for i := range n {
		at := float64(i) / float64(rate)
		beat := 0.2 * math.Exp(-8*math.Mod(at, 0.5))
		for c := range channels {
			v := 0.3*math.Sin(2*math.Pi*at*(200+20*math.Mod(at, 30)+float64(30*c))) + beat*(random.Float64()-0.5)
			p = binary.LittleEndian.AppendUint16(p, uint16(int16(32767*v)))
		}
	}
	return p
}

// samples decodes a file as a player does. It may say nothing.
func samples(t *testing.T, f *os.File) []float32 {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "warning", "-xerror", "-i", "/dev/fd/3", "-f", "f32le", "pipe:1")
	cmd.ExtraFiles = []*os.File{f}
	var messages bytes.Buffer
	cmd.Stderr = &messages
	p, err := cmd.Output()
	if err != nil || messages.Len() > 0 {
		t.Fatalf("decode: %v\n%s", err, &messages)
	}
	all := make([]float32, len(p)/4)
	for i := range all {
		all[i] = math.Float32frombits(binary.LittleEndian.Uint32(p[4*i:]))
	}
	return all
}

func TestLongSoundIsTheSameToTheSample(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, k := range []struct{ rate, channels, bitrate, opt int }{
		{44100, 2, 192_000, 0}, {48000, 2, 320_000, 320_000}, {44100, 1, 64_000, 64_000}, {22050, 2, 160_000, 0}, {32000, 1, 128_000, 128_000}, {8000, 1, 32_000, 32_000},
	} {
		t.Run(fmt.Sprintf("%d Hz %d channels %d bit/s", k.rate, k.channels, k.bitrate), func(t *testing.T) {
			n := 90*k.rate + random.IntN(2*1152) // more than one run for each of two encoders
			in := wave(n, k.rate, k.channels)
			_, m, out, err := convert(t, in, options.Options{Bitrate: k.opt})
			if err != nil {
				t.Fatal(err)
			}
			if st, err := out.Stat(); err != nil || st.Size() != m.Bytes {
				t.Errorf("%d bytes, file has %v", m.Bytes, st.Size())
			}
			got := samples(t, out)
			if len(got) != n*k.channels {
				t.Fatalf("%d samples, want %d", len(got), n*k.channels)
			}
			j, _ := judge(t, out)
			// A frame behind a joint may have the next bit rate.
			if s := j.Streams[0]; s.Rate != strconv.Itoa(k.rate) || s.Channels != k.channels || math.Abs(float64(number(s.Bitrate)-k.bitrate)) > 0.002*float64(k.bitrate) {
				t.Errorf("ffprobe: %+v", s)
			}
			wantAsNear(t, in[44:], got, plain(t, in, strconv.Itoa(k.bitrate)), k.rate*k.channels)
		})
	}
}

// plain is what one ffmpeg makes.
func plain(t *testing.T, in []byte, bitrate string) []float32 {
	t.Helper()
	out := file(t, nil)
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-i", "pipe:0", "-b:a", bitrate, "-f", "mp3", "-y", "/dev/fd/3")
	cmd.Stdin, cmd.ExtraFiles = bytes.NewReader(in), []*os.File{out}
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	return samples(t, out)
}

// wantAsNear checks, piece by piece, that the result is as near to the source
// as that of one encoder, wherever runs are joined.
func wantAsNear(t *testing.T, source []byte, got, plain []float32, piece int) {
	t.Helper()
	distance := func(p []float32, from int) float64 {
		sum := 0.0
		for i := range piece {
			d := float64(p[from+i]) - float64(int16(binary.LittleEndian.Uint16(source[2*(from+i):])))/32768
			sum += d * d
		}
		return math.Sqrt(sum / float64(piece))
	}
	for from := 0; from+piece <= len(got); from += piece / 4 {
		if ours, one := distance(got, from), distance(plain, from); ours > 1.25*one+1e-4 {
			t.Errorf("error of %.5f from second %.2f, of one encoder %.5f", ours, float64(from)/float64(piece), one)
		}
	}
}

// Frames of the least bit rate are what ffmpeg keeps back the longest; at a rate
// of MPEG-1, and at one of MPEG-2, whose least is a quarter of it.
func TestLongSilenceDoesNotWaitForItself(t *testing.T) {
	for _, rate := range []int{32000, 22050} {
		t.Run(fmt.Sprintf("%d Hz", rate), func(t *testing.T) {
			n := 300 * rate
			in := wave(0, rate, 1)
			binary.LittleEndian.PutUint32(in[4:], uint32(36+2*n))
			binary.LittleEndian.PutUint32(in[40:], uint32(2*n))
			_, _, out, err := convert(t, append(in, make([]byte, 2*n)...), options.Options{Quality: "v9"})
			if err != nil {
				t.Fatal(err)
			}
			if got := len(samples(t, out)); got != n {
				t.Errorf("%d samples, want %d", got, n)
			}
		})
	}
}

func TestRunsAreAsManyForEachEncoder(t *testing.T) {
	tests := map[string]struct {
		length   time.Duration
		encoders int
		want     time.Duration
	}{
		"of unknown length":         {0, 2, 40 * time.Second},
		"one turn":                  {30 * time.Second, 2, 15 * time.Second},
		"two turns":                 {2 * time.Minute, 2, 30 * time.Second},
		"many turns":                {20 * time.Minute, 2, 40 * time.Second},
		"one encoder":               {50 * time.Second, 1, 25 * time.Second},
		"too short for all of many": {21 * time.Second, 8, 10 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := runOf(tt.length, tt.encoders); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// TestARestIsNotLost: of sound that goes on for a little behind what two runs
// share, which makes another run, and of sound that does not.
func TestARestIsNotLost(t *testing.T) {
	const run = 300
	for _, rest := range []int{-1152, -1, 0, 1, 1151, 1152, 1153} {
		t.Run(strconv.Itoa(rest), func(t *testing.T) {
			n := (2*run+overlap+late)*1152 + rest
			in := local(t, wave(n, 44100, 1))
			info, err := tools(t).Probe(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			p, err := tools(t).Prepare(t.Context(), in, info, options.Options{})
			if err != nil {
				t.Fatal(err)
			}
			e := newEncoding(tools(t), p, &meter{})
			e.most, e.run = 2, run
			out := file(t, nil)
			made, err := e.convert(t.Context(), in, out)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := out.WriteAt(made.head, made.headAt); err != nil {
				t.Fatal(err)
			}
			if _, err := out.Seek(0, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			if got := len(samples(t, out)); got != n {
				t.Errorf("%d samples, want %d", got, n)
			}
		})
	}
}
