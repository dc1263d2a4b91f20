// Command download is the function that gives results out, by itself.
package main

import (
	"github.com/opengundumstyle/audio-alchemist/cmd/internal/run"
	"github.com/opengundumstyle/audio-alchemist/compose/download"
)

func main() { run.Function(download.New) }
