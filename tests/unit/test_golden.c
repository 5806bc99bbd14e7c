/* Every file under tests/golden is a test: see golden.h. FOVEA_UPDATE_GOLDEN=1 rewrites the last section with what
 * came out.
 * To test another level's text, add a row to COMMANDS. */
#define _DEFAULT_SOURCE
#include "golden.h"
#include "graph/graph.h"
#include "kernel/flat.h"
#include "kernel/tile.h"
#include "plan/plan.h"
#include "schedule/schedule.h"

#include <criterion/criterion.h>
#include <dirent.h>

enum { MAX_KERNELS = 16 };

/* A command turns the input into text; false: errors were recorded. */
typedef bool command_fn(fv_ctx *ctx, const char *file, const char *in, fv_buf *out);

static int read_kernels(fv_ctx *ctx, const char *file, const char *in, fv_kernel **k) {
        return fv_kernel_parse_all(ctx, file, in, k, MAX_KERNELS); }

static bool kernel_print(fv_ctx *ctx, const char *file, const char *in, fv_buf *out) {
    fv_kernel *k[MAX_KERNELS];
    int n = read_kernels(ctx, file, in, k);
    for (int j = 0; j < n; j++) fv_kernel_print(k[j], out);
    return n >= 0;
}

static bool kernel_verify(fv_ctx *ctx, const char *file, const char *in, fv_buf *out) {
    fv_kernel *k[MAX_KERNELS];
    int n = read_kernels(ctx, file, in, k), faults = 0;
    for (int j = 0; j < n; j++) faults += fv_kernel_verify(k[j]);
    if (n >= 0 && !faults) fv_buf_printf(out, "%d kernel%s, no fault\n", n, n == 1 ? "" : "s");
    return n >= 0 && !faults;
}

/* Verifies, prints, and requires that the text reads back as itself. */
static bool kernel_check(fv_ctx *ctx, const char *file, const char *in, fv_buf *out) {
    fv_buf ignored = {0}, again = {0};
    bool ok = kernel_verify(ctx, file, in, &ignored) && kernel_print(ctx, file, in, out) &&
        kernel_print(ctx, "printed", out->text, &again);
    cr_expect(!ok || !strcmp(out->text, again.text), "%s: print(parse(t)) is not t", file);
    fv_buf_dispose(&ignored);
    fv_buf_dispose(&again);
    return ok;
}

static bool plan_print(fv_ctx *ctx, const char *file, const char *in, fv_buf *out) {
    fv_plan *p = fv_plan_parse(ctx, file, in);
    if (p) fv_plan_print(p, out, true);
    return p != NULL;
}

static bool plan_verify(fv_ctx *ctx, const char *file, const char *in, fv_buf *out) {
    fv_plan *p = fv_plan_parse(ctx, file, in);
    if (!p || fv_plan_verify(p)) return false;
    fv_buf_puts(out, "no fault\n");
    return true;
}

/* Verifies, shares, lays out, prints, and requires that the text reads back as itself. */
static bool plan_check(fv_ctx *ctx, const char *file, const char *in, fv_buf *out) {
    fv_plan *p = fv_plan_parse(ctx, file, in);
    if (!p || fv_plan_verify(p)) return false;
    fv_plan_share(p);
    fv_plan_arena(p);
    fv_plan_print(p, out, true);
    fv_buf again = {0};
    fv_plan *q = fv_plan_parse(ctx, "printed", out->text);
    if (q) fv_plan_print(q, &again, true);
    cr_expect(q && !strcmp(out->text, again.text), "%s: print(parse(t)) is not t", file);
    fv_buf_dispose(&again);
    return q != NULL;
}

static bool schedule_print(fv_ctx *ctx, const char *file, const char *in, fv_buf *out) {
    fv_schedule *s = fv_schedule_parse(ctx, file, in);
    if (!s) return false;
    fv_schedule_print(ctx, s, out);
    fv_buf_puts(out, "\n");
    return true;
}

static const struct { const char *name; command_fn *fn; } COMMANDS[] = {
    {"kernel print", kernel_print}, {"kernel verify", kernel_verify}, {"kernel check", kernel_check},
    {"plan print", plan_print},     {"plan verify", plan_verify},     {"plan check", plan_check},
    {"schedule print", schedule_print},
};

static command_fn *command(const char *run) {
    for (size_t j = 0; j < sizeof COMMANDS / sizeof *COMMANDS; j++) {
        size_t n = strlen(COMMANDS[j].name);
        if (!strncmp(run, COMMANDS[j].name, n) && (run[n] == '\n' || !run[n])) return COMMANDS[j].fn;
    }
    return NULL;
}

static void diagnostics(const fv_ctx *ctx, fv_buf *out) {
    for (int j = 0; j < fv_diag_count(ctx); j++) {
        const fv_diag *d = fv_diag_at(ctx, j);
        if (d->loc.line) fv_buf_printf(out, "%d: ", d->loc.line);
        if (d->is_note) fv_buf_printf(out, "note: %s\n", d->text);
        else fv_buf_printf(out, "[E%04d] %s\n", (int)d->code, d->text);
    }
}

