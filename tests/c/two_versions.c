/* Two libraries in one process, the first opened RTLD_GLOBAL, in a host that exports a `run_job` of its own (build with -rdynamic):
 * each answers as itself.
 *
 *   two_versions LIBRARY LIBRARY JOB
 */
#include "check.h"

int32_t run_job(const uint8_t *job, size_t len, const hp_call *call, hp_buffer *out);

/* The host's own function of that name: no library may call it. */
int32_t run_job(const uint8_t *job, size_t len, const hp_call *call, hp_buffer *out) {
    (void)job, (void)len, (void)call, (void)out;
    abort();
}

int main(int argc, char **argv) {
    CHECK(argc == 4);
    hp_library libraries[2];
    CHECK(hp_load_with(argv[1], RTLD_NOW | RTLD_GLOBAL, &libraries[0]) == 0);
    CHECK(hp_load_with(argv[2], RTLD_NOW | RTLD_LOCAL, &libraries[1]) == 0);
    char *job = read_file(argv[3]);
    for (int i = 0; i < 2; i++) {
        hp_buffer out;
        int status = libraries[i].run_job((const uint8_t *)job, strlen(job), NULL, &out);
        const hp_info *info = libraries[i].plugin_info();
        printf("%s %s %d %s\n", info->name, info->version, status, (const char *)out.data);
        libraries[i].free_buffer(&out);
    }
    /* One is closed, the other goes on. */
    for (int i = 0; i < 2; i++) {
        hp_buffer out;
        CHECK(libraries[i].plugin_close(1000, &out) == 0);
        int other = libraries[1 - i].run_job((const uint8_t *)job, strlen(job), NULL, &out);
        CHECK(i == 0 ? other == 0 : other == 1);
        libraries[1 - i].free_buffer(&out);
    }
    free(job);
    return 0;
}
