/* Stands in for /dev/udmabuf and /dev/dma_heap where a kernel has neither: hands out memfds instead.
 * Preloaded into the program under test only. Everything else goes through untouched. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct wrap_memfd { uint32_t memfd, flags; uint64_t offset, size; };      /* linux/udmabuf.h */
struct heap_request { uint64_t length; uint32_t fd, fd_flags; uint64_t heap_flags; }; /* linux/dma-heap.h */
#define WRAP_MEMFD _IOW('u', 0x42, struct wrap_memfd)
#define HEAP_ALLOCATE _IOWR('H', 0, struct heap_request)

static int door = -1; /* every descriptor of a device we play is a duplicate of this one */

static int is_door(int fd) {
    struct stat ours, theirs;
    return door >= 0 && fstat(door, &ours) == 0 && fstat(fd, &theirs) == 0 && ours.st_ino == theirs.st_ino &&
           ours.st_dev == theirs.st_dev;
}

static int is_played(const char *path) {
    return strcmp(path, "/dev/udmabuf") == 0 || strncmp(path, "/dev/dma_heap/", 14) == 0;
}

static int open_either(const char *name, const char *path, int flags, mode_t mode) {
    if (is_played(path)) {
        if (door < 0) door = memfd_create("played device", MFD_CLOEXEC);
        return fcntl(door, F_DUPFD_CLOEXEC, 3);
    }
    int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);
    return next(path, flags, mode);
}

#define OPEN(name)                                                \
    int name(const char *path, int flags, ...) {                  \
        mode_t mode = 0;                                          \
        if (flags & (O_CREAT | O_TMPFILE)) {                      \
            va_list rest;                                         \
            va_start(rest, flags);                                \
            mode = va_arg(rest, mode_t);                          \
            va_end(rest);                                         \
        }                                                         \
        return open_either(#name, path, flags, mode);             \
    }
OPEN(open)
OPEN(open64)

int ioctl(int fd, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if ((uint32_t)request == (uint32_t)WRAP_MEMFD && is_door(fd))
        return fcntl((int)((struct wrap_memfd *)argument)->memfd, F_DUPFD_CLOEXEC, 3);
    if ((uint32_t)request == (uint32_t)HEAP_ALLOCATE && is_door(fd)) {
        struct heap_request *wanted = argument;
        int memory = memfd_create("played heap", MFD_CLOEXEC);
        if (memory < 0 || ftruncate(memory, (off_t)wanted->length) != 0) return -1;
        wanted->fd = (uint32_t)memory;
        return 0;
    }
    int (*next)(int, unsigned long, ...) = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
    int result = next(fd, request, argument);
    /* Cache synchronisation and naming of a dma-buf mean nothing to a memfd. */
    if (result < 0 && _IOC_TYPE(request) == 'b' && (errno == ENOTTY || errno == EINVAL)) return 0;
    return result;
}
