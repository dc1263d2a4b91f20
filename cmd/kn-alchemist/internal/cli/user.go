package cli

import (
	"context"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/opengundumstyle/audio-alchemist/cmd/kn-alchemist/internal/api"
)

func (a *app) user() *cobra.Command {
	return group("user", "Accounts; for administrators",
		a.userAdd(), a.userList(), a.userSwitch("disable", "Keep an account from logging in; tokens that are out stay valid until they expire", true),
		a.userSwitch("enable", "Let an account log in again", false), a.userPasswd(), a.userRole())
}

// userTable shows accounts; passwords only where one was made.
func userTable(users []api.User) table {
	t := table{{"EMAIL", "ROLE", "LOGIN", "CREATED", "ID"}}
	for _, u := range users {
		role, login := "user", "enabled"
		if u.Admin {
			role = "admin"
		}
		if u.Disabled {
			login = "disabled"
		}
		row := []string{u.Email, role, login, when(u.CreatedAt), u.ID}
		if u.Password != "" {
			t[0] = append(t[0], "PASSWORD")
			row = append(row, u.Password)
		}
		t = append(t, row)
	}
	return t
}

func (a *app) showUser(f *format, u api.User) error {
	return f.show(a.out, u, func() table { return userTable([]api.User{u}) })
}

// named finds the id of an account by its address; an id is one already.
func named(ctx context.Context, c *api.Client, name string) (string, error) {
	if uuid.Validate(name) == nil {
		return name, nil
	}
	return c.UserID(ctx, name)
}

func (a *app) userAdd() *cobra.Command {
	var f format
	var admin, stdin bool
	c := &cobra.Command{
		Use: "add EMAIL", Short: "Make an account; without a password one is made, and shown this once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := a.maybePiped(cmd.Context(), stdin)
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), func(c *api.Client) error {
				u, err := c.AddUser(cmd.Context(), args[0], password, admin)
				if err != nil {
					return err
				}
				return a.showUser(&f, u)
			})
		},
	}
	c.Flags().BoolVar(&admin, "admin", false, "make it an administrator")
	c.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	f.add(c)
	return c
}

func (a *app) maybePiped(ctx context.Context, stdin bool) (string, error) {
	if !stdin {
		return "", nil
	}
	return a.piped(ctx)
}

func (a *app) userList() *cobra.Command {
	var f format
	c := &cobra.Command{
		Use: "list", Short: "List accounts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(c *api.Client) error {
				users, err := c.Users(cmd.Context())
				if err != nil {
					return err
				}
				return f.show(a.out, map[string]any{"users": users}, func() table { return userTable(users) })
			})
		},
	}
	f.add(c)
	return c
}

func (a *app) userSwitch(use, short string, disabled bool) *cobra.Command {
	var f format
	c := &cobra.Command{
		Use: use + " EMAIL", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeUser(cmd.Context(), &f, args[0], "disabled", disabled)
		},
	}
	f.add(c)
	return c
}

func (a *app) userRole() *cobra.Command {
	var f format
	c := &cobra.Command{
		Use: "role EMAIL admin|user", Short: "Make somebody an administrator, or none; it counts from their next login on",
		Args: cobra.ExactArgs(2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) != 1 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return []string{"admin", "user"}, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[1] != "admin" && args[1] != "user" {
				return usage(cmd, "the role is admin or user, and was %q", args[1])
			}
			return a.changeUser(cmd.Context(), &f, args[0], "admin", args[1] == "admin")
		},
	}
	f.add(c)
	return c
}

func (a *app) changeUser(ctx context.Context, f *format, name, property string, value bool) error {
	return a.with(ctx, func(c *api.Client) error {
		id, err := named(ctx, c, name)
		if err != nil {
			return err
		}
		u, err := c.ChangeUser(ctx, id, property, value)
		if err != nil {
			return err
		}
		return a.showUser(f, u)
	})
}

func (a *app) userPasswd() *cobra.Command {
	var f format
	var stdin, generate bool
	c := &cobra.Command{
		Use: "passwd EMAIL", Short: "Give an account another password", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := a.maybePiped(cmd.Context(), stdin)
			if err == nil && !stdin && !generate {
				password, err = a.secret(cmd.Context(), "New password for "+args[0])
			}
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), func(c *api.Client) error {
				id, err := named(cmd.Context(), c, args[0])
				if err != nil {
					return err
				}
				u, err := c.SetPassword(cmd.Context(), id, password)
				if err != nil {
					return err
				}
				return a.showUser(&f, u)
			})
		},
	}
	c.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	c.Flags().BoolVar(&generate, "generate", false, "have one made, and shown this once")
	c.MarkFlagsMutuallyExclusive("password-stdin", "generate")
	f.add(c)
	return c
}
