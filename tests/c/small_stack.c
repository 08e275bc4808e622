/* Calls from a thread with the 64 KB that docs/ABI.md asks for, and how much of it they used.
 *
 *   small_stack LIBRARY JOB
 */
#include "check.h"

enum { STACK = 64 << 10, UNTOUCHED = 0x5C };

static const char *job;

static void *call_it(void *nothing) {
    (void)nothing;
    char code[32];
    hp_buffer out;
    CHECK(run(job, NULL, code) == 0);
    CHECK(run("{", NULL, code) == 1); /* An error document is made on the stack as well. */
    /* What it finds does not matter here. */
    CHECK(plugin.check_health((const uint8_t *)job, strlen(job), NULL, &out) >= 0);
    plugin.free_buffer(&out);
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc == 3 && hp_load(argv[1], &plugin) == 0);
    job = read_file(argv[2]);
    CHECK(open_plugin(NULL) == 0);

    uint8_t *stack = aligned_alloc((size_t)sysconf(_SC_PAGESIZE), STACK);
    CHECK(stack != NULL);
    memset(stack, UNTOUCHED, STACK);
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstack(&attributes, stack, STACK) == 0);
    CHECK(pthread_create(&thread, &attributes, call_it, NULL) == 0 && pthread_join(thread, NULL) == 0);

    /* A stack grows down, so its deepest byte is the first that was written. */
    size_t untouched = 0;
    while (untouched < STACK && stack[untouched] == UNTOUCHED) {
        untouched++;
    }
    printf("used %zu\n", STACK - untouched);
    free(stack);
    free((void *)job);
    CHECK(close_plugin(5000) == 0);
    puts("small_stack: ok");
    return 0;
}
