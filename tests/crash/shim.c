/*
 * Records what a program does to the files below one directory, so that powercut.py can work out what a disk
 * would hold had the power gone at any moment.
 *
 * Loaded with LD_PRELOAD. It does not interpose functions: programs make system calls without the C library
 * (Rust's rustix does, and the database renames its current version that way), and a recorder that misses one
 * rename proves nothing. Instead it asks the kernel, by a seccomp filter, for a SIGSYS at every call that can
 * change a file, from wherever it is made. The handler makes the call itself, from one instruction at a fixed
 * address that the filter lets pass, and appends one record to the trace. Calls that it cannot describe are
 * recorded as unsupported, and powercut.py then fails: nothing passes unseen.
 *
 * A filter outlives exec, hence the fixed address: in a child of the traced program the same filter is met by
 * a fresh copy of this library.
 *
 * Environment:
 *   GATEPOST_TRACE_DIR     absolute path without symbolic links; files elsewhere are not recorded
 *   GATEPOST_TRACE_FILE    the trace; opened for appending
 *   GATEPOST_TRACE_NOSYNC  if 1, fsync, fdatasync, sync_file_range, sync and syncfs succeed and do nothing: a
 *                          program that forgets to sync, to show that the harness notices
 *
 *   GATEPOST_TRACE_PACE    optional: a file of 12 octets, see struct pace
 *
 * Order. A change is recorded after it happened and before its caller goes on; a sync is recorded when it
 * begins and when it has ended. Records are single appends to one file, so their order is one order for all
 * threads and processes. A sync covers what was recorded before its beginning. A change racing with a sync of
 * the same file in another thread counts as not covered, which is all its caller may rely on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#if !defined(__x86_64__) || !defined(__LP64__)
#error "the recorder reads registers of x86_64; run the power-cut test there"
#endif

#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1
#endif

/* Where the one system call instruction lies that the filter lets pass. */
#define GATE_HIGH 0x1f00u
#define GATE_LOW 0x00010000u
#define GATE (((uintptr_t)GATE_HIGH << 32) | GATE_LOW)
/* Octets of the instruction: the kernel reports the address after it. */
#define GATE_AFTER (GATE_LOW + 2u)

/* What O_TMPFILE has beside O_DIRECTORY. */
#define NAMELESS 020000000
/* An open that can change something, or whose writes are synced by themselves. */
#define OPEN_CHANGES (O_CREAT | O_TRUNC | NAMELESS | O_DSYNC | (O_SYNC & ~O_DSYNC))

#define PATH_OCTETS 4096
#define PIECES_MAX 1000

/* Kinds of records; powercut.py and disk.py know them by the same letters. */
enum kind {
    OPEN = 'o',        /* id of the file, value = flags, payload = path */
    WRITE = 'w',       /* id, at = offset, payload = octets */
    SIZE = 't',        /* id, value = new size */
    ALLOCATE = 'a',    /* id, value = size it has at the least */
    RENAME = 'r',      /* payload = path NUL path */
    UNLINK = 'u',      /* payload = path */
    MAKE_DIR = 'm',    /* id, payload = path */
    LINK = 'l',        /* payload = path NUL path */
    SYNC_BEGIN = 'b',  /* id */
    SYNC_END = 'e',    /* id, value = 0 or the error */
    UNSUPPORTED = '?', /* value = number of the system call, payload = path if known */
};

struct record {
    uint32_t magic;
    uint32_t kind;
    uint64_t octets; /* of the payload */
    uint64_t device, inode;
    uint64_t at;
    int64_t value;
    uint32_t process, thread;
};

/*
 * Shared with the harness. To kill a traced process without tearing a call from its record, it sets `halt`, waits
 * until nobody is under way, and kills. With `fail` it makes calls on files of that file system fail, though there
 * is space and the disk is sound, or makes writes of a journal look as if they had succeeded: a program that thinks
 * it wrote, to show that the harness notices.
 */
struct pace {
    volatile uint32_t halt;
    uint32_t under_way;
    volatile uint32_t fail;
};

enum { FAIL_WRITES = 1, FAIL_SYNCS = 2, SWALLOW_JOURNAL = 4 };

static struct pace *pace;
static char traced[PATH_OCTETS];
static size_t traced_octets;
static dev_t traced_device;
static int trace = -1;
static int swallow_syncs;
static volatile sig_atomic_t probed;

