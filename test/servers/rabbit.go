package servers

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// NewRabbit starts a RabbitMQ server over a new folder in dir.
func NewRabbit(dir string) (*Server, error) { return newRabbit(dir, "") }

// NewManagedRabbit is NewRabbit with the management API, which the operators
// of Kubernetes work with.
func NewManagedRabbit(dir string) (*Server, error) { return newRabbit(dir, "rabbitmq_management") }

func newRabbit(dir, plugins string) (*Server, error) {
	// Not the wrapper in PATH, which insists on a user of its own.
	daemon, err := find("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")
	if err != nil {
		return nil, err
	}
	mapper, err := find("epmd")
	if err != nil {
		return nil, err
	}
	var ports [5]int // AMQP, Erlang's distribution, its port mapper, the management API, AMQP over TLS
	for i := range ports {
		if ports[i], err = FreePort(); err != nil {
			return nil, err
		}
	}
	if dir, err = os.MkdirTemp(dir, "rabbit-*"); err != nil {
		return nil, err
	}
	certificate, err := NewCertificate(dir)
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf("listeners.tcp.local = %s\nnum_acceptors.tcp = 2\nlog.file = false\nlog.console = true\nlog.console.level = warning\n"+
		"disk_free_limit.absolute = 64MB\nloopback_users = none\n", local(ports[0]))
	config += fmt.Sprintf("listeners.ssl.local = %s\nssl_options.certfile = %s\nssl_options.keyfile = %s\nssl_options.verify = verify_none\n",
		local(ports[4]), certificate.File, certificate.Key)
	if plugins != "" {
		config += fmt.Sprintf("management.tcp.ip = %s\nmanagement.tcp.port = %d\n", host(), ports[3])
	}
	for name, content := range map[string]string{"rabbitmq.conf": config, "enabled_plugins": "[" + plugins + "].\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	node := "alchemist" + strconv.Itoa(ports[0])
	env := append(os.Environ(),
		"HOME="+dir, "RABBITMQ_NODENAME="+node+"@localhost", "RABBITMQ_BASE="+dir, "RABBITMQ_MNESIA_BASE="+filepath.Join(dir, "data"), "RABBITMQ_LOG_BASE="+dir,
		"RABBITMQ_CONFIG_FILE="+filepath.Join(dir, "rabbitmq.conf"), "RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(dir, "enabled_plugins"),
		"RABBITMQ_CONF_ENV_FILE="+filepath.Join(dir, "none"), "RABBITMQ_PID_FILE="+filepath.Join(dir, "pid"),
		"RABBITMQ_DIST_PORT="+strconv.Itoa(ports[1]), "ERL_EPMD_PORT="+strconv.Itoa(ports[2]), "ERL_EPMD_ADDRESS=127.0.0.1",
		// It then becomes the server itself instead of a shell that watches it.
		"RUNNING_UNDER_SYSTEMD=1",
		// Schedulers that sleep when there is nothing to do.
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
	)
	names, err := open(&Server{
		name: "epmd", dir: filepath.Join(dir, "epmd"),
		command: func() *exec.Cmd {
			return command(mapper, "-address", "127.0.0.1", "-port", strconv.Itoa(ports[2]))
		},
		ready: func(ctx context.Context) error {
			return dial(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[2])))
		},
	})
	if err != nil {
		return nil, err
	}
	url := "amqp://guest:guest@" + local(ports[0]) + "/"
	return open(&Server{
		name: "RabbitMQ", dir: dir, url: url, secure: "amqps://guest:guest@" + local(ports[4]) + "/?cacertfile=" + certificate.File, management: "http://guest:guest@" + local(ports[3]), close: []func(){func() { _ = names.Remove() }}, env: env,
		command: func() *exec.Cmd {
			cmd := command(daemon)
			cmd.Env = env
			return cmd
		},
		ready: func(context.Context) error {
			conn, err := amqp.DialConfig(url, amqp.Config{Dial: amqp.DefaultDial(time.Second)})
			if err != nil {
				return err
			}
			return conn.Close()
		},
	})
}

// Management is where the API of a server of NewManagedRabbit is.
func (s *Server) Management() string { return s.management }

// Control runs rabbitmqctl on a server that NewRabbit has started.
func (s *Server) Control(ctx context.Context, args ...string) error {
	program, err := control()
	if err != nil {
		return err
	}
	return s.run(exec.CommandContext(ctx, program, args...))
}

// Shell runs a script of sh in a folder, up to the first command that fails.
// Its rabbitmqctl is that of Control.
func (s *Server) Shell(ctx context.Context, dir, script string) error {
	program, err := control()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "sh", "-euc", "PATH="+filepath.Dir(program)+":$PATH\n"+script) // #nosec G204 -- a test's own
	cmd.Dir = dir
	return s.run(cmd)
}

func control() (string, error) { return find("/usr/lib/rabbitmq/bin/rabbitmqctl", "rabbitmqctl") }

// run runs what controls the server.
func (s *Server) run(cmd *exec.Cmd) error {
	cmd.Env = s.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
	}
	return nil
}

func dial(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}
