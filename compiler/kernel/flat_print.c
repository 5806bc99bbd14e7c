/* flat_print: canonical text of a flat kernel (grammar: docs/ir.md). One statement a line; every choice is made by the
 * next token (LL(1)). */
#include "kernel/flat.h"

enum { P_OR = 1, P_AND, P_COMPARE, P_SUM, P_PRODUCT, P_UNARY, P_POWER, P_PRIMARY };

static int precedence(fv_op op) {
    switch (op) {
    case FV_X_OR: return P_OR;
    case FV_X_AND: return P_AND;
    case FV_X_LT: case FV_X_LE: case FV_X_EQ: case FV_X_NE: return P_COMPARE;
    case FV_X_ADD: case FV_X_SUB: return P_SUM;
    case FV_X_MUL: case FV_X_DIV: case FV_X_FLOORDIV: case FV_X_MOD: return P_PRODUCT;
    case FV_X_NEG: case FV_X_NOT: return P_UNARY;
    case FV_X_POW: return P_POWER;
    default: return P_PRIMARY;
    }
}

static void put_expr(const fv_ctx *ctx, const fv_expr *e, int above, fv_buf *out);

static void put_type(fv_buf *out, fv_type type, int lanes) {
    fv_buf_puts(out, fv_type_name(type));
    if (lanes > 1) fv_buf_printf(out, "x%d", lanes);
}

static void put_args(const fv_ctx *ctx, const fv_expr *e, char open, char close, fv_buf *out) {
    fv_buf_printf(out, "%c", open);
    for (int i = 0; i < e->n; i++) {
        if (i) fv_buf_puts(out, ", ");
        put_expr(ctx, e->arg[i], 0, out);
    }
    fv_buf_printf(out, "%c", close);
}

static void put_access(const fv_ctx *ctx, const fv_expr *e, fv_buf *out) {
    if (e->op == FV_X_LOAD && e->i) fv_buf_printf(out, "guard<%d, %lld>", e->lanes, (long long)e->i);
    else {
        fv_buf_puts(out, e->op == FV_X_LOAD ? "load" : e->op == FV_X_GATHER ? "gather" : "perm");
        if (e->lanes > 1 || e->op == FV_X_PERMLOAD) fv_buf_printf(out, "<%d>", e->lanes);
    }
    fv_buf_printf(out, " %s", e->ref ? fv_cstr(ctx, e->ref->name) : "?");
    put_args(ctx, e, '[', ']', out);
}

static void put_leaf_or_call(const fv_ctx *ctx, const fv_expr *e, fv_buf *out) {
    switch (e->op) {
    case FV_X_INT:
        if (e->type == FV_BOOL) fv_buf_puts(out, e->i ? "true" : "false");
        else fv_buf_printf(out, "%lld", (long long)e->i);
        return;
    case FV_X_FLOAT:
        if (e->type != FV_F32) fv_buf_printf(out, "%s(", fv_type_name(e->type));
        fv_buf_double(out, e->f);
        if (e->type != FV_F32) fv_buf_puts(out, ")");
        return;
    case FV_X_AXIS: case FV_X_VAR: fv_buf_puts(out, fv_cstr(ctx, e->name)); return;
    case FV_X_LOAD: case FV_X_PERMLOAD: case FV_X_GATHER: put_access(ctx, e, out); return;
    case FV_X_READ:  /* never in a flat kernel; shown so that a wrong one can be read */
        fv_buf_printf(out, "read %s", fv_cstr(ctx, e->ref->name));
        put_args(ctx, e, '[', ']', out);
        return;
    case FV_X_IOTA: fv_buf_printf(out, "iota<%d>", e->lanes); return;
    case FV_X_SPLAT: fv_buf_printf(out, "splat<%d>", e->lanes); break;
    case FV_X_CONVERT: case FV_X_TOFLOAT:
        if (e->op == FV_X_TOFLOAT && e->type == FV_F32) fv_buf_puts(out, "float");
        else fv_buf_printf(out, "convert<%s>", fv_type_name(e->type));
        break;
    case FV_X_EXP2:
        fv_buf_puts(out, "exp2");
        if (e->i) fv_buf_printf(out, "<%lld>", (long long)e->i);
        break;
    default:
        fv_buf_puts(out, fv_op_spelling(e->op));
        break;
    }
    put_args(ctx, e, '(', ')', out);
}

