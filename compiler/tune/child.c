/* Candidates in processes of their own: see child.h. What a child has to say lies in memory that both share; a pipe
 * that closes tells that it is gone. */
#define _DEFAULT_SOURCE
#include "tune/child_inside.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

const char *const fv_tune_status_names[] = {"correct", "wrong",  "compile",  "runtime",
                                            "timeout", "memory", "declined", "stopped"};

/* -- Limits -------------------------------------------------------------------------------------------------------- */
static int64_t bytes_of(pid_t process, bool resident) { /* else: of address space; -1: not known */
    char path[64];
    long all = 0, used = 0;
    snprintf(path, sizeof path, "/proc/%ld/statm", (long)process);
    FILE *f = fopen(path, "r");
    if (!f) return -1;
    bool fine = fscanf(f, "%ld %ld", &all, &used) == 2;
    fclose(f);
    return fine ? (int64_t)(resident ? used : all) * sysconf(_SC_PAGESIZE) : -1;
}
static void limit(int what, double most) {
    struct rlimit r = {(rlim_t)most, (rlim_t)most};
    setrlimit(what, &r); /* the parent's clock is the limit that counts */
}
static void set_limits(const fv_tune_limits *l, pid_t parent) {
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    if (getppid() != parent) _exit(1);
    signal(SIGINT, SIG_IGN); /* the parent decides */
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, l->seconds * (l->threads + 1) + 2);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    int64_t own = bytes_of(getpid(), false);
    if (l->memory && !l->resident && own > 0) limit(RLIMIT_AS, (double)(own + l->memory));
#endif
}

/* -- One child ----------------------------------------------------------------------------------------------------- */
typedef enum { ENDED, KILLED_BY_CLOCK, KILLED_FOR_MEMORY, STOPPED } how;
typedef struct {
    how how;
    int status;      /* of waitpid */
    char words[300]; /* the end of what it wrote to its error stream */
} ending;

static void last_words(FILE *f, char *out, size_t size) {
    *out = 0;
    if (!f) return;
    fflush(f);
    long end = fseek(f, 0, SEEK_END) ? 0 : ftell(f), from = end > (long)size - 1 ? end - (long)size + 1 : 0;
    if (end <= 0 || fseek(f, from, SEEK_SET)) return;
    size_t n = fread(out, 1, size - 1, f);
    out[n] = 0;
    for (size_t i = 0; i < n; i++)
        if (out[i] == '\n' || out[i] == '\r' || out[i] == '\t') out[i] = ' ';
    while (n && out[n - 1] == ' ') out[--n] = 0;
}
static ending run_child(const fv_tune_limits *l, void (*body)(void *user), void *user) {
    ending e = {.how = ENDED, .status = -1};
    int end[2];
    FILE *words = tmpfile();
    pid_t parent = getpid();
    double until = fv_now() + l->seconds;
    int64_t most = l->memory && l->resident ? bytes_of(parent, true) + l->memory : 0;
    if (pipe(end)) {
        snprintf(e.words, sizeof e.words, "no pipe: %s", strerror(errno));
        return e;
    }
    fflush(stdout);
    fflush(stderr);
    pid_t child = fork();
    if (child == 0) {
        close(end[0]);
        set_limits(l, parent);
        if (words) dup2(fileno(words), STDERR_FILENO);
        body(user);
        _exit(0);
    }
    close(end[1]);
    if (child < 0) {
        snprintf(e.words, sizeof e.words, "no process: %s", strerror(errno));
        close(end[0]);
        if (words) fclose(words);
        return e;
    }
    while (e.how == ENDED) {
        struct pollfd p = {.fd = end[0], .events = POLLIN};
        double left = until - fv_now();
        int got = poll(&p, 1, left <= 0 ? 0 : left > 0.05 ? 50 : 1 + (int)(1000 * left));
        if (got > 0) break; /* closed: it has ended */
        if (l->stop && *l->stop) e.how = STOPPED;
        else if (fv_now() >= until) e.how = KILLED_BY_CLOCK;
        else if (most && bytes_of(child, true) > most) e.how = KILLED_FOR_MEMORY;
    }
    if (e.how != ENDED) kill(child, SIGKILL);
    while (waitpid(child, &e.status, 0) < 0 && errno == EINTR) {}
    close(end[0]);
    last_words(words, e.words, sizeof e.words);
    if (words) fclose(words);
    return e;
}

