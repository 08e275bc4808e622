// Package main is Heimdall's plugin `dynamo`, the work done by libdynamo_plugin.so: see the README beside this file.
package main

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// From heimdall_plugin.h, ABI 1.0, which this file does without: Heimdall's build compiles it alone.
typedef struct { uint32_t magic, struct_size, abi_major, abi_minor; const char *name, *version, *features; } hp_info;
typedef struct { uint8_t *data; size_t len; size_t capacity; } hp_buffer;
typedef struct {
    uint32_t struct_size; uint32_t reserved; void *user;
    void (*log)(void *user, int32_t level, const char *target, const uint8_t *message, size_t len);
} hp_host;
typedef struct {
    uint32_t struct_size; uint32_t reserved; void *user; uint64_t timeout_ms;
    void (*progress)(void *user, uint64_t rows, uint64_t pages, uint64_t wire_bytes);
} hp_call;

static struct {
    const hp_info *(*plugin_info)(void);
    int32_t (*plugin_open)(const hp_host *, const uint8_t *, size_t, hp_buffer *);
    int32_t (*run_job)(const uint8_t *, size_t, const hp_call *, hp_buffer *);
    int32_t (*cancel_job)(const uint8_t *, size_t);
    int32_t (*check_health)(const uint8_t *, size_t, const hp_call *, hp_buffer *);
    void (*free_buffer)(hp_buffer *);
} lib;

// A Go handle is a small number, and Go stops the process where it finds one in a pointer: it crosses as the number that it is.
extern void heimdallDynamoLog(int32_t level, char *target, uint8_t *message, size_t len);
extern void heimdallDynamoProgress(uintptr_t handle, uint64_t rows, uint64_t pages, uint64_t wire_bytes);

static void on_log(void *user, int32_t level, const char *target, const uint8_t *message, size_t len) {
    (void)user;
    heimdallDynamoLog(level, (char *)target, (uint8_t *)message, len);
}
static void on_progress(void *user, uint64_t rows, uint64_t pages, uint64_t wire_bytes) {
    heimdallDynamoProgress((uintptr_t)user, rows, pages, wire_bytes);
}

// NULL when all is well, else the reason.
static const char *lib_load(const char *path) {
    static const char *const names[] = {"plugin_info", "plugin_open", "run_job", "cancel_job", "check_health", "free_buffer"};
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) return dlerror();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *symbol = dlsym(handle, names[i]);
        if (symbol == NULL) return dlerror();
        memcpy((char *)&lib + i * sizeof symbol, &symbol, sizeof symbol);
    }
    const hp_info *info = lib.plugin_info();
    return info->magic == 0x4850464Du && info->abi_major == 1 ? NULL : "it speaks another ABI";
}
static int32_t lib_open(hp_buffer *out) {
    hp_host host = {.struct_size = sizeof host, .log = on_log};
    return lib.plugin_open(&host, NULL, 0, out);
}
// `handle` 0: no progress.
static int32_t lib_call(int health, const uint8_t *text, size_t len, uint64_t timeout_ms, uintptr_t handle, hp_buffer *out) {
    hp_call call = {.struct_size = sizeof call, .user = (void *)handle, .timeout_ms = timeout_ms};
    call.progress = handle == 0 ? NULL : on_progress;
    return health ? lib.check_health(text, len, &call, out) : lib.run_job(text, len, &call, out);
}
static int32_t lib_cancel(const uint8_t *id, size_t len) { return lib.cancel_job(id, len); }
static void lib_free(hp_buffer *out) { lib.free_buffer(out); }
static const hp_info *lib_info(void) { return lib.plugin_info(); }
*/
import "C"

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/cgo"
	"strings"
	"sync"
	"time"
	"unsafe"

	heimdallContext "github.com/patterninc/heimdall/pkg/context"
	"github.com/patterninc/heimdall/pkg/object/cluster"
	"github.com/patterninc/heimdall/pkg/object/job"
	"github.com/patterninc/heimdall/pkg/plugin"
	"github.com/patterninc/heimdall/pkg/result"
	"github.com/patterninc/heimdall/pkg/result/column"
)

const (
	libraryVariable = "HEIMDALL_DYNAMO_LIBRARY"
	defaultLibrary  = "/usr/local/lib/heimdall/libdynamo_plugin.so"
)

