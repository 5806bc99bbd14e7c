/* Statements of the tile stage:  label: [kind] target op value [, value] [over axes | along axis] [exclusive]
 * [reverse] [where p [else v]]
 * Invariant: a buffer is made by its first writer, with that statement's axes; later writers name the same axes in the
 * same order. */
#include "kernel/tile_parse.h"

#include <ctype.h>

/* -- Targets ------------------------------------------------------------------------------------------------------- */
static bool axis_in_scope(fv_tile_parser *p, fv_str name, int64_t *tile) {
    const fv_name *n = fv_names_find(&p->names, name);
    if (n && n->kind == FV_NAME_AXIS) {
        *tile = n->tile;
        return true;
    }
    const char *text = fv_cstr(p->ctx, name);
    return fv_tile_parse_fail(p, FV_E_UNKNOWN, n ? fv_printf(p->ctx, "'%s' is no axis with an extent", text)
                              : fv_printf(p->ctx, "no axis named '%s'%s", text, fv_names_nearest(&p->names, name)));
}

static bool axis_list(fv_tile_parser *p, fv_str *axis, int64_t *extent, int *n) {
    if (!fv_lex_expect(&p->lx, "[")) return false;
    for (*n = 0; !fv_lex_is(&p->lx, "]"); ++*n) {
        if (*n && !fv_lex_expect(&p->lx, ",")) return false;
        if (*n == FV_MAX_AXES) return fv_tile_parse_fail(p, FV_E_KERNEL, "a buffer has too many axes");
        if (!fv_tile_parse_name(p, &axis[*n]) || !axis_in_scope(p, axis[*n], &extent[*n])) return false;
    }
    return fv_lex_expect(&p->lx, "]");
}

static fv_buffer *known_buffer(fv_tile_parser *p, fv_buffer *b, const fv_str *axis, int n) {
    bool same = b->obj.rank == n;
    for (int j = 0; same && j < n; j++) same = fv_str_eq(b->axis[j], axis[j]);
    if (same) return b;
    fv_tile_parse_fail(p, FV_E_KERNEL, fv_printf(p->ctx, "%s is written at other axes than those it was made with",
                                                 fv_cstr(p->ctx, b->obj.name)));
    return NULL;
}

/* After its name was read. */
static fv_buffer *buffer_of(fv_tile_parser *p, fv_str name, bool *made) {
    fv_str axis[FV_MAX_AXES];
    int64_t extent[FV_MAX_AXES];
    int n;
    fv_type type;
    const fv_name *known = fv_names_find(&p->names, name);
    *made = false;
    if (!axis_list(p, axis, extent, &n)) return NULL;
    if (known && known->kind == FV_NAME_BUFFER) return known_buffer(p, (fv_buffer *)known->obj, axis, n);
    if (!fv_tile_parse_buffer_type(p, &type)) return NULL;
    fv_buffer *b = fv_buffer_new(p->ctx, name, type, axis, extent, n);
    *made = true;
    return fv_tile_parse_declare(p, (fv_name){.name = name, .kind = FV_NAME_BUFFER, .type = type, .obj = &b->obj})
        ? b : NULL;
}

fv_buffer *fv_tile_parse_buffer(fv_tile_parser *p, bool *made) {
    fv_str name;
    return fv_tile_parse_name(p, &name) ? buffer_of(p, name, made) : NULL;
}

static bool store_target(fv_tile_parser *p, fv_stmt *s, const fv_obj *t) {
    s->kind = FV_S_STORE;
    s->target = t;
    if (!fv_lex_expect(&p->lx, "[")) return false;
    for (int j = 0; j < t->rank; j++) {
        if (j && !fv_lex_expect(&p->lx, ",")) return false;
        if (!(s->index[j] = fv_tile_parse_expr(p))) return false;
    }
    return fv_lex_expect(&p->lx, "]");
}

static bool parse_target(fv_tile_parser *p, fv_stmt *s) {
    fv_str name;
    bool made;
    if (!fv_tile_parse_name(p, &name)) return false;
    const fv_name *known = fv_names_find(&p->names, name);
    if (known && known->kind == FV_NAME_TENSOR) return store_target(p, s, known->obj);
    fv_buffer *b = buffer_of(p, name, &made);
    if (!b) return false;
    s->target = &b->obj;
    return !fv_lex_accept(&p->lx, ",") || (s->target2 = fv_tile_parse_buffer(p, &made)) != NULL;
}