/* A system call from the one place that is not trapped. */
static long call(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("call *%[gate]"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9), [gate] "b"(GATE)
                     : "rcx", "r11", "memory");
    return result;
}

#define call1(n, a) call(n, (long)(a), 0, 0, 0, 0, 0)
#define call2(n, a, b) call(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define call3(n, a, b, c) call(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define call4(n, a, b, c, d) call(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

/* A recorder that cannot record must not let the program go on. */
static void give_up(const char *why)
{
    static const char head[] = "shim.c: ";
    call3(SYS_write, 2, head, sizeof head - 1);
    call3(SYS_write, 2, why, strlen(why));
    call3(SYS_write, 2, "\n", 1);
    call1(SYS_exit_group, 99);
    __builtin_trap();
}

static void append(struct record *record, const struct iovec *pieces, int count, size_t octets)
{
    struct iovec all[PIECES_MAX + 1];
    size_t left = octets;
    int used = 1;
    record->magic = 0x70756367; /* "gcup" */
    record->octets = octets;
    record->process = (uint32_t)call1(SYS_getpid, 0);
    record->thread = (uint32_t)call1(SYS_gettid, 0);
    all[0].iov_base = record;
    all[0].iov_len = sizeof *record;
    for (int i = 0; i < count && left > 0; i++) {
        size_t take = pieces[i].iov_len < left ? pieces[i].iov_len : left;
        all[used].iov_base = pieces[i].iov_base;
        all[used].iov_len = take;
        used++;
        left -= take;
    }
    if (left > 0)
        give_up("a call said it wrote more than it was given");
    long done = call3(SYS_writev, trace, all, used);
    if (done < 0 || (size_t)done != sizeof *record + octets)
        give_up("the trace cannot be written");
}

static void append_text(struct record *record, const char *one, const char *two)
{
    struct iovec pieces[3];
    int count = 0;
    size_t octets = strlen(one);
    pieces[count].iov_base = (void *)one;
    pieces[count++].iov_len = octets;
    if (two != NULL) {
        pieces[count].iov_base = (void *)"";
        pieces[count++].iov_len = 1;
        pieces[count].iov_base = (void *)two;
        pieces[count++].iov_len = strlen(two);
        octets += 1 + strlen(two);
    }
    append(record, pieces, count, octets);
}

/* Fills in whose file a descriptor is; 0 if it is none that could be ours. */
static int identify(struct record *record, int fd, struct stat *stat)
{
    if (call2(SYS_fstat, fd, stat) < 0)
        return 0;
    record->device = stat->st_dev;
    record->inode = stat->st_ino;
    return stat->st_dev == traced_device && (S_ISREG(stat->st_mode) || S_ISDIR(stat->st_mode));
}

static int must_fail(uint32_t what, int fd)
{
    struct record record = {0};
    struct stat stat;
    return pace != NULL && (pace->fail & what) && identify(&record, fd, &stat);
}

static int is_ours(const char *path)
{
    return strncmp(path, traced, traced_octets) == 0 &&
           (path[traced_octets] == '/' || path[traced_octets] == '\0');
}

/* The absolute form of a path, not yet without dots. */
static const char *absolute(char *out, int dir, const char *path)
{
    long octets;
    if (path[0] == '/')
        return path;
    if (dir == AT_FDCWD) {
        octets = call2(SYS_getcwd, out, PATH_OCTETS);
        octets = octets > 0 ? octets - 1 : octets;
    } else {
        char link[32] = "/proc/self/fd/";
        char digits[12];
        int n = 0, at = 14;
        unsigned value = (unsigned)dir;
        do
            digits[n++] = (char)('0' + value % 10);
        while ((value /= 10) != 0);
        while (n > 0)
            link[at++] = digits[--n];
        link[at] = '\0';
        octets = call3(SYS_readlink, link, out, PATH_OCTETS);
    }
    size_t rest = strlen(path);
    if (octets <= 0 || (size_t)octets + rest + 2 > PATH_OCTETS)
        give_up("a path cannot be made absolute");
    out[octets] = '/';
    memcpy(out + octets + 1, path, rest + 1);
    return out;
}

/* Whether the writes of this file are to look as if they had succeeded. */
static int must_lie(int fd)
{
    static const char name[] = ".jnl";
    char buffer[PATH_OCTETS];
    if (pace == NULL || !(pace->fail & SWALLOW_JOURNAL))
        return 0;
    size_t octets = strlen(absolute(buffer, fd, ""));
    if (octets > 0 && buffer[octets - 1] == '/')
        buffer[--octets] = '\0';
    return is_ours(buffer) && octets >= sizeof name && strcmp(buffer + octets - (sizeof name - 1), name) == 0;
}

