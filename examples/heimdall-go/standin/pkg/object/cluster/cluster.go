// Package cluster stands in for Heimdall's package of the same path.
package cluster

import "github.com/patterninc/heimdall/pkg/object"

// Cluster is where a job runs.
type Cluster struct {
	object.Object
}
