/* flat_verify: the laws of flat kernels (docs/ir.md). Faults are recorded as KERNEL errors; their number is
 * returned. Invariant: a kernel without faults can be executed by every backend without looking for anything that this
 * pass checks. */
#include "kernel/flat_verify.h"

enum { MAX_RECORDED = 20, MAX_DEPTH = 120 };

void fv_fv_fault(fv_fv *v, const char *format, ...) {
    char text[400];
    va_list ap;
    if (++v->faults > MAX_RECORDED) return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    const fv_flat *s = v->at;
    fv_loc loc = s ? s->loc : (fv_loc){ { 0 }, 0 };
    bool labelled = s && s->label.i;
    fv_error(v->ctx, FV_E_KERNEL, loc, "kernel %s%s%s: %s", fv_cstr(v->ctx, v->k->name), labelled ? ", " : "",
             labelled ? fv_cstr(v->ctx, s->label) : "", text);
}

const fv_fv_name *fv_fv_find(const fv_fv *v, fv_str name, bool object) {
    for (int i = v->n_names - 1; i >= 0; i--)
        if (fv_str_eq(v->name[i].name, name) && (v->name[i].obj != NULL) == object) return &v->name[i];
    return NULL;
}

static void bind(fv_fv *v, fv_fv_name n) {
    const char *name = fv_cstr(v->ctx, n.name);
    if (!name[0]) fv_fv_fault(v, "a name is empty");
    else if (!n.obj && fv_flat_reserved(name)) fv_fv_fault(v, "'%s' is a word of the grammar and no name", name);
    else if (fv_fv_find(v, n.name, n.obj != NULL))
        fv_fv_fault(v, "%s is bound although a %s of that name is in scope", name, n.obj ? "memory" : "variable");
    fv_push(v->ctx, v->name, v->n_names, v->cap_names, n);
}

static void check_list(fv_fv *v, const fv_flat *s);

static void check_block(fv_fv *v, const fv_flat *body) {
    int mark = v->n_names;
    const fv_flat *config = v->config;
    const fv_flat *at = v->at;
    if (++v->depth > MAX_DEPTH) fv_fv_fault(v, "blocks are nested more than %d deep", (int)MAX_DEPTH);
    else check_list(v, body);
    v->depth--;
    if (v->config != config) fv_fv_fault(v, "fragments are configured or ended in a block that leaves them otherwise");
    v->config = config;
    v->n_names = mark;
    v->at = at;
}

/* -- Loops and conditions ---------------------------------------------------------------------- */
static void check_bounds(fv_fv *v, const fv_flat *s) {
    if (s->loop == FV_LOOP_PROGRAMS && !s->lo && !s->hi) return;
    if (!s->lo || !s->hi) {
        fv_fv_fault(v, "a loop over %s without bounds", fv_cstr(v->ctx, s->name));
        return;
    }
    fv_fv_expr(v, s->lo);
    fv_fv_expr(v, s->hi);
    if (s->lo->type != FV_I32 || s->hi->type != FV_I32 || s->lo->lanes != 1 || s->hi->lanes != 1)
        fv_fv_fault(v, "a bound of %s is no scalar i32", fv_cstr(v->ctx, s->name));
}

static void check_item(fv_fv *v, const fv_flat *s) {
    int64_t lo, hi;
    if (v->in_item) fv_fv_fault(v, "an item loop inside an item loop");
    if (!v->groups) fv_fv_fault(v, "an item loop outside of group loops");
    if (!fv_is_int(s->lo, &lo) || !fv_is_int(s->hi, &hi) || lo != 0 || hi != v->k->group_size || s->step != 1)
        fv_fv_fault(v, "the item loop runs from 0 to the group size, %lld, by 1", (long long)v->k->group_size);
}

