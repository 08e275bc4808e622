/* Many jobs of every outcome on several threads, then close; for valgrind, the sanitizers, and a default SIGPIPE.
 *
 *   outcomes LIBRARY COUNT THREADS NAME=JOB_FILE...
 *
 * A job named `cancel…` is cancelled from another thread, one named `deadline…` has 10 ms. Prints how often each name ended how.
 */
#include "check.h"

#include <signal.h>
#include <stdatomic.h>

#define MOST 16

static struct {
    const char *name;
    char *template;
    struct {
        char how[32];
        int count;
    } ends[MOST];
} kinds[MOST];
static int n_kinds, count, next_job;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void note(int kind, const char *how) {
    pthread_mutex_lock(&lock);
    int i = 0;
    while (kinds[kind].ends[i].count > 0 && strcmp(kinds[kind].ends[i].how, how) != 0) {
        i++;
    }
    CHECK(i < MOST);
    snprintf(kinds[kind].ends[i].how, sizeof kinds[kind].ends[i].how, "%s", how);
    kinds[kind].ends[i].count++;
    pthread_mutex_unlock(&lock);
}

struct cancelling {
    char id[64];
    atomic_bool over;
};

static void *cancel_it(void *argument) {
    struct cancelling *job = argument;
    while (!job->over && plugin.cancel_job((const uint8_t *)job->id, strlen(job->id)) != 0) {
        nap(100);
    }
    return NULL;
}

static void ignore_log(void *user, int32_t level, const char *target, const uint8_t *message, size_t len) {
    (void)user, (void)level, (void)target, (void)message, (void)len;
}

static void ignore_progress(void *user, uint64_t rows, uint64_t pages, uint64_t wire_bytes) {
    (void)user, (void)rows, (void)pages, (void)wire_bytes;
}

static void *work(void *unused) {
    (void)unused;
    for (;;) {
        pthread_mutex_lock(&lock);
        int number = next_job++;
        pthread_mutex_unlock(&lock);
        if (number >= count) {
            return NULL;
        }
        int kind = number % n_kinds;
        const char *name = kinds[kind].name;
        struct cancelling cancelling = {.over = false};
        char code[32];
        snprintf(cancelling.id, sizeof cancelling.id, "job-%d", number);
        char *job = job_with_id(kinds[kind].template, cancelling.id);
        hp_call call = {.struct_size = sizeof call, .progress = ignore_progress};
        call.timeout_ms = strncmp(name, "deadline", 8) == 0 ? 10 : 0;
        pthread_t canceller;
        bool cancelled = strncmp(name, "cancel", 6) == 0;
        if (cancelled) {
            CHECK(pthread_create(&canceller, NULL, cancel_it, &cancelling) == 0);
        }
        int status = run(job, &call, code);
        cancelling.over = true;
        if (cancelled) {
            pthread_join(canceller, NULL);
        }
        note(kind, status == 0 ? "DONE" : code);
        free(job);
    }
}

int main(int argc, char **argv) {
    CHECK(argc > 4 && argc - 4 <= MOST && hp_load(argv[1], &plugin) == 0);
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    count = atoi(argv[2]);
    int n_threads = atoi(argv[3]);
    for (int i = 4; i < argc; i++, n_kinds++) {
        char *equals = strchr(argv[i], '=');
        CHECK(equals != NULL);
        *equals = 0;
        kinds[n_kinds].name = argv[i];
        kinds[n_kinds].template = read_file(equals + 1);
    }
    hp_host host = {.struct_size = sizeof host, .log = ignore_log};
    CHECK(open_plugin(&host) == 0);
    pthread_t threads[64];
    CHECK(n_threads <= 64);
    for (int i = 0; i < n_threads; i++) {
        CHECK(pthread_create(&threads[i], NULL, work, NULL) == 0);
    }
    for (int i = 0; i < n_threads; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK(close_plugin(5000) == 0);
    for (int i = 0; i < n_kinds; i++) {
        for (int end = 0; end < MOST && kinds[i].ends[end].count > 0; end++) {
            printf("%s %s %d\n", kinds[i].name, kinds[i].ends[end].how, kinds[i].ends[end].count);
        }
        free(kinds[i].template);
    }
    return 0;
}
