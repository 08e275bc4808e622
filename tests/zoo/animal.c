/* A library with a plugin's symbols and one fault, chosen with -D when the tests compile it. */
#include <stdint.h>
#include <stddef.h>
#include <unistd.h>

typedef struct { uint32_t magic, struct_size, abi_major, abi_minor; const char *name, *version, *features; } hp_info;
typedef struct { uint8_t *data; size_t len; size_t capacity; } hp_buffer;

#ifndef ABI_MAJOR
#define ABI_MAJOR 1
#endif
#ifndef NAME
#define NAME "chameleon"
#endif

static const hp_info info = { 0x4850464Du, sizeof(hp_info), ABI_MAJOR, 0, NAME, "999.0.0", "" };

const hp_info *plugin_info(void) { return &info; }
int32_t plugin_open(const void *host, const uint8_t *config, size_t len, hp_buffer *out) { return 0; }
#ifndef NO_SYMBOLS
int32_t run_job(const uint8_t *job, size_t len, const void *call, hp_buffer *out) { return 0; }
int32_t cancel_job(const uint8_t *id, size_t len) { return 1; }
int32_t check_health(const uint8_t *cluster, size_t len, const void *call, hp_buffer *out) { return 0; }
int32_t plugin_close(uint64_t within_ms, hp_buffer *out) { return 0; }
void free_buffer(hp_buffer *buffer) { }
#endif
/* Where a Rust library has abi_stable's header. */
const char _1as_0lib_1header_0root_bmodule_bloader[256] = "no header";

#ifdef CRASH_IN_CONSTRUCTOR
__attribute__((constructor)) static void crash(void) { *(volatile int *)0 = 1; }
#endif
#ifdef HANG_IN_CONSTRUCTOR
__attribute__((constructor)) static void hang(void) { for (;;) pause(); }
#endif
#ifdef EXIT_IN_CONSTRUCTOR
__attribute__((constructor)) static void leave(void) { write(1, "{\"passed\":0}\n", 13); _exit(0); }
#endif
