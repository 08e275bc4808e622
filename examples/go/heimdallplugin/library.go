// Package heimdallplugin runs jobs on a Heimdall plugin library, such as libdynamo_plugin.so, inside this process.
//
// A context's cancellation and deadline reach the job; a failed job is an *Error with the code, message and hint of its
// error document. All methods may be called from any number of goroutines; each call holds one operating-system thread
// while it lasts. A library stays loaded until the process ends.
package heimdallplugin

/*
// The header lies in plugin-api/include of a checkout, in include of an installation; the loader is the C example's.
#cgo CFLAGS: -I${SRCDIR}/../../../plugin-api/include -I${SRCDIR}/../../../include -I${SRCDIR}/../../c
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "heimdall_host.h"

// A Go handle is a small number, and Go stops the process where it finds one in a pointer: it crosses as the number that it is.
extern void heimdallPluginLog(uintptr_t handle, int32_t level, char *target, uint8_t *message, size_t len);
extern void heimdallPluginProgress(uintptr_t handle, uint64_t rows, uint64_t pages, uint64_t wire_bytes);
extern int32_t heimdallPluginRows(uintptr_t handle, uint8_t *lines, size_t len);

static void on_log(void *user, int32_t level, const char *target, const uint8_t *message, size_t len) {
    heimdallPluginLog((uintptr_t)user, level, (char *)target, (uint8_t *)message, len);
}
static void on_progress(void *user, uint64_t rows, uint64_t pages, uint64_t wire_bytes) {
    heimdallPluginProgress((uintptr_t)user, rows, pages, wire_bytes);
}

static int32_t on_rows(void *user, const uint8_t *lines, size_t len) {
    return heimdallPluginRows((uintptr_t)user, (uint8_t *)lines, len);
}

// Go cannot call C's function pointers. Handle 0: nobody listens.
static int32_t lib_open(const hp_library *lib, uintptr_t handle, hp_buffer *out) {
    hp_host host = {.struct_size = sizeof host, .user = (void *)handle};
    host.log = handle == 0 ? NULL : on_log;
    return lib->plugin_open(&host, NULL, 0, out);
}
static hp_call lib_call(uintptr_t handle, uint64_t timeout_ms) {
    hp_call call = {.struct_size = sizeof call, .user = (void *)handle, .timeout_ms = timeout_ms};
    call.progress = handle == 0 ? NULL : on_progress;
    return call;
}
static int32_t lib_run(const hp_library *lib, const uint8_t *job, size_t len, uintptr_t handle, uint64_t timeout_ms, hp_buffer *out) {
    hp_call call = lib_call(handle, timeout_ms);
    return lib->run_job(job, len, &call, out);
}
static int32_t lib_rows(const hp_library *lib, const uint8_t *job, size_t len, uintptr_t handle, uint64_t timeout_ms, hp_buffer *out) {
    hp_call call = {.struct_size = sizeof call, .user = (void *)handle, .timeout_ms = timeout_ms, .rows = on_rows};
    return lib->run_job(job, len, &call, out);
}
static int32_t lib_health(const hp_library *lib, const uint8_t *cluster, size_t len, uint64_t timeout_ms, hp_buffer *out) {
    hp_call call = lib_call(0, timeout_ms);
    return lib->check_health(cluster, len, &call, out);
}
static int32_t lib_cancel(const hp_library *lib, const uint8_t *id, size_t len) { return lib->cancel_job(id, len); }
static int32_t lib_close(const hp_library *lib, uint64_t within_ms, hp_buffer *out) { return lib->plugin_close(within_ms, out); }
static void lib_free(const hp_library *lib, hp_buffer *buffer) { lib->free_buffer(buffer); }
static const hp_info *lib_info(const hp_library *lib) { return lib->plugin_info(); }
*/
import "C"

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"runtime/cgo"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"
)

// Log takes one log line: level 1 is error, 5 is trace. It is called from several threads at once.
type Log func(level int, target, message string)

// Progress takes a job's totals after each page, one call at a time.
type Progress func(rows, pages, wireBytes uint64)

// Library is an open plugin library.
type Library struct {
	Name, Version string
	Features      []string

	functions C.hp_library
	log       atomic.Uintptr // A cgo.Handle, or 0.
}

// Open loads the library at path and opens its plugin. log may be nil.
func Open(path string, log Log) (*Library, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	library := new(Library)
	if C.hp_load(name, &library.functions) != 0 {
		return nil, fmt.Errorf("heimdallplugin: cannot load %s (the reason is on stderr)", path)
	}
	info := C.lib_info(&library.functions)
	library.Name, library.Version = C.GoString(info.name), C.GoString(info.version)
	library.Features = strings.Fields(C.GoString(info.features))
	if log != nil {
		library.log.Store(uintptr(cgo.NewHandle(log)))
	}
	var out C.hp_buffer
	status := C.lib_open(&library.functions, C.uintptr_t(library.log.Load()), &out)
	if _, err := library.take(status, &out); err != nil {
		library.forgetLog()
		return nil, err
	}
	return library, nil
}