static void check_for(fv_fv *v, const fv_flat *s) {
    bool divergent = v->divergent, item = v->in_item, programs = v->in_programs;
    unsigned groups = v->groups;
    check_bounds(v, s);
    if (s->step <= 0) fv_fv_fault(v, "the step of %s is %lld", fv_cstr(v->ctx, s->name), (long long)s->step);
    bool varies = fv_fv_varies(v, s->lo) || fv_fv_varies(v, s->hi);
    if (s->loop == FV_LOOP_ITEM) {
        check_item(v, s);
        v->in_item = varies = true;
    } else if (s->loop == FV_LOOP_GROUP) {
        if (v->in_item || v->in_programs) fv_fv_fault(v, "a group loop inside of programs or items");
        if (s->dim < 0 || s->dim > 2 || (v->groups >> s->dim & 1))
            fv_fv_fault(v, "group dimension %d is taken or does not exist", s->dim);
        else v->groups |= 1u << s->dim;
    } else if (s->loop == FV_LOOP_PROGRAMS) {
        if (v->in_item || v->in_programs || v->groups || v->depth > 1)
            fv_fv_fault(v, "the loop over programs is the outermost one");
        v->in_programs = true;
    } else v->divergent |= varies;
    int mark = v->n_names;
    bind(v, (fv_fv_name){ .name = s->name, .type = FV_I32, .lanes = 1, .varies = varies });
    check_block(v, s->body);
    v->n_names = mark;
    v->divergent = divergent;
    v->in_item = item;
    v->in_programs = programs;
    v->groups = groups;
}

static void check_condition(fv_fv *v, const fv_flat *s) {
    if (!s->expr) {
        fv_fv_fault(v, "a condition is missing");
        return;
    }
    fv_fv_expr(v, s->expr);
    if (s->expr->type != FV_BOOL || s->expr->lanes != 1) fv_fv_fault(v, "a condition is no scalar bool");
}

static void check_if(fv_fv *v, const fv_flat *s) {
    bool divergent = v->divergent;
    check_condition(v, s);
    v->divergent |= fv_fv_varies(v, s->expr);
    check_block(v, s->body);
    check_block(v, s->orelse);
    v->divergent = divergent;
}

/* -- Memory ------------------------------------------------------------------------------------ */
static void check_alloc(fv_fv *v, const fv_flat *s) {
    const fv_memory *m = s->memory;
    if (!m) {
        fv_fv_fault(v, "an alloc without memory");
        return;
    }
    const char *name = fv_cstr(v->ctx, m->obj.name);
    int bytes = fv_type_bytes(m->obj.type);
    if (m->obj.kind != FV_OBJ_BUFFER || m->space == FV_SPACE_GLOBAL)
        fv_fv_fault(v, "%s is global: tensors are parameters", name);
    if (m->count < 1 || m->count > INT32_MAX || bytes == 0)
        fv_fv_fault(v, "%s has %lld elements of type %s", name, (long long)m->count, fv_type_name(m->obj.type));
    if (m->lanes < 1 || (m->space != FV_SPACE_REG && m->lanes != 1))
        fv_fv_fault(v, "%s has elements of %d lanes", name, m->lanes);
    if (fv_space_shared(m->space)) {
        bool far = m->space == FV_SPACE_FAR;
        const char *space = far ? "far" : "local";
        int64_t all = far ? v->k->far_bytes : v->k->scratch_bytes, end = m->offset_bytes + m->count * bytes;
        if (v->in_item) fv_fv_fault(v, "%s is %s and stands inside the item loop", name, space);
        if (m->offset_bytes < 0 || m->offset_bytes % 64)
            fv_fv_fault(v, "%s stands at byte %lld of %s memory: offsets are multiples of 64", name,
                        (long long)m->offset_bytes, space);
        else if (end > all)
            fv_fv_fault(v, "%s ends at byte %lld of %s memory, which has %lld", name, (long long)end, space,
                        (long long)all);
    }
    if ((m->space == FV_SPACE_PRIVATE || m->space == FV_SPACE_FRAG) && !v->in_item)
        fv_fv_fault(v, "%s is private and stands outside of the item loop", name);
    if (m->space == FV_SPACE_FRAG) fv_fv_sums(v, m);
    bind(v, (fv_fv_name){ .name = m->obj.name, .obj = &m->obj });
}

