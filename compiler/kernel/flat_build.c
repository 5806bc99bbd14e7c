/* flat_build: makes flat statements and lists, and holds the facts of the CPU targets. Statements live as long as their
 * context. */
#include "kernel/flat.h"

const fv_target fv_target_avx512 = {
    .name = "avx512", .lanes = 16, .registers = 32, .masks = true, .permute = true, .scalef = true,
    .l1_bytes = 32 << 10, .l2_bytes = 1 << 20,
};
const fv_target fv_target_avx512_bf16 = {
    .name = "avx512", .lanes = 16, .registers = 32, .masks = true, .permute = true, .scalef = true, .dot2 = true,
    .l1_bytes = 32 << 10, .l2_bytes = 1 << 20,
};
const fv_target fv_target_amx = {
    .name = "amx",
    .lanes = 16,
    .registers = 32,
    .masks = true,
    .permute = true,
    .scalef = true,
    .dot2 = true,
    .fragments = true,
    .l1_bytes = 48 << 10,
    .l2_bytes = 2 << 20,
};
const fv_target fv_target_avx2 = {
    .name = "avx2", .lanes = 8, .registers = 16, .masks = true, .permute = true, .scalef = false,
    .l1_bytes = 32 << 10, .l2_bytes = 512 << 10,
};
const fv_target fv_target_neon = {
    .name = "neon", .lanes = 4, .registers = 32, .masks = false, .permute = false, .scalef = false,
    .l1_bytes = 32 << 10, .l2_bytes = 512 << 10,
};

fv_flat *fv_flat_new(fv_ctx *ctx, fv_flat_kind kind) {
    fv_flat *s = FV_NEW(ctx, fv_flat);
    s->kind = kind;
    s->step = 1;
    return s;
}

fv_flat *fv_flats_add(fv_flats *list, fv_flat *s) {
    if (list->last) list->last->next = s;
    else list->first = s;
    list->last = s;
    return s;
}