// RunJob runs a job document and returns its result document. progress may be nil.
//
// Where ctx ends first, the job is told so and its error says CANCELLED or TIMEOUT; errors.Is knows them as
// context.Canceled and context.DeadlineExceeded. Cancelling goes by the document's id and stops every job that has it; a
// document without one gets one here.
func (l *Library) RunJob(ctx context.Context, job []byte, progress Progress) ([]byte, error) {
	var user cgo.Handle
	if progress != nil {
		user = cgo.NewHandle(progress)
		defer user.Delete()
	}
	return l.run(ctx, job, func(data *C.uint8_t, length C.size_t, timeout C.uint64_t, out *C.hp_buffer) C.int32_t {
		return C.lib_run(&l.functions, data, length, C.uintptr_t(user), timeout, out)
	})
}

// run makes a call that ctx can end.
func (l *Library) run(ctx context.Context, job []byte,
	call func(data *C.uint8_t, length C.size_t, timeout C.uint64_t, out *C.hp_buffer) C.int32_t) ([]byte, error) {
	timeout, err := timeoutMillis(ctx)
	if err != nil {
		return nil, err
	}
	if ctx.Done() != nil {
		var id string
		job, id = withID(job)
		if id != "" {
			stop := l.cancelWhenDone(ctx, id)
			defer stop()
		}
	}
	var out C.hp_buffer
	data, length := input(job)
	return l.take(call(data, length, timeout, &out), &out)
}

// CheckHealth asks whether a job document's cluster object can be worked with.
func (l *Library) CheckHealth(ctx context.Context, cluster []byte) ([]byte, error) {
	timeout, err := timeoutMillis(ctx)
	if err != nil {
		return nil, err
	}
	var out C.hp_buffer
	data, length := input(cluster)
	status := C.lib_health(&l.functions, data, length, timeout, &out)
	return l.take(status, &out)
}

// CancelJob asks every job under that id to stop and says whether there was one.
func (l *Library) CancelJob(id string) bool {
	data, length := input([]byte(id))
	return C.lib_cancel(&l.functions, data, length) == 0
}

// Close lets jobs under way finish within that time, then cancels them and ends every thread of the library.
func (l *Library) Close(within time.Duration) error {
	var out C.hp_buffer
	status := C.lib_close(&l.functions, C.uint64_t(max(0, within.Milliseconds())), &out)
	_, err := l.take(status, &out)
	if err == nil {
		l.forgetLog() // No log line comes any more.
	}
	return err
}

// cancelWhenDone cancels the job when ctx is done; the function that it returns ends the watch.
func (l *Library) cancelWhenDone(ctx context.Context, id string) (stop func()) {
	over, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-over:
			return
		case <-ctx.Done():
		}
		// Until it is told: the call may be on its way to the library still.
		for !l.CancelJob(id) {
			select {
			case <-over:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return func() {
		close(over)
		<-watched
	}
}

// take copies a document out of the plugin's memory and gives that back.
func (l *Library) take(status C.int32_t, out *C.hp_buffer) ([]byte, error) {
	document := bytes.Clone(unsafe.Slice((*byte)(out.data), int(out.len)))
	C.lib_free(&l.functions, out)
	if status != 0 {
		return nil, newError(int(status), document)
	}
	return document, nil
}

// forgetLog may be called by several closers at once.
func (l *Library) forgetLog() {
	if handle := l.log.Swap(0); handle != 0 {
		cgo.Handle(handle).Delete()
	}
}

func input(text []byte) (*C.uint8_t, C.size_t) {
	if text == nil {
		text = []byte{}
	}
	return (*C.uint8_t)(unsafe.SliceData(text)), C.size_t(len(text))
}

// timeoutMillis is what is left until ctx's deadline, 0 where it has none.
func timeoutMillis(ctx context.Context) (C.uint64_t, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0, nil
	}
	left := math.Ceil(float64(time.Until(deadline)) / float64(time.Millisecond))
	return C.uint64_t(max(1, left)), nil
}

//export heimdallPluginLog
func heimdallPluginLog(handle C.uintptr_t, level C.int32_t, target *C.char, message *C.uint8_t, length C.size_t) {
	log := cgo.Handle(handle).Value().(Log)
	log(int(level), C.GoString(target), string(unsafe.Slice((*byte)(message), int(length))))
}

//export heimdallPluginRows
func heimdallPluginRows(handle C.uintptr_t, lines *C.uint8_t, length C.size_t) C.int32_t {
	if cgo.Handle(handle).Value().(takeLines)(bytes.Clone(unsafe.Slice((*byte)(lines), int(length)))) {
		return 0
	}
	return 1
}

// rowsOf runs a job whose lines take gets as they come.
func (l *Library) rowsOf(ctx context.Context, job []byte, take takeLines) ([]byte, error) {
	user := cgo.NewHandle(take)
	defer user.Delete()
	return l.run(ctx, job, func(data *C.uint8_t, length C.size_t, timeout C.uint64_t, out *C.hp_buffer) C.int32_t {
		return C.lib_rows(&l.functions, data, length, C.uintptr_t(user), timeout, out)
	})
}

//export heimdallPluginProgress
func heimdallPluginProgress(handle C.uintptr_t, rows, pages, wireBytes C.uint64_t) {
	cgo.Handle(handle).Value().(Progress)(uint64(rows), uint64(pages), uint64(wireBytes))
}
