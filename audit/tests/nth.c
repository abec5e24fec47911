/* Loaded before libc by nth_failure.rs.
 *
 * Counts the calls that write to files below a folder named `audit`: write, pwrite, fsync, fdatasync, rename, ftruncate,
 * unlink. Number NTH_CALL fails with EIO, after it was carried out (NTH_DONE=1) or instead (0); with NTH_KILL=1 the
 * process is killed at that place. That it came so far is told by the file NTH_TOLD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static atomic_long calls;

static int is_ours(const char *path) { return strstr(path, "/audit/") != NULL; }

static int is_open_file_of_ours(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return is_ours(path) || !strcmp(path + (n > 6 ? n - 6 : 0), "/audit");
}

/* It is this call's turn. */
static int turn(void) {
    const char *nth = getenv("NTH_CALL");
    return nth && atomic_fetch_add(&calls, 1) == atol(nth);
}

static int done(void) { return getenv("NTH_DONE") && !strcmp(getenv("NTH_DONE"), "1"); }

static void tell(void) {
    int fd = open(getenv("NTH_TOLD"), O_WRONLY | O_CREAT, 0600);
    if (fd >= 0) close(fd);
    if (getenv("NTH_KILL") && !strcmp(getenv("NTH_KILL"), "1")) kill(getpid(), SIGKILL);
    errno = EIO;
}

#define ON_FILE(type, name, params, args)                                 \
    type name params {                                                    \
        if (!is_open_file_of_ours(fd) || !turn()) return REAL(name) args; \
        if (done()) REAL(name) args;                                      \
        tell();                                                           \
        return -1;                                                        \
    }

ON_FILE(ssize_t, write, (int fd, const void *buf, size_t n), (fd, buf, n))
ON_FILE(ssize_t, pwrite64, (int fd, const void *buf, size_t n, off64_t at), (fd, buf, n, at))
ON_FILE(int, fsync, (int fd), (fd))
ON_FILE(int, fdatasync, (int fd), (fd))
ON_FILE(int, ftruncate64, (int fd, off64_t length), (fd, length))

int rename(const char *from, const char *to) {
    if (!is_ours(to) || !turn()) return REAL(rename)(from, to);
    if (done()) REAL(rename)(from, to);
    tell();
    return -1;
}

int unlink(const char *path) {
    if (!is_ours(path) || !turn()) return REAL(unlink)(path);
    if (done()) REAL(unlink)(path);
    tell();
    return -1;
}
