/* A disk that fails: preloaded into a host, it refuses calls on files under one directory as a control file says.
 *
 * FAILING_DISK names the directory, FAILING_DISK_CONTROL a file with two words, the kind of failure and how many calls of a thousand
 * it fails:
 *   none 0        everything works
 *   full N        ENOSPC where a file grows or is made
 *   readonly N    EROFS for every write and every new file
 *   sync N        EIO for fsync and fdatasync
 *   write N       EIO for writes
 *   short N       a write takes half of its bytes, which a caller has to go on with
 * Reads never fail: what was acknowledged is asked for all the time.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { NONE, FULL, READONLY, SYNC, WRITE, SHORT };
static const char *const KINDS[] = {"none", "full", "readonly", "sync", "write", "short"};

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_watched(const char *path) {
    const char *directory = getenv("FAILING_DISK");
    return directory && strncmp(path, directory, strlen(directory)) == 0;
}

static int is_watched_fd(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_watched(path);
}

static int is_watched_at(int directory, const char *path) {
    if (path[0] == '/') return is_watched(path);
    return directory == AT_FDCWD ? 0 : is_watched_fd(directory);
}

/* What is to fail now; raw calls, so that none of them comes back here. */
static enum kind now(void) {
    char text[32] = "";
    const char *control = getenv("FAILING_DISK_CONTROL");
    int fd = control ? (int)syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return NONE;
    ssize_t length = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    char word[16];
    unsigned share;
    static __thread unsigned seed = 1;
    if (length <= 0 || sscanf(text, "%15s %u", word, &share) != 2 || (unsigned)rand_r(&seed) % 1000 >= share) return NONE;
    for (int kind = NONE; kind <= SHORT; kind++)
        if (strcmp(word, KINDS[kind]) == 0) return kind;
    return NONE;
}

/* The error of a write, or 0. */
static int refused(int fd) {
    int before = errno, error = 0;
    if (is_watched_fd(fd)) {
        enum kind kind = now();
        error = kind == FULL ? ENOSPC : kind == READONLY ? EROFS : kind == WRITE ? EIO : kind == SHORT ? -1 : 0;
    }
    errno = before;
    return error;
}

static int refused_new(int watched) {
    if (!watched) return 0;
    enum kind kind = now();
    return kind == FULL ? ENOSPC : kind == READONLY ? EROFS : 0;
}

static int sync_fails(int fd) {
    int before = errno, fails = is_watched_fd(fd) && now() == SYNC;
    errno = before;
    return fails;
}

#define FAIL(error) do { errno = (error); return -1; } while (0)
#define SHORTENED(error, length) ((error) == -1 && (length) > 1 ? (length) / 2 : (length))

ssize_t write(int fd, const void *bytes, size_t length) {
    int error = refused(fd);
    if (error > 0) FAIL(error);
    return REAL(write)(fd, bytes, SHORTENED(error, length));
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    int error = refused(fd);
    if (error > 0) FAIL(error);
    return REAL(pwrite)(fd, bytes, SHORTENED(error, length), at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    int error = refused(fd);
    if (error > 0) FAIL(error);
    return REAL(pwrite64)(fd, bytes, SHORTENED(error, length), at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    int error = refused(fd);
    if (error > 0) FAIL(error);
    return REAL(writev)(fd, parts, error == -1 && count > 1 ? 1 : count);
}

int fsync(int fd) {
    if (sync_fails(fd)) FAIL(EIO);
    return REAL(fsync)(fd);
}

int fdatasync(int fd) {
    if (sync_fails(fd)) FAIL(EIO);
    return REAL(fdatasync)(fd);
}

int ftruncate64(int fd, off64_t length) {
    int error = refused(fd);
    if (error > 0) FAIL(error);
    return REAL(ftruncate64)(fd, length);
}

int rename(const char *from, const char *to) {
    int error = refused_new(is_watched(to));
    if (error) FAIL(error);
    return REAL(rename)(from, to);
}

#define MODE_OF(flags, last) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, last); mode = va_arg(more, mode_t); va_end(more); }

int open(const char *path, int flags, ...) {
    MODE_OF(flags, flags)
    int error = refused_new((flags & O_CREAT) && is_watched(path));
    if (error) FAIL(error);
    return REAL(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE_OF(flags, flags)
    int error = refused_new((flags & O_CREAT) && is_watched(path));
    if (error) FAIL(error);
    return REAL(open64)(path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...) {
    MODE_OF(flags, flags)
    int error = refused_new((flags & O_CREAT) && is_watched_at(directory, path));
    if (error) FAIL(error);
    return REAL(openat)(directory, path, flags, mode);
}

int openat64(int directory, const char *path, int flags, ...) {
    MODE_OF(flags, flags)
    int error = refused_new((flags & O_CREAT) && is_watched_at(directory, path));
    if (error) FAIL(error);
    return REAL(openat64)(directory, path, flags, mode);
}
