package cli

import (
	"net/http"
	"strings"
	"testing"
)

// listing is a gateway with no jobs.
func listing(t *testing.T) *gateway {
	t.Helper()
	return serve(t, map[string]http.HandlerFunc{"GET /jobs": answer(`{"jobs":[],"next":null}`)})
}

func TestWithoutAFolderForItTheTokenIsKeptInMemory(t *testing.T) {
	for name, env := range map[string][]string{
		"that cannot be made": {"HOME=/dev/null"},
		"at all":              {"HOME="},
	} {
		t.Run(name, func(t *testing.T) {
			g := listing(t)
			out, errs, code := run(t, program(t, g, with(anna, env...), "job", "list"))
			if code != 0 || !strings.HasPrefix(out, "ID ") || !strings.HasPrefix(errs, "Warning: ") || lines(errs) != 1 || len(g.entered()) != 1 {
				t.Errorf("exit code %d, %q, %q after logins %q", code, out, errs, g.entered())
			}
			if _, errs, code := run(t, program(t, g, with(anna, env...), "login")); code != 1 || !strings.HasPrefix(errs, "Error: ") || lines(errs) != 1 {
				t.Errorf("login: exit code %d, %q", code, errs)
			}
		})
	}
}

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
			if got := strings.Join(g.entered(), " "); got != tt.login || (code == 0) != (tt.login != "") || tt.login == "" && code != exitUsage {
				t.Errorf("logins %q, want %q; exit code %d, %q", got, tt.login, code, errs)
			}
		})
	}
}

func TestATokenThatIsNotTakenAnyMoreIsReplaced(t *testing.T) {
	g := serve(t, map[string]http.HandlerFunc{})
	for _, path := range []string{"DELETE /jobs/1", "DELETE /jobs/2", "DELETE /jobs/3"} {
		g.on(path, func(http.ResponseWriter, *http.Request) { g.expire() })
	}
	out, errs, code := run(t, program(t, g, anna, "job", "delete", "1", "2", "3"))
	if code != 0 || errs != "" || out != "1 deleted\n2 deleted\n3 deleted\n" || len(g.entered()) != 3 {
		t.Errorf("exit code %d, %q, %q after %d logins", code, out, errs, len(g.entered()))
	}
	for what, want := range map[string]int{"DELETE /jobs/1": 1, "DELETE /jobs/2": 2, "DELETE /jobs/3": 2} {
		if got := g.times(what); got != want {
			t.Errorf("%s: %d times, want %d", what, got, want)
		}
	}
}
