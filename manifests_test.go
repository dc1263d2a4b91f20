package alchemist_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/opengundumstyle/audio-alchemist/config/knative/events"
	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
)

func TestEachKustomizationNamesItsFolderWhole(t *testing.T) {
	found, err := filepath.Glob("config/*/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	deeper, err := filepath.Glob("config/*/*/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if found = append(found, deeper...); len(found) < 8 {
		t.Errorf("only %d kustomizations: %v", len(found), found)
	}
	for _, path := range found {
		var k struct {
			Resources      []string
			Patches        []struct{ Path string }
			Configurations []string
		}
		read(t, path, &k)
		named := slices.Concat([]string{"kustomization.yaml"}, k.Resources, k.Configurations)
		for _, p := range k.Patches {
			named = append(named, p.Path)
		}
		var there []string
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() || strings.HasSuffix(e.Name(), ".yaml") {
				there = append(there, e.Name())
			}
		}
		slices.Sort(named)
		if slices.Sort(there); !slices.Equal(named, there) {
			t.Errorf("%s names %v, the folder has %v", path, named, there)
		}
	}
}

// service is what the tests look at of a Knative Service.
type service struct {
	Metadata struct {
		Name   string
		Labels map[string]string
	}
	Spec struct {
		Template struct {
			Metadata struct{ Annotations map[string]string }
			Spec     struct {
				ContainerConcurrency, TimeoutSeconds, ResponseStartTimeoutSeconds int
				Containers                                                        []struct {
					Image   string
					EnvFrom []any
					Env     []struct {
						Name, Value string
						ValueFrom   struct {
							SecretKeyRef struct{ Name, Key string }
						}
					}
					Resources struct{ Requests, Limits map[string]string }
				}
				Volumes []struct{ EmptyDir struct{ SizeLimit string } }
			}
		}
	}
}