static long octets_of(const struct iovec *pieces, long count)
{
    size_t octets = 0;
    for (long i = 0; i < count; i++)
        octets += pieces[i].iov_len;
    return (long)octets;
}

static void unsupported(long number, const char *path)
{
    struct record record = {.kind = UNSUPPORTED, .value = number};
    append_text(&record, path, NULL);
}

static long do_open(long number, int dir, const char *path, long flags, long mode)
{
    char buffer[PATH_OCTETS];
    struct record record = {.kind = OPEN, .value = flags};
    struct stat stat;
    long fd = number == SYS_openat ? call4(SYS_openat, dir, path, flags, mode)
                                   : call3(SYS_open, path, flags, mode);
    if (fd < 0)
        return fd;
    const char *full = absolute(buffer, dir, path);
    if (!is_ours(full) || !identify(&record, (int)fd, &stat))
        return fd;
    if (flags & (O_DSYNC | (O_SYNC & ~O_DSYNC)) && (flags & O_ACCMODE) != O_RDONLY)
        unsupported(number, full);
    if (flags & (O_CREAT | O_TRUNC | NAMELESS))
        append_text(&record, full, NULL);
    return fd;
}

/* After a write that moved the file's position. */
static void wrote_here(int fd, const struct iovec *pieces, int count, long octets)
{
    struct record record = {.kind = WRITE};
    struct stat stat;
    if (octets <= 0 || !identify(&record, fd, &stat))
        return;
    record.at = (uint64_t)(call3(SYS_lseek, fd, 0, SEEK_CUR) - octets);
    append(&record, pieces, count, (size_t)octets);
}

static void wrote_at(int fd, const struct iovec *pieces, int count, long octets, uint64_t at)
{
    struct record record = {.kind = WRITE, .at = at};
    struct stat stat;
    if (octets <= 0 || !identify(&record, fd, &stat))
        return;
    /* Linux appends whatever the offset says (pwrite(2), BUGS). */
    if (call2(SYS_fcntl, fd, F_GETFL) & O_APPEND)
        unsupported(SYS_pwrite64, "positioned write to a file open for appending");
    append(&record, pieces, count, (size_t)octets);
}

static long do_sync(long number, int fd, const long *a)
{
    struct record record = {.kind = SYNC_BEGIN};
    struct stat stat;
    if (swallow_syncs)
        return 0;
    int ours = number != SYS_sync_file_range && identify(&record, fd, &stat);
    if (ours)
        append(&record, NULL, 0, 0);
    long result = call(number, fd, a[1], a[2], a[3], 0, 0);
    if (ours) {
        record.kind = SYNC_END;
        record.value = result;
        append(&record, NULL, 0, 0);
    }
    return result;
}

static long do_two_paths(long number, enum kind kind, int dir1, const char *one, int dir2, const char *two,
                         const long *a)
{
    char buffer1[PATH_OCTETS], buffer2[PATH_OCTETS];
    struct record record = {.kind = kind};
    const char *full1 = absolute(buffer1, dir1, one);
    const char *full2 = absolute(buffer2, dir2, two);
    long result = call(number, a[0], a[1], a[2], a[3], a[4], 0);
    if (result >= 0 && (is_ours(full1) || is_ours(full2)))
        append_text(&record, full1, full2);
    return result;
}

static long do_unlink(long number, int dir, const char *path, const long *a)
{
    char buffer[PATH_OCTETS];
    struct record record = {.kind = UNLINK};
    const char *full = absolute(buffer, dir, path);
    long result = call3(number, a[0], a[1], a[2]);
    if (result >= 0 && is_ours(full))
        append_text(&record, full, NULL);
    return result;
}

static long do_make_dir(long number, int dir, const char *path, const long *a)
{
    char buffer[PATH_OCTETS];
    struct record record = {.kind = MAKE_DIR};
    struct stat stat;
    const char *full = absolute(buffer, dir, path);
    long result = call3(number, a[0], a[1], a[2]);
    if (result >= 0 && is_ours(full)) {
        if (call2(SYS_stat, full, &stat) < 0)
            give_up("a new directory is gone");
        record.device = stat.st_dev;
        record.inode = stat.st_ino;
        append_text(&record, full, NULL);
    }
    return result;
}