static void check_store(fv_fv *v, const fv_flat *s) {
    const fv_obj *to = s->memory ? &s->memory->obj : s->tensor ? &s->tensor->obj : NULL;
    if (!to || !s->expr || !s->offset || (s->memory && s->tensor)) {
        fv_fv_fault(v, "a store needs one target, an offset and a value");
        return;
    }
    const char *name = fv_cstr(v->ctx, to->name);
    fv_fv_expr(v, s->expr);
    fv_fv_expr(v, s->offset);
    fv_fv_expr(v, s->mask);
    fv_fv_expr(v, s->scatter);
    fv_fv_access(v, to, s->offset, s->scatter ? 1 : s->expr->lanes, "stores");
    if (s->expr->type != to->type)
        fv_fv_fault(v, "%s is stored to %s, whose elements are %s", fv_type_name(s->expr->type), name,
                    fv_type_name(to->type));
    if (s->offset->type != FV_I32 || s->offset->lanes != 1)
        fv_fv_fault(v, "the offset of a store to %s is no scalar i32", name);
    if (s->tensor && s->tensor->role == FV_ROLE_IN) fv_fv_fault(v, "%s is an input and is stored to", name);
    if (s->mask && (s->mask->type != FV_BOOL || s->mask->lanes != s->expr->lanes))
        fv_fv_fault(v, "the mask of a store to %s is not bool with %d lanes", name, s->expr->lanes);
    if (s->scatter && (s->scatter->type != FV_I32 || s->scatter->lanes != s->expr->lanes))
        fv_fv_fault(v, "the scatter of a store to %s is not i32 with %d lanes", name, s->expr->lanes);
    if (s->memory && s->memory->space == FV_SPACE_REG && (s->mask || s->scatter))
        fv_fv_fault(v, "registers %s are stored whole", name);
}

static void check_config(fv_fv *v, const fv_flat *s) {
    if (v->config) fv_fv_fault(v, "fragments are configured while others are in use");
    if (!s->expr || s->expr->type != FV_I32 || s->expr->lanes != 1)
        fv_fv_fault(v, "the rows of fragments are no scalar i32");
    fv_fv_expr(v, s->expr);
    int64_t rows;
    if (s->expr && fv_is_int(s->expr, &rows) && (rows < 1 || rows > FV_FRAG_ROWS))
        fv_fv_fault(v, "fragments have 1 to %d rows, not %lld", FV_FRAG_ROWS, (long long)rows);
    if (s->reg[0] < 1 || s->reg[1] <= s->reg[0] || s->reg[1] >= FV_FRAG_REGISTERS)
        fv_fv_fault(v, "fragments of A from %d and of B from %d leave no registers for C, A or B", s->reg[0],
                    s->reg[1]);
    v->config = s;
}
static void check_fragment(fv_fv *v, int reg, int role) {
    static const char *const name[] = {"C", "A", "B"};
    if (reg < 0 || reg >= FV_FRAG_REGISTERS) fv_fv_fault(v, "fragment %d: there are %d", reg, FV_FRAG_REGISTERS);
    else if (fv_frag_role(v->config, reg) != role)
        fv_fv_fault(v, "fragment %d is one of %s where one of %s belongs", reg, name[fv_frag_role(v->config, reg)],
                    name[role]);
}
/* Rows of memory lie multiples of 64 bytes apart and start at multiples of 64 bytes. */
static void check_rows(fv_fv *v, const fv_flat *s) {
    const fv_obj *o = s->memory ? &s->memory->obj : s->tensor ? &s->tensor->obj : NULL;
    if (!o || !s->offset || (s->memory && s->tensor)) {
        fv_fv_fault(v, "a fragment needs one memory and an offset");
        return;
    }
    const char *name = fv_cstr(v->ctx, o->name);
    fv_fv_expr(v, s->offset);
    if (s->offset->type != FV_I32 || s->offset->lanes != 1)
        fv_fv_fault(v, "the offset of a fragment in %s is no scalar i32", name);
    if (s->memory && s->memory->space == FV_SPACE_REG) fv_fv_fault(v, "registers %s hold no fragment", name);
    fv_fv_access(v, o, s->offset, FV_FRAG_COLS, s->frag == FV_FRAG_LOAD ? "loads" : "stores");
    bool c = fv_frag_role(v->config, s->reg[0]) == FV_FRAG_C;
    if (o->type != (c ? FV_F32 : FV_BF16))
        fv_fv_fault(v, "fragment %d is of %s, the elements of %s are %s", s->reg[0], fv_type_name(c ? FV_F32 : FV_BF16),
                    name, fv_type_name(o->type));
    int64_t bytes = fv_type_bytes(o->type), at;
    if (s->stride <= 0 || s->stride * bytes % 64)
        fv_fv_fault(v, "the rows of a fragment lie %lld elements apart in %s: multiples of 64 bytes",
                    (long long)s->stride, name);
    if (fv_is_int(s->offset, &at) && at * bytes % 64)
        fv_fv_fault(v, "a fragment starts at element %lld of %s: multiples of 64 bytes", (long long)at, name);
    if (s->frag == FV_FRAG_STORE && s->tensor && s->tensor->role == FV_ROLE_IN)
        fv_fv_fault(v, "%s is an input and is stored to", name);
}
static void check_frag(fv_fv *v, const fv_flat *s) {
    if (v->in_item) fv_fv_fault(v, "fragments inside of the item loop");
    if (s->frag == FV_FRAG_CONFIG) {
        check_config(v, s);
        return;
    }
    if (!v->config) {
        fv_fv_fault(v, "fragments are not configured here");
        return;
    }
    switch (s->frag) {
    case FV_FRAG_ZERO: check_fragment(v, s->reg[0], FV_FRAG_C); break;
    case FV_FRAG_DOT:
        for (int i = 0; i < 3; i++) check_fragment(v, s->reg[i], i);
        break;
    case FV_FRAG_END: v->config = NULL; break;
    case FV_FRAG_STORE: check_fragment(v, s->reg[0], FV_FRAG_C); /* fallthrough */
    default:
        if (s->reg[0] < 0 || s->reg[0] >= FV_FRAG_REGISTERS)
            fv_fv_fault(v, "fragment %d: there are %d", s->reg[0], FV_FRAG_REGISTERS);
        else check_rows(v, s);
    }
}

