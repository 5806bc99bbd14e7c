/* Devices and what they can do: each probe runs in a process of its own (`fovea devices --probe D:NAME`), so that a
 * driver that hangs or ends the process costs one line. Invariant: what fails is off, with the reason shown; answers
 * are kept per device and driver. */
#define _POSIX_C_SOURCE 200809L
#include "cli/device_report.h"
#include "backends/opencl/shape.h"
#include "runtime/opencl/probe.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER = 900, SHOWN = 240 };

static const fovea_cl_device *devices_of(fv_ctx *ctx, int *n, const char **why) {
    fovea_cl_device *list = FV_NEWN(ctx, fovea_cl_device, FOVEA_CL_MOST_DEVICES);
    char *text = fv_alloc(ctx, 800);
    *n = fovea_cl_devices(list, FOVEA_CL_MOST_DEVICES, text, 800);
    *why = text;
    return list;
}

/* -- In the child ---- */
int cli_probe_child(fv_ctx *ctx, const char *what) {
    int n, at = 0;
    const char *why, *colon = strchr(what, ':');
    const fovea_cl_device *list = devices_of(ctx, &n, &why);
    long device = strtol(what, NULL, 10);
    fovea_error e;
    for (const fovea_cl_probe *p; colon && (p = fv_opencl_probe_at(at)); at++) {
        if (strcmp(p->name, colon + 1) || device < 0 || device >= n) continue;
        if (fovea_cl_probe_run(p, &list[device], &e) == FOVEA_OK) {
            printf("yes\n");
            return CLI_OK;
        }
        printf("no: %.800s\n", e.text);
        return CLI_USER;
    }
    fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "there is no probe '%s'", what);
    return CLI_USER;
}

