package heimdallplugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
)

// Row is one row of a result: a value for each column known by then, as JSON. Columns that come with later rows are null in it.
type Row struct {
	Columns []string
	Values  []json.RawMessage
}

// takeLines gets whole lines of a result and says whether it wants more. It may block.
type takeLines func(lines []byte) bool

// Rows runs a job and gives its rows as they come, so that a result may be larger than memory: a loop that takes its time holds up the
// job. Leaving the loop ends the job. An error is the last thing that comes; it says CANCELLED or TIMEOUT where ctx ended first.
//
//	for row, err := range library.Rows(ctx, job) {
//
// The library needs the feature "rows".
func (l *Library) Rows(ctx context.Context, job []byte) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if !slices.Contains(l.Features, "rows") {
			yield(Row{}, errors.New("heimdallplugin: this library hands no rows over as they come"))
			return
		}
		lines, left := make(chan []byte), make(chan struct{})
		failed := make(chan error, 1)
		go func() {
			// The plugin calls on a thread of its own; the loop's body runs where the loop is.
			_, err := l.rowsOf(ctx, job, func(more []byte) bool {
				select {
				case lines <- more:
					return true
				case <-left:
					return false
				}
			})
			failed <- err
			close(lines)
		}()
		var columns []string
		for more := range lines {
			if !yieldLines(more, &columns, yield) {
				close(left)
				<-failed // The job has ended when the loop is left.
				return
			}
		}
		if err := <-failed; err != nil {
			yield(Row{}, err)
		}
	}
}

func yieldLines(lines []byte, columns *[]string, yield func(Row, error) bool) bool {
	for line := range bytes.Lines(lines) {
		if line[0] == '{' {
			var named struct{ Columns []string }
			if err := json.Unmarshal(line, &named); err != nil {
				yield(Row{}, err)
				return false
			}
			// A new list, so that rows given before keep theirs.
			*columns = append(append([]string(nil), *columns...), named.Columns...)
			continue
		}
		row := Row{Columns: *columns}
		if err := json.Unmarshal(line, &row.Values); err != nil || len(row.Values) != len(row.Columns) {
			yield(Row{}, errors.Join(errors.New("heimdallplugin: a line is no row"), err))
			return false
		}
		if !yield(row, nil) {
			return false
		}
	}
	return true
}
