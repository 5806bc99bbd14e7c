/* Text of tile kernels to their trees (grammar: docs/ir.md). Statements are in tile_parse_stmt.c.
 * Invariant: a tree is returned only if every name was known where it was read; laws beyond names are the verifier's.
 * */
#include "kernel/tile_parse.h"

#include <string.h>

/* -- Names --------------------------------------------------------------------------------------------------------- */
bool fv_tile_parse_fail(fv_tile_parser *p, fv_code code, const char *text) {
    if (fv_error_count(p->ctx) == p->errors) fv_error(p->ctx, code, fv_lex_loc(&p->lx), "%s", text);
    return false;
}

static const fv_expr *resolve(void *user, fv_ctx *ctx, fv_str name, const fv_obj **out_ref) {
    fv_tile_parser *p = user;
    const fv_name *n = fv_names_find(&p->names, name);
    if (!n) {
        fv_tile_parse_fail(p, FV_E_UNKNOWN, fv_printf(ctx, "no tensor, buffer, axis or scalar named '%s'%s",
                                                      fv_cstr(ctx, name),
                                                      fv_names_nearest(&p->names, name)));
        return NULL;
    }
    if (n->obj) *out_ref = n->obj;
    else if (n->kind == FV_NAME_AXIS) return fv_axis_ref(ctx, name);
    else return fv_var(ctx, name, n->type);
    return NULL;
}

const fv_expr *fv_tile_parse_expr(fv_tile_parser *p) { return fv_expr_parse(&p->lx, resolve, p); }

bool fv_tile_parse_declare(fv_tile_parser *p, fv_name item) {
    if (fv_names_taken(&p->names, item.name))
        return fv_tile_parse_fail(p, FV_E_KERNEL,
                                  fv_printf(p->ctx, "the name '%s' is taken: a name means one thing in a kernel",
                                                            fv_cstr(p->ctx, item.name)));
    fv_names_add(&p->names, item);
    return true;
}

/* A name that is being introduced or referred to by its bare form; never a word of the grammar. */
bool fv_tile_parse_name(fv_tile_parser *p, fv_str *out) {
    static const char *const WORDS[] = {"kernel", "in", "out", "inout", "axis", "grid", "for", "let", "if", "alloc",
                                        "over", "along", "where", "else", "scan", "exclusive", "reverse", "reduce",
                                        "contract", "stride", "range", "padded"};
    for (size_t j = 0; j < sizeof WORDS / sizeof *WORDS; j++)
        if (fv_lex_is(&p->lx, WORDS[j])) return fv_lex_fail(&p->lx, "a name (this is a word of the grammar)");
    return fv_lex_name(&p->lx, out);
}

/* Two dots, in one token or two. */
static bool dots(fv_tile_parser *p) {
    if (fv_lex_accept(&p->lx, "..")) return true;
    return fv_lex_expect(&p->lx, ".") && fv_lex_expect(&p->lx, ".");
}

/* WORD LO .. HI: half open in the text, both inclusive in the tree. */
bool fv_tile_parse_range(fv_tile_parser *p, const char *word, bool *ranged, int64_t *lo, int64_t *hi) {
    if (!fv_lex_accept(&p->lx, word)) return true;
    if (!fv_lex_int(&p->lx, lo) || !dots(p) || !fv_lex_int(&p->lx, hi)) return false;
    if (*lo < INT32_MIN || *hi > INT32_MAX || *hi <= *lo)
        return fv_tile_parse_fail(p, FV_E_KERNEL, "an empty or too wide range");
    *ranged = true;
    --*hi;
    return true;
}

/* -- Tensors ------------------------------------------------------------------------------------------------------- */
static bool parse_type(fv_tile_parser *p, fv_type *out) {
    fv_loc loc = fv_lex_loc(&p->lx);
    fv_str name;
    if (!fv_lex_name(&p->lx, &name)) return false;
    if (fv_type_parse(fv_cstr(p->ctx, name), out)) return true;
    fv_error(p->ctx, FV_E_SYNTAX, loc, "no type '%s': bool, i32, f32, f64, f16 or bf16", fv_cstr(p->ctx, name));
    return false;
}

