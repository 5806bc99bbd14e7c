/* flat_parse: text of flat kernels (grammar: flat_print.c) to their trees. Nothing is folded or reordered, so that
 * printing gives the text back. Invariant: a tree is returned only if every name was bound where it is read; laws
 * beyond names and operand types are the verifier's. */
#include "kernel/flat_parse.h"

#include <stdlib.h>
#include <string.h>

static const char *const words[] = {
    "flat", "programs", "scratch", "group", "live",  "unit", "mma", "rows", "tensor", "let",     "for",    "item",
    "to",   "step",     "if",      "else",  "alloc", "store",  "barrier", "assert", "frag",
    "mask", "scatter",  "load",    "guard", "perm",  "gather", "splat",   "iota",   "convert",
    "read", "and",      "or",      "not",   "true",  "false",  "inf",     "nan",
};

bool fv_flat_reserved(const char *name) {
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (!strcmp(name, words[i])) return true;
    return false;
}

/* -- Names ------------------------------------------------------------------------------------- */
bool fv_fp_fail(fv_fp *p, fv_code code, const char *text) {
    if (fv_error_count(p->ctx) == p->errors) fv_error(p->ctx, code, fv_lex_loc(&p->lx), "%s", text);
    return false;
}

const fv_fp_name *fv_fp_find(const fv_fp *p, fv_str name, bool object) {
    for (int i = p->n_names - 1; i >= 0; i--)
        if (fv_str_eq(p->name[i].name, name) && (p->name[i].obj != NULL) == object) return &p->name[i];
    return NULL;
}

static void declare(fv_fp *p, fv_fp_name n) { fv_push(p->ctx, p->name, p->n_names, p->cap_names, n); }

/* Of a variable; tensors and memories may be called anything, they stand where no word can. */
static bool new_name(fv_fp *p, fv_str *out) {
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (fv_lex_is(&p->lx, words[i])) return fv_lex_fail(&p->lx, "a name (this is a word of the grammar)");
    return fv_lex_name(&p->lx, out);
}

/* f32, f32x16 */
bool fv_fp_type(fv_fp *p, fv_type *type, int *lanes) {
    char text[32];
    fv_loc loc = fv_lex_loc(&p->lx);
    fv_str name;
    if (!fv_lex_name(&p->lx, &name)) return false;
    snprintf(text, sizeof text, "%s", fv_cstr(p->ctx, name));
    char *x = strrchr(text, 'x'), *end = NULL;
    *lanes = 1;
    if (x) {
        long n = strtol(x + 1, &end, 10);
        if (*end || end == x + 1 || n < 2 || n > FV_FP_LANES) x = NULL;
        else *lanes = (int)n;
        if (x) *x = 0;
    }
    if (fv_type_parse(text, type)) return true;
    fv_error(p->ctx, FV_E_SYNTAX, loc, "no type '%s': bool, i32, f32, f64, f16 or bf16, and its lanes as in f32x16",
             fv_cstr(p->ctx, name));
    return false;
}

/* -- Head -------------------------------------------------------------------------------------- */
static bool axes(fv_fp *p, fv_tensor *t) {
    if (!fv_lex_expect(&p->lx, "[")) return false;
    for (; !fv_lex_is(&p->lx, "]"); t->obj.rank++) {
        int i = t->obj.rank;
        if (i && !fv_lex_expect(&p->lx, ",")) return false;
        if (i == FV_MAX_AXES) return fv_lex_fail(&p->lx, "fewer axes");
        if (!fv_lex_name(&p->lx, &t->dim[i]) || !fv_lex_int(&p->lx, &t->extent[i]) || !fv_lex_expect(&p->lx, "*") ||
            !fv_lex_int(&p->lx, &t->stride[i]))
            return false;
        if (t->extent[i] < 0 || t->extent[i] > INT32_MAX || t->stride[i] < 0 || t->stride[i] > FV_RANGE_MAX)
            return fv_fp_fail(p, FV_E_SYNTAX, "an extent or a stride is negative or too large");
    }
    return fv_lex_expect(&p->lx, "]");
}

