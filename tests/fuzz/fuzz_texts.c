/* Mutated texts of every level: graph, tile kernel, schedule, plan, flat kernel. Whatever the text, a parser answers
 * with a value or with diagnostics; what it accepts prints to a text that reads back as itself; what a verifier accepts
 * the next level takes or refuses. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/graph_case.h"
#include "tests/unit/golden.h"

enum { GRAPH, KERNEL, PLAN, SCHEDULE, FLAT, LEVELS };
static fv_corpus corpus[LEVELS];

static void add_golden(int level, const char *folder) {
    fv_corpus files = {0};
    char path[600];
    snprintf(path, sizeof path, "%s/golden/%s", FOVEA_TESTS_DIR, folder);
    fv_corpus_add_files(&files, path, ".ft", 0);
    for (int i = 0; i < files.n; i++) {
        char *in = golden_section(files.item[i].data, "--IN--", false);
        if (in && strlen(in) < 6000) fv_corpus_add(&corpus[level], files.item[i].path, in, strlen(in));
        free(in);
        free(files.item[i].path);
        free(files.item[i].data);
    }
    free(files.item);
}
static void add_text(int level, fv_buf *b) {
    if (b->text && b->len < 12000) fv_corpus_add(&corpus[level], "random", b->text, b->len);
    fv_buf_dispose(b);
}
static void add_random(uint64_t seed) {
    fv_ctx *ctx = fv_ctx_new();
    fv_graph *g = fv_graph_case_make(ctx, seed, NULL);
    fv_compiled c = {0};
    fv_driver_options o = {.target = "avx2"};
    fv_buf b = {0};
    if (g) fv_graph_print(g, &b);
    add_text(GRAPH, &b);
    if (g && fv_compile_plan(ctx, g, (fv_str){0}, &o, &c)) {
        fv_plan_print(c.plan, &b, true);
        add_text(PLAN, &b);
        for (int i = 0; i < c.plan->n_launches[1]; i++) {
            const fv_launch *l = c.plan->launch[1][i];
            fv_kernel_print(l->kernel, &b);
            add_text(KERNEL, &b);
            fv_schedule_print(ctx, l->schedule, &b);
            add_text(SCHEDULE, &b);
            fv_flat_kernel *f = i < 2 ? fv_flatten_cpu(l->kernel, l->schedule, c.target) : NULL;
            if (f) fv_flat_print(f, &b);
            add_text(FLAT, &b);
        }
    }
    fv_compiled_dispose(&c);
    fv_ctx_dispose(ctx);
}
static void fill(void) {
    if (corpus[GRAPH].n) return;
    add_golden(GRAPH, "graph");
    add_golden(KERNEL, "kernel");
    add_golden(PLAN, "plan");
    add_golden(SCHEDULE, "schedule");
    for (uint64_t s = 0; s < 24; s++) add_random(s);
}

/* -- One text per level: parsed twice -- */
static bool again(const char *a, const fv_buf *b, fv_buf *why) {
    if (b->text && !strcmp(a, b->text)) return true;
    fv_buf_printf(why, "print(parse(t)) is not t:\n%s\n---\n%s\n", a, b->text ? b->text : "(does not parse)");
    return false;
}
static bool small(const fv_tensor *t) {
    int64_t n = fv_tensor_elements(t);
    return n >= 0 && n < 100000;
}
/* Both interpreters may trap, the flattener may refuse. */
static void execute(fv_ctx *ctx, const fv_kernel *k) {
    double *data[64];
    int64_t count[FV_MAX_AXES], programs = fv_kernel_programs(k, count, FV_MAX_AXES);
    bool fits = k->n_tensors <= 64 && programs >= 0 && programs < 2000;
    for (int i = 0; fits && i < k->n_tensors; i++) fits = small(k->tensor[i]);
    if (!fits) return;
    for (int i = 0; i < k->n_tensors; i++) {
        int64_t n = fv_tensor_elements(k->tensor[i]);
        data[i] = malloc(sizeof(double) * (size_t)(n + 1));
        for (int64_t e = 0; data[i] && e < n; e++) data[i][e] = (double)(e % 7);
    }
    fv_interp_options o = {.check_poison = true};
    if (programs < 200) fv_kernel_interpret(k, data, &o);
    fv_diag_clear(ctx);
    fv_flat_kernel *f = fv_flatten_cpu(k, NULL, &fv_target_avx2);
    if (f && !fv_flat_verify(f) && programs < 50) fv_flat_interpret(f, data, 0, f->programs, 1);
    fv_diag_clear(ctx);
    fv_flatten_opencl(k, NULL, &fv_target_opencl);
    for (int i = 0; i < k->n_tensors; i++) free(data[i]);
}
static double graph_points(const fv_graph *g) {
    double most = 0;
    for (int i = 0; i < g->n_values; i++)
        most = most > (double)fv_value_count(g->value[i]) ? most : (double)fv_value_count(g->value[i]);
    fv_cost cost;
    fv_graph_cost(g, &cost);
    return most > cost.macs + cost.maps ? most : cost.macs + cost.maps;
}
static bool text_case(int level, const char *text, fv_buf *why) {
    fv_ctx *one = fv_ctx_new(), *two = fv_ctx_new();
    fv_buf a = {0}, b = {0};
    bool fine = true;
    fv_buf_puts(&a, "");
    switch (level) {
    case GRAPH: {
        fv_graph *g = fv_graph_parse(one, "", text);
        if (!g) break;
        fv_graph_print(g, &a);
        fv_graph *h = fv_graph_parse(two, "", a.text);
        if (h) fv_graph_print(h, &b);
        fine = again(a.text, &b, why);
        fv_compiled c = {0};
        fv_driver_options o = {.verify = true};
        if (fine && !fv_graph_verify(g) && g->n_outputs && graph_points(g) < 1e7)
            fv_compile_plan(one, g, (fv_str){0}, &o, &c);
        for (int i = 0; i < fv_diag_count(one) && fine; i++)
            if (fv_diag_at(one, i)->code == FV_E_KERNEL || fv_diag_at(one, i)->code == FV_E_SCHEDULE) {
                fv_buf_printf(why, "lowered to a faulty kernel: %s\n%s", fv_diag_at(one, i)->text, a.text);
                fine = false;
            }
        fv_compiled_dispose(&c);
        break;
    }
    case KERNEL: {
        fv_kernel *k = fv_kernel_parse(one, "", text);
        if (!k) break;
        fv_kernel_print(k, &a);
        fv_kernel *h = fv_kernel_parse(two, "", a.text);
        if (h) fv_kernel_print(h, &b);
        fine = again(a.text, &b, why);
        if (fine && !fv_kernel_verify(k)) execute(one, k);
        break;
    }
    case PLAN: {
        fv_plan *p = fv_plan_parse(one, "", text);
        if (!p) break;
        fv_plan_print(p, &a, true);
        fv_plan *h = fv_plan_parse(two, "", a.text);
        if (h) fv_plan_print(h, &b, true);
        fine = again(a.text, &b, why);
        if (!fine || fv_plan_verify(p)) break;
        fv_plan_share(p);
        fv_plan_arena(p);
        break;
    }
    case SCHEDULE: {
        fv_schedule *s = fv_schedule_parse(one, "", text);
        if (!s) break;
        fv_schedule_print(one, s, &a);
        fv_schedule *h = fv_schedule_parse(two, "", a.text);
        if (h) fv_schedule_print(two, h, &b);
        fine = again(a.text, &b, why);
        break;
    }
    default: {
        fv_flat_kernel *f = fv_flat_parse(one, "", text);
        if (!f) break;
        fv_flat_print(f, &a);
        fv_flat_kernel *h = fv_flat_parse(two, "", a.text);
        if (h) fv_flat_print(h, &b);
        fine = again(a.text, &b, why);
        if (fine) fv_flat_verify(f);
        break;
    }
    }
    fv_buf_dispose(&a);
    fv_buf_dispose(&b);
    fv_ctx_dispose(one);
    fv_ctx_dispose(two);
    return fine;
}
static bool one(uint64_t seed, fv_buf *why) {
    fv_random r = fv_random_start(seed);
    int level = fv_random_below(&r, LEVELS);
    size_t n;
    const fv_sample *s = &corpus[level].item[fv_random_below(&r, corpus[level].n)];
    char *text = fv_mutate(&r, &corpus[level], s, true, &n);
    if (getenv("FOVEA_FUZZ_SHOW")) printf("%s (level %d)\n%s\n", s->path, level, text), fflush(stdout);
    bool fine = text_case(level, text, why);
    free(text);
    return fine;
}
int main(int argc, char **argv) {
    fill();
    return fv_fuzz_main(argc, argv, "texts", one);
}
