// Package object stands in for Heimdall's package of the same path.
package object

import "github.com/patterninc/heimdall/pkg/context"

// Object is what jobs and clusters have in common.
type Object struct {
	ID      string           `json:"id,omitempty"`
	Name    string           `json:"name,omitempty"`
	Version string           `json:"version,omitempty"`
	User    string           `json:"user,omitempty"`
	Context *context.Context `json:"context,omitempty"`
}
