/* Loaded before libc by the tests: makes writing to files below a folder named `journal` fail or take long, as the
 * file named by SHIM_CONTROL says: EIO, EROFS, ENOSPC, SLOW (three seconds), or nothing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
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
