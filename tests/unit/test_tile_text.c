/* Building kernels in C, the count of programs, and damaged texts: whatever is cut out of a kernel, the parser, the
 * printer and the verifier
 * answer with errors or with a kernel whose text is stable. */
#define _DEFAULT_SOURCE
#include "golden.h"
#include "kernel/tile.h"

#include <criterion/criterion.h>
#include <dirent.h>

/* y[n] = sum over c of x[n, c] * w[c], as an engineer's code makes it. */
static fv_kernel *built(fv_ctx *c) {
    fv_str n = fv_intern(c, "n"), ch = fv_intern(c, "c"), dims[2] = {n, ch};
    int64_t extent[2] = {10, 6}, tile = 4;
    fv_loc loc = {fv_intern(c, "spec.lua"), 7};
    fv_kernel *k = fv_kernel_new(c, fv_intern(c, "matvec"));
    fv_tensor *x = fv_kernel_tensor(k, fv_intern(c, "X"), FV_F32, FV_ROLE_IN, dims, extent, 2);
    fv_tensor *w = fv_kernel_tensor(k, fv_intern(c, "W"), FV_F32, FV_ROLE_IN, &dims[1], &extent[1], 1);
    fv_tensor *o = fv_kernel_tensor(k, fv_intern(c, "O"), FV_F32, FV_ROLE_OUT, dims, extent, 1);
    fv_buffer *a = fv_buffer_new(c, fv_intern(c, "acc"), FV_F32, &n, &tile, 1);
    fv_stmts top = {0}, body = {0};
    fv_stmt *axis = fv_stmts_add(&top, fv_stmt_new(c, FV_S_AXIS, loc)), *grid =
        fv_stmts_add(&top, fv_stmt_new(c, FV_S_GRID, loc));
    axis->axis = FV_NEW(c, fv_tile_axis);
    axis->axis[axis->n_axes++] = (fv_tile_axis){.name = ch, .tile = 6};
    grid->axis = FV_NEW(c, fv_tile_axis);
    grid->axis[grid->n_axes++] = (fv_tile_axis){.name = n, .tile = tile, .limit = fv_int(c, 10)};
    const fv_expr *an = fv_axis_ref(c, n), *ac = fv_axis_ref(c, ch), *at[2] = {an, ac};
    fv_stmt *dot = fv_stmts_add(&body, fv_stmt_new(c, FV_S_CONTRACT, loc));
    dot->label = fv_intern(c, "mm");
    dot->write = FV_W_SUM;
    dot->target = &a->obj;
    dot->expr = fv_mul(c, fv_read(c, &x->obj, at, 2, NULL), fv_read(c, &w->obj, &ac, 1, NULL));
    dot->over[dot->n_over++] = ch;
    fv_stmt *store = fv_stmts_add(&body, fv_stmt_new(c, FV_S_STORE, loc));
    store->label = fv_intern(c, "ot");
    store->target = &o->obj;
    store->index[0] = an;
    store->expr = fv_read(c, &a->obj, &an, 1, NULL);
    grid->body = body.first;
    k->body = top.first;
    return k;
}

Test(tile_text, built_kernels_print_and_verify) {
    fv_ctx *c = fv_ctx_new();
    fv_kernel *k = built(c);
    fv_buf b = {0};
    fv_kernel_print(k, &b);
    cr_expect_str_eq(b.text,
                     "kernel matvec {\n  in X : f32[n=10, c=6]\n  in W : f32[c=6]\n  out O : f32[n=10]\n  axis c:6\n  "
                     "grid n:4<10 {\n"
                             "    mm: acc[n] =sum X[n, c]*W[c] over c\n    ot: O[n] = acc[n]\n  }\n}\n");
    cr_expect_eq(fv_kernel_verify(k), 0);
    k->body->next->body->kind = FV_S_REDUCE;            /* not what the text alone gives: the kind is written */
    fv_buf_dispose(&b);
    fv_kernel_print(k, &b);
    cr_expect(strstr(b.text, "mm: reduce acc[n] =sum"));
    fv_kernel *again = fv_kernel_parse(c, "t", b.text);
    cr_assert(again);
    cr_expect_eq(again->body->next->body->kind, FV_S_REDUCE);
    cr_expect_eq(fv_kernel_axis(k, fv_intern(c, "n"), NULL)->tile, 4);
    cr_expect_null(fv_kernel_axis(k, fv_intern(c, "z"), NULL));
    fv_buf_dispose(&b);
    fv_ctx_dispose(c);
}

Test(tile_text, faults_of_built_kernels_name_the_spec) {
    fv_ctx *c = fv_ctx_new();
    fv_kernel *k = built(c);
    k->body->next->body->over[0] = fv_intern(c, "n");
    cr_expect_gt(fv_kernel_verify(k), 0);
    cr_expect_eq(fv_diag_at(c, 0)->loc.line, 7);
    cr_expect_str_eq(fv_cstr(c, fv_diag_at(c, 0)->loc.file), "spec.lua");
    fv_ctx_dispose(c);
}

/* Too many values to enumerate; the conditions bound the index term by term. One tap fewer, or one condition fewer, and
 * it cannot be proved. */
