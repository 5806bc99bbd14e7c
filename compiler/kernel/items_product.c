/* items_product: which contractions of a tile kernel go through the target's matrix unit, and how. A sum over reduced
 * axes of a product fits if its factors fall into two groups that share no free axis: the group without the target's
 * last axis is A (rows x reduced), the other B (reduced x columns). Everything else, and what a schedule turns down, is
 * distributed over items as without a unit; the reason is kept in the kernel's remarks. Invariant: a condition is
 * part of one operand, so that an excluded pair adds nothing. */
#include "kernel/items.h"

#include <string.h>

enum { LEAST = 8, MOST_FACTORS = 16, LD_PAD = 8 };

void it_remark(it *f, const fv_stmt *s, const char *format, ...) {
    fv_buf b = {0};
    char text[300];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    fv_buf_printf(&b, "%s%s%s%s\n", f->out->remarks ? f->out->remarks : "", s ? fv_cstr(f->ctx, s->label) : "",
                  s ? ": " : "", text);
    f->out->remarks = fv_strdup(f->ctx, b.text);
    fv_buf_dispose(&b);
}

/* -- Factors ----------------------------------------------------------------------------------- */
typedef struct {
    int n;
    const fv_expr *e[MOST_FACTORS];
} factors;
static bool split(const fv_expr *e, fv_op op, factors *out) {
    if (e->op == op) return split(e->arg[0], op, out) && split(e->arg[1], op, out);
    if (out->n == MOST_FACTORS) return false;
    out->e[out->n++] = e;
    return true;
}
/* Bits of the free axes that occur. */
static unsigned free_of(const fv_expr *e, const fv_str *axes, int n) {
    unsigned bits = 0;
    for (int i = 0; i < n; i++)
        if (fv_uses_axis(e, axes[i])) bits |= 1u << i;
    return bits;
}
/* The free axes that go with the last one through factors that hold both. */
static unsigned columns(const factors *x, const fv_str *axes, int n) {
    unsigned cols = 1u << (n - 1), before = 0;
    while (cols != before) {
        before = cols;
        for (int i = 0; i < x->n; i++)
            if (free_of(x->e[i], axes, n) & cols) cols |= free_of(x->e[i], axes, n);
    }
    return cols;
}
static const fv_expr *product(it *f, const fv_expr *a, const fv_expr *b) { return a ? fv_mul(f->ctx, a, b) : b; }

/* Does the memory that an operand is read from run along one of the axes? */
typedef struct {
    const fv_str *axes;
    int n;
} runs;
static bool runs_along(const fv_expr *e, void *user) {
    const runs *r = user;
    if (e->op != FV_X_READ || !e->ref->rank) return false;
    for (int i = 0; i < r->n; i++)
        if (fv_uses_axis(e->arg[e->ref->rank - 1], r->axes[i])) return true;
    return false;
}

