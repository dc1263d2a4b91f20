package servers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// module is this one, for the go command.
const module = "github.com/opengundumstyle/audio-alchemist"

// NewMongo builds the server of test/mongo and starts it over a new folder in
// dir. It speaks MongoDB's protocol; for MongoDB itself there is no package
// in Debian.
func NewMongo(dir string) (*Server, error) {
	goTool, err := find("go")
	if err != nil {
		return nil, err
	}
	var ports [2]int // plain, TLS
	for i := range ports {
		if ports[i], err = FreePort(); err != nil {
			return nil, err
		}
	}
	root, err := command(goTool, "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return nil, fmt.Errorf("find the module: %w", err)
	}
	if dir, err = os.MkdirTemp(dir, "mongo-*"); err != nil {
		return nil, err
	}
	certificate, err := NewCertificate(dir)
	if err != nil {
		return nil, err
	}
	program, data := filepath.Join(dir, "mongo"), filepath.Join(dir, "data")
	build := command(goTool, "build", "-C", filepath.Join(strings.TrimSpace(string(root)), "test", "mongo"), "-o", program, ".")
	// It keeps chunks as JSON and reads all of a collection for one of them.
	// With this the reading takes two thirds of the time.
	build.Env = append(build.Environ(), "GOEXPERIMENT=jsonv2")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build test/mongo: %w\n%s", err, out)
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, err
	}
	url := "mongodb://" + local(ports[0]) + "/alchemist"
	return open(&Server{
		name: "the Mongo-wire server", dir: dir, url: url,
		secure: "mongodb://" + local(ports[1]) + "/alchemist?tls=true&tlsCAFile=" + certificate.File,
		command: func() *exec.Cmd {
			return command(program, "-listen", local(ports[0]), "-data", data, "-tls", local(ports[1]), "-cert", certificate.File, "-key", certificate.Key)
		},
		ready: func(ctx context.Context) error {
			return inMongo(ctx, url, func(ctx context.Context, c *mongo.Client) error { return c.Ping(ctx, nil) })
		},
	})
}

// inMongo connects for the time of a call.
func inMongo(ctx context.Context, url string, do func(context.Context, *mongo.Client) error) error {
	client, err := mongo.Connect(options.Client().ApplyURI(url).SetServerSelectionTimeout(2 * time.Second))
	if err != nil {
		return err
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }()
	return do(ctx, client)
}