/* A negative constant needs parentheses as the base of a power: -2 ^ x is -(2 ^ x). */
static bool negative_constant(const fv_expr *e) {
    return (e->op == FV_X_INT && e->type != FV_BOOL && e->i < 0) || (e->op == FV_X_FLOAT && e->f < 0);
}

static void put_expr(const fv_ctx *ctx, const fv_expr *e, int above, fv_buf *out) {
    int own = negative_constant(e) ? P_UNARY : precedence(e->op);
    bool parens = own < above;
    if (parens) fv_buf_puts(out, "(");
    if (own == P_PRIMARY || negative_constant(e)) put_leaf_or_call(ctx, e, out);
    else if (e->op == FV_X_NEG || e->op == FV_X_NOT) {
        fv_buf_puts(out, e->op == FV_X_NEG ? "-" : "not ");
        /* -(3) is a negation of the constant 3, -3 the constant: keep them apart */
        bool constant = e->arg[0]->op == FV_X_INT || e->arg[0]->op == FV_X_FLOAT;
        put_expr(ctx, e->arg[0], constant ? P_PRIMARY + 1 : P_UNARY + (e->op == FV_X_NEG), out);
    } else {
        bool right = e->op == FV_X_POW;
        put_expr(ctx, e->arg[0], right ? own + 1 : own + (own == P_COMPARE), out);
        fv_buf_printf(out, " %s ", fv_op_spelling(e->op));
        put_expr(ctx, e->arg[1], right ? own : own + 1, out);
    }
    if (parens) fv_buf_puts(out, ")");
}

static void put_list(const fv_ctx *ctx, const fv_flat *s, int depth, fv_buf *out);

static void put_indent(fv_buf *out, int depth) {
    for (int i = 0; i < depth; i++) fv_buf_puts(out, "  ");
}

static void put_label(const fv_ctx *ctx, const fv_flat *s, fv_buf *out) {
    if (s->label.i) fv_buf_printf(out, " @%s", fv_cstr(ctx, s->label));
}

static void put_block(const fv_ctx *ctx, const fv_flat *body, int depth, fv_buf *out) {
    fv_buf_puts(out, " {\n");
    put_list(ctx, body, depth + 1, out);
    put_indent(out, depth);
    fv_buf_puts(out, "}");
}

static void put_for(const fv_ctx *ctx, const fv_flat *s, int depth, fv_buf *out) {
    fv_buf_puts(out, "for ");
    if (s->loop == FV_LOOP_PROGRAMS) fv_buf_puts(out, "programs ");
    if (s->loop == FV_LOOP_GROUP) fv_buf_printf(out, "group %d ", s->dim);
    if (s->loop == FV_LOOP_ITEM) fv_buf_puts(out, "item ");
    fv_buf_puts(out, fv_cstr(ctx, s->name));
    if (s->lo && s->hi) {
        fv_buf_puts(out, " = ");
        put_expr(ctx, s->lo, 0, out);
        fv_buf_puts(out, " to ");
        put_expr(ctx, s->hi, 0, out);
    }
    if (s->step != 1) fv_buf_printf(out, " step %lld", (long long)s->step);
    put_label(ctx, s, out);
    put_block(ctx, s->body, depth, out);
}