static long do_size(int fd, long size)
{
    struct record record = {.kind = SIZE, .value = size};
    struct stat stat;
    long result = call2(SYS_ftruncate, fd, size);
    if (result >= 0 && identify(&record, fd, &stat))
        append(&record, NULL, 0, 0);
    return result;
}

static long do_allocate(int fd, long mode, long at, long octets)
{
    struct record record = {.kind = ALLOCATE, .value = at + octets};
    struct stat stat;
    long result = call4(SYS_fallocate, fd, mode, at, octets);
    if (result >= 0 && identify(&record, fd, &stat)) {
        if (mode == 0)
            append(&record, NULL, 0, 0);
        else if (mode != 1) /* FALLOC_FL_KEEP_SIZE changes nothing that can be read */
            unsupported(SYS_fallocate, "punching, zeroing or moving ranges");
    }
    return result;
}

/* Calls that could change a file in ways this recorder does not follow. They are made, and reported. */
static long do_unsupported(long number, const long *a)
{
    char buffer[PATH_OCTETS];
    struct record record = {0};
    struct stat stat;
    const char *path = "";
    int target = -1;
    long result = call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (result < 0 && result > -4096)
        return result;
    switch (number) {
    case SYS_truncate:
        path = absolute(buffer, AT_FDCWD, (const char *)a[0]);
        break;
    case SYS_openat2:
        path = absolute(buffer, (int)a[0], (const char *)a[1]);
        break;
    case SYS_symlink:
        path = absolute(buffer, AT_FDCWD, (const char *)a[1]);
        break;
    case SYS_symlinkat:
        path = absolute(buffer, (int)a[1], (const char *)a[2]);
        break;
    case SYS_mmap:
        target = (int)a[4];
        break;
    case SYS_sendfile:
        target = (int)a[0];
        break;
    case SYS_splice:
    case SYS_copy_file_range:
        target = (int)a[2];
        break;
    default: /* sync, syncfs, io_uring_setup, ...: wherever they are made */
        unsupported(number, "");
        return result;
    }
    if (target >= 0 ? identify(&record, target, &stat) && S_ISREG(stat.st_mode) : is_ours(path))
        unsupported(number, path);
    return result;
}

/* What a write says that wrote all it was given. */
static long lie(long number, const long *a)
{
    switch (number) {
    case SYS_writev:
    case SYS_pwritev:
    case SYS_pwritev2:
        return octets_of((const struct iovec *)a[1], a[2]);
    case SYS_fallocate:
        return 0;
    default:
        return a[2];
    }
}

