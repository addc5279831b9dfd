/* A library to be preloaded: the n-th call that changes a file below one folder fails, or kills the process.
 *
 * FAULT_FOLDER  the folder           FAULT_AT    which call, from 1 (0: none, calls are only counted)
 * FAULT_KIND    EIO (that call), ENOSPC (that and all later writes), SHORT (half of a write, then ENOSPC), KILL
 * FAULT_LOG     a file that gets the number of calls so far, whenever one is made, and "!" once it has failed
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int n_calls, has_failed;

static int is_ours(const char *path) {
    const char *folder = getenv("FAULT_FOLDER");
    return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

static int is_our_file(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return is_ours(path);
}

static void tell(void) {
    const char *log = getenv("FAULT_LOG");
    char text[32];
    int fd = log ? (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    if (fd < 0) return;
    int n = snprintf(text, sizeof text, "%d%s", n_calls, has_failed ? "!" : "");
    if (syscall(SYS_write, fd, text, n) < 0) _exit(99);
    syscall(SYS_close, fd);
}

/* 0: go on; -1: fail, errno is set; 1: write half. */
static int fault(int is_write) {
    const char *at = getenv("FAULT_AT"), *kind = getenv("FAULT_KIND");
    int n = at ? atoi(at) : 0;
    n_calls++;
    int is_it = n_calls == n;
    int is_full = has_failed && is_write && kind && (!strcmp(kind, "ENOSPC") || !strcmp(kind, "SHORT"));
    if (is_it) has_failed = 1;
    tell();
    if (!is_it && !is_full) return 0;
    if (!strcmp(kind, "KILL")) raise(SIGKILL);
    errno = !strcmp(kind, "EIO") ? EIO : ENOSPC;
    return is_it && is_write && !strcmp(kind, "SHORT") ? 1 : -1;
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *data, size_t n) {
    REAL(write);
    int f = is_our_file(fd) ? fault(1) : 0;
    return f < 0 ? -1 : real(fd, data, f ? n / 2 : n);
}
ssize_t pwrite(int fd, const void *data, size_t n, off_t at) {
    REAL(pwrite);
    int f = is_our_file(fd) ? fault(1) : 0;
    return f < 0 ? -1 : real(fd, data, f ? n / 2 : n, at);
}
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) {
    REAL(pwrite64);
    int f = is_our_file(fd) ? fault(1) : 0;
    return f < 0 ? -1 : real(fd, data, f ? n / 2 : n, at);
}
int fsync(int fd) { REAL(fsync); return is_our_file(fd) && fault(0) ? -1 : real(fd); }
int fdatasync(int fd) { REAL(fdatasync); return is_our_file(fd) && fault(0) ? -1 : real(fd); }
int ftruncate(int fd, off_t n) { REAL(ftruncate); return is_our_file(fd) && fault(1) ? -1 : real(fd, n); }
int ftruncate64(int fd, off64_t n) { REAL(ftruncate64); return is_our_file(fd) && fault(1) ? -1 : real(fd, n); }
int rename(const char *from, const char *to) { REAL(rename); return is_ours(to) && fault(0) ? -1 : real(from, to); }
int unlink(const char *path) { REAL(unlink); return is_ours(path) && fault(0) ? -1 : real(path); }