/* `: type`, or what it is without one. */
bool fv_tile_parse_buffer_type(fv_tile_parser *p, fv_type *out) {
    *out = FV_F32;
    return !fv_lex_accept(&p->lx, ":") || parse_type(p, out);
}

static bool strides(fv_tile_parser *p, fv_tensor *t) {
    if (!fv_lex_expect(&p->lx, "[")) return false;
    for (int j = 0; j < t->obj.rank; j++) {
        if (j && !fv_lex_expect(&p->lx, ",")) return false;
        if (!fv_lex_int(&p->lx, &t->stride[j])) return false;
        if (t->stride[j] < 0 || t->stride[j] > FV_RANGE_MAX)
            return fv_tile_parse_fail(p, FV_E_KERNEL, "a stride is negative or too large");
    }
    return fv_lex_expect(&p->lx, "]");
}

static bool parse_tensor(fv_tile_parser *p, fv_role role) {
    fv_str name, dim[FV_MAX_AXES];
    fv_type type;
    int64_t extent[FV_MAX_AXES], elements = 1;
    int rank = 0;
    if (!fv_tile_parse_name(p, &name) || !fv_lex_expect(&p->lx, ":") || !parse_type(p, &type) ||
        !fv_lex_expect(&p->lx, "[")) return false;
    while (!fv_lex_is(&p->lx, "]")) {
        if (rank && !fv_lex_expect(&p->lx, ",")) return false;
        if (rank == FV_MAX_AXES) return fv_tile_parse_fail(p, FV_E_KERNEL, "a tensor has too many axes");
        if (!fv_lex_name(&p->lx, &dim[rank]) || !fv_lex_expect(&p->lx, "=") || !fv_lex_int(&p->lx, &extent[rank]))
            return false;
        if (extent[rank] < 0 || extent[rank] > INT32_MAX)
            return fv_tile_parse_fail(p, FV_E_KERNEL, "an extent is negative or too large");
        elements *= extent[rank] ? extent[rank] : 1;
        if (elements > FV_RANGE_MAX) return fv_tile_parse_fail(p, FV_E_KERNEL, "a tensor is too large");
        rank++;
    }
    if (!fv_lex_expect(&p->lx, "]")) return false;
    fv_tensor *t = fv_kernel_tensor(p->kernel, name, type, role, dim, extent, rank);
    if (fv_lex_accept(&p->lx, "stride") && !strides(p, t)) return false;
    if (!fv_tile_parse_range(p, "range", &t->obj.ranged, &t->obj.lo, &t->obj.hi)) return false;
    t->padded = fv_lex_accept(&p->lx, "padded");
    return fv_tile_parse_declare(p, (fv_name){.name = name, .kind = FV_NAME_TENSOR, .type = type, .obj = &t->obj});
}

static bool parse_tensors(fv_tile_parser *p) {
    for (;;) {
        if (fv_lex_accept(&p->lx, "in")) { if (!parse_tensor(p, FV_ROLE_IN)) return false; }
        else if (fv_lex_accept(&p->lx, "out")) { if (!parse_tensor(p, FV_ROLE_OUT)) return false; }
        else if (fv_lex_accept(&p->lx, "inout")) { if (!parse_tensor(p, FV_ROLE_INOUT)) return false; }
        else return true;
    }
}

/* -- Structures ---------------------------------------------------------------------------------------------------- */
static bool axis_head(fv_tile_parser *p, fv_tile_axis *a) {
    *a = (fv_tile_axis){.tile = 0};
    if (!fv_tile_parse_name(p, &a->name)) return false;
    if (!fv_lex_accept(&p->lx, ":")) return true;
    if (!fv_lex_int(&p->lx, &a->tile)) return false;
    if (a->tile > 0 && a->tile <= INT32_MAX) return true;
    return fv_tile_parse_fail(p, FV_E_KERNEL, "the extent of an axis is at least 1");
}