static bool tensor(fv_fp *p) {
    fv_tensor *t = FV_NEW(p->ctx, fv_tensor);
    int lanes;
    t->obj.kind = FV_OBJ_TENSOR;
    if (!fv_lex_name(&p->lx, &t->obj.name)) return false;
    if (fv_fp_find(p, t->obj.name, true)) return fv_fp_fail(p, FV_E_SYNTAX, "a tensor of that name is there already");
    if (fv_lex_accept(&p->lx, "in")) t->role = FV_ROLE_IN;
    else if (fv_lex_accept(&p->lx, "out")) t->role = FV_ROLE_OUT;
    else if (fv_lex_accept(&p->lx, "inout")) t->role = FV_ROLE_INOUT;
    else return fv_lex_fail(&p->lx, "in, out or inout");
    if (!fv_fp_type(p, &t->obj.type, &lanes)) return false;
    if (lanes != 1) return fv_fp_fail(p, FV_E_SYNTAX, "tensors have scalar types");
    if (!axes(p, t)) return false;
    t->padded = fv_lex_accept(&p->lx, "padded");
    if (fv_lex_accept(&p->lx, "range")) {
        t->obj.ranged = true;
        if (!fv_lex_int(&p->lx, &t->obj.lo) || !fv_lex_expect(&p->lx, "to") || !fv_lex_int(&p->lx, &t->obj.hi))
            return false;
    }
    fv_push(p->ctx, p->kernel->tensor, p->kernel->n_tensors, p->cap_tensors, t);
    declare(p, (fv_fp_name){.name = t->obj.name, .obj = &t->obj});
    return true;
}

static bool unit(fv_fp *p) {
    fv_str name;
    if (!fv_lex_name(&p->lx, &name)) return false;
    p->kernel->unit = fv_unit_find(fv_cstr(p->ctx, name));
    return p->kernel->unit || fv_fp_fail(p, FV_E_SYNTAX, "a matrix unit is emu, nv, cdna, rdna or intel");
}

static bool head(fv_fp *p) {
    int64_t live;
    fv_flat_kernel *k = p->kernel;
    for (;;) {
        bool ok;
        if (fv_lex_accept(&p->lx, "programs")) ok = fv_lex_int(&p->lx, &k->programs);
        else if (fv_lex_accept(&p->lx, "scratch")) ok = fv_lex_int(&p->lx, &k->scratch_bytes);
        else if (fv_lex_accept(&p->lx, "far")) ok = fv_lex_int(&p->lx, &k->far_bytes);
        else if (fv_lex_accept(&p->lx, "group")) ok = fv_lex_int(&p->lx, &k->group_size);
        else if (fv_lex_accept(&p->lx, "live")) {
            ok = fv_lex_int(&p->lx, &live) && live >= 0 && live <= INT32_MAX;
            if (ok) k->max_live = (int)live;
        } else if (fv_lex_accept(&p->lx, "unit")) {
            if (!unit(p)) return false;
            ok = true;
        } else if (fv_lex_accept(&p->lx, "tensor")) ok = tensor(p);
        else return true;
        if (!ok) return fv_fp_fail(p, FV_E_SYNTAX, "expected a number");
    }
}

/* -- Statements -------------------------------------------------------------------------------- */
static bool block(fv_fp *p, fv_flat **out);

static bool label(fv_fp *p, fv_flat *s) { return !fv_lex_accept(&p->lx, "@") || fv_lex_name(&p->lx, &s->label); }

