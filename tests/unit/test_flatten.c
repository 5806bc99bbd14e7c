/* The lowering to flat kernels for CPUs: every golden kernel on every target against the tile interpreter, with default
 * schedules and with given ones; what the schedules promise (accumulators stay in registers, operand classes,
 * refusals), and that equal input gives equal text. */
#include "kernel/flat.h"
#include "tile_run.h"

#include <dirent.h>

static const fv_target *const TARGETS[] = {&fv_target_avx512, &fv_target_avx2, &fv_target_neon};
enum { N_TARGETS = 3 };

static fv_flat_kernel *lower(kit *s, fv_kernel *k, const char *schedule, const fv_target *t) {
    fv_schedule *sc = fv_schedule_parse(s->ctx, "schedule", schedule);
    cr_assert(sc, "%s", schedule);
    return fv_flatten_cpu(k, sc, t);
}

/* The flat kernels of a file, run in order on copies of its data, against the tile kernels. */
static void compare_flat(kit *s, const char *schedule, const fv_target *t) {
    double *mine[MAX_ARRAYS];
    cr_assert_eq(fv_kernel_verify(s->kernel[0]), 0, "%s", s->file);
    for (int j = 0; j < s->n_arrays; j++) {
        mine[j] = calloc((size_t)s->array[j].n + 1, sizeof(double));
        memcpy(mine[j], s->array[j].data, (size_t)s->array[j].n * sizeof(double));
    }
    cr_assert(kit_run(s, false), "%s", s->file);
    for (int k = 0; k < s->n_kernels; k++) {
        double *data[MAX_ARRAYS];
        for (int j = 0; j < s->kernel[k]->n_tensors; j++)
            data[j] = mine[find(s, fv_cstr(s->ctx, s->kernel[k]->tensor[j]->obj.name)) - s->array];
        fv_flat_kernel *f = lower(s, s->kernel[k], schedule, t);
        cr_assert(f, "%s on %s with '%s': %s", s->file, t->name, schedule,
                  fv_diag_count(s->ctx) ? fv_diag_at(s->ctx, 0)->text : "");
        cr_assert_eq(fv_flat_verify(f), 0, "%s on %s: %s", s->file, t->name, fv_diag_at(s->ctx, 0)->text);
        cr_assert(f->max_live <= t->registers, "%s", s->file);
        cr_assert(fv_flat_interpret(f, data, 0, f->programs, 7), "%s on %s: %s", s->file, t->name,
                  fv_diag_at(s->ctx, 0)->text);
    }
    for (int j = 0; j < s->n_arrays; j++) {
        array *a = &s->array[j];
        for (int64_t i = 0; i < a->n; i++)
            if (isnan(a->data[i]) || isinf(a->data[i])) a->data[i] = mine[j][i] = 0;
        array got = *a;
        got.data = mine[j];
        double e = error_of(&got, a->data);
        cr_expect(e <= 1e-5, "%s.%s on %s with '%s': error %.3g", s->file, fv_cstr(s->ctx, a->t->obj.name), t->name,
                  schedule, e);
        free(mine[j]);
    }
}

static void small_indices(kit *s) { /* index tensors of the golden files: any value in their range */
    for (int j = 0; j < s->n_arrays; j++) {
        array *a = &s->array[j];
        if (a->t->obj.type != FV_I32 || a->t->role != FV_ROLE_IN) continue;
        int64_t lo = a->t->obj.ranged ? a->t->obj.lo : 0, n = a->t->obj.ranged ? a->t->obj.hi - lo + 1 : 4;
        for (int64_t i = 0; i < a->n; i++) a->data[i] = (double)(lo + (i * 7 + i / 3) % n);
    }
}

static void one_file(const char *name, const char *schedule, bool padded, int first, int n) {
    for (int i = 0; i < n; i++) {
        int t = (first + i) % N_TARGETS;
        kit *s = kit_open(name);
        for (int k = 0; k < s->n_kernels; k++)
            for (int j = 0; j < s->kernel[k]->n_tensors; j++) s->kernel[k]->tensor[j]->padded |= padded;
        small_indices(s);
        compare_flat(s, schedule, TARGETS[t]);
        kit_close(s);
    }
}