static bool declare_axis(fv_tile_parser *p, const fv_tile_axis *a) {
    if (!a->tile) return fv_tile_parse_declare(p, (fv_name){.name = a->name, .kind = FV_NAME_SCALAR, .type = FV_I32});
    return fv_tile_parse_declare(p, (fv_name){.name = a->name, .kind = FV_NAME_AXIS, .tile = a->tile}) &&
           fv_tile_parse_declare(p, (fv_name){.name = fv_base_name(p->ctx, a->name), .kind = FV_NAME_SCALAR,
                                              .type = FV_I32});
}

static bool add_axis(fv_tile_parser *p, fv_stmt *s, int *cap, fv_tile_axis a) {
    if (s->n_axes == FV_MAX_AXES) return fv_tile_parse_fail(p, FV_E_KERNEL, "too many axes in one declaration");
    fv_push(p->ctx, s->axis, s->n_axes, *cap, a);
    return declare_axis(p, &a);
}

static bool parse_axes(fv_tile_parser *p, fv_stmt *s) {
    int cap = 0;
    do {
        fv_tile_axis a;
        if (!axis_head(p, &a)) return false;
        if (!a.tile) return fv_lex_fail(&p->lx, "':' and the extent of the axis");
        if (fv_lex_accept(&p->lx, "@")) {
            if (!(a.base = fv_tile_parse_expr(p))) return false;
            if ((fv_lex_is(&p->lx, "..") || fv_lex_is(&p->lx, ".")) && (!dots(p) || !(a.limit = fv_tile_parse_expr(p))))
                return false;
        }
        if (!add_axis(p, s, &cap, a)) return false;
    } while (fv_lex_accept(&p->lx, ","));
    return true;
}

static bool parse_body(fv_tile_parser *p, fv_stmt *s) {
    int mark = p->names.n;
    if (!fv_lex_expect(&p->lx, "{")) return false;
    if (++p->depth > 64) return fv_tile_parse_fail(p, FV_E_SYNTAX, "blocks are nested too deep");
    fv_stmts list = {0};
    while (!fv_lex_is(&p->lx, "}"))
        if (p->lx.kind == FV_T_END || !fv_tile_parse_one(p, &list))
            return p->lx.kind == FV_T_END ? fv_lex_fail(&p->lx, "'}'") : false;
    fv_lex_next(&p->lx);
    p->depth--;
    s->body = list.first;
    fv_names_leave(&p->names, mark);
    return true;
}

static bool parse_grid(fv_tile_parser *p, fv_stmt *s) {
    int mark = p->names.n, cap = 0;
    while (!fv_lex_is(&p->lx, "{")) {
        fv_tile_axis a;
        if (s->n_axes && !fv_lex_expect(&p->lx, ",")) return false;
        if (!axis_head(p, &a) || !fv_lex_expect(&p->lx, "<") || !(a.limit = fv_tile_parse_expr(p)) ||
            !add_axis(p, s, &cap, a)) return false;
    }
    if (!parse_body(p, s)) return false;
    fv_names_leave(&p->names, mark);
    return true;
}

static bool parse_for(fv_tile_parser *p, fv_stmt *s) {
    int mark = p->names.n, cap = 0;
    fv_tile_axis a;
    if (!axis_head(p, &a) || !fv_lex_expect(&p->lx, "in") || !(a.base = fv_tile_parse_expr(p)) || !dots(p) ||
        !(a.limit = fv_tile_parse_expr(p)) || !add_axis(p, s, &cap, a) || !parse_body(p, s))
        return false;
    fv_names_leave(&p->names, mark);
    return true;
}

static bool parse_let(fv_tile_parser *p, fv_stmt *s) {
    if (!fv_tile_parse_name(p, &s->name) || !fv_lex_expect(&p->lx, "=") || !(s->expr = fv_tile_parse_expr(p)) ||
        !fv_tile_parse_range(p, "in", &s->ranged, &s->lo, &s->hi))
        return false;
    return fv_tile_parse_declare(p, (fv_name){.name = s->name, .kind = FV_NAME_SCALAR, .type = s->expr->type});
}