static bool parse_for(fv_fp *p, fv_flat *s) {
    int64_t dim = 0;
    int mark = p->n_names;
    if (fv_lex_accept(&p->lx, "programs")) s->loop = FV_LOOP_PROGRAMS;
    else if (fv_lex_accept(&p->lx, "item")) s->loop = FV_LOOP_ITEM;
    else if (fv_lex_accept(&p->lx, "group")) {
        s->loop = FV_LOOP_GROUP;
        if (!fv_lex_int(&p->lx, &dim)) return false;
        if (dim < 0 || dim > 2) return fv_fp_fail(p, FV_E_SYNTAX, "a group dimension is 0, 1 or 2");
        s->dim = (int)dim;
    }
    if (!new_name(p, &s->name)) return false;
    if (fv_lex_accept(&p->lx, "=") &&
        (!(s->lo = fv_fp_expr(p)) || !fv_lex_expect(&p->lx, "to") || !(s->hi = fv_fp_expr(p))))
        return false;
    if (fv_lex_accept(&p->lx, "step") && !fv_lex_int(&p->lx, &s->step)) return false;
    declare(p, (fv_fp_name){.name = s->name, .type = FV_I32, .lanes = 1});
    if (!label(p, s) || !block(p, &s->body)) return false;
    p->n_names = mark;
    return true;
}

static bool parse_if(fv_fp *p, fv_flat *s) {
    if (!(s->expr = fv_fp_expr(p)) || !label(p, s) || !block(p, &s->body)) return false;
    return !fv_lex_accept(&p->lx, "else") || block(p, &s->orelse);
}

static bool parse_let(fv_fp *p, fv_flat *s) {
    fv_type type;
    int lanes;
    if (!new_name(p, &s->name) || !fv_lex_expect(&p->lx, ":") || !fv_fp_type(p, &type, &lanes)
        || !fv_lex_expect(&p->lx, "=") ||
        !(s->expr = fv_fp_expr(p)))
        return false;
    if (s->expr->type != type || s->expr->lanes != lanes)
        return fv_fp_fail(p, FV_E_SYNTAX, fv_printf(p->ctx, "%s is declared %s with %d lanes and given %s with %d",
                                                    fv_cstr(p->ctx, s->name),
                                                    fv_type_name(type), lanes, fv_type_name(s->expr->type),
                                                        s->expr->lanes));
    declare(p, (fv_fp_name){.name = s->name, .type = type, .lanes = lanes});
    return true;
}

static bool parse_alloc(fv_fp *p, fv_flat *s) {
    static const struct { const char *word; fv_space space; } spaces[] = {
        {"global", FV_SPACE_GLOBAL},   {"local", FV_SPACE_LOCAL}, {"far", FV_SPACE_FAR},
        {"private", FV_SPACE_PRIVATE}, {"reg", FV_SPACE_REG},     {"frag", FV_SPACE_FRAG},
    };
    fv_memory *m = s->memory = FV_NEW(p->ctx, fv_memory);
    m->obj = (fv_obj){.kind = FV_OBJ_BUFFER, .rank = 1};
    if (!fv_lex_name(&p->lx, &m->obj.name)) return false;
    size_t i = 0, n = sizeof spaces / sizeof spaces[0];
    while (i < n && !fv_lex_accept(&p->lx, spaces[i].word)) i++;
    if (i == n) return fv_lex_fail(&p->lx, "local, far, private, reg or frag");
    m->space = spaces[i].space;
    if (!fv_fp_type(p, &m->obj.type, &m->lanes) || !fv_lex_expect(&p->lx, "[") || !fv_lex_int(&p->lx, &m->count)
        || !fv_lex_expect(&p->lx, "]"))
        return false;
    if (fv_lex_accept(&p->lx, "at") && !fv_lex_int(&p->lx, &m->offset_bytes)) return false;
    declare(p, (fv_fp_name){.name = m->obj.name, .obj = &m->obj});
    return true;
}

static bool parse_store(fv_fp *p, fv_flat *s) {
    int lanes = 1;
    if (fv_lex_is(&p->lx, "<") && !fv_fp_lanes(p, &lanes)) return false;
    const fv_obj *to = fv_fp_object(p);
    if (!to) return false;
    s->memory = fv_flat_memory_of(to);
    s->tensor = fv_flat_tensor_of(to);
    if (!fv_lex_expect(&p->lx, "[") || !(s->offset = fv_fp_expr(p)) || !fv_lex_expect(&p->lx, "]")
        || !fv_lex_expect(&p->lx, "=") ||
        !(s->expr = fv_fp_expr(p)))
        return false;
    if (s->expr->lanes != lanes)
        return fv_fp_fail(p, FV_E_SYNTAX, fv_printf(p->ctx, "a store of %d lanes is given %d", lanes, s->expr->lanes));
    for (;;) {
        if (fv_lex_accept(&p->lx, "mask")) { if (!(s->mask = fv_fp_expr(p))) return false; }
        else if (fv_lex_accept(&p->lx, "scatter")) { if (!(s->scatter = fv_fp_expr(p))) return false; }
        else return true;
    }
}

