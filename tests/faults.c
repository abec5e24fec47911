/* Loaded before libc by the tests.
 *
 * Makes writing to files below a folder named `journal` fail or take long, as the file named by SHIM_CONTROL says: EIO,
 * EROFS, ENOSPC, SLOW (three seconds), or nothing.
 *
 * Moves the wall clock as the file named by SHIM_CLOCK says: `=1793491200000000` makes it stand at so many microseconds
 * since 1970, `+60000000` moves it by so many, nothing leaves it as it is. The monotonic clock goes on as ever, and with
 * it everybody's waiting. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static int concerns(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return strstr(path, "/audit/journal/") != NULL;
}

/* The fault in force, as an errno; 0: none. SLOW sleeps and is none. */
static int fault(int fd) {
    const char *control = getenv("SHIM_CONTROL");
    if (!control || !concerns(fd)) return 0;
    int saved = errno, result = 0;
    char word[16] = {0};
    FILE *f = fopen(control, "r");
    if (f) {
        if (fread(word, 1, sizeof word - 1, f) > 0) {
            if (!strncmp(word, "EIO", 3)) result = EIO;
            else if (!strncmp(word, "EROFS", 5)) result = EROFS;
            else if (!strncmp(word, "ENOSPC", 6)) result = ENOSPC;
            else if (!strncmp(word, "SLOW", 4)) sleep(3);
        }
        fclose(f);
    }
    errno = saved;
    return result;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t at) {
    int e = fault(fd);
    if (e) { errno = e; return -1; }
    return REAL(pwrite64)(fd, buf, n, at);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t at) {
    int e = fault(fd);
    if (e) { errno = e; return -1; }
    return REAL(pwrite)(fd, buf, n, at);
}

int fdatasync(int fd) {
    int e = fault(fd);
    if (e) { errno = e; return -1; }
    return REAL(fdatasync)(fd);
}

int fsync(int fd) {
    int e = fault(fd);
    if (e) { errno = e; return -1; }
    return REAL(fsync)(fd);
}

int syncfs(int fd) {
    int e = fault(fd);
    if (e) { errno = e; return -1; }
    return REAL(syncfs)(fd);
}

/* Takes over what the file says. Clocks are asked often and from every thread, so: no allocation, no stdio. */
static void move(struct timespec *now) {
    const char *control = getenv("SHIM_CLOCK");
    if (!control || !now) return;
    int saved = errno;
    int fd = open(control, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        char text[32] = {0};
        if (read(fd, text, sizeof text - 1) > 1 && (text[0] == '=' || text[0] == '+')) {
            long long micros = strtoll(text + 1, NULL, 10);
            if (text[0] == '+') micros += (long long)now->tv_sec * 1000000 + now->tv_nsec / 1000;
            now->tv_sec = micros / 1000000;
            now->tv_nsec = micros % 1000000 * 1000;
        }
        close(fd);
    }
    errno = saved;
}

int clock_gettime(clockid_t id, struct timespec *now) {
    static __typeof__(&clock_gettime) real;
    if (!real) real = REAL(clock_gettime);
    int result = real(id, now);
    if (!result && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) move(now);
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec spec;
    if (!now || clock_gettime(CLOCK_REALTIME, &spec)) return -1;
    now->tv_sec = spec.tv_sec;
    now->tv_usec = spec.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec spec;
    if (clock_gettime(CLOCK_REALTIME, &spec)) return -1;
    if (out) *out = spec.tv_sec;
    return spec.tv_sec;
}
