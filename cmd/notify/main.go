// Command notify is the function that tells people what became of their jobs, by itself.
package main

import (
	"github.com/opengundumstyle/audio-alchemist/cmd/internal/run"
	"github.com/opengundumstyle/audio-alchemist/compose/notify"
)

func main() { run.Function(notify.New) }
