// Package context stands in for Heimdall's package of the same path: only what dynamo.go touches, with the same signatures.
package context

import "encoding/json"

// Context is a job's, a command's or a cluster's context.
type Context map[string]any

// Unmarshal reads the context into v.
func (c *Context) Unmarshal(v any) error {
	text, err := json.Marshal(*c)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}