/* -- In the parent ---- */
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
/* What the child says until it ends or the time is over. */
static void listen_to(int from, pid_t child, double seconds, char *answer) {
    double end = now() + seconds;
    size_t n = 0;
    int status = 0;
    struct pollfd p = {.fd = from, .events = POLLIN};
    for (;;) {
        int left = (int)(1e3 * (end - now()));
        if (left <= 0 || poll(&p, 1, left) <= 0) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            snprintf(answer, ANSWER, "no: no answer in %.0f s", seconds);
            return;
        }
        ssize_t got = read(from, answer + n, ANSWER - 1 - n);
        if (got <= 0) break;
        n += (size_t)got;
        if (n == ANSWER - 1) break;
    }
    answer[n] = 0;
    waitpid(child, &status, 0);
    for (size_t i = 0; i < n; i++)
        if (answer[i] == '\n') answer[i] = i + 1 < n ? ' ' : 0;
    if (WIFSIGNALED(status)) snprintf(answer, ANSWER, "no: the driver ended the process (signal %d)", WTERMSIG(status));
    else if (!n) snprintf(answer, ANSWER, "no: the driver ended the process without a word");
}
static void ask(const char *what, double seconds, char *answer) {
    int ends[2];
    snprintf(answer, ANSWER, "no: a process cannot be started");
    fflush(stdout);
    if (pipe(ends)) return;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        close(ends[0]);
        close(ends[1]);
        if (!freopen("/dev/null", "w", stderr)) _exit(3);
        execl("/proc/self/exe", "fovea", "devices", "--probe", what, (char *)NULL);
        _exit(3);
    }
    close(ends[1]);
    if (child > 0) listen_to(ends[0], child, seconds, answer);
    close(ends[0]);
}
static bool remembered(const char *path, char *answer) {
    FILE *f = path ? fopen(path, "r") : NULL;
    bool fine = f && fgets(answer, ANSWER, f);
    if (f) fclose(f);
    if (fine) answer[strcspn(answer, "\n")] = 0;
    return fine && (!strcmp(answer, "yes") || !strncmp(answer, "no: ", 4));
}
static void remember(const char *path, const char *answer) {
    FILE *f = path ? fopen(path, "w") : NULL;
    if (!f) return;
    fprintf(f, "%s\n", answer);
    fclose(f);
}
/* The answer of device `number` to a probe, from the cache or anew. */
static void answer_of(fv_ctx *ctx, const fovea_cl_device *d, int number, const fovea_cl_probe *p, double seconds,
                      char *answer) {
    const char *folder = cli_cache_dir(ctx);
    char key[128], what[96];
    if (folder) mkdir(folder, 0777);
    fovea_cl_probe_key(p, d, key, sizeof key);
    const char *path = folder ? fv_printf(ctx, "%s/%s.txt", folder, key) : NULL;
    if (remembered(path, answer)) return;
    snprintf(what, sizeof what, "%d:%s", number, p->name);
    cli_progress("asking %s for %s", d->name, p->what);
    ask(what, seconds, answer);
    cli_progress_done();
    remember(path, answer);
}
static void say_probes(fv_ctx *ctx, const fovea_cl_device *d, int number, double seconds) {
    const fovea_cl_probe *p;
    char answer[ANSWER];
    const char *unit = NULL;
    for (int i = 0; (p = fv_opencl_probe_at(i)); i++) {
        if (!fovea_cl_probe_fits(p, d)) continue;
        answer_of(ctx, d, number, p, seconds, answer);
        printf("     %-16s %-34s %.*s%s\n", p->name, p->what, SHOWN, answer, strlen(answer) > SHOWN ? " …" : "");
        for (int u = 1; !unit && fv_opencl_unit_probe(u); u++)
            if (p == fv_opencl_unit_probe(u) && !strcmp(answer, "yes")) unit = p->name + strlen("unit-");
    }
    printf("     %-16s %-34s %s\n", "fragment", "the unit of this shape (docs/backends.md)",
           unit ? unit : "emu: it is emulated, no unit has passed");
}
/* Of a shape that depends on what a device can do. */
enum { PATIENCE = 30 };
static bool ask_for_backend(const fovea_cl_device *d, const fovea_cl_probe *p) {
    fv_ctx *ctx = fv_ctx_new();
    int n;
    const char *why;
    const fovea_cl_device *list = devices_of(ctx, &n, &why);
    char answer[ANSWER] = "";
    for (int i = 0; i < n; i++)
        if (list[i].id == d->id) answer_of(ctx, d, i, p, PATIENCE, answer);
    fv_ctx_dispose(ctx);
    return !strcmp(answer, "yes");
}
void cli_ask_devices_apart(void) { fv_opencl_ask = ask_for_backend; }
static const char *kind(const fovea_cl_device *d) {
    return d->type & CL_DEVICE_TYPE_GPU ? "GPU" : d->type & CL_DEVICE_TYPE_CPU ? "processor" : "accelerator";
}
void cli_device_report(fv_ctx *ctx, bool probes, double seconds) {
    int n;
    const char *why;
    fovea_error e;
    const fovea_cl_device *list = devices_of(ctx, &n, &why);
    int chosen = n ? fovea_cl_choose(list, n, NULL, &e) : -1;
    for (int i = 0; i < n; i++) {
        const fovea_cl_device *d = &list[i];
        printf("\n%s%d  %s (%s, %s)\n", i == chosen ? "* " : "  ", i, d->name, kind(d), d->vendor);
        printf("     driver           %s; %s; %s, %s; from %s\n", d->driver, d->version, d->platform_name,
               d->platform_version, d->platform->library);
        printf("     units            %u at %u MHz, groups of at most %lld items\n", d->units, d->clock_mhz,
               (long long)d->max_group);
        printf("     memory           %.1f GiB, %.1f GiB in one piece, parts at multiples of %lld; local %lld KiB\n",
               (double)d->memory / (1 << 30), (double)d->max_alloc / (1 << 30), (long long)d->alignment,
               (long long)(d->local_memory >> 10));
        if (d->compute_major) printf("     compute          %u.%u\n", d->compute_major, d->compute_minor);
        printf("     declared         %s\n", d->extensions);
        if (!d->compiler) printf("     it has no compiler: it cannot be used\n");
        else if (probes) say_probes(ctx, d, i, seconds);
    }
    if (n) printf("\n* is what is taken without --device and FOVEA_OPENCL_DEVICE\n");
}
