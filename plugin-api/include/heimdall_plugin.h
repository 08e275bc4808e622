/* The C surface of a Heimdall plugin library, ABI 1.0. Generated from plugin-api by cbindgen: change it there.
 *
 * Open the library with dlopen(path, RTLD_NOW | RTLD_LOCAL) and never dlclose it. Every function may be called from any thread at
 * once, before any other call and after plugin_close; they catch every panic. Inside a callback only plugin_info, cancel_job and
 * free_buffer may be called; the others answer 2 there.
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
#define HEIMDALL_PLUGIN_ABI_MINOR 0

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

// What a caller offers to one job. What it points to must stay valid until the call returns.
typedef struct {
    // Bytes of this struct as the caller knows it.
    uint32_t struct_size;
    // 0.
    uint32_t reserved;
    // Handed back to `progress` as it is.
    void *user;
    // Milliseconds that the caller waits; 0: without end.
    uint64_t timeout_ms;
    // Takes the job's totals after each page. May be NULL. Runs on the plugin's threads, one call at a time, until the call returns.
    void (*progress)(void *user, uint64_t rows, uint64_t pages, uint64_t wire_bytes);
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