static void put_store(const fv_ctx *ctx, const fv_flat *s, fv_buf *out) {
    fv_buf_puts(out, "store");
    if (s->expr->lanes > 1) fv_buf_printf(out, "<%d>", s->expr->lanes);
    fv_buf_printf(out, " %s[", fv_cstr(ctx, s->memory ? s->memory->obj.name : s->tensor->obj.name));
    put_expr(ctx, s->offset, 0, out);
    fv_buf_puts(out, "] = ");
    put_expr(ctx, s->expr, 0, out);
    if (s->mask) {
        fv_buf_puts(out, " mask ");
        put_expr(ctx, s->mask, 0, out);
    }
    if (s->scatter) {
        fv_buf_puts(out, " scatter ");
        put_expr(ctx, s->scatter, 0, out);
    }
    put_label(ctx, s, out);
}

static void put_alloc(const fv_ctx *ctx, const fv_flat *s, fv_buf *out) {
    static const char *const space[] = {"global", "local", "far", "private", "reg", "frag"};
    const fv_memory *m = s->memory;
    fv_buf_printf(out, "alloc %s %s ", fv_cstr(ctx, m->obj.name), space[m->space]);
    put_type(out, m->obj.type, m->lanes);
    fv_buf_printf(out, "[%lld]", (long long)m->count);
    if (fv_space_shared(m->space)) fv_buf_printf(out, " at %lld", (long long)m->offset_bytes);
    put_label(ctx, s, out);
}

static void put_frag(const fv_ctx *ctx, const fv_flat *s, fv_buf *out) {
    fv_buf_puts(out, "frag ");
    switch (s->frag) {
    case FV_FRAG_CONFIG:
        fv_buf_puts(out, "config ");
        put_expr(ctx, s->expr, 0, out);
        fv_buf_printf(out, ", %d, %d", s->reg[0], s->reg[1]);
        break;
    case FV_FRAG_ZERO: fv_buf_printf(out, "zero %d", s->reg[0]); break;
    case FV_FRAG_LOAD:
    case FV_FRAG_STORE:
        fv_buf_printf(out, "%s %d, %s[", s->frag == FV_FRAG_LOAD ? "load" : "store", s->reg[0],
                      fv_cstr(ctx, s->memory ? s->memory->obj.name : s->tensor->obj.name));
        put_expr(ctx, s->offset, 0, out);
        fv_buf_printf(out, "], %lld", (long long)s->stride);
        break;
    case FV_FRAG_DOT: fv_buf_printf(out, "dot %d, %d, %d", s->reg[0], s->reg[1], s->reg[2]); break;
    case FV_FRAG_END: fv_buf_puts(out, "end"); break;
    }
    put_label(ctx, s, out);
}

static void put_mma(const fv_ctx *ctx, const fv_flat *s, fv_buf *out) {
    fv_buf_printf(out, "mma %s[", fv_cstr(ctx, s->memory->obj.name));
    put_expr(ctx, s->offset, 0, out);
    fv_buf_puts(out, "]");
    for (int i = 0; i < 2; i++) {
        fv_buf_printf(out, ", %s[", fv_cstr(ctx, s->part[i].memory->obj.name));
        put_expr(ctx, s->part[i].offset, 0, out);
        if (s->part[i].memory->space == FV_SPACE_FRAG) fv_buf_printf(out, "], %s", fv_type_name(s->rounded));
        else fv_buf_printf(out, "], %lld", (long long)s->part[i].stride);
    }
    if (s->turned) fv_buf_puts(out, " turned");
    put_label(ctx, s, out);
}

