/* Takes a large result as it comes and tells what that cost: rows, bytes, and the process's memory.
 *
 *   rows LIBRARY JOB_FILE
 */
#include "check.h"

static uint64_t n_bytes, n_rows, n_calls, pages_told, first_call_after_pages;

static int32_t on_rows(void *user, const uint8_t *lines, size_t len) {
    (void)user;
    if (n_calls++ == 0) {
        first_call_after_pages = pages_told + 1;
    }
    n_bytes += len;
    const uint8_t *end = lines + len;
    while (lines < end) {
        n_rows += *lines == '[';
        lines = (const uint8_t *)memchr(lines, '\n', (size_t)(end - lines)) + 1;
    }
    return 0;
}

static void on_progress(void *user, uint64_t rows, uint64_t pages, uint64_t wire_bytes) {
    (void)user, (void)rows, (void)wire_bytes;
    pages_told = pages;
}

/* A line of /proc/self/status, in kB. */
static long memory(const char *name) {
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    long kb = -1;
    CHECK(status != NULL);
    while (fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            kb = strtol(line + strlen(name), NULL, 10);
        }
    }
    fclose(status);
    return kb;
}

int main(int argc, char **argv) {
    CHECK(argc == 3 && hp_load(argv[1], &plugin) == 0 && hp_has(&plugin, "rows"));
    char code[32];
    char *job = read_file(argv[2]);
    CHECK(open_plugin(NULL) == 0);
    CHECK(run("{}", NULL, code) == 1); /* Its threads are there. */
    long idle = memory("VmRSS:");
    hp_call call = {.struct_size = sizeof call, .progress = on_progress, .rows = on_rows};
    CHECK(run(job, &call, code) == 0);
    printf("rows=%" PRIu64 " bytes=%" PRIu64 " calls=%" PRIu64 " first_call_after_pages=%" PRIu64, n_rows, n_bytes, n_calls,
           first_call_after_pages);
    printf(" idle_kb=%ld peak_kb=%ld\n", idle, memory("VmHWM:"));
    CHECK(close_plugin(0) == 0);
    free(job);
    return 0;
}