static bool parse_barrier(fv_fp *p, fv_flat *s) {
    (void)p, (void)s;
    return true;
}

static bool parse_assert(fv_fp *p, fv_flat *s) { return (s->expr = fv_fp_expr(p)) != NULL; }

static bool frag_numbers(fv_fp *p, fv_flat *s, int n, bool comma) {
    for (int i = 0; i < n; i++) {
        int64_t at;
        if ((i || comma) && !fv_lex_expect(&p->lx, ",")) return false;
        if (!fv_lex_int(&p->lx, &at)) return false;
        if (at < 0 || at > FV_FRAG_REGISTERS) return fv_fp_fail(p, FV_E_SYNTAX, "fragments are numbered from 0 to 7");
        s->reg[i] = (int)at;
    }
    return true;
}
static bool frag_place(fv_fp *p, fv_flat *s) {
    if (!frag_numbers(p, s, 1, false) || !fv_lex_expect(&p->lx, ",")) return false;
    const fv_obj *o = fv_fp_object(p);
    if (!o) return false;
    s->memory = fv_flat_memory_of(o);
    s->tensor = fv_flat_tensor_of(o);
    return fv_lex_expect(&p->lx, "[") && (s->offset = fv_fp_expr(p)) && fv_lex_expect(&p->lx, "]") &&
           fv_lex_expect(&p->lx, ",") && fv_lex_int(&p->lx, &s->stride);
}
static bool parse_frag(fv_fp *p, fv_flat *s) {
    static const struct {
        const char *word;
        fv_frag_op op;
    } ops[] = {
        {"config", FV_FRAG_CONFIG}, {"zero", FV_FRAG_ZERO},   {"load", FV_FRAG_LOAD},
        {"dot", FV_FRAG_DOT},       {"store", FV_FRAG_STORE}, {"end", FV_FRAG_END},
    };
    size_t i = 0;
    while (i < 6 && !fv_lex_accept(&p->lx, ops[i].word)) i++;
    if (i == 6) return fv_lex_fail(&p->lx, "config, zero, load, dot, store or end");
    s->frag = ops[i].op;
    switch (s->frag) {
    case FV_FRAG_CONFIG: return (s->expr = fv_fp_expr(p)) && frag_numbers(p, s, 2, true);
    case FV_FRAG_ZERO: return frag_numbers(p, s, 1, false);
    case FV_FRAG_DOT: return frag_numbers(p, s, 3, false);
    case FV_FRAG_END: return true;
    default: return frag_place(p, s);
    }
}

