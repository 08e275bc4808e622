/* Started jobs and rows as they come: each end is told once, and nothing comes after its time.
 *
 *   start LIBRARY SLOW_JOB      (a job that lasts a second or so, its id @ID@; the library is not open yet)
 */
#include "check.h"

#include <stdatomic.h>

static const char *slow_job;

static const uint8_t *bytes(const char *text) { return (const uint8_t *)text; }

/* A started job, and what was told of it. */
struct started {
    atomic_int told;
    int32_t status;
    char code[32];
    hp_buffer *out;   /* Freed by `done`, where set: the library must not write it afterwards. */
    int more;         /* So many jobs are started, one inside the end of the other. */
};

static void wait_for(struct started *job, int told) {
    for (int tries = 0; job->told < told; tries++) {
        CHECK(tries < 2000000);
        nap(100);
    }
}

static void on_done(void *user, int32_t status, hp_buffer *out);

static int32_t start(const char *text, const hp_call *call, struct started *job) {
    hp_call own = call == NULL ? (hp_call){.struct_size = sizeof own} : *call;
    own.user = job;
    hp_buffer *to = job->out;
    hp_buffer here;
    to = to == NULL ? &here : to;
    memset(to, 0xAB, sizeof *to);
    int32_t status = plugin.start_job(bytes(text), strlen(text), &own, on_done, to);
    if (to == &here) {
        CHECK((status == 0) == (here.data == NULL) && (status != 0 || here.len == 0));
        plugin.free_buffer(&here);
    }
    return status;
}

static void on_done(void *user, int32_t status, hp_buffer *out) {
    struct started *job = user;
    char code[32];
    CHECK(out != NULL && out->data != NULL && out->data[out->len] == 0);
    hp_buffer kept = *out; /* The struct is the library's, the bytes are ours. */
    memset(out, 0xCD, sizeof *out);
    job->status = status;
    job->code[0] = 0;
    CHECK(status == 0 || sscanf((const char *)kept.data, "{\"error\":{\"code\":\"%31[A-Z_]\"", job->code) == 1);
    plugin.free_buffer(&kept);
    free(job->out);
    CHECK(plugin.plugin_info() != NULL);
    CHECK(plugin.cancel_job(bytes("nobody"), 6) == 1);
    CHECK(run("{}", NULL, code) == 2);
    CHECK(open_plugin(NULL) == 2);
    CHECK(close_plugin(0) == 2);
    if (job->more > 0) {
        job->more--;
        CHECK(start("{", NULL, job) == 0);
    }
    job->told++;
}

/* Before the first open, so that this one opens it. */
static void a_fresh_library_starts_a_job_that_is_cancelled_by_its_id(void) {
    struct started job = {0};
    char *text = job_with_id(slow_job, "first");
    CHECK(start(text, NULL, &job) == 0);
    cancel("first");
    wait_for(&job, 1);
    CHECK(job.status == 1 && strcmp(job.code, "CANCELLED") == 0);
    free(text);
}

static void wrong_use(void) {
    struct started job = {0};
    hp_buffer out;
    CHECK(plugin.start_job(NULL, 0, NULL, on_done, &out) == 2);
    plugin.free_buffer(&out);
    CHECK(plugin.start_job(bytes("\xff"), 1, NULL, on_done, &out) == 2);
    plugin.free_buffer(&out);
    CHECK(plugin.start_job(bytes("{}"), 2, NULL, NULL, &out) == 2);
    plugin.free_buffer(&out);
    CHECK(plugin.start_job(bytes("{}"), 2, NULL, on_done, NULL) == 2);
    hp_call call = {.struct_size = 31};
    CHECK(start("{}", &call, &job) == 2);
    call = (hp_call){.struct_size = sizeof call, .reserved = 1};
    CHECK(start("{}", &call, &job) == 2);
    CHECK(job.told == 0);
}

static void a_bad_document_is_told_through_done(void) {
    for (int i = 0; i < 500; i++) {
        struct started job = {.out = malloc(sizeof(hp_buffer))};
        CHECK(start("{", NULL, &job) == 0);
        wait_for(&job, 1);
        CHECK(job.status == 1 && strcmp(job.code, "INVALID_JOB") == 0);
    }
}

