/* What a host may do wrong, and what it may do right but rarely: each has its status, none ends the process.
 *
 *   misuse LIBRARY SLOW_JOB      (a job that lasts a second or so, its id @ID@)
 */
#include "check.h"

#include <sys/mman.h>
#include <sys/wait.h>

static const char *slow_job;

static const uint8_t *bytes(const char *text) { return (const uint8_t *)text; }

/* A call answers `status` and writes `out`, whatever was in it. */
#define ANSWERS(status, call)                                                                                          \
    do {                                                                                                               \
        hp_buffer out;                                                                                                 \
        memset(&out, 0xAB, sizeof out);                                                                                \
        CHECK((call) == (status));                                                                                     \
        CHECK(out.data == NULL || out.data[out.len] == 0);                                                             \
        plugin.free_buffer(&out);                                                                                      \
        CHECK(out.data == NULL && out.len == 0 && out.capacity == 0);                                                  \
    } while (0)

static void before_open(void) {
    CHECK(plugin.plugin_info() == plugin.plugin_info());
    CHECK(plugin.cancel_job(bytes("x"), 1) == 1);
    plugin.free_buffer(NULL);
}

static void null_and_bad_text(void) {
    ANSWERS(2, plugin.run_job(NULL, 0, NULL, &out));
    ANSWERS(2, plugin.run_job(NULL, 5, NULL, &out));
    ANSWERS(2, plugin.run_job(bytes("{}"), SIZE_MAX, NULL, &out));
    ANSWERS(2, plugin.run_job(bytes("\xff{}"), 3, NULL, &out));
    ANSWERS(2, plugin.run_job(bytes("{\"id\":\"\xc3\"}"), 10, NULL, &out));
    ANSWERS(1, plugin.run_job(bytes(""), 0, NULL, &out));
    ANSWERS(1, plugin.run_job(bytes("{"), 1, NULL, &out));
    ANSWERS(2, plugin.check_health(NULL, 5, NULL, &out));
    ANSWERS(2, plugin.check_health(bytes("\xff"), 1, NULL, &out));
    CHECK(plugin.run_job(bytes("{}"), 2, NULL, NULL) == 2);
    CHECK(plugin.check_health(NULL, 0, NULL, NULL) == 2);
    CHECK(plugin.plugin_open(NULL, NULL, 0, NULL) == 2);
    CHECK(plugin.plugin_close(0, NULL) == 2);
    CHECK(plugin.cancel_job(NULL, 0) == 2);
    CHECK(plugin.cancel_job(NULL, 4) == 2);
    CHECK(plugin.cancel_job(bytes("\xff"), 1) == 2);
    CHECK(plugin.cancel_job(bytes(""), 0) == 1);
}

static void garbage(void) {
    size_t len = 100u << 20;
    uint8_t *job = malloc(len);
    CHECK(job != NULL);
    memset(job, 'x', len);
    ANSWERS(1, plugin.run_job(job, len, NULL, &out));
    memset(job, '[', len); /* Nesting without end. */
    ANSWERS(1, plugin.run_job(job, len, NULL, &out));
    memset(job, 0, len);
    ANSWERS(1, plugin.run_job(job, len, NULL, &out));
    memset(job, 0xFE, len);
    ANSWERS(2, plugin.run_job(job, len, NULL, &out));
    free(job);
}

static void struct_sizes(void) {
    char code[32];
    struct {
        hp_call known;
        uint64_t newer[8];
    } call = {.known = {.struct_size = sizeof call, .timeout_ms = 60000}};
    char *job = job_with_id(slow_job, "sized");
    memset(call.newer, 0xFF, sizeof call.newer);
    CHECK(run(job, &call.known, code) == 0);
    for (uint32_t size = 0; size < 32; size += 7) { /* ABI 1.0 knew 32 bytes. */
        call.known.struct_size = size;
        CHECK(run(job, &call.known, code) == 2);
    }
    call.known.struct_size = sizeof call.known;
    call.known.reserved = 1;
    CHECK(run(job, &call.known, code) == 2);
    free(job);

    CHECK(close_plugin(0) == 0);
    hp_host host = {.struct_size = sizeof host - 1};
    CHECK(open_plugin(&host) == 2);
    host = (hp_host){.struct_size = sizeof host, .reserved = 7};
    CHECK(open_plugin(&host) == 2);
    struct {
        hp_host known;
        uint64_t newer[8];
    } large = {.known = {.struct_size = sizeof large}};
    CHECK(open_plugin(&large.known) == 0);
}

static void *run_slow(void *id) {
    char code[32];
    char *job = job_with_id(slow_job, id);
    int status = run(job, NULL, code);
    CHECK(status == 0 || strcmp(code, "CANCELLED") == 0 || strcmp(code, "SHUTTING_DOWN") == 0);
    free(job);
    return NULL;
}