static bool mma_place(fv_fp *p, fv_memory **m, const fv_expr **offset) {
    const fv_obj *o = fv_fp_object(p);
    if (!o) return false;
    if (!(*m = fv_flat_memory_of(o))) return fv_fp_fail(p, FV_E_SYNTAX, "tensors hold no operand of mma");
    return fv_lex_expect(&p->lx, "[") && (*offset = fv_fp_expr(p)) && fv_lex_expect(&p->lx, "]");
}
static bool rounded(fv_fp *p, fv_flat *s) {
    int lanes;
    return fv_fp_type(p, &s->rounded, &lanes);
}
static bool parse_copy(fv_fp *p, fv_flat *s) {
    if (!mma_place(p, &s->memory, &s->offset) || !fv_lex_expect(&p->lx, ",")) return false;
    const fv_obj *from = fv_fp_object(p);
    if (!from) return false;
    if (!(s->tensor = fv_flat_tensor_of(from))) return fv_fp_fail(p, FV_E_SYNTAX, "copies are from a tensor");
    return fv_lex_expect(&p->lx, "[") && (s->part[0].offset = fv_fp_expr(p)) && fv_lex_expect(&p->lx, "]");
}
static bool parse_rows(fv_fp *p, fv_flat *s) {
    s->max = fv_lex_accept(&p->lx, "max");
    if (!s->max && !fv_lex_accept(&p->lx, "sum")) return fv_lex_fail(&p->lx, "max or sum");
    return mma_place(p, &s->memory, &s->offset);
}
static bool parse_mma(fv_fp *p, fv_flat *s) {
    if (!mma_place(p, &s->memory, &s->offset)) return false;
    for (int i = 0; i < 2; i++)
        if (!fv_lex_expect(&p->lx, ",") || !mma_place(p, &s->part[i].memory, &s->part[i].offset) ||
            !fv_lex_expect(&p->lx, ",") ||
            !(s->part[i].memory->space == FV_SPACE_FRAG ? rounded(p, s) : fv_lex_int(&p->lx, &s->part[i].stride)))
            return false;
    s->turned = fv_lex_accept(&p->lx, "turned");
    return true;
}

static bool statement(fv_fp *p, fv_flats *list) {
    static const struct { const char *word; fv_flat_kind kind; bool (*fn)(fv_fp *, fv_flat *);
    } table[] = {
        {"let", FV_L_LET, parse_let},
        {"for", FV_L_FOR, parse_for},
        {"if", FV_L_IF, parse_if},
        {"alloc", FV_L_ALLOC, parse_alloc},
        {"store", FV_L_STORE, parse_store},
        {"barrier", FV_L_BARRIER, parse_barrier},
        {"assert", FV_L_ASSERT, parse_assert},
        {"frag", FV_L_FRAG, parse_frag},
        {"mma", FV_L_MMA, parse_mma},
        {"rows", FV_L_ROWS, parse_rows},
        {"copy", FV_L_COPY, parse_copy},
    };
    fv_loc loc = fv_lex_loc(&p->lx);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (!fv_lex_accept(&p->lx, table[i].word)) continue;
        fv_flat *s = fv_flats_add(list, fv_flat_new(p->ctx, table[i].kind));
        s->loc = loc;
        return table[i].fn(p, s) && label(p, s);
    }
    return fv_lex_fail(&p->lx, "a statement (let, for, if, alloc, store, barrier, assert, frag, mma, rows, copy) or '}'");
}

static bool statements(fv_fp *p, fv_flat **out) {
    fv_flats list = { 0 };
    while (!fv_lex_is(&p->lx, "}")) {
        if (p->lx.kind == FV_T_END) return fv_lex_fail(&p->lx, "'}'");
        if (!statement(p, &list)) return false;
    }
    fv_lex_next(&p->lx);
    *out = list.first;
    return true;
}

static bool block(fv_fp *p, fv_flat **out) {
    int mark = p->n_names;
    if (!fv_lex_expect(&p->lx, "{")) return false;
    if (++p->depth > 100) return fv_fp_fail(p, FV_E_SYNTAX, "blocks are nested too deep");
    if (!statements(p, out)) return false;
    p->n_names = mark;
    p->depth--;
    return true;
}

fv_flat_kernel *fv_flat_parse(fv_ctx *ctx, const char *file, const char *text) {
    fv_fp p = { .ctx = ctx, .errors = fv_error_count(ctx) };
    fv_lex_init(&p.lx, ctx, file, text);
    p.kernel = FV_NEW(ctx, fv_flat_kernel);
    p.kernel->ctx = ctx;
    bool ok = fv_lex_expect(&p.lx, "flat") && fv_lex_name(&p.lx, &p.kernel->name) && fv_lex_expect(&p.lx, "{")
        && head(&p) &&
              statements(&p, &p.kernel->body);
    if (ok && p.lx.kind != FV_T_END) ok = fv_lex_fail(&p.lx, "the end of the text");
    return ok ? p.kernel : NULL;
}
