// Command mongo is a server of MongoDB's wire protocol for tests and for
// `make run-servers`: FerretDB, version 1, over SQLite files in one folder.
// It is not for production. See README.md for what it cannot do.
//
//	mongo -listen 127.0.0.1:27017 -data DIR [-tls 127.0.0.1:27018 -cert FILE -key FILE]
//
// It writes nothing outside of DIR, asks no password and reports to nobody.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:27017", "address and port")
	data := flag.String("data", "", "folder of the databases, made if it is missing")
	secure := flag.String("tls", "", "address and port for TLS, if any")
	cert := flag.String("cert", "", "certificate for TLS, a PEM file")
	key := flag.String("key", "", "key of the certificate, a PEM file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, ferretdb.ListenerConfig{TCP: *listen, TLS: *secure, TLSCertFile: *cert, TLSKeyFile: *key}, *data); err != nil {
		fmt.Fprintln(os.Stderr, "mongo:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends and every connection is closed.
func run(ctx context.Context, listen ferretdb.ListenerConfig, data string) error {
	if data == "" {
		return fmt.Errorf("-data: want a folder, found nothing")
	}
	dir, err := filepath.Abs(data)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  listen,
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		Handler:   "sqlite",
		SQLiteURL: address(dir),
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "mongo: for tests only, not for production; listening on %s, data in %s\n", listen.TCP, dir)
	return server.Run(ctx)
}

// address is the folder as FerretDB wants it. A commit survives the end of
// the process, not that of the machine: nothing more is asked of a server for
// tests, and each commit takes a fraction of the time.
func address(dir string) string {
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: dir + "/"}).EscapedPath(), RawQuery: "_pragma=synchronous(normal)"}).String()
}
