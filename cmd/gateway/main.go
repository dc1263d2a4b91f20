// Command gateway is the one origin in front of the functions that people
// call, by itself.
package main

import (
	"github.com/opengundumstyle/audio-alchemist/cmd/internal/run"
	"github.com/opengundumstyle/audio-alchemist/compose/gateway"
)

func main() { run.Function(gateway.New) }