/* -- One statement ----------------------------------------------------------------------------- */
/* NULL: it fits; else why not. */
static const char *fit(it *f, const fv_stmt *s, it_product *p) {
    fv_str axes[FV_MAX_AXES];
    factors value = {0}, where = {0};
    *p = (it_product){.s = s, .n_k = s->n_over, .way = -1, .from = -1};
    int n = it_stmt_axes(s, axes);
    if (s->target->type != FV_F32 || s->expr->type != FV_F32) return "its sums are not f32";
    if (s->write != FV_W_SUM && s->write != FV_W_ADD) return "it is no sum";
    if (s->otherwise) return "it has an `else`";
    if (n < 2 || n > 16) return "its target has no rows or no columns";
    const fv_buffer *to = (const fv_buffer *)s->target;
    if (!fv_str_eq(axes[n - 1], to->axis[to->obj.rank - 1])) return "its target is written across its axes";
    if (!split(s->expr, FV_X_MUL, &value) || (s->where && !split(s->where, FV_X_AND, &where)))
        return "it has too many factors or conditions";
    unsigned cols = columns(&value, axes, n), all = (1u << n) - 1;
    if (cols == all) return "both operands have all of its free axes";
    for (int i = 0; i < value.n; i++) {
        bool b = (free_of(value.e[i], axes, n) & cols) != 0;
        *(b ? &p->b : &p->a) = product(f, b ? p->b : p->a, value.e[i]);
    }
    if (!p->a || !p->b) return "an operand is missing";
    for (int i = 0; i < where.n; i++) {
        unsigned own = free_of(where.e[i], axes, n);
        if ((own & cols) && (own & ~cols)) return "a condition depends on rows and columns";
        const fv_expr **w = own & cols ? &p->b_where : &p->a_where;
        *w = fv_and(f->ctx, *w, where.e[i]);
    }
    for (int i = 0; i < n; i++) {
        if (cols >> i & 1) p->col[p->n_col++] = axes[i];
        else p->row[p->n_row++] = axes[i];
    }
    memcpy(p->over, s->over, sizeof *s->over * (size_t)s->n_over);
    p->m = it_points(f, p->row, p->n_row);
    p->n = it_points(f, p->col, p->n_col);
    p->k = it_points(f, p->over, p->n_k);
    if (p->m < LEAST || p->n < LEAST || p->k < LEAST)
        return fv_printf(f->ctx, "a tile of %lld x %lld over %lld fills no fragments of 16", (long long)p->m,
                         (long long)p->n, (long long)p->k);
    runs ra = {p->row, p->n_row}, rb = {p->col, p->n_col};
    p->across[0] = fv_visit(p->a, runs_along, &ra);
    p->across[1] = fv_visit(p->b, runs_along, &rb);
    return NULL;
}

/* -- Schedules --------------------------------------------------------------------------------- */
/* mma.LABEL=no, bf16 or f16: false after an error. */
static bool asked(it *f, const fv_schedule *s, const fv_stmt *stmt, bool *no, fv_type *type) {
    const fv_sched_entry *e = s ? fv_schedule_get(s, FV_F_MMA, stmt->label) : NULL;
    *no = false;
    *type = FV_VOID;
    if (!e) return true;
    const char *word = e->n == 1 ? fv_cstr(f->ctx, e->item[0].name) : "";
    if (!strcmp(word, "no")) *no = true;
    else if (!strcmp(word, "bf16")) *type = FV_BF16;
    else if (!strcmp(word, "f16")) *type = FV_F16;
    else {
        f->stmt = stmt;
        it_refuse(f, FV_E_SCHEDULE, "mma is bf16, f16 or no");
        return false;
    }
    return true;
}
/* 16-bit tensors keep their type where all of them agree. */
typedef struct {
    bool f16, other;
} types;
static bool note_type(const fv_expr *e, void *user) {
    types *t = user;
    if (e->op == FV_X_READ && e->ref->kind == FV_OBJ_TENSOR && fv_type_is_float(e->ref->type))
        *(e->ref->type == FV_F16 ? &t->f16 : &t->other) = true;
    return false;
}

typedef struct {
    it *f;
    const fv_schedule *s;
    types types;
    fv_type asked;
} finder;
static bool find(fv_stmt *s, void *user) {
    finder *x = user;
    it *f = x->f;
    it_product p;
    bool no;
    fv_type type;
    if (f->failed || s->kind != FV_S_CONTRACT) return false;
    if (!asked(f, x->s, s, &no, &type)) return false;
    const char *why = no ? "the schedule says so" : fit(f, s, &p);
    if (why) {
        it_remark(f, s, "not on the matrix unit: %s", why);
        return false;
    }
    if (type != FV_VOID && x->asked != FV_VOID && x->asked != type) {
        f->stmt = s;
        it_refuse(f, FV_E_SCHEDULE, "mma names bf16 and f16 in one kernel");
        return false;
    }
    if (type != FV_VOID) x->asked = type;
    fv_visit(s->expr, note_type, &x->types);
    fv_push(f->ctx, f->product, f->n_products, f->cap_products, p);
    return false;
}

