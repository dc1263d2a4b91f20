// Command convert is the function that turns videos into audio, by itself.
package main

import (
	"github.com/opengundumstyle/audio-alchemist/cmd/internal/run"
	"github.com/opengundumstyle/audio-alchemist/compose/convert"
)

func main() { run.Function(convert.New) }