/* -- Operators ----------------------------------------------------------------------------------------------------- */
static bool scan_write(fv_tile_parser *p, fv_write *w) {
    if (fv_lex_accept(&p->lx, "sum")) *w = FV_W_SCANSUM;
    else if (fv_lex_accept(&p->lx, "max")) *w = FV_W_SCANMAX;
    else return fv_lex_fail(&p->lx, "sum or max after scan");
    return true;
}

/* =  =sum =max =min =argmax (one word: `= max(a, b)` with a space is a map)  = scan sum  += max= min= topk= */
static bool parse_write(fv_tile_parser *p, fv_write *w) {
    static const struct { const char *word; fv_write joined, before; } TABLE[] = {
        {"sum", FV_W_SUM, FV_W_SET}, {"max", FV_W_MAX, FV_W_MAXIN},
        {"min", FV_W_MIN, FV_W_MININ}, {"argmax", FV_W_ARGMAX, FV_W_SET},
        {"topk", FV_W_SET, FV_W_TOPK},
    };
    enum { N = sizeof TABLE / sizeof *TABLE };
    *w = FV_W_SET;
    if (fv_lex_is(&p->lx, "=")) {
        bool joined = isalpha((unsigned char)p->lx.start[1]);
        fv_lex_next(&p->lx);
        if (!joined) return !fv_lex_accept(&p->lx, "scan") || scan_write(p, w);
        for (int j = 0; j < N; j++)
            if (TABLE[j].joined != FV_W_SET && fv_lex_accept(&p->lx, TABLE[j].word)) {
                *w = TABLE[j].joined;
                break;
            }
        return true;
    }
    if (fv_lex_accept(&p->lx, "+=") || (fv_lex_accept(&p->lx, "+") && fv_lex_accept(&p->lx, "="))) {
        *w = FV_W_ADD;
        return true;
    }
    for (int j = 0; j < N; j++)
        if (TABLE[j].before != FV_W_SET && fv_lex_accept(&p->lx, TABLE[j].word)) {
            *w = TABLE[j].before;
            return fv_lex_expect(&p->lx, "=");
        }
    return fv_lex_fail(&p->lx, "=, =sum, =max, =min, =argmax, = scan, +=, max=, min= or topk=");
}

static bool parse_over(fv_tile_parser *p, fv_stmt *s) {
    if (!fv_lex_accept(&p->lx, "over") && !fv_lex_accept(&p->lx, "along")) return true;
    do {
        int64_t tile;
        if (s->n_over == FV_MAX_AXES) return fv_tile_parse_fail(p, FV_E_KERNEL, "too many reduced axes");
        if (!fv_tile_parse_name(p, &s->over[s->n_over]) || !axis_in_scope(p, s->over[s->n_over], &tile)) return false;
        s->n_over++;
    } while (fv_lex_accept(&p->lx, ","));
    return true;
}

static bool parse_kind_word(fv_tile_parser *p, fv_stmt_kind *kind) {
    if (fv_lex_accept(&p->lx, "reduce")) *kind = FV_S_REDUCE;
    else if (fv_lex_accept(&p->lx, "contract")) *kind = FV_S_CONTRACT;
    else return false;
    return true;
}

bool fv_tile_parse_stmt(fv_tile_parser *p, fv_stmts *list) {
    fv_stmt *s = fv_stmt_new(p->ctx, FV_S_MAP, fv_lex_loc(&p->lx));
    fv_stmt_kind word = FV_S_MAP;
    if (!fv_tile_parse_name(p, &s->label) || !fv_lex_expect(&p->lx, ":")) return false;
    bool said = parse_kind_word(p, &word);
    if (!parse_target(p, s) || !parse_write(p, &s->write) || !(s->expr = fv_tile_parse_expr(p))) return false;
    if (s->write == FV_W_TOPK && (!fv_lex_expect(&p->lx, ",") || !(s->expr2 = fv_tile_parse_expr(p)))) return false;
    if (!parse_over(p, s)) return false;
    s->exclusive = fv_lex_accept(&p->lx, "exclusive");
    s->reverse = fv_lex_accept(&p->lx, "reverse");
    if (fv_lex_accept(&p->lx, "where") && !(s->where = fv_tile_parse_expr(p))) return false;
    if (fv_lex_accept(&p->lx, "else") && !(s->otherwise = fv_tile_parse_expr(p))) return false;
    if (s->kind != FV_S_STORE)
        s->kind = said ? word : fv_stmt_kind_of_text(p->ctx, s->write, s->expr, s->over, s->n_over);
    fv_stmts_add(list, s);
    return true;
}