Test(flatten, golden_kernels_with_default_schedules) {
    DIR *d = opendir(FOVEA_TESTS_DIR "/golden/kernel");
    cr_assert(d);
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        char name[256];
        size_t len = strlen(e->d_name);
        if (len < 4 || strcmp(e->d_name + len - 3, ".ft") != 0) continue;
        snprintf(name, sizeof name, "%.*s", (int)(len - 3), e->d_name);
        one_file(name, "", n % 2, n, 2);
        n++;
    }
    closedir(d);
    cr_assert(n > 20, "only %d golden kernels", n);
}

Test(flatten, given_schedules) {
    static const struct {
        const char *file, *schedule;
    } CASE[] = {
        {"flash_causal", "lane=q lane.acc=dv nest.qk=q~,k/3!,d nest.pv=dv~,q/2!,k"},
        {"flash_full", "lane=k,dv"},
        {"flash_masked_rows", "lane=d lane.qk=d lane.acc=q"},
        {"na_lane_13x37_d1", "nest.qk=w~,y,u/2!,d,i! nest.pv=w~,y,u,d,i!"}, /* pv: operand-stationary */
        {"na_lane_14x37_d2", "nest.pv=w~,i!,d/4!,y,u nest.mx=i,w~,u!,y"},
        {"conv3x3_s1", "nest.mm=n~,y,x/4!,ky,kx!,c"},
        {"conv3x3_s2", "nest.mm=x~,n/2!,y,c,ky,kx lane.acc=x"},
        {"depthwise7", "nest.mm=c~,x/4!,ky!,kx"},
        {"swin_shift2", "fuse.q=qi,qj fuse.k=ki,kj lane=qi"},
        {"chunk_scan", "lane=dv lane.a=s"},
        {"topk4", "lane=t"},
        {"group_norm", "lane=e lane.p1=c"},
        {"na_lane_14x37_d2", "vector=4"},
        {"depthwise7", "vector=4 nest.mm=c/4~,x/4!,ky!,kx"},
        {"topk4", "vector=2 lane=t"},
        {"flash_masked_rows", "vector=1"},
    };
    for (size_t c = 0; c < sizeof CASE / sizeof *CASE; c++) one_file(CASE[c].file, CASE[c].schedule, c % 2, 0, 1);
}

/* -- What a lowering is made of
 * -------------------------------------------------------------------------------------------- */
static kit *parse(const char *text) {
    kit *s = calloc(1, sizeof *s);
    s->ctx = fv_ctx_new();
    s->file = "text";
    s->n_kernels = fv_kernel_parse_all(s->ctx, "text", text, s->kernel, MAX_FILE_KERNELS);
    cr_assert(s->n_kernels == 1, "%s", fv_diag_count(s->ctx) ? fv_diag_at(s->ctx, 0)->text : "");
    cr_assert_eq(fv_kernel_verify(s->kernel[0]), 0, "%s", fv_diag_at(s->ctx, 0)->text);
    return s;
}
static char *text_of(kit *s, const char *schedule, const fv_target *t) {
    fv_flat_kernel *f = lower(s, s->kernel[0], schedule, t);
    fv_buf b = {0};
    cr_assert(f, "%s", fv_diag_count(s->ctx) ? fv_diag_at(s->ctx, 0)->text : "");
    cr_assert_eq(fv_flat_verify(f), 0, "%s", fv_diag_at(s->ctx, 0)->text);
    fv_flat_print(f, &b);
    return b.text;
}
static int occurrences(const char *text, const char *what) {
    int n = 0;
    for (const char *p = text; (p = strstr(p, what)); p += strlen(what)) n++;
    return n;
}
static const char LINEAR[] = "kernel linear {\n"
                             "  in X : f32[m=100, c=64] padded\n  in W : f32[no=3, c=64, ni=32] padded\n  in B : "
                             "f32[n=96] padded\n  out O : f32[m=100, n=96]\n"
                             "  axis c:64\n"
                             "  grid m:24<100, n:96<96 {\n"
                             "    mm: acc[m, n] =sum X[m, c]*W[n//32, c, n%32] over c\n"
                             "    ot: O[m, n] = acc[m, n]+B[n]\n"
                             "  }\n}\n";

