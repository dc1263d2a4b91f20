// Command upload is the function that takes videos, by itself.
package main

import (
	"github.com/opengundumstyle/audio-alchemist/cmd/internal/run"
	"github.com/opengundumstyle/audio-alchemist/compose/upload"
)

func main() { run.Function(upload.New) }
