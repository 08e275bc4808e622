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
    /* NULL where the library cannot start jobs: it is of ABI 1.0, or its features lack the word "start". */
    int32_t (*start_job)(const uint8_t *, size_t, const hp_call *, void (*)(void *, int32_t, hp_buffer *), hp_buffer *);
} hp_library;

/* Whether the library has a feature, such as "rows" or "start". */
static inline int hp_has(const hp_library *library, const char *feature) {
    size_t length = strlen(feature);
    for (const char *at = library->plugin_info()->features; (at = strstr(at, feature)) != NULL; at += length) {
        int begins = at == library->plugin_info()->features || at[-1] == ' ';
        if (begins && (at[length] == ' ' || at[length] == 0)) {
            return 1;
        }
    }
    return 0;
}

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
    /* The struct grows at its end: a library of ABI 1.0 has everything before `errors`. */
    const hp_info *info = library->plugin_info();
    if (info->magic != HEIMDALL_PLUGIN_MAGIC || info->abi_major != HEIMDALL_PLUGIN_ABI_MAJOR ||
        info->struct_size < offsetof(hp_info, errors)) {
        fprintf(stderr, "%s speaks another ABI\n", path);
        return -1;
    }
    void *start_job = hp_has(library, "start") ? dlsym(handle, "start_job") : NULL;
    memcpy(&library->start_job, &start_job, sizeof start_job);
    return 0;
}

static inline int hp_load(const char *path, hp_library *library) {
    return hp_load_with(path, RTLD_NOW | RTLD_LOCAL, library);
}

#endif
