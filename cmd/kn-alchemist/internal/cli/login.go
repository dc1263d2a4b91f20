package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/opengundumstyle/audio-alchemist/cmd/kn-alchemist/internal/api"
	"github.com/opengundumstyle/audio-alchemist/cmd/kn-alchemist/internal/place"
)

// inCluster is the cluster that --namespace is about.
func (a *app) inCluster() place.Cluster {
	return place.Cluster{Getenv: a.getenv, Namespace: a.namespace}
}

// client finds the gateway, and is logged in to nothing.
func (a *app) client(ctx context.Context) (*api.Client, error) {
	address := first(a.url, a.getenv("ALCHEMIST_URL"))
	if address == "" {
		address = place.Local
		if cluster := a.inCluster(); cluster.There() {
			found, err := cluster.Gateway(ctx)
			if err != nil {
				return nil, &failure{exitUnreachable, err.Error() + " Say where the system is with --url, or " + place.Local + " for this machine."}
			}
			address, a.cluster = found, true
		}
	}
	c, err := api.New(address, first(a.ingress, a.getenv("ALCHEMIST_INGRESS")))
	if err != nil {
		return nil, &failure{exitUsage, err.Error() + " See --url and --ingress."}
	}
	return c, nil
}

func first(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}

// credentials are the address and the password to log in with.
type credentials struct{ email, password string }

// fromEnvironment reads them; false unless both are there.
func (a *app) fromEnvironment() (credentials, bool) {
	c := credentials{a.getenv("ALCHEMIST_EMAIL"), a.getenv("ALCHEMIST_PASSWORD")}
	return c, c.email != "" && c.password != ""
}

// kept is the login that is kept, unless the environment names somebody else;
// an empty one where none can be read.
func (a *app) kept(c *api.Client) place.Session {
	sessions, err := place.UserSessions()
	if err != nil {
		return place.Session{} // which enter tells of
	}
	s, err := sessions.Get(c.Address())
	if email := a.getenv("ALCHEMIST_EMAIL"); err != nil || email != "" && !strings.EqualFold(email, s.Email) {
		return place.Session{}
	}
	return s
}

// with runs do, logged in: with the token that is kept, or by what the
// environment says, or by asking. So it is again when the token is not taken
// any more.
func (a *app) with(ctx context.Context, do func(*api.Client) error) error {
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	enter := func(ctx context.Context) (string, error) { return a.enter(ctx, c) }
	s := a.kept(c)
	if s.Valid(time.Now()) {
		a.who.email = s.Email
	} else if s.Token, err = enter(ctx); err != nil {
		return err
	}
	c.Authorize(s.Token, enter)
	return do(c)
}

// enter logs in, by what was entered before, by the environment or by asking,
// and keeps the token; only in memory where that is all that can be done.
func (a *app) enter(ctx context.Context, c *api.Client) (string, error) {
	who, ok := a.fromEnvironment()
	switch {
	case a.who.password != "":
		who = a.who
	case ok:
	case !term.IsTerminal(int(a.in.Fd())):
		return "", &failure{exitLogin, "Not logged in to " + c.Address() + ". Run kn alchemist login, or set ALCHEMIST_EMAIL and ALCHEMIST_PASSWORD."}
	default:
		var err error
		if who, err = a.ask(ctx, c, first(a.getenv("ALCHEMIST_EMAIL"), a.who.email)); err != nil {
			return "", err
		}
	}
	token, unkept, err := a.trade(ctx, c, who)
	if err != nil {
		return "", err
	}
	if unkept != nil && !a.warned {
		a.say("Warning: %v This login ends with the command.", unkept)
		a.warned = true
	}
	return token, nil
}

// trade logs in and keeps the token; unkept is why it could not be kept.
func (a *app) trade(ctx context.Context, c *api.Client, who credentials) (token string, unkept, err error) {
	s, err := c.Login(ctx, who.email, who.password)
	if err != nil {
		return "", nil, err
	}
	a.who = who
	sessions, unkept := place.UserSessions()
	if unkept == nil {
		unkept = sessions.Put(place.Session{Address: c.Address(), Email: who.email, Token: s.Token, Expires: s.Expires})
	}
	return s.Token, unkept, nil
}

func (a *app) login() *cobra.Command {
	var email string
	var stdin bool
	c := &cobra.Command{
		Use: "login", Short: "Log in, and keep the token until it expires", Args: cobra.NoArgs,
		Long: `Log in, and keep the token until it expires, in a file that only you can read.

The address and the password are those of ALCHEMIST_EMAIL and
ALCHEMIST_PASSWORD, or are asked for. With another --email the password is.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client(cmd.Context())
			if err != nil {
				return err
			}
			who, err := a.choose(cmd, c, first(email, a.getenv("ALCHEMIST_EMAIL")), stdin)
			if err != nil {
				return err
			}
			_, unkept, err := a.trade(cmd.Context(), c, who)
			if err == nil {
				err = unkept
			}
			if err != nil {
				return err
			}
			a.say("Logged in to %s as %s.", c.Address(), who.email)
			return nil
		},
	}
	c.Flags().StringVar(&email, "email", "", "who to log in as (ALCHEMIST_EMAIL)")
	c.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	return c
}

// choose finds out who logs in.
func (a *app) choose(cmd *cobra.Command, c *api.Client, email string, stdin bool) (who credentials, err error) {
	who.email = email
	switch {
	case stdin && email == "":
		return who, usage(cmd, "--password-stdin needs --email")
	case stdin:
		who.password, err = a.piped(cmd.Context())
		return who, err
	}
	// The password of somebody else is not for this server to see.
	if theirs, ok := a.fromEnvironment(); ok && strings.EqualFold(theirs.email, email) {
		who.password = theirs.password
		return who, nil
	}
	if !term.IsTerminal(int(a.in.Fd())) {
		return who, usage(cmd, "there is no terminal to ask at: set ALCHEMIST_EMAIL and ALCHEMIST_PASSWORD, or use --password-stdin")
	}
	return a.ask(cmd.Context(), c, email)
}

func (a *app) logout() *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "Forget the token", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client(cmd.Context())
			if err != nil {
				return err
			}
			sessions, err := place.UserSessions()
			if err != nil {
				return err
			}
			there, err := sessions.Remove(c.Address())
			if err != nil {
				return err
			}
			if !there {
				a.say("Nobody was logged in to %s.", c.Address())
				return nil
			}
			a.say("Logged out of %s.", c.Address())
			return nil
		},
	}
}
