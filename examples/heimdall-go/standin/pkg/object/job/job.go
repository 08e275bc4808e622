// Package job stands in for Heimdall's package of the same path.
package job

import (
	"github.com/patterninc/heimdall/pkg/object"
	"github.com/patterninc/heimdall/pkg/result"
)

// Job is one job.
type Job struct {
	object.Object
	Result *result.Result `json:"result,omitempty"`
}