static long dispatch(long number, const long *a)
{
    struct iovec piece;
    long done;
    switch (number) {
    case SYS_write:
    case SYS_writev:
    case SYS_pwrite64:
    case SYS_pwritev:
    case SYS_pwritev2:
    case SYS_fallocate:
        if (must_lie((int)a[0]))
            return lie(number, a);
        if (must_fail(FAIL_WRITES, (int)a[0]))
            return -ENOSPC;
        break;
    case SYS_fsync:
    case SYS_fdatasync:
        if (must_fail(FAIL_SYNCS, (int)a[0]))
            return -EIO;
        break;
    default:
        break;
    }
    switch (number) {
    case SYS_open:
        return do_open(number, AT_FDCWD, (const char *)a[0], a[1], a[2]);
    case SYS_creat:
        return do_open(SYS_open, AT_FDCWD, (const char *)a[0], O_CREAT | O_WRONLY | O_TRUNC, a[1]);
    case SYS_openat:
        return do_open(number, (int)a[0], (const char *)a[1], a[2], a[3]);
    case SYS_write:
        done = call3(number, a[0], a[1], a[2]);
        piece = (struct iovec){(void *)a[1], (size_t)a[2]};
        wrote_here((int)a[0], &piece, 1, done);
        return done;
    case SYS_writev:
        if (a[2] > PIECES_MAX)
            give_up("writev with too many pieces");
        done = call3(number, a[0], a[1], a[2]);
        wrote_here((int)a[0], (const struct iovec *)a[1], (int)a[2], done);
        return done;
    case SYS_pwrite64:
        done = call4(number, a[0], a[1], a[2], a[3]);
        piece = (struct iovec){(void *)a[1], (size_t)a[2]};
        wrote_at((int)a[0], &piece, 1, done, (uint64_t)a[3]);
        return done;
    case SYS_pwritev:
    case SYS_pwritev2:
        if (a[2] > PIECES_MAX)
            give_up("pwritev with too many pieces");
        done = call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (number == SYS_pwritev2 && (a[3] == -1 || a[5] != 0))
            unsupported(number, "pwritev2 with flags or without an offset");
        wrote_at((int)a[0], (const struct iovec *)a[1], (int)a[2], done, (uint64_t)a[3]);
        return done;
    case SYS_ftruncate:
        return do_size((int)a[0], a[1]);
    case SYS_fallocate:
        return do_allocate((int)a[0], a[1], a[2], a[3]);
    case SYS_rename:
        return do_two_paths(number, RENAME, AT_FDCWD, (char *)a[0], AT_FDCWD, (char *)a[1], a);
    case SYS_renameat2:
        if (a[4] & ~1L) /* all but RENAME_NOREPLACE */
            unsupported(number, (const char *)a[1]);
        __attribute__((fallthrough));
    case SYS_renameat:
        return do_two_paths(number, RENAME, (int)a[0], (char *)a[1], (int)a[2], (char *)a[3], a);
    case SYS_link:
        return do_two_paths(number, LINK, AT_FDCWD, (char *)a[0], AT_FDCWD, (char *)a[1], a);
    case SYS_linkat:
        return do_two_paths(number, LINK, (int)a[0], (char *)a[1], (int)a[2], (char *)a[3], a);
    case SYS_unlink:
    case SYS_rmdir:
        return do_unlink(number, AT_FDCWD, (const char *)a[0], a);
    case SYS_unlinkat:
        return do_unlink(number, (int)a[0], (const char *)a[1], a);
    case SYS_mkdir:
        return do_make_dir(number, AT_FDCWD, (const char *)a[0], a);
    case SYS_mkdirat:
        return do_make_dir(number, (int)a[0], (const char *)a[1], a);
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_sync_file_range:
        return do_sync(number, (int)a[0], a);
    case SYS_sync:
    case SYS_syncfs:
        if (swallow_syncs)
            return 0;
        __attribute__((fallthrough));
    default:
        return do_unsupported(number, a);
    }
}

static void enter(void)
{
    const struct timespec while_halted = {.tv_nsec = 1000000};
    for (;;) {
        __atomic_add_fetch(&pace->under_way, 1, __ATOMIC_SEQ_CST);
        if (!pace->halt)
            return;
        __atomic_sub_fetch(&pace->under_way, 1, __ATOMIC_SEQ_CST);
        call2(SYS_nanosleep, &while_halted, NULL);
    }
}

static void leave(void)
{
    __atomic_sub_fetch(&pace->under_way, 1, __ATOMIC_SEQ_CST);
}

static void trapped(int signal, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    (void)signal;
    if (info->si_code != SYS_SECCOMP)
        give_up("a SIGSYS that is not ours");
    if (!probed) {
        probed = 1;
        registers[REG_RAX] = 0;
        return;
    }
    const long arguments[6] = {registers[REG_RDI], registers[REG_RSI], registers[REG_RDX],
                               registers[REG_R10], registers[REG_R8],  registers[REG_R9]};
    if (pace != NULL)
        enter();
    registers[REG_RAX] = dispatch(info->si_syscall, arguments);
    if (pace != NULL)
        leave();
}

