/* flat_interp_frag: fragments, as a matrix unit computes them: the even and the odd products of a row are summed apart
 * in f32 and then added, denormal operands count as 0. */
#include "kernel/flat_interp.h"

#include <string.h>

static bool configure(fv_fi *m, const fv_fi_node *n) {
    double rows = m->slot[n->tape.result[FV_FI_EXPR]];
    if (!(rows >= 1 && rows <= FV_FRAG_ROWS)) return fv_fi_trap(m, "fragments of %g rows", rows);
    m->frag.config = n->s;
    m->frag.rows = (int)rows;
    memset(m->frag.reg, 0, sizeof m->frag.reg);
    return true;
}
static bool transfer(fv_fi *m, const fv_fi_node *n, bool write) {
    int reg = n->s->reg[0], role = fv_frag_role(m->frag.config, reg),
        rows = role == FV_FRAG_B ? FV_FRAG_PAIRS : m->frag.rows;
    int cols = role != FV_FRAG_C ? 2 * FV_FRAG_PAIRS : FV_FRAG_COLS;
    int64_t at = (int64_t)m->slot[n->tape.result[FV_FI_OFFSET]];
    if (at * fv_type_bytes(n->mem->obj->type) % 64)
        return fv_fi_trap(m, "a fragment starts at element %lld of %s: multiples of 64 bytes", (long long)at,
                          fv_cstr(m->ctx, n->mem->obj->name));
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++) {
            double poison, *p = fv_fi_element(m, n->mem, at + i * n->s->stride + j, write, &poison);
            if (!p) return false;
            if (write) *p = (double)m->frag.reg[reg][i][j];
            else m->frag.reg[reg][i][j] = (float)*p;
        }
    return true;
}
static float flushed(float x) { return fabsf(x) < 0x1p-126F ? 0 : x; }
static void dot(fv_fi *m, const int *reg) {
    for (int i = 0; i < m->frag.rows; i++)
        for (int j = 0; j < FV_FRAG_COLS; j++) {
            const float *a = m->frag.reg[reg[1]][i];
            float sum[2] = {0, 0}, *c = &m->frag.reg[reg[0]][i][j];
            for (int k = 0; k < FV_FRAG_PAIRS; k++)
                for (int p = 0; p < 2; p++)
                    sum[p] = fmaf(flushed(a[2 * k + p]), flushed(m->frag.reg[reg[2]][k][2 * j + p]), sum[p]);
            *c = flushed(*c + (sum[0] + sum[1]));
        }
}
bool fv_fi_fragment(fv_fi *m, const fv_fi_node *n) {
    const fv_flat *s = n->s;
    if (s->frag == FV_FRAG_CONFIG) return configure(m, n);
    if (!m->frag.config) return fv_fi_trap(m, "fragments are not configured");
    switch (s->frag) {
    case FV_FRAG_ZERO: memset(m->frag.reg[s->reg[0]], 0, sizeof m->frag.reg[0]); return true;
    case FV_FRAG_LOAD: return transfer(m, n, false);
    case FV_FRAG_STORE: return transfer(m, n, true);
    case FV_FRAG_DOT: dot(m, s->reg); return true;
    default: m->frag.config = NULL; return true;
    }
}
