/* A host in C: opens a plugin library, runs a job with progress and a deadline, takes its rows as they come, cancels one, shows the error
 * document of a bad one.
 *
 *   ./host LIBRARY JOB.json ID        (ID is the "id" in JOB.json)
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "heimdall_host.h"

static hp_library plugin;

static void on_log(void *user, int32_t level, const char *target, const uint8_t *message, size_t len) {
    (void)user;
    fprintf(stderr, "[%d %s] %.*s\n", (int)level, target, (int)len, (const char *)message);
}

static void on_progress(void *user, uint64_t rows, uint64_t pages, uint64_t wire_bytes) {
    (void)user;
    fprintf(stderr, "progress: %" PRIu64 " rows, %" PRIu64 " pages, %" PRIu64 " bytes\n", rows, pages, wire_bytes);
}

/* Runs a job and prints what it gave; its status. */
static int run(const char *job) {
    hp_call call = {.struct_size = sizeof call, .timeout_ms = 30000, .progress = on_progress};
    hp_buffer out;
    int status = plugin.run_job((const uint8_t *)job, strlen(job), &call, &out);
    printf("status %d: %.*s\n", status, (int)out.len, (const char *)out.data);
    plugin.free_buffer(&out);
    return status;
}

/* Takes lines of a result as they come: each is {"columns":[...]}, which adds columns to the right, or a row. It may take its time:
 * no further page is asked for meanwhile. 0: go on. */
static int32_t on_rows(void *user, const uint8_t *lines, size_t len) {
    uint64_t *n_rows = user;
    for (const uint8_t *end = lines + len; lines < end; lines = (const uint8_t *)memchr(lines, '\n', (size_t)(end - lines)) + 1) {
        *n_rows += *lines == '[';
    }
    return ferror(stdout) != 0;
}

/* The same job, its rows one page after the other: a result may so be larger than memory. */
static void take_rows(const char *job) {
    uint64_t n_rows = 0;
    hp_call call = {.struct_size = sizeof call, .user = &n_rows, .rows = on_rows};
    hp_buffer out;
    int status = plugin.run_job((const uint8_t *)job, strlen(job), &call, &out);
    printf("%" PRIu64 " rows as they came, status %d: %.*s\n", n_rows, status, (int)out.len, (const char *)out.data);
    plugin.free_buffer(&out);
}

static void *run_in_background(void *job) {
    run(job);
    return NULL;
}

static char *read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(2);
    }
    long size = ftell(file);
    char *text = calloc(1, (size_t)size + 1);
    rewind(file);
    if (text == NULL || fread(text, 1, (size_t)size, file) != (size_t)size) {
        perror(path);
        exit(2);
    }
    fclose(file);
    return text;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: %s LIBRARY JOB.json ID\n", argv[0]);
        return 2;
    }
    if (hp_load(argv[1], &plugin) != 0) {
        return 1;
    }
    const hp_info *info = plugin.plugin_info();
    printf("%s %s, ABI %u.%u, features: %s\n", info->name, info->version, info->abi_major, info->abi_minor,
           info->features);

    hp_host host = {.struct_size = sizeof host, .log = on_log};
    hp_buffer out;
    if (plugin.plugin_open(&host, NULL, 0, &out) != 0) {
        fprintf(stderr, "open: %.*s\n", (int)out.len, (const char *)out.data);
        plugin.free_buffer(&out);
        return 1;
    }

    char *job = read_file(argv[2]);
    int failed = run(job);
    if (hp_has(&plugin, "rows")) {
        take_rows(job);
    }

    /* A job is cancelled by its document's id, from any thread. 1 says that it has not started yet, or is done. */
    pthread_t thread;
    pthread_create(&thread, NULL, run_in_background, job);
    for (int tries = 0; tries < 1000 && plugin.cancel_job((const uint8_t *)argv[3], strlen(argv[3])) == 1; tries++) {
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    pthread_join(thread, NULL);

    run("{\"context\": 5}");

    if (plugin.plugin_close(5000, &out) != 0) {
        fprintf(stderr, "close: %.*s\n", (int)out.len, (const char *)out.data);
        failed = 1;
    }
    plugin.free_buffer(&out);
    free(job);
    return failed;
}
