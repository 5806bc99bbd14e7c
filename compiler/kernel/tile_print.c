/* Canonical text of a tile kernel (grammar: docs/ir.md). Invariant: parsing the text gives an equal kernel, and
 * printing that the same text. */
#include "kernel/tile_internal.h"

enum { MAX_SEEN = 512 };
typedef struct {
    const fv_kernel *k;
    fv_ctx *ctx;
    fv_buf *out;
    int indent;
    const fv_obj *seen[MAX_SEEN];                       /* buffers already declared: their type is written once */
    int n_seen;
} printer;

static void expr(printer *p, const fv_expr *e) { fv_expr_print(p->ctx, e, p->out); }
static void text(printer *p, const char *s) { fv_buf_puts(p->out, s); }
static void name(printer *p, fv_str s) { fv_buf_puts(p->out, fv_cstr(p->ctx, s)); }
static void number(printer *p, int64_t v) { fv_buf_printf(p->out, "%lld", (long long)v); }
static void line(printer *p) { fv_buf_printf(p->out, "%*s", 2 * p->indent, ""); }

static void range(printer *p, const char *word, int64_t lo, int64_t hi) {
    fv_buf_printf(p->out, " %s %lld..%lld", word, (long long)lo, (long long)hi + 1);
}

static bool row_major(const fv_tensor *t) {
    int64_t stride = 1;
    for (int j = t->obj.rank - 1; j >= 0; j--) {
        if (t->stride[j] != stride) return false;
        stride *= t->extent[j];
    }
    return true;
}

static void tensor(printer *p, const fv_tensor *t) {
    static const char *const ROLE[] = {"in", "out", "inout"};
    line(p);
    fv_buf_printf(p->out, "%s %s : %s[", ROLE[t->role], fv_cstr(p->ctx, t->obj.name), fv_type_name(t->obj.type));
    for (int j = 0; j < t->obj.rank; j++)
        fv_buf_printf(p->out, "%s%s=%lld", j ? ", " : "", fv_cstr(p->ctx, t->dim[j]), (long long)t->extent[j]);
    text(p, "]");
    if (!row_major(t)) {
        text(p, " stride [");
        for (int j = 0; j < t->obj.rank; j++) fv_buf_printf(p->out, "%s%lld", j ? ", " : "", (long long)t->stride[j]);
        text(p, "]");
    }
    if (t->obj.ranged) range(p, "range", t->obj.lo, t->obj.hi);
    if (t->padded) text(p, " padded");
    text(p, "\n");
}

/* -- Structures ---------------------------------------------------------------------------------------------------- */
static void axis_head(printer *p, const fv_tile_axis *a) {
    name(p, a->name);
    if (a->tile) {
        text(p, ":");
        number(p, a->tile);
    }
}

static void axes(printer *p, const fv_stmt *s) {
    text(p, "axis ");
    for (int j = 0; j < s->n_axes; j++) {
        if (j) text(p, ", ");
        axis_head(p, &s->axis[j]);
        if (!s->axis[j].base && !s->axis[j].limit) continue;
        text(p, " @ ");
        if (s->axis[j].base) expr(p, s->axis[j].base);
        else text(p, "0");
        if (s->axis[j].limit) {
            text(p, "..");
            expr(p, s->axis[j].limit);
        }
    }
}

static void grid(printer *p, const fv_stmt *s) {
    text(p, "grid");
    for (int j = 0; j < s->n_axes; j++) {
        text(p, j ? ", " : " ");
        axis_head(p, &s->axis[j]);
        text(p, "<");
        expr(p, s->axis[j].limit);
    }
}

static bool declare(printer *p, const fv_obj *b) {
    for (int j = 0; j < p->n_seen; j++)
        if (p->seen[j] == b) return false;
    if (p->n_seen < MAX_SEEN) p->seen[p->n_seen++] = b;
    return true;
}

static void buffer(printer *p, const fv_buffer *b) {
    name(p, b->obj.name);
    text(p, "[");
    for (int j = 0; j < b->obj.rank; j++) {
        if (j) text(p, ", ");
        name(p, b->axis[j]);
    }
    text(p, "]");
    if (declare(p, &b->obj) && b->obj.type != FV_F32) fv_buf_printf(p->out, " : %s", fv_type_name(b->obj.type));
}

static const fv_stmt *allocs(printer *p, const fv_stmt *s) {
    text(p, "alloc ");
    for (bool first = true;; s = s->next, first = false) {
        if (!first) text(p, ", ");
        buffer(p, s->buffer);
        text(p, " = ");
        expr(p, s->expr);
        if (!s->next || s->next->kind != FV_S_ALLOC) return s;
    }
}

