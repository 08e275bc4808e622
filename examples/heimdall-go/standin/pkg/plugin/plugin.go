// Package plugin stands in for Heimdall's package of the same path.
package plugin

import (
	"context"
	"os"

	"github.com/patterninc/heimdall/pkg/object/cluster"
	"github.com/patterninc/heimdall/pkg/object/job"
)

// Runtime is what a job may write to.
type Runtime struct {
	Stdout *os.File
	Stderr *os.File
}

// Handler runs the jobs of one command.
type Handler interface {
	Execute(context.Context, *Runtime, *job.Job, *cluster.Cluster) error
	Cleanup(ctx context.Context, jobID string, c *cluster.Cluster) error
}

// HealthChecker is a handler that can say how a cluster is.
type HealthChecker interface {
	HealthCheck(ctx context.Context, c *cluster.Cluster) error
}
