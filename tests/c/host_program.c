/* For a host that runs under valgrind: there /proc/self/exe, by which the host starts itself again to try a library, is valgrind's own
   program. Loaded before the C library, this starts the program that HOST_PROGRAM names in its place. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>

static const char *program(const char *asked) {
    const char *host = getenv("HOST_PROGRAM");
    return host != NULL && strcmp(asked, "/proc/self/exe") == 0 ? host : asked;
}

int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
                 char *const arguments[], char *const environment[]) {
    __typeof__(&posix_spawnp) next = (__typeof__(&posix_spawnp))dlsym(RTLD_NEXT, "posix_spawnp");
    return next(pid, program(file), actions, attributes, arguments, environment);
}

int execvp(const char *file, char *const arguments[]) {
    int (*next)(const char *, char *const[]) = (int (*)(const char *, char *const[]))dlsym(RTLD_NEXT, "execvp");
    return next(program(file), arguments);
}