// handler is one command: its context holds the operator's defaults and ceilings.
type handler struct {
	context *heimdallContext.Context
}

// section is a command or a cluster in a job document.
type section struct {
	Name    string                   `json:"name,omitempty"`
	Context *heimdallContext.Context `json:"context,omitempty"`
}

// document is a job as the library takes it.
type document struct {
	ID      string                   `json:"id,omitempty"`
	Name    string                   `json:"name,omitempty"`
	Version string                   `json:"version,omitempty"`
	User    string                   `json:"user,omitempty"`
	Context *heimdallContext.Context `json:"context,omitempty"`
	Command section                  `json:"command"`
	Cluster section                  `json:"cluster"`
}

// New is called by Heimdall, once for each command that names this plugin.
func New(commandContext *heimdallContext.Context) (plugin.Handler, error) {
	if err := library(); err != nil {
		return nil, err
	}
	return &handler{context: commandContext}, nil
}

// library loads and opens the library, once per process; it stays open until the process ends.
var library = sync.OnceValue(func() error {
	path := os.Getenv(libraryVariable)
	if path == "" {
		path = defaultLibrary
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	if reason := C.lib_load(name); reason != nil {
		return fmt.Errorf("cannot load the library %s (%s names it): %s", path, libraryVariable, C.GoString(reason))
	}
	var out C.hp_buffer
	status := C.lib_open(&out)
	if _, err := take(status, &out); err != nil {
		return fmt.Errorf("cannot open the library %s: %w", path, err)
	}
	return nil
})

// Execute runs one job and sets its result.
func (h *handler) Execute(ctx context.Context, r *plugin.Runtime, j *job.Job, c *cluster.Cluster) error {
	var stderr io.Writer = io.Discard
	if r != nil && r.Stderr != nil {
		stderr = r.Stderr
	}
	text, err := json.Marshal(document{
		ID: j.ID, Name: j.Name, Version: j.Version, User: j.User, Context: j.Context,
		Command: section{Context: h.context},
		Cluster: clusterSection(c),
	})
	if err != nil {
		return fmt.Errorf("the job's context is no JSON: %w", err)
	}
	sinks.Store(j.ID, stderr)
	defer sinks.Delete(j.ID)
	answer, err := call(ctx, false, text, j.ID, stderr)
	if err != nil {
		return err
	}
	j.Result, err = read(answer, stderr)
	return err
}

// Cleanup is called for a job that Heimdall has given up; nothing of a job outlives it but the job itself.
func (h *handler) Cleanup(_ context.Context, jobID string, _ *cluster.Cluster) error {
	cancel(jobID)
	return nil
}

// HealthCheck asks whether the cluster can be worked with.
func (h *handler) HealthCheck(ctx context.Context, c *cluster.Cluster) error {
	text, err := json.Marshal(clusterSection(c))
	if err != nil {
		return fmt.Errorf("the cluster's context is no JSON: %w", err)
	}
	_, err = call(ctx, true, text, "", nil)
	return err
}

func clusterSection(c *cluster.Cluster) section {
	if c == nil {
		return section{}
	}
	return section{Name: c.Name, Context: c.Context}
}

// call makes one call of the library; ctx's deadline goes with it, and its end cancels the job under jobID.
func call(ctx context.Context, health bool, text []byte, jobID string, progress io.Writer) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var timeout time.Duration
	if deadline, ok := ctx.Deadline(); ok {
		timeout = max(time.Millisecond, time.Until(deadline))
	}
	over := make(chan struct{})
	var watch sync.WaitGroup
	watch.Add(1)
	go func() {
		defer watch.Done()
		cancelAtEnd(ctx, jobID, over)
	}()
	var handle cgo.Handle
	if progress != nil {
		handle = cgo.NewHandle(progress)
		defer handle.Delete()
	}
	kind := C.int(0)
	if health {
		kind = 1
	}
	var out C.hp_buffer
	status := C.lib_call(kind, (*C.uint8_t)(unsafe.SliceData(text)), C.size_t(len(text)),
		C.uint64_t(timeout.Milliseconds()), C.uintptr_t(handle), &out)
	close(over)
	watch.Wait()
	answer, err := take(status, &out)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return answer, err
}

