package media

import (
	"strings"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/media/sandbox"
)

func TestProtectionThatIsRequiredIsThereOrNamed(t *testing.T) {
	all := sandbox.Protection{Landlock: 1, Seccomp: true, Limits: true}
	for name, tt := range map[string]struct {
		has  sandbox.Protection
		want string // of the error where it is required
	}{
		"all":         {all, ""},
		"no Landlock": {sandbox.Protection{Seccomp: true, Limits: true}, "NOT files by Landlock"},
		"no seccomp":  {sandbox.Protection{Landlock: 6, Limits: true}, "NOT sockets and processes by seccomp"},
		"nothing":     {sandbox.Protection{}, "NOT memory, time and size by rlimits"},
	} {
		t.Run(name, func(t *testing.T) {
			if has, err := tools(t).check(t.Context(), false, tt.has); err != nil || has != tt.has {
				t.Errorf("not required: %+v, %v", has, err)
			}
			_, err := tools(t).check(t.Context(), true, tt.has)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("required: %v", err)
			case tt.want != "" && (!fail.Is(err, fail.Unavailable) || !strings.Contains(err.Error(), tt.want) ||
				!strings.Contains(err.Error(), "MEDIA_SANDBOX=auto")):
				t.Errorf("required: %v, want %q and what to do", err, tt.want)
			}
		})
	}
}

func TestAProgramThatDoesNotStartIsFoundAtTheStart(t *testing.T) {
	scripted := tools(t)
	scripted.FFprobe = script(t, "exit 0")
	if _, err := scripted.Check(t.Context(), false); !fail.Is(err, fail.Unavailable) || !strings.Contains(err.Error(), scripted.FFprobe) {
		t.Errorf("error %v", err)
	}
}
