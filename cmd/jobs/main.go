// Command jobs is the function that shows people their jobs, by itself.
package main

import (
	"github.com/opengundumstyle/audio-alchemist/cmd/internal/run"
	"github.com/opengundumstyle/audio-alchemist/compose/jobs"
)

func main() { run.Function(jobs.New) }
