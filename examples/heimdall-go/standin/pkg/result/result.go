// Package result stands in for Heimdall's package of the same path.
package result

import "github.com/patterninc/heimdall/pkg/result/column"

// Result is a job's rows.
type Result struct {
	Columns []*column.Column `json:"columns,omitempty"`
	Data    [][]any          `json:"data,omitempty"`
}
