package heimdallplugin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
)

// Error is a job's error document.
type Error struct {
	Code      string  `json:"code"`
	Message   string  `json:"message"`
	Hint      string  `json:"hint"`
	Line      int     `json:"line"`
	Column    int     `json:"column"`
	Retryable bool    `json:"retryable"`
	AWSCode   string  `json:"aws_code"`
	RequestID string  `json:"request_id"`
	Partial   Partial `json:"partial"`

	// Misuse is true where the call itself was wrong, not the job.
	Misuse bool `json:"-"`
}

// Partial says how far a failed job had come, and what it had cost by then where that is known.
type Partial struct {
	Rows      uint64  `json:"rows"`
	Pages     uint64  `json:"pages"`
	NextToken *string `json:"next_token"`

	Requests              *uint64  `json:"requests,omitempty"`
	Retries               *uint64  `json:"retries,omitempty"`
	WireBytes             *uint64  `json:"wire_bytes,omitempty"`
	ConsumedCapacityUnits *float64 `json:"consumed_capacity_units,omitempty"`
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Code + ": " + e.Message
	}
	return e.Code + ": " + e.Message + " (" + e.Hint + ")"
}

// Is makes errors.Is(err, context.Canceled) and errors.Is(err, context.DeadlineExceeded) work.
func (e *Error) Is(target error) bool {
	return e.Code == "CANCELLED" && target == context.Canceled ||
		e.Code == "TIMEOUT" && target == context.DeadlineExceeded
}

func newError(status int, document []byte) error {
	var read struct {
		Error *Error `json:"error"`
	}
	if err := json.Unmarshal(document, &read); err != nil || read.Error == nil {
		return fmt.Errorf("heimdallplugin: status %d without an error document", status)
	}
	read.Error.Misuse = status == 2
	return read.Error
}

var jobs atomic.Uint64

// withID is the job with an id, and that id. The document's text is left as it is: the plugin judges it, not this package.
// What is no object, or has an id that is no text, is passed on with none.
func withID(job []byte) ([]byte, string) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(job, &fields) != nil || fields == nil {
		return job, ""
	}
	if field, found := fields["id"]; found {
		var id string
		_ = json.Unmarshal(field, &id)
		return job, id
	}
	id := fmt.Sprintf("heimdallplugin-%d", jobs.Add(1))
	field := fmt.Sprintf(`{"id":%q`, id)
	if len(fields) > 0 {
		field += ","
	}
	return bytes.Replace(job, []byte("{"), []byte(field), 1), id
}
