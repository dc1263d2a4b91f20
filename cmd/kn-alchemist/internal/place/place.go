// Package place finds the gateway that the plugin talks to, and keeps the
// tokens of those it has logged in to.
package place

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Local is where make run serves.
const Local = "http://127.0.0.1:8080"

// Namespace is where a cluster has the functions unless told otherwise.
const Namespace = "audio-alchemist"

// knWithin bounds one call of kn.
const knWithin = 20 * time.Second

// Cluster asks the cluster of the current kube context, by kn.
type Cluster struct {
	Getenv    func(string) string // os.Getenv
	Namespace string
}

// There reports whether there are a program kn and a kube context.
func (c Cluster) There() bool {
	if _, err := exec.LookPath("kn"); err != nil {
		return false
	}
	if files := c.Getenv("KUBECONFIG"); files != "" {
		return true
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(home, ".kube", "config"))
	return err == nil
}

// Gateway is the address of the function gateway.
func (c Cluster) Gateway(ctx context.Context) (string, error) {
	out, err := c.kn(ctx, "service", "describe", "gateway", "-n", c.Namespace, "-o", "url")
	if err != nil {
		return "", err
	}
	address := strings.TrimSpace(out)
	if address == "" {
		return "", fail.New(fail.Unavailable, "The service gateway in namespace %s has no address yet.", c.Namespace)
	}
	return address, nil
}

// Function is a service of the cluster.
type Function struct {
	Name      string `json:"name"`
	Ready     bool   `json:"ready"`
	Detail    string `json:"detail"`              // why not
	Unchecked bool   `json:"unchecked,omitempty"` // nobody could tell
	URL       string `json:"url,omitempty"`
}

// Functions lists the services of the namespace. Nothing is woken by that.
func (c Cluster) Functions(ctx context.Context) ([]Function, error) {
	out, err := c.kn(ctx, "service", "list", "-n", c.Namespace, "-o", "json")
	if err != nil {
		return nil, err
	}
	var list struct {
		Items []struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
			Status struct {
				URL        string `json:"url"`
				Conditions []struct {
					Type, Status, Reason, Message string
				} `json:"conditions"`
			} `json:"status"`
		} `json:"items"`
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, fail.New(fail.Internal, "kn service list answers what is no list of services.")
	}
	all := []Function{}
	for _, i := range list.Items {
		f := Function{Name: i.Metadata.Name, URL: i.Status.URL, Detail: "not reconciled yet"}
		for _, condition := range i.Status.Conditions {
			if condition.Type == "Ready" {
				f.Ready = condition.Status == "True"
				f.Detail = strings.TrimSpace(condition.Reason + ": " + condition.Message)
			}
		}
		if f.Ready {
			f.Detail = ""
		}
		all = append(all, f)
	}
	return all, nil
}

// kn runs kn and returns what it prints.
func (c Cluster) kn(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, knWithin)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, "kn", args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err == nil {
		return out.String(), nil
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = errors.New("no answer within " + knWithin.String())
	}
	said := strings.TrimPrefix(strings.TrimSpace(errs.String()), "Error: ")
	if first, _, _ := strings.Cut(said, "\n"); first != "" {
		err = errors.New(first)
	}
	return "", fail.New(fail.Unavailable, "kn %s: %v.", strings.Join(args[:2], " "), err)
}