bool fv_tune_in_child(const fv_tune_limits *l, void (*body)(void *user), void *user) {
    ending e = run_child(l, body, user);
    return e.how == ENDED && WIFEXITED(e.status) && WEXITSTATUS(e.status) == 0;
}
void fv_tune_unshare(void *p, size_t bytes) {
    if (p) munmap(p, bytes);
}
void *fv_tune_shared(size_t bytes) {
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* -- Trying -------------------------------------------------------------------------------------------------------- */
static const char *const doing[] = {"being lowered", "being compiled", "running", "being timed"};

/* What a child that did not come to its end was doing. */
static void judge(const ending *e, const fv_tune_job *job, tune_report *r, fv_tune_outcome *out) {
    *out = r->outcome;
    if (e->how == STOPPED) {
        out->status = FV_TUNE_STOPPED;
        return;
    }
    if (e->how == ENDED && WIFEXITED(e->status) && WEXITSTATUS(e->status) == 0 && r->done) return;
    bool memory =
        e->how == KILLED_FOR_MEMORY || strstr(e->words, "memory") != NULL || strstr(e->words, "bad_alloc") != NULL;
    bool clock = e->how == KILLED_BY_CLOCK || (WIFSIGNALED(e->status) && WTERMSIG(e->status) == SIGXCPU);
    out->status = clock                       ? FV_TUNE_TIMEOUT
                  : memory                    ? FV_TUNE_MEMORY
                  : r->phase == TUNE_COMPILES ? FV_TUNE_COMPILE
                                              : FV_TUNE_RUNTIME;
    if (clock)
        snprintf(out->reason, sizeof out->reason, "more than %.3g s; it was %s", job->limits.seconds, doing[r->phase]);
    else if (e->how == KILLED_FOR_MEMORY)
        snprintf(out->reason, sizeof out->reason, "more than %lld MiB; it was %s",
                 (long long)(job->limits.memory >> 20), doing[r->phase]);
    else if (e->status == -1) snprintf(out->reason, sizeof out->reason, "%s", e->words);
    else if (WIFSIGNALED(e->status))
        snprintf(out->reason, sizeof out->reason, "it died of signal %d (%s) while it was %s%s%s", WTERMSIG(e->status),
                 strsignal(WTERMSIG(e->status)), doing[r->phase], *e->words ? ": " : "", e->words);
    else
        snprintf(out->reason, sizeof out->reason, "it ended with status %d while it was %s%s%s", WEXITSTATUS(e->status),
                 doing[r->phase], *e->words ? ": " : "", e->words);
}
void fv_tune_try(const fv_tune_job *job, const fv_schedule *wish, fv_tune_outcome *out) {
    tune_report *r = fv_tune_shared(sizeof *r);
    *out = (fv_tune_outcome){.status = FV_TUNE_MEMORY, .reason = "no memory to share with a child"};
    if (!r) return;
    *r = (tune_report){.job = job, .wish = wish};
    ending e = run_child(&job->limits, tune_try_body, r);
    judge(&e, job, r, out);
    munmap(r, sizeof *r);
}

bool fv_tune_foresee(const fv_tune_job *job, const fv_schedule *const *wish, int n, fv_tune_foresight *out) {
    size_t bytes = sizeof(tune_foresight) + (size_t)n * sizeof *out;
    tune_foresight *f = fv_tune_shared(bytes);
    for (int i = 0; i < n; i++) out[i] = (fv_tune_foresight){.reason = "no memory to share with a child"};
    if (!f) return true;
    f->job = job;
    f->wish = wish;
    f->n = n;
    bool going = true;
    while (f->next < n && going) { /* a candidate that its child dies of is left out, and the next child goes on */
        int from = f->next;
        ending e = run_child(&job->limits, tune_foresee_body, f);
        going = e.how != STOPPED;
        if (f->next < n && going) {
            snprintf(f->of[f->next].reason, sizeof f->of->reason, "%s while it was being lowered%s%.150s",
                     e.how == ENDED ? "the compiler died" : "no end", *e.words ? ": " : "", e.words);
            if (e.how == ENDED || f->next == from) f->next++;
        }
    }
    memcpy(out, f->of, (size_t)n * sizeof *out);
    munmap(f, bytes);
    return going;
}
