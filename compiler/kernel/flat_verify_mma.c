/* flat_verify_mma: laws of products on matrix units of sub-groups (docs/ir.md). */
#include "kernel/flat_verify.h"

void fv_fv_sums(fv_fv *v, const fv_memory *m) {
    const fv_unit *u = v->k->unit;
    const char *name = fv_cstr(v->ctx, m->obj.name);
    if (!u) fv_fv_fault(v, "%s holds sums of a matrix unit, and the kernel names none", name);
    else if (m->count % u->elements)
        fv_fv_fault(v, "%s has %lld elements: multiples of the %d that an item of %s has of a fragment", name,
                    (long long)m->count, u->elements, u->name);
    if (m->obj.type != FV_F32) fv_fv_fault(v, "%s holds sums of a matrix unit, which are f32", name);
}
static void check_offset(fv_fv *v, const fv_memory *m, const fv_expr *offset, int64_t unit, const char *what) {
    const char *name = fv_cstr(v->ctx, m->obj.name);
    int64_t at;
    fv_fv_expr(v, offset);
    if (offset->type != FV_I32 || offset->lanes != 1)
        fv_fv_fault(v, "the offset of %s in %s is no scalar i32", what, name);
    else if (fv_is_int(offset, &at) && at % unit)
        fv_fv_fault(v, "%s starts at element %lld of %s: multiples of %lld", what, (long long)at, name,
                    (long long)unit);
}
static void check_fragment(fv_fv *v, const fv_flat *s) {
    const fv_memory *m = s->part[0].memory;
    int64_t n = v->k->unit ? v->k->unit->elements : 1;
    check_offset(v, m, s->part[0].offset, n, "A of mma");
    fv_fv_access(v, &m->obj, s->part[0].offset, (int)n, "reads");
    if (s->rounded != FV_BF16 && s->rounded != FV_F16)
        fv_fv_fault(v, "A of mma, %s, is rounded to %s: bf16 or f16", fv_cstr(v->ctx, m->obj.name),
                    fv_type_name(s->rounded));
}
static void check_operand(fv_fv *v, const fv_flat *s, int i) {
    const fv_memory *m = s->part[i].memory;
    const char *what = i ? "B" : "A", *name = fv_cstr(v->ctx, m->obj.name);
    check_offset(v, m, s->part[i].offset, 8, i ? "B of mma" : "A of mma");
    fv_fv_access(v, &m->obj, s->part[i].offset, FV_UNIT_TILE, "reads");
    if (m->space != FV_SPACE_LOCAL) fv_fv_fault(v, "%s of mma, %s, is not local", what, name);
    if (m->obj.type != FV_BF16 && m->obj.type != FV_F16)
        fv_fv_fault(v, "%s of mma, %s, is %s: bf16 or f16", what, name, fv_type_name(m->obj.type));
    if (s->part[i].stride < FV_UNIT_TILE || s->part[i].stride % 8)
        fv_fv_fault(v, "rows of %s lie %lld elements apart for mma: multiples of 8, at least 16", name,
                    (long long)s->part[i].stride);
}
void fv_fv_mma(fv_fv *v, const fv_flat *s) {
    if (!s->memory || !s->offset || !s->part[0].memory || !s->part[0].offset || !s->part[1].memory ||
        !s->part[1].offset) {
        fv_fv_fault(v, "mma needs C, A and B in memory");
        return;
    }
    if (!v->k->unit) fv_fv_fault(v, "mma in a kernel that names no matrix unit");
    if (!v->in_item) fv_fv_fault(v, "mma outside of the item loop");
    else if (v->divergent) fv_fv_fault(v, "mma that some items of a group may not reach");
    if (s->memory->space != FV_SPACE_FRAG)
        fv_fv_fault(v, "C of mma, %s, is no memory of sums", fv_cstr(v->ctx, s->memory->obj.name));
    else if (v->k->unit) {
        check_offset(v, s->memory, s->offset, v->k->unit->elements, "C of mma");
        fv_fv_access(v, &s->memory->obj, s->offset, v->k->unit->elements, "adds to");
    }
    bool fragment = s->part[0].memory->space == FV_SPACE_FRAG;
    if (fragment) check_fragment(v, s);
    else check_operand(v, s, 0);
    check_operand(v, s, 1);
    fv_type a = fragment ? s->rounded : s->part[0].memory->obj.type, b = s->part[1].memory->obj.type;
    if (a != b) fv_fv_fault(v, "A of mma is %s, B is %s", fv_type_name(a), fv_type_name(b));
}
void fv_fv_rows(fv_fv *v, const fv_flat *s) {
    if (!s->memory || !s->offset) {
        fv_fv_fault(v, "rows needs private memory");
        return;
    }
    if (!v->k->unit) fv_fv_fault(v, "rows in a kernel that names no matrix unit");
    if (!v->in_item) fv_fv_fault(v, "rows outside of the item loop");
    else if (v->divergent) fv_fv_fault(v, "rows that some items of a group may not reach");
    check_offset(v, s->memory, s->offset, 1, "an element");
    fv_fv_access(v, &s->memory->obj, s->offset, 1, "changes");
    if (s->memory->space != FV_SPACE_PRIVATE || s->memory->obj.type != FV_F32)
        fv_fv_fault(v, "rows of %s, which is no private f32", fv_cstr(v->ctx, s->memory->obj.name));
}
void fv_fv_copy(fv_fv *v, const fv_flat *s) {
    if (!s->memory || !s->offset || !s->tensor || !s->part[0].offset) {
        fv_fv_fault(v, "copy needs memory and a tensor");
        return;
    }
    const char *to = fv_cstr(v->ctx, s->memory->obj.name), *from = fv_cstr(v->ctx, s->tensor->obj.name);
    if (!v->k->unit) fv_fv_fault(v, "copy in a kernel that names no matrix unit");
    if (!v->in_item) fv_fv_fault(v, "copy outside of the item loop");
    check_offset(v, s->memory, s->offset, FV_COPY_ELEMENTS, "a copy");
    fv_fv_access(v, &s->memory->obj, s->offset, FV_COPY_ELEMENTS, "copies to");
    fv_fv_expr(v, s->part[0].offset);
    fv_fv_access(v, &s->tensor->obj, s->part[0].offset, FV_COPY_ELEMENTS, "copies");
    if (s->part[0].offset->type != FV_I32 || s->part[0].offset->lanes != 1)
        fv_fv_fault(v, "the offset of a copy of %s is no scalar i32", from);
    if (s->memory->space != FV_SPACE_LOCAL) fv_fv_fault(v, "a copy goes to %s, which is not local", to);
    if (s->memory->obj.type != s->tensor->obj.type || fv_type_bytes(s->tensor->obj.type) != 2)
        fv_fv_fault(v, "a copy from %s, %s, to %s, %s: both have one type of 16 bits", from,
                    fv_type_name(s->tensor->obj.type), to, fv_type_name(s->memory->obj.type));
}