/* -- Sub-groups -------------------------------------------------------------------------------- */
static int64_t tiles(int64_t n) { return (n + FV_UNIT_TILE - 1) / FV_UNIT_TILE; }
static int64_t at_most(int64_t n, int64_t most) { return n < most ? n : most; }
/* Sub-groups of a group: four fragments each, as far as the largest product goes, and whole rows of all. */
static int64_t waves_wanted(const it *f) {
    int64_t most = 0, waves = 1, limit = at_most(8, IT_MAX_GROUP / f->unit->sub);
    for (int i = 0; i < f->n_products; i++) {
        int64_t n = tiles(f->product[i].m) * tiles(f->product[i].n);
        if (n > most) most = n;
        limit = at_most(limit, tiles(f->product[i].m));
    }
    while (waves * 2 <= limit && waves * 4 <= most) waves *= 2;
    return waves;
}
static void share_out(it_product *p, int64_t waves) {
    int64_t down = 1;
    while (down * 2 <= waves && waves % (down * 2) == 0 && down < tiles(p->m)) down *= 2;
    p->wave_rows = down;
    p->wave_cols = waves / down;
    p->rows = (tiles(p->m) + p->wave_rows - 1) / p->wave_rows;
    p->cols = (tiles(p->n) + p->wave_cols - 1) / p->wave_cols;
}
int64_t it_product_rows(const it_product *p, int which) {
    return FV_UNIT_TILE * (which ? p->wave_cols * p->cols : p->wave_rows * p->rows);
}
int64_t it_product_stride(const it_product *p, int which) {
    return (which && p->across[1] ? it_product_rows(p, 1) : p->chunk) + LD_PAD;
}
int64_t it_stage_count(const it *f, int which) {
    int64_t most = 0;
    for (int i = 0; i < f->n_products; i++) {
        const it_product *p = &f->product[i];
        if (!which && p->from >= 0) continue;
        int64_t n = (which && p->across[1] ? p->chunk : it_product_rows(p, which)) * it_product_stride(p, which);
        if (n > most) most = n;
    }
    return most;
}
int64_t it_sums_count(const it *f) {
    int64_t most = 0;
    for (int i = 0; i < f->n_products; i++) {
        const it_product *p = &f->product[i];
        if (!it_has_home(f, p) && p->rows * p->cols > most) most = p->rows * p->cols;
    }
    return most * f->unit->elements;
}
int64_t it_values_count(const it *f) {
    int64_t most = 0;
    for (int i = 0; i < f->n_products; i++) {
        int64_t n = f->product[i].from < 0 ? 0 : it_way_slots(f, f->product[i].from);
        if (n > most) most = n;
    }
    return most;
}
/* A in fragments is multiplied as a whole: they have constant numbers. */
void it_product_chunk(it *f, int64_t chunk) {
    for (int i = 0; i < f->n_products; i++) {
        it_product *p = &f->product[i];
        int64_t all = FV_UNIT_TILE * tiles(p->k);
        p->chunk = p->from < 0 ? at_most(chunk, all) : all;
    }
}
const it_product *it_product_of(const it *f, const fv_stmt *s) {
    for (int i = 0; i < f->n_products; i++)
        if (f->product[i].s == s) return &f->product[i];
    return NULL;
}
/* -- Homes in fragments ------------------------------------------------------------------------ */
static bool same_axes(const fv_str *a, const fv_str *b, int n) {
    for (int i = 0; i < n; i++)
        if (!fv_str_eq(a[i], b[i])) return false;
    return true;
}
int it_element_way(const it *f, const fv_str *row, int n_row, const fv_str *col, int n_col) {
    for (int w = 0; w < f->n_fragment_ways; w++) {
        const it_way *x = &f->way[w];
        if (x->kind != IT_ELEMENTS || x->n != n_row + n_col || f->way[x->rows].n != n_row) continue;
        if (same_axes(x->axis, row, n_row) && same_axes(x->axis + n_row, col, n_col)) return w;
    }
    return -1;
}
static int way_of_rows(it *f, int number) {
    const it_product *p = &f->product[number];
    for (int w = 0; w < f->n_fragment_ways; w++)
        if (f->way[w].kind == IT_ROWS && f->way[w].n == p->n_row && same_axes(f->way[w].axis, p->row, p->n_row))
            return w;
    it_way *x = &f->way[f->n_fragment_ways];
    *x = (it_way){.n = p->n_row, .kind = IT_ROWS, .product = number, .rows = -1};
    memcpy(x->axis, p->row, sizeof *p->row * (size_t)p->n_row);
    return f->n_fragment_ways++;
}
/* Whole rows belong to a sub-group, or there are no ways of fragments. */
static void make_ways(it *f) {
    f->n_fragment_ways = 0;
    for (int i = 0; i < f->n_products; i++) {
        it_product *p = &f->product[i];
        if (p->wave_cols > 1 || p->n_row + p->n_col > FV_MAX_AXES || f->n_fragment_ways + 4 > IT_MAX_WAYS / 2) continue;
        p->way = it_element_way(f, p->row, p->n_row, p->col, p->n_col);
        if (p->way >= 0) continue;
        int rows = way_of_rows(f, i);
        it_way *x = &f->way[p->way = f->n_fragment_ways++];
        *x = (it_way){.n = p->n_row + p->n_col, .kind = IT_ELEMENTS, .product = i, .rows = rows};
        memcpy(x->axis, p->row, sizeof *p->row * (size_t)p->n_row);
        memcpy(x->axis + p->n_row, p->col, sizeof *p->col * (size_t)p->n_col);
    }
    for (int i = 0; i < f->n_products; i++) {
        it_product *p = &f->product[i];
        if (p->wave_cols == 1) p->from = it_element_way(f, p->row, p->n_row, p->over, p->n_k);
    }
    f->n_ways = f->n_fragment_ways;
}
bool it_has_home(const it *f, const it_product *p) {
    const it_buffer *b = it_find_buffer(f, p->s->target);
    return p->way >= 0 && b->mark != IT_SHARED && f->mark[b->mark].way == p->way;
}
static bool holds_all(const fv_str *list, int n, const fv_str *axes, int m) {
    int found = 0;
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) found += fv_str_eq(list[j], axes[i]);
    return n == m && found == n;
}
int it_rows_over(const it *f, const fv_stmt *s) {
    fv_str axes[FV_MAX_AXES];
    bool sum = s->write == FV_W_SUM || s->write == FV_W_ADD, max = s->write == FV_W_MAX || s->write == FV_W_MAXIN;
    if (f->no_rows || s->kind != FV_S_REDUCE || s->otherwise || !(sum || max) || s->target->type != FV_F32 ||
        s->expr->type != FV_F32)
        return -1;
    int n = it_stmt_axes(s, axes);
    for (int w = 0; w < f->n_fragment_ways; w++) {
        const it_way *x = &f->way[w];
        if (x->kind != IT_ELEMENTS) continue;
        int rows = f->way[x->rows].n;
        if (holds_all(x->axis, rows, axes, n) && holds_all(x->axis + rows, x->n - rows, s->over, s->n_over)) return w;
    }
    return -1;
}

int64_t it_products_find(it *f, const fv_schedule *s) {
    finder x = {.f = f, .s = s, .asked = FV_VOID};
    int64_t group = s ? fv_schedule_int(s, FV_F_GROUP, (fv_str){0}, 0) : 0;
    f->unit = f->t->unit;
    if (!f->unit) return 0;
    fv_stmts_visit(f->k->body, find, &x);
    if (f->failed || !f->n_products) return 0;
    f->mma_type = x.asked != FV_VOID ? x.asked : x.types.f16 && !x.types.other ? FV_F16 : FV_BF16;
    if (group % f->unit->sub || group < 0 || group > IT_MAX_GROUP) {
        it_remark(f, NULL, "not on the matrix unit: group=%lld is no multiple of its sub-groups of %d",
                  (long long)group, f->unit->sub);
        f->n_products = 0;
        return 0;
    }
    if (!group) group = waves_wanted(f) * f->unit->sub;
    for (int i = 0; i < f->n_products; i++) share_out(&f->product[i], group / f->unit->sub);
    make_ways(f);
    return group;
}