static void check_let(fv_fv *v, const fv_flat *s) {
    if (!s->expr) {
        fv_fv_fault(v, "a let without a value");
        return;
    }
    fv_fv_expr(v, s->expr);
    bind(v, (fv_fv_name){ .name = s->name, .type = s->expr->type, .lanes = s->expr->lanes,
            .varies = fv_fv_varies(v, s->expr) || (v->in_item && v->divergent) });
}

static void check_list(fv_fv *v, const fv_flat *s) {
    for (; s; s = s->next) {
        v->at = s;
        switch (s->kind) {
        case FV_L_FOR: check_for(v, s); break;
        case FV_L_IF: check_if(v, s); break;
        case FV_L_LET: check_let(v, s); break;
        case FV_L_ALLOC: check_alloc(v, s); break;
        case FV_L_STORE: check_store(v, s); break;
        case FV_L_ASSERT: check_condition(v, s); break;
        case FV_L_FRAG: check_frag(v, s); break;
        case FV_L_MMA: fv_fv_mma(v, s); break;
        case FV_L_ROWS: fv_fv_rows(v, s); break;
        case FV_L_COPY: fv_fv_copy(v, s); break;
        case FV_L_BARRIER:
            if (!v->in_item) fv_fv_fault(v, "a barrier outside of the item loop");
            else if (v->divergent) fv_fv_fault(v, "a barrier that some items of a group may not reach");
            break;
        }
    }
}

static void check_tensors(fv_fv *v) {
    for (int i = 0; i < v->k->n_tensors; i++) {
        const fv_tensor *t = v->k->tensor[i];
        const char *name = fv_cstr(v->ctx, t->obj.name);
        if (t->obj.kind != FV_OBJ_TENSOR || t->obj.rank < 0 || t->obj.rank > FV_MAX_AXES || !fv_type_bytes(t->obj.type))
            fv_fv_fault(v, "%s is no tensor", name);
        bind(v, (fv_fv_name){ .name = t->obj.name, .obj = &t->obj });
    }
}

int fv_flat_verify(fv_flat_kernel *k) {
    fv_fv v = { .ctx = k->ctx, .k = k };
    if (k->unit && k->group_size % k->unit->sub)
        fv_fv_fault(&v, "a group of %lld items is no multiple of the %d of a sub-group of %s", (long long)k->group_size,
                    k->unit->sub, k->unit->name);
    if (k->programs < 0 || k->scratch_bytes < 0 || k->far_bytes < 0 || k->group_size < 0)
        fv_fv_fault(&v, "a number of the head is negative");
    check_tensors(&v);
    check_block(&v, k->body);
    return v.faults;
}