Test(flatten, epilogue_runs_on_registers) {
    kit *s = parse(LINEAR);
    char *text = text_of(s, "", &fv_target_avx512);
    cr_expect_eq(occurrences(text, " local "), 0, "the accumulators go through memory:\n%s", text);
    cr_expect_eq(occurrences(text, "gather"), 0, "packed weights are gathered");
    cr_expect(occurrences(text, "fma(") >= 24, "a block has fewer than 24 products");
    free(text);
    kit_close(s);
}

Test(flatten, same_input_same_text) {
    kit *a = parse(LINEAR), *b = parse(LINEAR);
    char *x = text_of(a, "", &fv_target_avx2), *y = text_of(b, "", &fv_target_avx2);
    cr_expect(!strcmp(x, y));
    free(x);
    free(y);
    kit_close(a);
    kit_close(b);
}

Test(flatten, vectors_of_half_the_target) {
    kit *s = parse(LINEAR);
    char *text = text_of(s, "vector=8", &fv_target_avx512);
    cr_expect(occurrences(text, "f32x8") > 0 && occurrences(text, "f32x16") == 0);
    free(text);
    cr_expect(!lower(s, s->kernel[0], "vector=16", &fv_target_avx2), "avx2 is given vectors of 16");
    kit_close(s);
}

Test(flatten, lane_maps_are_permuted) {
    kit *s = kit_open("na_lane_13x37_d1");
    for (int j = 0; j < s->kernel[0]->n_tensors; j++) s->kernel[0]->tensor[j]->padded = true;
    char *text = text_of(s, "", &fv_target_avx512);
    cr_expect(occurrences(text, "perm<16> K") > 0 && occurrences(text, "perm<16> V") > 0 &&
              occurrences(text, "perm<16> RPB") > 0);
    cr_expect_eq(occurrences(text, "gather"), 0, "a map within one vector is gathered");
    free(text);
    text = text_of(s, "", &fv_target_neon);
    cr_expect_eq(occurrences(text, "perm<"), 0, "a target without permutations is given one");
    free(text);
    kit_close(s);
}

Test(flatten, borders_select_pointers) {
    kit *s = parse("kernel conv {\n  in X : f32[y=9, x=16, c=16] padded\n  in W : f32[ky=3, kx=3, c=16, n=32] padded\n"
                   "  out O : f32[y=9, x=16, n=32]\n  axis ky:3, kx:3, c:16, n:32\n  grid y<9, x:16<16 {\n"
                   "    mm: acc[x, n] =sum X[y+ky-1, x+kx-1, c]*W[ky, kx, c, n] over ky, kx, c"
                   " where 0 <= y+ky-1 and y+ky-1 < 9 and 0 <= x+kx-1 and x+kx-1 < 16\n"
                   "    ot: O[y, x, n] = acc[x, n]\n  }\n}\n");
    char *text = text_of(s, "", &fv_target_avx512);
    cr_expect(occurrences(text, "guard<1, 16> X") > 0, "columns outside are not guarded loads:\n%s", text);
    free(text);
    kit_close(s);
}

Test(flatten, schedules_are_refused_with_the_number) {
    static const struct {
        const char *schedule, *word;
    } CASE[] = {
        {"nest.mm=n~,m/8!,c", "54"},        {"nest.mm=n~,m!,c!", "limit"}, {"nest.mm=n~,q,c", "no axis"},
        {"nest.mm=n~,n,c", "stands twice"}, {"fuse.m=m,n", "ragged"},
        {"vector=5", "power of two"},
    };
    for (size_t c = 0; c < sizeof CASE / sizeof *CASE; c++) {
        kit *s = parse(LINEAR);
        cr_expect(!lower(s, s->kernel[0], CASE[c].schedule, &fv_target_avx512), "'%s' is not refused",
                  CASE[c].schedule);
        cr_assert(fv_diag_count(s->ctx) > 0 && fv_diag_at(s->ctx, 0)->code == FV_E_SCHEDULE);
        cr_expect(strstr(fv_diag_at(s->ctx, 0)->text, CASE[c].word), "'%s': %s", CASE[c].schedule,
                  fv_diag_at(s->ctx, 0)->text);
        kit_close(s);
    }
}

Test(flatten, shifted_windows_fuse_and_pack) {
    kit *s = kit_open("swin_shift2");
    char *text = text_of(s, "", &fv_target_avx512);
    cr_expect(occurrences(text, "qk.pack0") > 0, "the queries are gathered in the inner loop");
    free(text);
    kit_close(s);
}
