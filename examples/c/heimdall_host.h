/* A plugin library's functions, found with dlopen: copy this file and heimdall_plugin.h into a C or C++ host. */
#ifndef HEIMDALL_HOST_H
#define HEIMDALL_HOST_H

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <heimdall_plugin.h>

typedef struct {
    const hp_info *(*plugin_info)(void);
    int32_t (*plugin_open)(const hp_host *, const uint8_t *, size_t, hp_buffer *);
    int32_t (*run_job)(const uint8_t *, size_t, const hp_call *, hp_buffer *);
    int32_t (*cancel_job)(const uint8_t *, size_t);
    int32_t (*check_health)(const uint8_t *, size_t, const hp_call *, hp_buffer *);
    int32_t (*plugin_close)(uint64_t, hp_buffer *);
    void (*free_buffer)(hp_buffer *);
} hp_library;

/* Fills in `library` from the file at `path`; 0 when all is well, else -1 with the reason on stderr. The file stays loaded for ever:
 * never dlclose it. RTLD_LOCAL keeps its symbols out of the way of other versions of it. */
static inline int hp_load_with(const char *path, int flags, hp_library *library) {
    static const char *const names[] = {"plugin_info",  "plugin_open",  "run_job",    "cancel_job",
                                        "check_health", "plugin_close", "free_buffer"};
    void *handle = dlopen(path, flags);
    if (handle == NULL) {
        fprintf(stderr, "cannot open %s: %s\n", path, dlerror());
        return -1;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *symbol = dlsym(handle, names[i]);
        if (symbol == NULL) {
            fprintf(stderr, "%s is no plugin library: it has no symbol %s\n", path, names[i]);
            return -1;
        }
        /* POSIX has an object pointer and a function pointer of one size; ISO C has no cast between them. */
        memcpy((char *)library + i * sizeof symbol, &symbol, sizeof symbol);
    }
    const hp_info *info = library->plugin_info();
    if (info->magic != HEIMDALL_PLUGIN_MAGIC || info->abi_major != HEIMDALL_PLUGIN_ABI_MAJOR ||
        info->struct_size < sizeof *info) {
        fprintf(stderr, "%s speaks another ABI\n", path);
        return -1;
    }
    return 0;
}

static inline int hp_load(const char *path, hp_library *library) {
    return hp_load_with(path, RTLD_NOW | RTLD_LOCAL, library);
}

#endif
