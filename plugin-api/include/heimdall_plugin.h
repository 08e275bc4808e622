/* The C surface of a Heimdall plugin library, ABI 1.1. Generated from plugin-api by cbindgen: change it there.
 *
 * Open the library with dlopen(path, RTLD_NOW | RTLD_LOCAL) and never dlclose it. Every function may be called from any thread at
 * once, before any other call and after plugin_close; they catch every panic. Inside a callback only plugin_info, cancel_job and
 * free_buffer may be called, inside `done` start_job too; the others answer 2 there.
 *
 * Status of the functions that return one:
 *   0  done, `out` holds the document
 *   1  failed, `out` holds the error document: {"error":{"code":"...","message":"...","hint":...,"retryable":...,...}}
 *   2  wrong use: a required input null or not UTF-8, a struct_size too small, reserved not 0, a call that is not allowed here;
 *      `out` holds the error document where `out` itself is usable
 *
 * Inputs are borrowed for the call. `out` may be uninitialised and is always written; hand it to free_buffer when done with it.
 * docs/ABI.md says the rest: ownership, threads, versions, what a host must not do.
 */


#ifndef HEIMDALL_PLUGIN_H
#define HEIMDALL_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

// The first word of hp_info: the bytes `MFPH`.
#define HEIMDALL_PLUGIN_MAGIC 0x4850464Du

// The major version of the surface that is described here. Another major is another surface.
#define HEIMDALL_PLUGIN_ABI_MAJOR 1

// The minor version: it grows when something is added at an end.
#define HEIMDALL_PLUGIN_ABI_MINOR 1

// What a library says of itself. Static, never freed.
typedef struct {
    // `HEIMDALL_PLUGIN_MAGIC`.
    uint32_t magic;
    // Bytes of this struct as the library knows it.
    uint32_t struct_size;
    // The major version of the surface that the library speaks: another one than yours means that it is not for you.
    uint32_t abi_major;
    // The minor version: a larger one than yours only adds.
    uint32_t abi_minor;
    // The plugin's name, NUL-terminated UTF-8.
    const char *name;
    // The plugin's version, NUL-terminated.
    const char *version;
    // Space-separated words, NUL-terminated.
    const char *features;
    // Since 1.1: the error codes of the plugin's jobs, a JSON list of {"code","meaning","remedy","retryable"}, NUL-terminated.
    // NULL where the plugin does not say.
    const char *errors;
} hp_info;

// What a host offers to a library while it is open. The struct is read during `plugin_open` only; what it points to must stay
// valid until `plugin_close` returns.
typedef struct {
    // Bytes of this struct as the caller knows it.
    uint32_t struct_size;
    // 0.
    uint32_t reserved;
    // Handed back to `log` as it is.
    void *user;
    // Takes one log line: level 1 error, 2 warn, 3 info, 4 debug, 5 trace; `target` ends in NUL, `message` does not.
    // May be NULL. Runs on the plugin's threads, several at once, until `plugin_close` returns.
    void (*log)(void *user, int32_t level, const char *target, const uint8_t *message, size_t len);
} hp_host;

// Bytes that belong to the plugin. Hand them to `free_buffer`; a NUL lies past `len`, so that they can be read as a C string.
typedef struct {
    // The first byte; null where the buffer is empty.
    uint8_t *data;
    // Bytes without the NUL.
    size_t len;
    // Bytes allocated; the plugin's business.
    size_t capacity;
} hp_buffer;

// What a caller offers to one job. What it points to must stay valid until the call returns; for `start_job`, until `done` has
// returned. A field that `struct_size` does not cover as a whole counts as NULL or 0; the 32 bytes of ABI 1.0 are enough.
typedef struct {
    // Bytes of this struct as the caller knows it.
    uint32_t struct_size;
    // 0.
    uint32_t reserved;
    // Handed back to `progress`, `rows` and `done` as it is.
    void *user;
    // Milliseconds that the caller waits; 0: without end.
    uint64_t timeout_ms;
    // Takes the job's totals after each page. May be NULL. Runs on the plugin's threads, one call at a time, until the call returns.
    void (*progress)(void *user, uint64_t rows, uint64_t pages, uint64_t wire_bytes);
    // Since 1.1: takes the result's rows as they come, whole lines of JSON each ended by a newline: `{"columns":["id"]}` adds
    // columns to the right, `["123"]` is a row. May be NULL: the result comes as one document. 0 to go on, anything else ends the job
    // as CANCELLED. It may block: that holds up its own job only. One call at a time per job, never beside `progress`.
    int32_t (*rows)(void *user, const uint8_t *lines, size_t len);
    // Since 1.1: a result whose `data` has no more bytes than this comes as one document, and `rows` is never called; 0: every row
    // goes to `rows`.
    uint64_t rows_after_bytes;
} hp_call;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// What the library says of itself: static, never null, never freed. Needs no open library. Check `magic` and `abi_major`
// before anything else.
extern const hp_info *plugin_info(void);

// Opens a library that is not open, also again after `plugin_close`; while it is open this answers 2 and changes nothing.
//
// `host` may be NULL (no log). `config` is a JSON object; NULL or length 0 is the same as `{}`. `out` stays empty on success.
extern int32_t plugin_open(const hp_host *host, const uint8_t *config, size_t config_len, hp_buffer *out);

// Runs one job and waits for it: its document in, its result document (or its error document) out.
//
// `call` may be NULL (no deadline, no progress). Opens the library with defaults where nobody has yet. After `plugin_close`
// it answers 1 with SHUTTING_DOWN until the next `plugin_open`.
extern int32_t run_job(const uint8_t *job, size_t job_len, const hp_call *call, hp_buffer *out);

// Since 1.1: starts one job and returns at once. With 0, `done` is called exactly once, on a thread of the plugin, with the status
// and the document that `run_job` would have given, after the job's last other callback; it may come before this returns. `out` is
// then left empty. With 1 (SHUTTING_DOWN, or the library could not be opened) or 2 `done` is never called and `out` says why.
//
// The `hp_buffer` that `done` gets is valid until `done` returns; its bytes are the caller's, to be given to `free_buffer` there
// or later (keep a copy of the struct). `done` must not block; inside it `start_job`, `cancel_job`, `plugin_info` and
// `free_buffer` may be called. Answers 2 where the plugin's `features` lack the word `start`.
extern int32_t start_job(const uint8_t *job, size_t job_len, const hp_call *call, void (*done)(void *user, int32_t status, hp_buffer *out), hp_buffer *out);

// Asks every job whose document's `id` is this to stop: 0 asked, 1 no such job (or not started yet), 2 wrong use.
extern int32_t cancel_job(const uint8_t *job_id, size_t job_id_len);

// Asks whether a cluster can be worked with: the job document's `cluster` object in (NULL with length 0: `{}`), a document with
// `status` out, or the error that a job there would end with.
extern int32_t check_health(const uint8_t *cluster, size_t cluster_len, const hp_call *call, hp_buffer *out);

// Takes no new jobs, gives those under way `within_ms` to finish, cancels what is left, joins every thread of the library.
//
// Closing what is closed answers 0; several at once all wait for the one. `out` stays empty on success.
extern int32_t plugin_close(uint64_t within_ms, hp_buffer *out);

// Gives a buffer's memory back and empties the buffer, so that twice is fine; NULL and empty ones are fine too.
extern void free_buffer(hp_buffer *buffer);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* HEIMDALL_PLUGIN_H */