/* -- Statements ---------------------------------------------------------------------------------------------------- */
fv_stmt_kind fv_stmt_kind_of_text(fv_ctx *ctx, fv_write write, const fv_expr *value, const fv_str *over, int n_over) {
    const fv_expr *x, *y, *factor;
    switch (write) {
    case FV_W_SET: return FV_S_MAP;
    case FV_W_TOPK: return FV_S_TOPK;
    case FV_W_SCANSUM: case FV_W_SCANMAX: return FV_S_SCAN;
    case FV_W_SUM: case FV_W_ADD:
        return fv_contract_parts(ctx, value, over, n_over, &x, &y, &factor) ? FV_S_CONTRACT : FV_S_REDUCE;
    default: return FV_S_REDUCE;
    }
}

static void kind_word(printer *p, const fv_stmt *s) {
    if (s->kind == FV_S_STORE || s->kind == fv_stmt_kind_of_text(p->ctx, s->write, s->expr, s->over, s->n_over)) return;
    static const char *const WORD[] = {[FV_S_MAP] = "map ", [FV_S_REDUCE] = "reduce ", [FV_S_CONTRACT] = "contract ",
                                       [FV_S_SCAN] = "scan ", [FV_S_TOPK] = "topk "};
    text(p, WORD[s->kind]);
}

static void target(printer *p, const fv_stmt *s) {
    if (s->kind != FV_S_STORE) {
        buffer(p, (const fv_buffer *)s->target);
        if (s->target2) {
            text(p, ", ");
            buffer(p, s->target2);
        }
        return;
    }
    name(p, s->target->name);
    text(p, "[");
    for (int j = 0; j < s->target->rank; j++) {
        if (j) text(p, ", ");
        expr(p, s->index[j]);
    }
    text(p, "]");
}

static void over(printer *p, const char *word, const fv_stmt *s) {
    for (int j = 0; j < s->n_over; j++) {
        text(p, j ? ", " : word);
        name(p, s->over[j]);
    }
}

static void statement(printer *p, const fv_stmt *s) {
    static const char *const WRITE[] = {" = ", " =sum ", " =max ", " =min ", " =argmax ", " += ", " max= ", " min= ",
                                        " topk= ",
                                        " = scan sum ", " = scan max "};
    name(p, s->label);
    text(p, ": ");
    kind_word(p, s);
    target(p, s);
    text(p, WRITE[s->write]);
    expr(p, s->expr);
    if (s->expr2) {
        text(p, ", ");
        expr(p, s->expr2);
    }
    over(p, s->kind == FV_S_SCAN ? " along " : " over ", s);
    if (s->exclusive) text(p, " exclusive");
    if (s->reverse) text(p, " reverse");
    if (s->where) {
        text(p, " where ");
        expr(p, s->where);
    }
    if (s->otherwise) {
        text(p, " else ");
        expr(p, s->otherwise);
    }
}

static void block(printer *p, const fv_stmt *s);

static void body(printer *p, const fv_stmt *s) {
    text(p, " {\n");
    p->indent++;
    block(p, s->body);
    p->indent--;
    line(p);
    text(p, "}");
}

static const fv_stmt *one(printer *p, const fv_stmt *s) {
    switch (s->kind) {
    case FV_S_AXIS: axes(p, s); break;
    case FV_S_GRID: grid(p, s); body(p, s); break;
    case FV_S_FOR:
        text(p, "for ");
        axis_head(p, &s->axis[0]);
        text(p, " in ");
        expr(p, s->axis[0].base);
        text(p, "..");
        expr(p, s->axis[0].limit);
        body(p, s);
        break;
    case FV_S_LET:
        text(p, "let ");
        name(p, s->name);
        text(p, " = ");
        expr(p, s->expr);
        if (s->ranged) range(p, "in", s->lo, s->hi);
        break;
    case FV_S_IF:
        text(p, "if ");
        expr(p, s->expr);
        body(p, s);
        break;
    case FV_S_ALLOC: return allocs(p, s);
    default: statement(p, s); break;
    }
    return s;
}

static void block(printer *p, const fv_stmt *s) {
    for (; s; s = s->next) {
        line(p);
        s = one(p, s);
        text(p, "\n");
    }
}

void fv_kernel_print(const fv_kernel *k, fv_buf *out) {
    printer p = {.k = k, .ctx = k->ctx, .out = out};
    text(&p, "kernel ");
    name(&p, k->name);
    text(&p, " {\n");
    p.indent = 1;
    for (int j = 0; j < k->n_tensors; j++) tensor(&p, k->tensor[j]);
    block(&p, k->body);
    text(&p, "}\n");
}