static void put_statement(const fv_ctx *ctx, const fv_flat *s, int depth, fv_buf *out) {
    switch (s->kind) {
    case FV_L_FOR: put_for(ctx, s, depth, out); return;
    case FV_L_IF:
        fv_buf_puts(out, "if ");
        put_expr(ctx, s->expr, 0, out);
        put_label(ctx, s, out);
        put_block(ctx, s->body, depth, out);
        if (s->orelse) {
            fv_buf_puts(out, " else");
            put_block(ctx, s->orelse, depth, out);
        }
        return;
    case FV_L_LET:
        fv_buf_printf(out, "let %s : ", fv_cstr(ctx, s->name));
        put_type(out, s->expr->type, s->expr->lanes);
        fv_buf_puts(out, " = ");
        put_expr(ctx, s->expr, 0, out);
        put_label(ctx, s, out);
        return;
    case FV_L_ALLOC: put_alloc(ctx, s, out); return;
    case FV_L_STORE: put_store(ctx, s, out); return;
    case FV_L_FRAG: put_frag(ctx, s, out); return;
    case FV_L_MMA: put_mma(ctx, s, out); return;
    case FV_L_COPY:
        fv_buf_printf(out, "copy %s[", fv_cstr(ctx, s->memory->obj.name));
        put_expr(ctx, s->offset, 0, out);
        fv_buf_printf(out, "], %s[", fv_cstr(ctx, s->tensor->obj.name));
        put_expr(ctx, s->part[0].offset, 0, out);
        fv_buf_puts(out, "]");
        put_label(ctx, s, out);
        return;
    case FV_L_ROWS:
        fv_buf_printf(out, "rows %s %s[", s->max ? "max" : "sum", fv_cstr(ctx, s->memory->obj.name));
        put_expr(ctx, s->offset, 0, out);
        fv_buf_puts(out, "]");
        put_label(ctx, s, out);
        return;
    case FV_L_BARRIER:
        fv_buf_puts(out, "barrier");
        put_label(ctx, s, out);
        return;
    case FV_L_ASSERT:
        fv_buf_puts(out, "assert ");
        put_expr(ctx, s->expr, 0, out);
        put_label(ctx, s, out);
        return;
    }
}

static void put_list(const fv_ctx *ctx, const fv_flat *s, int depth, fv_buf *out) {
    for (; s; s = s->next) {
        put_indent(out, depth);
        put_statement(ctx, s, depth, out);
        fv_buf_puts(out, "\n");
    }
}

static void put_tensor(const fv_ctx *ctx, const fv_tensor *t, fv_buf *out) {
    static const char *const role[] = { "in", "out", "inout" };
    fv_buf_printf(out, "  tensor %s %s %s [", fv_cstr(ctx, t->obj.name), role[t->role], fv_type_name(t->obj.type));
    for (int i = 0; i < t->obj.rank; i++)
        fv_buf_printf(out, "%s%s %lld*%lld", i ? ", " : "", fv_cstr(ctx, t->dim[i]), (long long)t->extent[i],
                      (long long)t->stride[i]);
    fv_buf_puts(out, "]");
    if (t->padded) fv_buf_puts(out, " padded");
    if (t->obj.ranged) fv_buf_printf(out, " range %lld to %lld", (long long)t->obj.lo, (long long)t->obj.hi);
    fv_buf_puts(out, "\n");
}

void fv_flat_print(const fv_flat_kernel *k, fv_buf *out) {
    const fv_ctx *ctx = k->ctx;
    fv_buf_printf(out, "flat %s {\n", fv_cstr(ctx, k->name));
    fv_buf_printf(out, "  programs %lld\n", (long long)k->programs);
    if (k->scratch_bytes) fv_buf_printf(out, "  scratch %lld\n", (long long)k->scratch_bytes);
    if (k->far_bytes) fv_buf_printf(out, "  far %lld\n", (long long)k->far_bytes);
    if (k->group_size) fv_buf_printf(out, "  group %lld\n", (long long)k->group_size);
    if (k->unit) fv_buf_printf(out, "  unit %s\n", k->unit->name);
    if (k->max_live) fv_buf_printf(out, "  live %d\n", k->max_live);
    for (int i = 0; i < k->n_tensors; i++) put_tensor(ctx, k->tensor[i], out);
    put_list(ctx, k->body, 1, out);
    fv_buf_puts(out, "}\n");
}
