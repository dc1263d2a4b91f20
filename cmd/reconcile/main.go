// Command reconcile is the function that lets no job end in silence, by itself.
package main

import (
	"github.com/opengundumstyle/audio-alchemist/cmd/internal/run"
	"github.com/opengundumstyle/audio-alchemist/compose/reconcile"
)

func main() { run.Function(reconcile.New) }
