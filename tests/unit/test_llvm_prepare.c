/* Prepare compiled for this process gives the bytes that the target's own code gives. */
#include "backends/llvm/llvm.h"
#include "driver/driver.h"
#include "dsl/dsl.h"
#include "runtime/image.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* The image of weights that are numbers of the array and the element. */
static void *image(const fovea_program *p, int64_t *bytes) {
    fovea_named_tensor *list = calloc((size_t)p->n_arrays, sizeof *list);
    fovea_model *m = NULL;
    fovea_error e = {.text = ""};
    void *out = NULL;
    int n = 0;
    for (int32_t i = 0; i < p->n_arrays; i++) {
        const fovea_array *a = &p->arrays[i];
        if (a->place != FOVEA_PARAM) continue;
        cr_assert(a->dtype == FOVEA_F32);
        float *data = aligned_alloc(64, ((size_t)a->bytes + 63) / 64 * 64);
        for (int64_t k = 0; k < a->bytes / 4; k++) data[k] = (float)((37 * n + 11 * k) % 1009) / 512 - 1;
        list[n++] =
            (fovea_named_tensor){a->name, fovea_tensor(data, a->dtype, a->rank, (int64_t *)(uintptr_t)a->shape)};
    }
    cr_assert(n > 0);
    cr_assert(fovea_model_load(p, &(fovea_options){.threads = 2}, &m, &e) == FOVEA_OK, "%s", e.text);
    cr_assert(fovea_model_bind(m, list, n, &e) == FOVEA_OK, "%s", e.text);
    cr_assert(fovea_image_make(m, 1, &out, bytes, &e) == FOVEA_OK, "%s", e.text);
    fovea_model_dispose(m);
    for (int i = 0; i < n; i++) free(list[i].tensor.data);
    free(list);
    return out;
}
static void same(const char *target, fv_type storage) {
    fv_ctx *ctx = fv_ctx_new();
    fv_spec_options o = {.declare = true,
                         .spec_dir = FOVEA_SPEC_DIR,
                         .config_json =
                             "{\"embed_dim\": 12, \"depths\": [1, 1], \"num_heads\": [1, 2], \"kernel_size\": "
                             "3, \"mlp_ratio\": 2, \"in_chans\": 1, \"num_classes\": 5, \"img_size\": 32}"};
    fv_spec spec;
    fv_compiled there = {0}, here = {0};
    fv_driver_options d = {.target = target, .storage = storage};
    bool fine = fv_spec_load(ctx, FOVEA_SPEC_DIR "/backbones/dinat.lua", NULL, &o, &spec) &&
                fv_compile(ctx, spec.graph, (fv_str){0}, &d, &there) && fv_compile_prepare(ctx, &there, NULL, &here);
    fv_buf why = {0};
    fv_diag_render(ctx, &why);
    cr_assert(fine, "%s: %s", target, why.text);
    if (there.program.n_prepare && there.program.prepare[0].kernel) {
        int64_t n, k;
        char *a = image(&there.program, &n), *b = image(&here.program, &k);
        cr_expect(n == k && !memcmp(a, b, (size_t)n), "%s: another image", target);
        free(a);
        free(b);
    } else {
        int64_t n;
        free(image(&here.program, &n)); /* it can be made; there is nothing here to compare it with */
    }
    fv_compiled_dispose(&there);
    fv_compiled_dispose(&here);
    fv_buf_dispose(&why);
    fv_ctx_dispose(ctx);
}
Test(llvm_prepare, the_same_bytes) {
    static const char *const target[] = {"sse2", "avx2", "avx512", "amx-simulated", "neon"};
    for (size_t i = 0; i < sizeof target / sizeof *target; i++)
        if (fv_backend_cpu.target(target[i])) same(target[i], FV_F32);
}
Test(llvm_prepare, the_same_bytes_in_16_bits) {
    static const char *const target[] = {"avx2", "amx-simulated"};
    for (size_t i = 0; i < sizeof target / sizeof *target; i++)
        if (fv_backend_cpu.target(target[i])) same(target[i], FV_BF16);
}