static void rewrite(const char *path, const golden *g, bool errors, const char *text) {
    FILE *f = fopen(path, "wb");
    cr_assert(f, "%s cannot be written", path);
    fwrite(g->text, 1, g->head, f);
    fprintf(f, "--%s--\n%s", errors ? "ERR" : "OUT", text);
    fclose(f);
}

static int count;

static void run_file(const char *path) {
    golden g;
    const char *name = strrchr(path, '/') + 1;
    if (!golden_read(path, &g)) {
        if (g.text && !strstr(g.text, "\n--")) {         /* a text without sections: the input of another test */
            golden_free(&g);
            return;
        }
        cr_expect(false, "%s is no golden file (--RUN--, --IN--, --OUT-- or --ERR--)", path);
        return;
    }
    command_fn *fn = command(g.run);
    cr_expect(fn, "%s: no command '%s'", name, g.run);
    count++;
    fv_ctx *ctx = fv_ctx_new();
    fv_buf out = {0};
    fv_buf_puts(&out, "");
    bool ok = fn && fn(ctx, name, g.in, &out);
    if (!ok) {
        fv_buf_dispose(&out);
        fv_buf_puts(&out, "");
        diagnostics(ctx, &out);
    }
    if (fn && getenv("FOVEA_UPDATE_GOLDEN")) rewrite(path, &g, !ok, out.text);
    else if (fn) {
        cr_expect(g.want && ok == !g.errors && !strcmp(out.text, g.want), "%s: expected %s\n%s\nfound %s\n%s", name,
                  g.errors ? "errors" : "text",
                  g.want ? g.want : "(no section)", ok ? "text" : "errors", out.text);
    }
    fv_buf_dispose(&out);
    fv_ctx_dispose(ctx);
    golden_free(&g);
}

static void walk(const char *folder) {
    struct dirent **entry;
    int n = scandir(folder, &entry, NULL, alphasort);
    for (int j = 0; j < n; j++) {
        char path[1024];
        size_t len = strlen(entry[j]->d_name);
        snprintf(path, sizeof path, "%s/%s", folder, entry[j]->d_name);
        if (entry[j]->d_name[0] != '.' && entry[j]->d_type == DT_DIR) walk(path);
        else if (len > 3 && !strcmp(entry[j]->d_name + len - 3, ".ft")) {
            run_file(path);
        }
        free(entry[j]);
    }
    if (n >= 0) free(entry);
}

Test(golden, files) {
    walk(FOVEA_TESTS_DIR "/golden");
    cr_assert(count > 120, "only %d golden files were found", count);
}

static bool graph_print(fv_ctx *ctx, const char *file, const char *in, fv_buf *out) {
    fv_graph *g = fv_graph_parse(ctx, file, in);
    if (g && !fv_graph_verify(g)) fv_graph_print(g, out);
    return out->len > 0;
}

static bool flat_print(fv_ctx *ctx, const char *file, const char *in, fv_buf *out) {
    fv_flat_kernel *k = fv_flat_parse(ctx, file, in);
    if (k && !fv_flat_verify(k)) fv_flat_print(k, out);
    return out->len > 0;
}

/* Is the text free of faults, and does what is printed of it read back as itself? */
static bool stable(fv_ctx *ctx, command_fn *print, const char *example) {
    fv_buf once = {0}, again = {0};
    bool ok = print(ctx, "ir.md", example, &once) && print(ctx, "printed", once.text, &again) &&
        !strcmp(once.text, again.text);
    fv_buf_dispose(&once);
    fv_buf_dispose(&again);
    return ok;
}

/* The examples of docs/ir.md, at least one of each level, are texts without faults. A grammar starts with its rule. */
Test(golden, documentation) {
    static const struct { const char *start; command_fn *print, *verify; } LEVEL[] = {
        {"graph \"", graph_print, graph_print},
        {"kernel flash", kernel_print, kernel_check},
        {"attend.box ", schedule_print, schedule_print},
        {"flat twice", flat_print, flat_print},
        {"plan {", plan_print, plan_verify},
    };
    enum { LEVELS = sizeof LEVEL / sizeof *LEVEL };
    int n[LEVELS] = {0};
    char *text = golden_slurp(FOVEA_TESTS_DIR "/../docs/ir.md");
    cr_assert(text);
    for (char *at = text; (at = strstr(at, "```\n")); at = strstr(at, "\n```\n") + 4) {
        at += 4;
        char *end = strstr(at, "\n```\n"), *example = golden_section(at, "", false);
        cr_assert(end, "a block of docs/ir.md is not closed");
        example[end + 1 - at] = 0;
        for (int j = 0; j < LEVELS; j++) {
            if (strncmp(example, LEVEL[j].start, strlen(LEVEL[j].start)) != 0) continue;
            fv_ctx *ctx = fv_ctx_new();
            fv_buf out = {0};
            bool ok = LEVEL[j].verify(ctx, "ir.md", example, &out) && stable(ctx, LEVEL[j].print, example);
            cr_expect(ok, "%.40s: %s", example, fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : "not stable");
            fv_buf_dispose(&out);
            fv_ctx_dispose(ctx);
            n[j]++;
        }
        free(example);
    }
    for (int j = 0; j < LEVELS; j++) cr_expect(n[j] > 0, "docs/ir.md has no example '%s'", LEVEL[j].start);
    free(text);
}
