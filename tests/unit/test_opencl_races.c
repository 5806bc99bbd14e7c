/* Races of kernels with barriers, by oclgrind: this program runs itself under it, on every golden kernel, a few groups
 * of each, in the default distribution over items and in others; it must find nothing. Without their barriers, every
 * one of the same kernels must be found: the check sees what it is for. SKIPPED where oclgrind is not installed.
 * oclgrind ends with the program's own exit code whatever it has found, so what it prints is what counts. */
#define _GNU_SOURCE
#include "mma_kit.h"
#include "backends/opencl/opencl.h"

#include <sys/wait.h>
#include <unistd.h>

enum { GROUPS = 2 };

/* -- Under oclgrind ---------------------------------------------------------------------------- */
static int barriers;
static const fv_unit *unit; /* of kernels that are lowered; NULL: none */
static fv_flat *without_barriers(fv_flat *s, bool drop) {
    fv_flat *first = NULL, **at = &first;
    for (fv_flat *next; s; s = next) {
        next = s->next;
        s->body = without_barriers(s->body, drop);
        s->orelse = without_barriers(s->orelse, drop);
        barriers += s->kind == FV_L_BARRIER;
        if (drop && s->kind == FV_L_BARRIER) continue;
        *at = s;
        at = &s->next;
    }
    *at = NULL;
    return first;
}
static void few_groups(fv_ctx *ctx, fv_flat_kernel *f) {
    for (fv_flat *s = f->body; s; s = s->next) {
        if (s->kind != FV_L_FOR || s->loop != FV_LOOP_GROUP || f->programs <= GROUPS) continue;
        s->hi = fv_int(ctx, GROUPS);
        f->programs = GROUPS;
    }
}
/* room: bytes of local memory; 0: the device's */
static void run(fv_ctx *ctx, fv_kernel *k, const char *file, const char *schedule, int64_t room, bool drop) {
    double *data[KIT_TENSORS];
    fv_opencl *d = fv_opencl_open(ctx);
    cr_assert(d, "%s", kit_error(ctx));
    fv_schedule *s = schedule ? fv_schedule_parse(ctx, "races", schedule) : NULL;
    fv_target t = *fv_opencl_target(d);
    if (room) t.l1_bytes = room;
    t.unit = unit;
    fv_flat_kernel *f = fv_flatten_opencl(k, s, &t);
    cr_assert(f || schedule, "%s: %s", file, kit_error(ctx));
    barriers = 0;
    if (f) f->body = without_barriers(f->body, drop);
    if (!f || (drop && !barriers)) { /* not every distribution is of every kernel */
        fv_opencl_close(d);
        return;
    }
    few_groups(ctx, f);
    kit_fill(k, data);
    cr_assert(fv_opencl_run_kernel(d, f, data), "%s: %s", file, kit_error(ctx));
    printf("ran %s%s%s %d\n", fv_cstr(ctx, k->name), schedule ? " " : "", schedule ? schedule : "", barriers);
    fflush(stdout);
    fv_opencl_close(d);
    kit_free(k, data);
}
static void kept(fv_ctx *ctx, fv_kernel *k, const char *file) {
    static const char *const other[] = {"x item=q", "x item=h,w", "x item=n,c", NULL};
    run(ctx, k, file, NULL, 0, false);
    run(ctx, k, file, NULL, 1100, false);
    for (int i = 0; other[i]; i++) run(ctx, k, file, other[i], 0, false);
}
/* Kernels of matrix units, emulated. */
static void on_units(bool drop) {
    for (int i = 0; i < MMA_CASES; i++) {
        fv_ctx *ctx = fv_ctx_new();
        fv_kernel *k = fv_kernel_parse(ctx, "case", mma_cases[i].text);
        unit = fv_unit_find("emu");
        cr_assert(k, "%s", kit_error(ctx));
        if (mma_cases[i].products) run(ctx, k, fv_cstr(ctx, k->name), NULL, 0, drop);
        unit = NULL;
        fv_ctx_dispose(ctx);
    }
}
static void dropped(fv_ctx *ctx, fv_kernel *k, const char *file) { run(ctx, k, file, NULL, 0, true); }
Test(opencl_races, child, .timeout = 500) {
    const char *role = getenv("FOVEA_RACES");
    if (!role) cr_skip_test("runs under oclgrind only");
    if (getenv("LD_PRELOAD")) setenv("FOVEA_OPENCL_LIBRARY", getenv("LD_PRELOAD"), 1); /* oclgrind comes as one */
    kit_shapes(!strcmp(role, "kept") ? kept : dropped);
    on_units(strcmp(role, "kept") != 0);
}

/* -- The check --------------------------------------------------------------------------------- */
static char *slurp(const char *path) {
    FILE *f = fopen(path, "r");
    fv_buf b = {0};
    char chunk[4096];
    for (size_t n; f && (n = fread(chunk, 1, sizeof chunk, f)) > 0;) fv_buf_putn(&b, chunk, n);
    if (f) fclose(f);
    fv_buf_puts(&b, "");
    return b.text;
}
/* The log file is written afresh with each device that is opened, so what oclgrind finds is read from its errors. */
static void under_oclgrind(const char *role, char **log, char **out) {
    char self[1024] = {0}, folder[] = "/tmp/fovea-races-XXXXXX", command[4096], path[128];
    cr_assert(readlink("/proc/self/exe", self, sizeof self - 1) > 0 && mkdtemp(folder));
    snprintf(command, sizeof command,
             "env -i PATH=\"$PATH\" FOVEA_RACES=%s FOVEA_OPENCL_DEVICE=Oclgrind oclgrind --data-races --max-errors "
             "1000000 --build-options -cl-opt-disable '%s' --filter opencl_races/child -j1 >%s/out 2>%s/err",
             role, self, folder, folder);
    int rc = system(command);
    snprintf(path, sizeof path, "%s/err", folder);
    *log = slurp(path);
    snprintf(path, sizeof path, "%s/out", folder);
    *out = slurp(path);
    cr_expect(rc == 0, "%s: exit code %d: %s%.2000s", role, rc, *out, *log);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_expect(system(command) == 0);
}
static void need_oclgrind(void) {
    if (system("command -v oclgrind >/dev/null 2>&1") == 0) return;
    fprintf(stderr, "SKIPPED: oclgrind is not installed: races are not looked for\n");
    cr_skip_test("no oclgrind");
}
Test(opencl_races, none, .timeout = 600) {
    char *log, *out;
    need_oclgrind();
    under_oclgrind("kept", &log, &out);
    int ran = 0;
    for (const char *s = out; (s = strstr(s, "ran ")) != NULL; s++) ran++;
    cr_expect(ran >= 20, "only %d kernels ran: %s", ran, out);
    const char *found = strstr(log, "Kernel: fovea_");
    cr_expect(!found, "oclgrind found: %.3000s", found ? log : "");
    free(log);
    free(out);
}
Test(opencl_races, seen_without_barriers, .timeout = 600) {
    char *log, *out, name[80];
    int ran = 0;
    need_oclgrind();
    under_oclgrind("dropped", &log, &out);
    for (const char *s = out; (s = strstr(s, "ran ")) != NULL; s++, ran++) {
        cr_assert(sscanf(s, "ran %60s", name) == 1);
        char want[100];
        snprintf(want, sizeof want, "Kernel: fovea_%s\n", name);
        cr_expect(strstr(log, want), "%s without barriers: no race was seen", name);
    }
    cr_expect(ran >= 8, "only %d kernels with barriers ran: %s", ran, out);
    free(log);
    free(out);
}