// cancelAtEnd cancels the job when ctx ends, again and again until the library has heard it: it may not have begun.
func cancelAtEnd(ctx context.Context, jobID string, over <-chan struct{}) {
	select {
	case <-over:
		return
	case <-ctx.Done():
	}
	for jobID != "" && !cancel(jobID) {
		select {
		case <-over:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func cancel(jobID string) bool {
	id := []byte(jobID)
	return len(id) > 0 && C.lib_cancel((*C.uint8_t)(unsafe.SliceData(id)), C.size_t(len(id))) == 0
}

// take copies the library's document and gives its memory back; an error document becomes an error.
func take(status C.int32_t, out *C.hp_buffer) ([]byte, error) {
	text := bytes.Clone(unsafe.Slice((*byte)(out.data), int(out.len)))
	C.lib_free(out)
	if status == 0 {
		return text, nil
	}
	var failed struct {
		Error struct{ Code, Message, Hint string }
	}
	if err := json.Unmarshal(text, &failed); err != nil || failed.Error.Code == "" {
		return nil, fmt.Errorf("the library answered status %d without an error document", status)
	}
	if failed.Error.Hint == "" {
		return nil, fmt.Errorf("%s: %s", failed.Error.Code, failed.Error.Message)
	}
	return nil, fmt.Errorf("%s: %s (hint: %s)", failed.Error.Code, failed.Error.Message, failed.Error.Hint)
}

// read makes Heimdall's result of a result document. Its cells stay the document's own bytes: a number keeps all its digits.
func read(answer []byte, stderr io.Writer) (*result.Result, error) {
	var parts struct {
		Columns []struct{ Name, Type string }
		Data    json.RawMessage
		Stats   json.RawMessage
	}
	if err := json.Unmarshal(answer, &parts); err != nil {
		return nil, fmt.Errorf("the library's result is not understood: %w", err)
	}
	fmt.Fprintf(stderr, "stats: %s\n", parts.Stats)
	read := &result.Result{Columns: make([]*column.Column, 0, len(parts.Columns)), Data: [][]any{}}
	for _, c := range parts.Columns {
		read.Columns = append(read.Columns, &column.Column{Name: c.Name, Type: column.Type(c.Type)})
	}
	elements(parts.Data, func(row []byte) {
		cells := make([]any, 0, len(parts.Columns))
		elements(row, func(cell []byte) { cells = append(cells, json.RawMessage(cell)) })
		read.Data = append(read.Data, cells)
	})
	return read, nil
}

// elements gives each element of a JSON array that is known to be valid.
func elements(array []byte, give func([]byte)) {
	array = bytes.TrimSpace(array)
	if len(array) < 2 || array[0] != '[' {
		return
	}
	depth, start := 0, 1
	for i := 1; i < len(array); i++ {
		switch array[i] {
		case '"':
			for i++; array[i] != '"'; i++ {
				if array[i] == '\\' {
					i++
				}
			}
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		}
		if depth < 0 || depth == 0 && array[i] == ',' {
			if element := bytes.TrimSpace(array[start:i]); len(element) > 0 {
				give(element[:len(element):len(element)])
			}
			start = i + 1
		}
	}
}

// sinks holds the stderr of each job under way, by its id. The library leads a job's log lines with `job=ID `.
var sinks sync.Map

//export heimdallDynamoLog
func heimdallDynamoLog(level C.int32_t, target *C.char, message *C.uint8_t, length C.size_t) {
	line := string(unsafe.Slice((*byte)(message), int(length)))
	var sink io.Writer = os.Stderr
	if rest, found := strings.CutPrefix(line, "job="); found {
		id, _, _ := strings.Cut(rest, " ")
		if own, found := sinks.Load(id); found {
			sink = own.(io.Writer)
		}
	}
	names := [...]string{"error", "warn", "info", "debug", "trace"}
	fmt.Fprintf(sink, "%s %s: %s\n", names[min(max(int(level), 1), len(names))-1], C.GoString(target), line)
}

//export heimdallDynamoProgress
func heimdallDynamoProgress(handle C.uintptr_t, rows, pages, wireBytes C.uint64_t) {
	sink := cgo.Handle(handle).Value().(io.Writer)
	fmt.Fprintf(sink, "progress: %d rows, %d pages, %d bytes\n", uint64(rows), uint64(pages), uint64(wireBytes))
}