static void *close_now(void *unused) {
    (void)unused;
    CHECK(close_plugin(0) == 0);
    return NULL;
}

static void close_under_load(void) {
    pthread_t jobs[50], closers[2];
    for (int i = 0; i < 50; i++) {
        CHECK(pthread_create(&jobs[i], NULL, run_slow, "load") == 0);
    }
    cancel("load"); /* Some run. */
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_create(&closers[i], NULL, close_now, NULL) == 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(closers[i], NULL);
    }
    for (int i = 0; i < 50; i++) {
        pthread_join(jobs[i], NULL);
    }
}

static void after_close(void) {
    char code[32];
    CHECK(run("{}", NULL, code) == 1 && strcmp(code, "SHUTTING_DOWN") == 0);
    ANSWERS(1, plugin.check_health(NULL, 0, NULL, &out));
    CHECK(plugin.cancel_job(bytes("load"), 4) == 1);
    CHECK(close_plugin(0) == 0);
    CHECK(plugin.plugin_info()->magic == HEIMDALL_PLUGIN_MAGIC);
    CHECK(open_plugin(NULL) == 0);
    CHECK(open_plugin(NULL) == 2);
    char *job = job_with_id(slow_job, "again");
    CHECK(run(job, NULL, code) == 0);
    free(job);
}

static int calls_back, logged;

static void never_done(void *user, int32_t status, hp_buffer *out) {
    (void)user, (void)status, (void)out;
    CHECK(!"a job that was not started has no end");
}

static void from_callback(void *user, uint64_t rows, uint64_t pages, uint64_t wire_bytes) {
    (void)rows, (void)pages, (void)wire_bytes;
    char code[32];
    CHECK(plugin.plugin_info() != NULL);
    CHECK(plugin.cancel_job(bytes("nobody"), 6) == 1);
    plugin.free_buffer(NULL);
    CHECK(run("{}", NULL, code) == 2);
    ANSWERS(2, plugin.check_health(NULL, 0, NULL, &out));
    ANSWERS(2, plugin.plugin_open(NULL, NULL, 0, &out));
    ANSWERS(2, plugin.plugin_close(0, &out));
    ANSWERS(2, plugin.start_job(bytes("{}"), 2, NULL, never_done, &out));
    ++*(int *)user;
}

static void log_calls_back(void *user, int32_t level, const char *target, const uint8_t *message, size_t len) {
    CHECK(level >= 1 && level <= 5 && target != NULL && message != NULL);
    from_callback(user, 0, 0, len);
}

static void callbacks(void) {
    char code[32];
    CHECK(close_plugin(0) == 0);
    hp_host host = {.struct_size = sizeof host, .user = &logged, .log = log_calls_back};
    CHECK(open_plugin(&host) == 0);
    hp_call call = {.struct_size = sizeof call, .user = &calls_back, .progress = from_callback};
    char *job = job_with_id(slow_job, "calls back");
    CHECK(run(job, &call, code) == 0);
    CHECK(calls_back > 0);
    free(job);
    printf("%d log lines\n", logged);
}

/* In a child that is forked while the library is open, every call that needs one of its threads answers 2; nothing hangs or crashes. */
static void forked(void) {
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        char code[32];
        alarm(20);
        CHECK(plugin.plugin_info()->magic == HEIMDALL_PLUGIN_MAGIC);
        CHECK(run("{}", NULL, code) == 2);
        ANSWERS(2, plugin.check_health(NULL, 0, NULL, &out));
        ANSWERS(2, plugin.plugin_open(NULL, NULL, 0, &out));
        ANSWERS(2, plugin.plugin_close(0, &out));
        ANSWERS(2, plugin.start_job(bytes("{}"), 2, NULL, never_done, &out));
        CHECK(plugin.cancel_job(bytes("x"), 1) == 2);
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    char code[32];
    char *job = job_with_id(slow_job, "parent");
    CHECK(run(job, NULL, code) == 0); /* The parent goes on. */

    /* After a close, a child may use the library as its own. */
    CHECK(close_plugin(0) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        CHECK(open_plugin(NULL) == 0 && run(job, NULL, code) == 0 && close_plugin(0) == 0);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    free(job);
}

int main(int argc, char **argv) {
    CHECK(argc == 3 && hp_load(argv[1], &plugin) == 0);
    slow_job = read_file(argv[2]);
    before_open();
    null_and_bad_text();
    garbage();
    struct_sizes();
    close_under_load();
    after_close();
    callbacks();
    forked();
    free((void *)slow_job);
    puts("misuse: ok");
    return 0;
}
