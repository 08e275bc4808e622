// Loads dynamo.go, built as a Go plugin, as Heimdall does, and runs one job on it: against the stand-ins beside it, or inside
// a checkout of Heimdall.
//
//	run PLUGIN.so JOB.json [CANCEL_AFTER]
package main

import (
	stdcontext "context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	goplugin "plugin"
	"time"

	"github.com/patterninc/heimdall/pkg/context"
	"github.com/patterninc/heimdall/pkg/object"
	"github.com/patterninc/heimdall/pkg/object/cluster"
	"github.com/patterninc/heimdall/pkg/object/job"
	"github.com/patterninc/heimdall/pkg/plugin"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type section struct {
	Name    string           `json:"name"`
	Context *context.Context `json:"context"`
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: run PLUGIN.so JOB.json [CANCEL_AFTER]")
	}
	text, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	var document struct {
		ID, Name string
		Context  *context.Context
		Command  section
		Cluster  section
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return err
	}
	opened, err := goplugin.Open(args[0])
	if err != nil {
		return err
	}
	symbol, err := opened.Lookup("New")
	if err != nil {
		return err
	}
	// Heimdall calls New once for each command, here for two.
	newHandler := symbol.(func(*context.Context) (plugin.Handler, error))
	if _, err := newHandler(nil); err != nil {
		return err
	}
	handler, err := newHandler(document.Command.Context)
	if err != nil {
		return err
	}
	ctx := stdcontext.Background()
	c := &cluster.Cluster{Object: object.Object{Name: document.Cluster.Name, Context: document.Cluster.Context}}
	if err := handler.(plugin.HealthChecker).HealthCheck(ctx, c); err != nil {
		return fmt.Errorf("health: %w", err)
	}
	if len(args) > 2 {
		cancelAfter, err := time.ParseDuration(args[2])
		if err != nil {
			return err
		}
		var cancel stdcontext.CancelFunc
		ctx, cancel = stdcontext.WithCancel(ctx)
		time.AfterFunc(cancelAfter, cancel)
	}
	j := &job.Job{Object: object.Object{ID: document.ID, Name: document.Name, User: "alice", Context: document.Context}}
	err = handler.Execute(ctx, &plugin.Runtime{Stdout: os.Stdout, Stderr: os.Stderr}, j, c)
	if err := handler.Cleanup(ctx, j.ID, c); err != nil {
		return fmt.Errorf("cleanup: %w", err)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(j.Result)
}
