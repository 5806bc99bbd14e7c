/* The known answers of a built library (runtime/selftest.h): taken where the image of its weights is made, written as C
 * data. */
#include "cli/artefact.h"
#include "cli/live.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { SEED = 1 };

static int64_t elements(const fovea_array *a) { return a->bytes / fovea_dtype_size(a->dtype); }

static void take(fv_ctx *ctx, const fovea_array *a, const void *data, fovea_answer *out) {
    int64_t n = elements(a);
    int32_t kept = n < FOVEA_ANSWER_VALUES ? (int32_t)n : FOVEA_ANSWER_VALUES;
    double *values = FV_NEWN(ctx, double, kept + 1), largest = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = fabs(fovea_element(data, a->dtype, i));
        if (isfinite(v) && v > largest) largest = v;
    }
    for (int32_t i = 0; i < kept; i++) values[i] = fovea_element(data, a->dtype, fovea_answer_element(n, kept, i));
    *out = (fovea_answer){fovea_bits(data, a->bytes), largest, values, kept};
}
/* How far apart two levels may be: they round in another order, and levels with tiles of 16-bit numbers multiply in
 * those. Errors of one part in 2^24 (2^8) grow with depth; these are what networks of a hundred layers need. */
static double tolerance(const fovea_program *p) {
    for (int32_t i = 0; i < p->n_arrays; i++)
        if (p->arrays[i].dtype == FOVEA_BF16 || p->arrays[i].dtype == FOVEA_F16) return 5e-2;
    return 1e-3;
}
const fovea_known *cli_known_take(fv_ctx *ctx, cli_live *l) {
    fovea_known *k = FV_NEW(ctx, fovea_known);
    fovea_answer *answers = FV_NEWN(ctx, fovea_answer, l->n_out + 1);
    cli_live own = *l;
    bool fine = true;
    for (int i = 0; i < l->n_in; i++) {
        own.in[i].data = fine ? malloc((size_t)l->input[i]->bytes + 8) : NULL;
        if (own.in[i].data) fovea_pattern_fill(l->input[i], SEED, own.in[i].data);
        else fine = false;
    }
    if (!fine) fv_error(ctx, FV_E_RUN, (fv_loc){0}, "not enough memory for the inputs of the self-test");
    fine = fine && cli_live_run(ctx, &own);
    for (int i = 0; fine && i < l->n_out; i++) take(ctx, l->output[i], l->out[i].data, &answers[i]);
    for (int i = 0; i < l->n_in; i++) free(own.in[i].data);
    *k = (fovea_known){
        .seed = SEED, .tolerance = tolerance(&l->compiled.program), .answers = answers, .n_answers = l->n_out};
    return fine ? k : NULL;
}

/* -- As C ---- */
static void number(fv_buf *b, double v) {
    if (isnan(v)) fv_buf_puts(b, "__builtin_nan(\"\")");
    else if (isinf(v)) fv_buf_puts(b, v > 0 ? "__builtin_inf()" : "-__builtin_inf()");
    else fv_buf_printf(b, "%.17g", v);
}
static void one(const fovea_known *k, int which, fv_buf *b) {
    for (int32_t i = 0; i < k->n_answers; i++) {
        const fovea_answer *a = &k->answers[i];
        fv_buf_printf(b, "static const double answer_%d_%d[%d] = {", which, i, a->n > 0 ? a->n : 1);
        for (int32_t j = 0; j < a->n; j++) {
            fv_buf_puts(b, j % 8 ? ", " : j ? ",\n    " : "");
            number(b, a->values[j]);
        }
        fv_buf_puts(b, a->n ? "};\n" : "0};\n");
    }
    fv_buf_printf(b, "static const fovea_answer answers_%d[%d] = {\n", which, k->n_answers > 0 ? k->n_answers : 1);
    for (int32_t i = 0; i < k->n_answers; i++)
        fv_buf_printf(b, "    {UINT64_C(0x%016" PRIX64 "), %.17g, answer_%d_%d, %d},\n", k->answers[i].bits,
                      k->answers[i].largest, which, i, k->answers[i].n);
    fv_buf_puts(b, k->n_answers ? "};\n" : "    {0}};\n");
}
void cli_known_write(const cli_artefact *a, fv_buf *b) {
    const cli_bounds *bounds = &a->bounds;
    for (int i = 0; i < a->n_tried; i++) one(a->known[i], i, b);
    for (int i = 0; bounds->n && i < a->n_tried; i++) {
        fv_buf_printf(b, "static const int64_t tried_%d[%d] = {", i, bounds->n);
        for (int k = 0; k < bounds->n; k++) fv_buf_printf(b, "%" PRId64 ", ", bounds->tried[i * bounds->n + k]);
        fv_buf_puts(b, "};\n");
    }
    fv_buf_printf(b, "static const fovea_known known[%d] = {\n", a->n_tried);
    for (int i = 0; i < a->n_tried; i++) {
        const fovea_known *k = a->known[i];
        fv_buf_printf(b, "    {UINT64_C(%" PRIu64 "), %.17g, answers_%d, %d", k->seed, k->tolerance, i, k->n_answers);
        if (bounds->n) fv_buf_printf(b, ", %d, tried_%d", bounds->n, i);
        fv_buf_puts(b, "},\n");
    }
    fv_buf_puts(b, "};\n");
}
