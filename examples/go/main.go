// A host in Go: runs a job with progress and a deadline, takes its rows as they come, cancels one, shows the error of a bad one.
//
//	go run . LIBRARY JOB.json
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/patterninc/heimdall/examples/go/heimdallplugin"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: go run . LIBRARY JOB.json")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(library, jobFile string) error {
	job, err := os.ReadFile(jobFile)
	if err != nil {
		return err
	}
	plugin, err := heimdallplugin.Open(library, func(level int, target, message string) {
		fmt.Fprintln(os.Stderr, level, target, message)
	})
	if err != nil {
		return err
	}
	fmt.Println(plugin.Name, plugin.Version, plugin.Features)

	ctx, done := context.WithTimeout(context.Background(), 30*time.Second)
	defer done()
	result, err := plugin.RunJob(ctx, job, func(rows, pages, wireBytes uint64) {
		fmt.Fprintln(os.Stderr, "progress:", rows, pages, wireBytes)
	})
	if err != nil {
		return err
	}
	fmt.Println("result:", string(result))

	rows := 0
	for row, err := range plugin.Rows(context.Background(), job) {
		if err != nil {
			return err
		}
		if rows++; rows == 1 {
			fmt.Printf("first row: %s %s\n", row.Columns, row.Values)
		}
	}
	fmt.Println("rows as they came:", rows)

	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(10*time.Millisecond, cancel)
	switch result, err = plugin.RunJob(ctx, job, nil); {
	case errors.Is(err, context.Canceled):
		fmt.Println("cancelled:", err)
	case err != nil:
		return err
	default:
		fmt.Println("finished before it was cancelled:", len(result), "bytes")
	}

	var failed *heimdallplugin.Error
	if _, err := plugin.RunJob(context.Background(), []byte(`{"context": 5}`), nil); errors.As(err, &failed) {
		fmt.Printf("bad job: %s: %s, hint: %s\n", failed.Code, failed.Message, failed.Hint)
	}
	return plugin.Close(5 * time.Second)
}