static struct pace *map_pace(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *shared = fd < 0 ? MAP_FAILED
                          : (void *)call(SYS_mmap, 0, sizeof(struct pace), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if ((uintptr_t)shared > (uintptr_t)-4096)
        give_up("GATEPOST_TRACE_PACE cannot be used");
    close(fd);
    return shared;
}

static void make_gate(void)
{
    static const unsigned char code[] = {0x0f, 0x05, 0xc3}; /* syscall; ret */
    void *page = mmap((void *)GATE, 4096, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (page != (void *)GATE)
        abort();
    memcpy(page, code, sizeof code);
    if (mprotect(page, 4096, PROT_READ | PROT_EXEC) != 0)
        abort();
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(field))
#define ARGUMENT(n) (offsetof(struct seccomp_data, args) + 8 * (n))
#define IS(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), yes, no)
#define HAS(bits, yes, no) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (uint32_t)(bits), yes, no)
#define PASS BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define TRAP BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP)
#define ALWAYS(number) IS(number, 0, 1), TRAP

static void make_filter(void)
{
    struct sock_filter filter[] = {
        LOAD(offsetof(struct seccomp_data, arch)),
        IS(AUDIT_ARCH_X86_64, 1, 0),
        PASS,
        LOAD(offsetof(struct seccomp_data, instruction_pointer)),
        IS(GATE_AFTER, 0, 3),
        LOAD(offsetof(struct seccomp_data, instruction_pointer) + 4),
        IS(GATE_HIGH, 0, 1),
        PASS,
        LOAD(offsetof(struct seccomp_data, nr)),
        ALWAYS(SYS_creat), ALWAYS(SYS_openat2),
        ALWAYS(SYS_write), ALWAYS(SYS_writev), ALWAYS(SYS_pwrite64), ALWAYS(SYS_pwritev), ALWAYS(SYS_pwritev2),
        ALWAYS(SYS_truncate), ALWAYS(SYS_ftruncate), ALWAYS(SYS_fallocate),
        ALWAYS(SYS_rename), ALWAYS(SYS_renameat), ALWAYS(SYS_renameat2),
        ALWAYS(SYS_link), ALWAYS(SYS_linkat), ALWAYS(SYS_symlink), ALWAYS(SYS_symlinkat),
        ALWAYS(SYS_unlink), ALWAYS(SYS_unlinkat), ALWAYS(SYS_rmdir), ALWAYS(SYS_mkdir), ALWAYS(SYS_mkdirat),
        ALWAYS(SYS_fsync), ALWAYS(SYS_fdatasync), ALWAYS(SYS_sync_file_range), ALWAYS(SYS_sync),
        ALWAYS(SYS_syncfs), ALWAYS(SYS_sendfile), ALWAYS(SYS_splice), ALWAYS(SYS_copy_file_range),
        ALWAYS(SYS_io_uring_setup),
        IS(SYS_open, 0, 4),
        LOAD(ARGUMENT(1)),
        HAS(OPEN_CHANGES, 0, 1),
        TRAP,
        PASS,
        IS(SYS_openat, 0, 4),
        LOAD(ARGUMENT(2)),
        HAS(OPEN_CHANGES, 0, 1),
        TRAP,
        PASS,
        /* A file mapped for writing by all. */
        IS(SYS_mmap, 0, 6),
        LOAD(ARGUMENT(2)),
        HAS(PROT_WRITE, 0, 4),
        LOAD(ARGUMENT(3)),
        HAS(MAP_ANONYMOUS, 2, 0),
        HAS(MAP_SHARED, 0, 1),
        TRAP,
        PASS,
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        give_up("the kernel takes no seccomp filter");
}

/* Whether a filter from before exec is at work: it answers this call, which otherwise fails. */
static int is_filtered(void)
{
    probed = 0;
    syscall(SYS_rename, "", "");
    int found = probed;
    probed = 1;
    return found;
}

__attribute__((constructor)) static void begin(void)
{
    const char *dir = getenv("GATEPOST_TRACE_DIR");
    const char *file = getenv("GATEPOST_TRACE_FILE");
    const char *nosync = getenv("GATEPOST_TRACE_NOSYNC");
    const char *paced = getenv("GATEPOST_TRACE_PACE");
    struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART};
    struct stat stat;
    make_gate();
    /* A handler of another signal that writes must not run inside ours: its SIGSYS may nest, ours goes first. */
    sigfillset(&action.sa_mask);
    sigdelset(&action.sa_mask, SIGSYS);
    if (sigaction(SIGSYS, &action, NULL) != 0)
        give_up("no handler for SIGSYS");
    if (dir == NULL || file == NULL || strlen(dir) >= sizeof traced)
        give_up("GATEPOST_TRACE_DIR and GATEPOST_TRACE_FILE must be set");
    strcpy(traced, dir);
    traced_octets = strlen(traced);
    swallow_syncs = nosync != NULL && strcmp(nosync, "1") == 0;
    if (call2(SYS_stat, traced, &stat) < 0)
        give_up("GATEPOST_TRACE_DIR is not there");
    traced_device = stat.st_dev;
    trace = (int)call4(SYS_openat, AT_FDCWD, file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (trace < 0)
        give_up("GATEPOST_TRACE_FILE cannot be opened");
    if (paced != NULL)
        pace = map_pace(paced);
    if (!is_filtered())
        make_filter();
}