static bool parse_allocs(fv_tile_parser *p, fv_stmts *list, fv_loc loc) {
    do {
        fv_stmt *s = fv_stmt_new(p->ctx, FV_S_ALLOC, loc);
        bool made;
        if (!(s->buffer = fv_tile_parse_buffer(p, &made)) || !fv_lex_expect(&p->lx, "=") ||
            !(s->expr = fv_tile_parse_expr(p))) return false;
        fv_stmts_add(list, s);
    } while (fv_lex_accept(&p->lx, ","));
    return true;
}

bool fv_tile_parse_one(fv_tile_parser *p, fv_stmts *list) {
    static const struct { const char *word; fv_stmt_kind kind; bool (*fn)(fv_tile_parser *, fv_stmt *); } TABLE[] = {
        {"axis", FV_S_AXIS, parse_axes}, {"grid", FV_S_GRID, parse_grid},
        {"for", FV_S_FOR, parse_for},    {"let", FV_S_LET, parse_let},
    };
    fv_loc loc = fv_lex_loc(&p->lx);
    for (size_t j = 0; j < sizeof TABLE / sizeof *TABLE; j++)
        if (fv_lex_accept(&p->lx, TABLE[j].word))
            return TABLE[j].fn(p, fv_stmts_add(list, fv_stmt_new(p->ctx, TABLE[j].kind, loc)));
    if (fv_lex_accept(&p->lx, "alloc")) return parse_allocs(p, list, loc);
    if (fv_lex_accept(&p->lx, "if")) {
        fv_stmt *s = fv_stmts_add(list, fv_stmt_new(p->ctx, FV_S_IF, loc));
        return (s->expr = fv_tile_parse_expr(p)) && parse_body(p, s);
    }
    return fv_tile_parse_stmt(p, list);
}

/* -- Kernels ------------------------------------------------------------------------------------------------------- */
fv_kernel *fv_kernel_parse_from(fv_lexer *lx) {
    fv_tile_parser p = {.ctx = lx->ctx, .lx = *lx, .errors = fv_error_count(lx->ctx)};
    fv_str name;
    fv_stmts list = {0};
    bool ok = fv_lex_expect(&p.lx, "kernel") && fv_tile_parse_name(&p, &name) && fv_lex_expect(&p.lx, "{");
    if (ok) {
        p.names.ctx = p.ctx;
        p.kernel = fv_kernel_new(p.ctx, name);
        ok = parse_tensors(&p);
    }
    while (ok && !fv_lex_is(&p.lx, "}"))
        ok = p.lx.kind == FV_T_END ? fv_lex_fail(&p.lx, "'}'") : fv_tile_parse_one(&p, &list);
    if (ok) fv_lex_next(&p.lx);
    *lx = p.lx;
    if (!ok) return NULL;
    p.kernel->body = list.first;
    return p.kernel;
}

int fv_kernel_parse_all(fv_ctx *ctx, const char *file, const char *text, fv_kernel **out, int cap) {
    fv_lexer lx;
    int n = 0;
    for (fv_lex_init(&lx, ctx, file, text); lx.kind != FV_T_END;) {
        fv_loc loc = fv_lex_loc(&lx);
        fv_kernel *k = fv_kernel_parse_from(&lx);
        if (!k) return -1;
        if (n == cap) {
            fv_error(ctx, FV_E_SYNTAX, loc, "more than %d kernels in one text", cap);
            return -1;
        }
        out[n++] = k;
    }
    return n;
}

fv_kernel *fv_kernel_parse(fv_ctx *ctx, const char *file, const char *text) {
    fv_kernel *k[1];
    int n = fv_kernel_parse_all(ctx, file, text, k, 1);
    if (n == 0) fv_error(ctx, FV_E_SYNTAX, (fv_loc){fv_intern(ctx, file ? file : ""), 1},
                         "expected a kernel, found none");
    return n == 1 ? k[0] : NULL;
}
