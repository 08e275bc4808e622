/* What the C tests share: the library's functions, a check that names its line, jobs from a template. */
#ifndef CHECK_H
#define CHECK_H

#define _GNU_SOURCE
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "heimdall_host.h"

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static hp_library plugin;

static inline void nap(long microseconds) { nanosleep(&(struct timespec){.tv_nsec = microseconds * 1000}, NULL); }

static inline char *read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL && fseek(file, 0, SEEK_END) == 0);
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *text = calloc(1, size + 1);
    CHECK(text != NULL && fread(text, 1, size, file) == size);
    fclose(file);
    return text;
}

/* The template with its first @ID@ replaced; freed by the caller. */
static inline char *job_with_id(const char *template, const char *id) {
    const char *at = strstr(template, "@ID@");
    char *job = calloc(1, strlen(template) + strlen(id) + 1);
    CHECK(job != NULL && at != NULL);
    sprintf(job, "%.*s%s%s", (int)(at - template), template, id, at + 4);
    return job;
}

/* Runs a job; its status, and the code of its error document (or "") in `code`. */
static inline int run(const char *job, const hp_call *call, char code[32]) {
    hp_buffer out;
    memset(&out, 0xAB, sizeof out); /* It may be uninitialised. */
    int status = plugin.run_job((const uint8_t *)job, strlen(job), call, &out);
    CHECK(status >= 0 && status <= 2 && out.data != NULL && out.data[out.len] == 0);
    code[0] = 0;
    if (status != 0) {
        CHECK(sscanf((const char *)out.data, "{\"error\":{\"code\":\"%31[A-Z_]\"", code) == 1);
    }
    plugin.free_buffer(&out);
    CHECK(out.data == NULL && out.len == 0);
    plugin.free_buffer(&out); /* Twice is fine. */
    return status;
}

static inline int open_plugin(const hp_host *host) {
    hp_buffer out;
    int status = plugin.plugin_open(host, NULL, 0, &out);
    CHECK((status == 0) == (out.data == NULL));
    plugin.free_buffer(&out);
    return status;
}

static inline int close_plugin(uint64_t within_ms) {
    hp_buffer out;
    int status = plugin.plugin_close(within_ms, &out);
    CHECK((status == 0) == (out.data == NULL));
    plugin.free_buffer(&out);
    return status;
}

/* Asks until there is such a job. */
static inline void cancel(const char *id) {
    for (int tries = 0; plugin.cancel_job((const uint8_t *)id, strlen(id)) != 0; tries++) {
        CHECK(tries < 200000);
        nap(100);
    }
}

#endif
