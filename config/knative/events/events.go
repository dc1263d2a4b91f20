// Package events holds the manifests that join the functions by events. A
// cluster applies them with kustomize; the local broker reads the very same
// files, so that filters, retries and dead letters are written once.
package events

import "embed"

// Manifests holds every YAML file of this folder.
//
//go:embed *.yaml
var Manifests embed.FS
