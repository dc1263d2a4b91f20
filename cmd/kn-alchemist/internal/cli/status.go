package cli

import (
	"context"
	"fmt"
	"net/url"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"

	"github.com/opengundumstyle/audio-alchemist/cmd/kn-alchemist/internal/api"
	"github.com/opengundumstyle/audio-alchemist/cmd/kn-alchemist/internal/place"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

// state is what status shows.
type state struct {
	Address   string           `json:"address"`
	Functions []place.Function `json:"functions"`
	*api.Status
}

func (a *app) status() *cobra.Command {
	var f format
	c := &cobra.Command{
		Use: "status", Short: "Tell whether all is ready, and what waits; for administrators", Args: cobra.NoArgs,
		Long: `Tell whether each function is ready, whether the stores can be used, and how
many jobs, mails and dead letters there are. The exit code is 1 where something
is not ready, or cannot be told of.

On a cluster kn is asked about the functions, so that none is woken for it.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(c *api.Client) error {
				s, err := a.look(cmd.Context(), c)
				if err != nil {
					return err
				}
				if err := f.show(a.out, s, s.table); err != nil {
					return err
				}
				return s.verdict()
			})
		},
	}
	f.add(c)
	return c
}

// look asks for everything. That the queues cannot be seen is an error, but
// functions are shown that are not ready.
func (a *app) look(ctx context.Context, c *api.Client) (state, error) {
	s := state{Address: c.Address()}
	functions, err := a.functions(ctx, c)
	if err != nil {
		return s, err
	}
	s.Functions = functions
	status, err := c.Status(ctx)
	if fail.Is(err, fail.Unavailable) && slices.ContainsFunc(functions, func(f place.Function) bool { return !f.Ready && !f.Unchecked }) {
		return s, nil
	}
	s.Status = &status
	return s, err
}

// functions asks the cluster whose gateway is at the address, or the one
// process that has all of them; or else the cluster of the current context, as
// its gateway may have other addresses, as by a domain of its own or a forwarded
// port. What nobody can tell of is not ready.
func (a *app) functions(ctx context.Context, c *api.Client) ([]place.Function, error) {
	all, gateway, why, err := a.services(ctx)
	if err != nil {
		return nil, err
	}
	if gateway != nil && sameHost(gateway.URL, c.Address()) {
		return ours(all), nil
	}
	one, together := readiness(ctx, c)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case together:
		return []place.Function{one}, nil
	case gateway != nil:
		a.say("The functions are those of namespace %s in the current kube context, whose gateway is %s.", a.namespace, first(gateway.URL, "without an address"))
		return ours(all), nil
	case !one.Ready:
		one.Name = "system"
		return []place.Function{one}, nil
	default:
		one.Name = "gateway"
		return []place.Function{one, {Name: "other functions", Unchecked: true, Detail: why}}, nil
	}
}

// readiness is what the server at the address says of itself, and whether that
// is an all-in-one.
func readiness(ctx context.Context, c *api.Client) (one place.Function, together bool) {
	functions, err := c.Ready(ctx)
	one = place.Function{Name: "all in one", Ready: err == nil}
	if err != nil {
		one.Detail = err.Error()
	}
	return one, len(functions) > 0
}

// services lists those of the cluster and points at its gateway; why is what
// to do where there is none. An error is that of the cluster that the address
// is from.
func (a *app) services(ctx context.Context) (all []place.Function, gateway *place.Function, why string, err error) {
	cluster := a.inCluster()
	if !cluster.There() {
		return nil, nil, "That takes kn, and the kube context of the cluster.", nil
	}
	all, err = cluster.Functions(ctx)
	if err != nil && (a.cluster || ctx.Err() != nil) {
		return nil, nil, "", err
	}
	if i := slices.IndexFunc(all, func(f place.Function) bool { return f.Name == "gateway" }); i >= 0 {
		return all, &all[i], "", nil
	}
	why = "The current kube context has no service gateway in namespace " + a.namespace + "; see --namespace."
	if err != nil {
		why = err.Error()
	}
	return nil, nil, why, nil
}

func sameHost(a, b string) bool {
	u, err := url.Parse(a)
	v, err2 := url.Parse(b)
	return err == nil && err2 == nil && u.Host != "" && u.Hostname() == v.Hostname()
}

// ours are the functions that there have to be, in their order.
func ours(there []place.Function) []place.Function {
	all := []place.Function{}
	for _, name := range config.Functions() {
		i := slices.IndexFunc(there, func(f place.Function) bool { return f.Name == name })
		if i < 0 {
			all = append(all, place.Function{Name: name, Detail: "There is no such service."})
			continue
		}
		all = append(all, there[i])
	}
	return all
}

// verdict is an error where something is not ready.
func (s state) verdict() error {
	for _, f := range s.Functions {
		switch {
		case f.Unchecked:
			return &failure{exitFailed, "The functions behind the gateway were not checked. " + f.Detail}
		case !f.Ready:
			return &failure{exitFailed, f.Name + " is not ready: " + f.Detail}
		}
	}
	if s.Status == nil {
		return nil
	}
	for _, name := range []string{"ledger", "blobs"} {
		if !s.Stores[name].Usable {
			return &failure{exitFailed, "The " + name + " cannot be used: " + s.Stores[name].Detail}
		}
	}
	return nil
}

func (s state) table() table {
	ready := func(ok bool, why string) string {
		if ok {
			return "ready"
		}
		return "not ready: " + why
	}
	t := table{{"WHAT", "STATE"}, {"address", s.Address}}
	for _, f := range s.Functions {
		text := ready(f.Ready, f.Detail)
		if f.Unchecked {
			text = "not checked: " + f.Detail
		}
		t = append(t, []string{f.Name, text})
	}
	if s.Status == nil {
		return t
	}
	for _, name := range []string{"ledger", "blobs"} {
		t = append(t, []string{name, ready(s.Stores[name].Usable, s.Stores[name].Detail)})
	}
	count := func(what string, d api.Depth) {
		text := fmt.Sprint(d.Count)
		if d.OldestAgeSeconds != nil {
			text += ", the oldest for " + age(d.OldestAgeSeconds)
		}
		t = append(t, []string{what, text})
	}
	for _, state := range job.States() {
		if d, ok := s.Jobs[state]; ok {
			count("jobs "+string(state), d)
		}
	}
	if s.Notices != nil && s.Letters != nil {
		count("mails due", *s.Notices)
		count("dead letters", *s.Letters)
	}
	return t
}

func (a *app) version() *cobra.Command {
	var f format
	c := &cobra.Command{
		Use: "version", Short: "Tell which version of the plugin this is", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version  string `json:"version"`
				Revision string `json:"revision"`
				Go       string `json:"go"`
			}{"unknown", "unknown", runtime.Version()}
			if info, ok := debug.ReadBuildInfo(); ok {
				v.Version = info.Main.Version
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						v.Revision = s.Value
					}
				}
			}
			return f.show(a.out, v, func() table { return table{{"Version:", v.Version}, {"Revision:", v.Revision}, {"Go:", v.Go}} })
		},
	}
	f.add(c)
	return c
}