static int faults_of_taps(int taps, const char *conditions) {
    fv_ctx *c = fv_ctx_new();
    fv_buf b = {0};
    fv_buf_printf(&b,
                  "kernel k { in X : f32[t=%d] out O : f32[a=2000, b=2000] axis u:2000 axis v:2000 grid a:8<2000, "
                  "b:8<2000 { r: s[a, b] =sum X[u*13 - a*13 + v - b] over u, v where %s o: O[a, b] = s[a, b] } }",
                  taps, conditions);
    fv_kernel *k = fv_kernel_parse(c, "t", b.text);
    cr_assert(k != NULL, "%s: %s", b.text, fv_diag_count(c) ? fv_diag_at(c, 0)->text : "");
    int faults = fv_kernel_verify(k);
    fv_buf_dispose(&b);
    fv_ctx_dispose(c);
    return faults;
}
Test(tile_text, conditions_bound_an_index_term_by_term) {
    const char *all = "0 <= u - a and u - a < 13 and 0 <= v - b and v - b < 13";
    cr_expect_eq(faults_of_taps(169, all), 0);
    cr_expect_gt(faults_of_taps(168, all), 0);
    cr_expect_gt(faults_of_taps(169, "0 <= u - a and u - a < 13 and 0 <= v - b"), 0);
    cr_expect_gt(faults_of_taps(169, "u - a < 13 and 0 <= v - b and v - b < 13"), 0);
}
Test(tile_text, programs_are_counted_at_their_most) {
    fv_ctx *c = fv_ctx_new();
    int64_t count[4];
    fv_kernel *k = fv_kernel_parse(c, "t",
                                   "kernel k { out O : f32[n=13] let D = 3 grid g<D, i:2<(13 - g + D - 1)//D { o: O[g "
                                   "+ D*i] = 1.0 } }");
    cr_assert(k);
    cr_expect_eq(fv_kernel_programs(k, count, 4), 9);   /* phases 0..2 have 5, 4, 4 elements: at most 3 tiles of 2 */
    cr_expect_eq(count[0], 3);
    cr_expect_eq(count[1], 3);
    cr_expect_eq(fv_kernel_verify(k), 0);
    k = fv_kernel_parse(c, "t", "kernel k { out O : f32[] grid { o: O[] = 1.0 } }");
    cr_assert(k);
    cr_expect_eq(fv_kernel_programs(k, count, 4), 1);
    k = fv_kernel_parse(c, "t", "kernel k { out O : f32[n=0] grid n<0 { o: O[n] = 1.0 } }");
    cr_assert(k);
    cr_expect_eq(fv_kernel_programs(k, count, 4), 0);
    fv_ctx_dispose(c);
}

static uint32_t state = 7;
static uint32_t next(uint32_t n) {
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % n;
}

static void damage(char *text) {
    size_t n = strlen(text), at = next((uint32_t)n), len = 1 + next(12);
    static const char CHARS[] = "[](){},:=+-*/<>.?@ 0123456789abk\n\"'#";
    if (at + len > n) len = n - at;
    if (next(2)) memmove(text + at, text + at + len, n - at - len + 1);
    else text[at] = CHARS[next(sizeof CHARS - 1)];
}

static void survives(const char *text) {
    fv_ctx *c = fv_ctx_new();
    fv_kernel *k[8];
    int n = fv_kernel_parse_all(c, "damaged", text, k, 8);
    cr_expect(n >= 0 || fv_error_count(c) > 0, "no error for\n%s", text);
    for (int j = 0; j < n; j++) {
        fv_buf once = {0}, twice = {0};
        fv_kernel_print(k[j], &once);
        fv_kernel *again = fv_kernel_parse(c, "printed", once.text);
        cr_expect(again, "the printed text does not parse: %s\n%s", fv_diag_count(c) ? fv_diag_at(c, 0)->text : "",
                  once.text);
        if (again) fv_kernel_print(again, &twice);
        cr_expect(!again || !strcmp(once.text, twice.text), "print(parse(t)) is not t:\n%s\n%s", once.text, twice.text);
        fv_kernel_verify(k[j]);
        fv_buf_dispose(&once);
        fv_buf_dispose(&twice);
    }
    fv_ctx_dispose(c);
}

Test(tile_text, damaged_texts) {
    struct dirent **entry;
    int n = scandir(FOVEA_TESTS_DIR "/golden/kernel", &entry, NULL, alphasort);
    cr_assert(n > 2);
    for (int j = 0; j < n; j++) {
        char path[1024];
        golden g;
        snprintf(path, sizeof path, "%s/%s", FOVEA_TESTS_DIR "/golden/kernel", entry[j]->d_name);
        if (strstr(entry[j]->d_name, ".ft") && golden_read(path, &g)) {
            for (int i = 0; i < 60; i++) {
                char *text = strdup(g.in);
                for (uint32_t m = 1 + next(3); m > 0; m--) damage(text);
                survives(text);
                free(text);
            }
            golden_free(&g);
        }
        free(entry[j]);
    }
    free(entry);
}