func readService(t *testing.T, function string) service {
	t.Helper()
	var s service
	read(t, "config/knative/functions/service-"+function+".yaml", &s)
	return s
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func TestEachFunctionIsAServiceThatScalesToZero(t *testing.T) {
	for _, f := range config.Functions() {
		s := readService(t, f)
		container := s.Spec.Template.Spec.Containers[0]
		notes := s.Spec.Template.Metadata.Annotations
		if s.Metadata.Name != f || s.Metadata.Labels["app.kubernetes.io/name"] != f || container.Image != "ko://"+module+"/cmd/"+f {
			t.Errorf("%s: is called %s, labelled %v, and runs %s", f, s.Metadata.Name, s.Metadata.Labels, container.Image)
		}
		if most, err := strconv.Atoi(notes["autoscaling.knative.dev/max-scale"]); err != nil || most < 1 || notes["autoscaling.knative.dev/min-scale"] != "0" {
			t.Errorf("%s: scales by %v, want from 0 to a bound", f, notes)
		}
		for _, what := range []string{"cpu", "memory"} {
			if container.Resources.Requests[what] == "" || container.Resources.Limits[what] == "" {
				t.Errorf("%s: has no request or no limit of %s: %+v", f, what, container.Resources)
			}
		}
	}
}

// A secret of one function is no business of another.
func TestOnlyWhoNeedsASecretGetsIt(t *testing.T) {
	want := map[string][]string{
		"sign/login.pem":     {"login"},
		"verify/public.json": {"login", "upload", "download", "jobs"},
		"links/links.key":    {"upload", "notify", "download", "jobs"},
		"stores/ledger-url":  {"login", "upload", "convert", "notify", "download", "jobs", "reconcile"},
		"stores/blobs-url":   {"upload", "convert", "download", "jobs", "reconcile"},
		"stores/mail-url":    {"notify"},
	}
	got := map[string][]string{}
	for _, f := range config.Functions() {
		container := readService(t, f).Spec.Template.Spec.Containers[0]
		for _, e := range container.Env {
			if ref := e.ValueFrom.SecretKeyRef; ref.Name != "" {
				got[ref.Name+"/"+ref.Key] = append(got[ref.Name+"/"+ref.Key], f)
			}
		}
		if len(container.EnvFrom) > 0 {
			t.Errorf("%s takes variables from elsewhere: %v", f, container.EnvFrom)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("secrets are given so: %v, want %v", got, want)
	}
}

func TestConvertHasTheTimeAndThePodsThatItsTriggerGivesIt(t *testing.T) {
	triggers, err := broker.Load(events.Manifests)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(triggers, func(r broker.Trigger) bool { return r.Name == "convert" })
	s := readService(t, "convert").Spec.Template
	if most := s.Metadata.Annotations["autoscaling.knative.dev/max-scale"]; most != strconv.Itoa(triggers[i].Parallelism) || s.Spec.ContainerConcurrency != 1 {
		t.Errorf("%d deliveries at once for %s pods that take %d each", triggers[i].Parallelism, most, s.Spec.ContainerConcurrency)
	}
	seconds := int(config.MaxConvertTimeout.Seconds())
	if s.Spec.TimeoutSeconds != seconds || s.Spec.ResponseStartTimeoutSeconds != seconds || triggers[i].Delivery.Timeout != config.MaxConvertTimeout {
		t.Errorf("a conversion may take %d s, its revision gives it %d and %d to answer, its trigger %v",
			seconds, s.Spec.TimeoutSeconds, s.Spec.ResponseStartTimeoutSeconds, triggers[i].Delivery.Timeout)
	}
}

// A conversion has the video and one result in its folder at most. The kubelet
// does not count them: they have no names.
func TestWhatAConversionKeepsOnDiskFitsIntoItsPod(t *testing.T) {
	s := readService(t, "convert").Spec.Template.Spec
	variables := map[string]string{}
	for _, e := range s.Containers[0].Env {
		variables[e.Name] = e.Value
	}
	c, err := config.Load(func(name string) string { return variables[name] })
	if err != nil {
		t.Fatal(err)
	}
	folder, pod := quantity(t, s.Volumes[0].EmptyDir.SizeLimit), quantity(t, s.Containers[0].Resources.Limits["ephemeral-storage"])
	if need := c.MaxUpload + c.MaxResult; need > folder || folder >= pod {
		t.Errorf("%d bytes at most, in a folder of %d, in a pod of %d", need, folder, pod)
	}
}

// quantity reads one of Kubernetes, in Gi.
func quantity(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(strings.TrimSuffix(s, "Gi"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << 30
}

// Knative lets a pod that is to end wait for 30 s and then tells it; it kills
// it timeoutSeconds after the beginning (pkg/queue/sharedmain and
// pkg/reconciler/revision/resources of knative.dev/serving v0.48).
func TestNoPodIsKilledWhileItDrains(t *testing.T) {
	usual, err := os.ReadFile("config/knative/functions/settings.env")
	if err != nil {
		t.Fatal(err)
	}
	drain := func(text string) time.Duration {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	_, rest, _ := strings.Cut(string(usual), "\nDRAIN_TIMEOUT=")
	shared, _, _ := strings.Cut(rest, "\n")
	for _, f := range config.Functions() {
		spec, own := readService(t, f).Spec.Template.Spec, drain(shared)
		for _, e := range spec.Containers[0].Env {
			if e.Name == "DRAIN_TIMEOUT" {
				own = drain(e.Value)
			}
		}
		if killed := time.Duration(spec.TimeoutSeconds) * time.Second; own+30*time.Second > killed {
			t.Errorf("%s drains for %v and is killed after %v", f, own, killed)
		}
	}
}

// What is not set in settings.env has its default: a name that is spelt wrong
// would be a setting without effect.
func TestSettingsAreVariablesThatThereAre(t *testing.T) {
	text, err := os.ReadFile("config/knative/functions/settings.env")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, _, found := strings.Cut(line, "=")
		if found && !strings.HasPrefix(line, "#") && !strings.Contains(string(readme), "| `"+name+"` |") {
			t.Errorf("settings.env has %s, which README.md does not know", name)
		}
	}
}
