// Kn-alchemist is the plugin "kn alchemist" of Knative's kn: it administers a
// system of any place, and converts videos with it. It speaks HTTP to the
// gateway only.
package main

import (
	"os"

	"github.com/opengundumstyle/audio-alchemist/cmd/kn-alchemist/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
