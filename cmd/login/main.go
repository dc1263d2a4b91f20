// Command login is the function that knows who people are, by itself.
package main

import (
	"github.com/opengundumstyle/audio-alchemist/cmd/internal/run"
	"github.com/opengundumstyle/audio-alchemist/compose/login"
)

func main() { run.Function(login.New) }