static void jobs_may_be_started_where_another_ends(void) {
    struct started job = {.more = 5};
    CHECK(start("{", NULL, &job) == 0);
    wait_for(&job, 6);
    CHECK(job.told == 6);
}

static void a_deadline_ends_a_started_job(void) {
    struct started job = {0};
    char *text = job_with_id(slow_job, "brief");
    hp_call call = {.struct_size = sizeof call, .timeout_ms = 5};
    CHECK(start(text, &call, &job) == 0);
    wait_for(&job, 1);
    CHECK(job.status == 1 && strcmp(job.code, "TIMEOUT") == 0);
    free(text);
}

static int calls, stop_at;

static int32_t on_rows(void *user, const uint8_t *lines, size_t len) {
    char code[32];
    (void)user;
    CHECK(len > 0 && len <= 1 << 20 && lines[len - 1] == '\n');
    CHECK(calls > 0 || strncmp((const char *)lines, "{\"columns\":[", 12) == 0);
    calls++;
    CHECK(plugin.cancel_job(bytes("nobody"), 6) == 1);
    CHECK(run("{}", NULL, code) == 2);
    hp_buffer out;
    CHECK(plugin.start_job(bytes("{}"), 2, NULL, on_done, &out) == 2);
    plugin.free_buffer(&out);
    CHECK(close_plugin(0) == 2);
    return calls == stop_at;
}

/* The call's struct as callers of several versions have it. */
static void rows_go_where_the_struct_says(void) {
    char code[32];
    char *text = job_with_id(slow_job, "rows");
    hp_call call = {.struct_size = sizeof call, .rows = on_rows, .rows_after_bytes = 1 << 20};
    CHECK(run(text, &call, code) == 0 && calls == 0); /* It is small. */
    call.struct_size = 44; /* `rows_after_bytes` is not there as a whole. */
    CHECK(run(text, &call, code) == 0 && calls > 0);
    calls = 0;
    for (uint32_t size = 32; size < 40; size++) {
        call.struct_size = size;
        CHECK(run(text, &call, code) == 0 && calls == 0);
    }
    call = (hp_call){.struct_size = 40, .rows = on_rows};
    CHECK(run(text, &call, code) == 0 && calls > 0);
    calls = 0;
    stop_at = 1;
    CHECK(run(text, &call, code) == 1 && strcmp(code, "CANCELLED") == 0 && calls == 1);
    calls = 0;
    struct started job = {0};
    CHECK(start(text, &call, &job) == 0);
    wait_for(&job, 1);
    CHECK(job.status == 1 && strcmp(job.code, "CANCELLED") == 0 && calls == 1);
    free(text);
}

#define MANY 50

static void close_waits_until_every_end_is_told(void) {
    static struct started jobs[MANY];
    char *text = job_with_id(slow_job, "many");
    for (int i = 0; i < MANY; i++) {
        CHECK(start(text, NULL, &jobs[i]) == 0);
    }
    CHECK(close_plugin(0) == 0);
    for (int i = 0; i < MANY; i++) {
        CHECK(jobs[i].told == 1 && jobs[i].status == 1 && strcmp(jobs[i].code, "CANCELLED") == 0);
    }
    struct started late = {0};
    CHECK(start(text, NULL, &late) == 1 && late.told == 0);
    CHECK(open_plugin(NULL) == 0 && close_plugin(0) == 0);
    CHECK(jobs[0].told == 1);
    free(text);
}

int main(int argc, char **argv) {
    CHECK(argc == 3 && hp_load(argv[1], &plugin) == 0);
    CHECK(hp_has(&plugin, "start") && hp_has(&plugin, "rows") && !hp_has(&plugin, "star"));
    CHECK(plugin.start_job != NULL && plugin.plugin_info()->errors[0] == '[');
    slow_job = read_file(argv[2]);
    a_fresh_library_starts_a_job_that_is_cancelled_by_its_id();
    wrong_use();
    a_bad_document_is_told_through_done();
    jobs_may_be_started_where_another_ends();
    a_deadline_ends_a_started_job();
    rows_go_where_the_struct_says();
    close_waits_until_every_end_is_told();
    free((void *)slow_job);
    puts("start: ok");
    return 0;
}
