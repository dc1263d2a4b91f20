package cli

import (
	"strings"
	"testing"
)

func TestThePasswordOfTheEnvironmentIsForItsAddressAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		env, args []string
		login     string // none where there is nobody to ask
	}{
		"no address":            {anna, nil, "anna@example.com:secret"},
		"the same":              {anna, []string{"--email", "Anna@example.com"}, "Anna@example.com:secret"},
		"another":               {anna, []string{"--email", "ada@example.com"}, ""},
		"of nobody":             {anna[1:], []string{"--email", "ada@example.com"}, ""},
		"another, with its own": {anna, []string{"--email", "ada@example.com", "--password-stdin"}, "ada@example.com:hers"},
	} {
		t.Run(name, func(t *testing.T) {
			g := serve(t, nil)
			cmd := program(t, g, tt.env, append([]string{"login"}, tt.args...)...)
			cmd.Stdin = strings.NewReader("hers\n")
			_, errs, code := run(t, cmd)
			if got := strings.Join(g.logins, " "); got != tt.login || (code == 0) != (tt.login != "") || tt.login == "" && code != exitUsage {
				t.Errorf("logins %q, want %q; exit code %d, %q", got, tt.login, code, errs)
			}
		})
	}
}
