// Package column stands in for Heimdall's package of the same path.
package column

// Column is one column of a result.
type Column struct {
	Name string `json:"name,omitempty"`
	Type Type   `json:"type,omitempty"`
}

// Type is a column's type.
type Type string
