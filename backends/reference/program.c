/* Expressions as straight-line programs over blocks of points along one axis. Reads whose indices are affine and
 * provably inside become strided copies; all others compute and check every index. Arithmetic is fv_apply's, in f64.
 * What does not vary along the axis is computed once a block. Invariant: a register's exists is NULL at compile time
 * only if nothing in it can be absent; absent values are 0. */
#include "ref.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FV_MAX_BOX = 2 * FV_MAX_AXES };
typedef enum { I_CONST, I_AXIS, I_STRIDED, I_READ, I_OP } kind;
typedef struct {
    kind kind;
    const fv_expr *e;
    const fv_value *src;
    const double *data;
    const unsigned char *data_exists;
    int axis;                                           /* I_AXIS */
    int64_t base, stride[FV_MAX_BOX];                   /* I_STRIDED */
    int n, arg[FV_MAX_AXES], fill;                      /* registers; fill: -1 none */
    fv_border border;
    double number;
    /* along the lane axis; else one lane is computed and repeated */
    bool varies;
    /* I_READ: the only index that varies, and it is the lane's coordinate; -1: none such */
    int row;
    double *value;
    unsigned char *exists;
} instr;
struct ref_program {
    ref_run *r;
    const ref_box *box;
    int lane;
    instr *code;
    int n, cap;
    int *table;                                         /* expression -> register, open addressing */
    int table_cap;
};

ref_program *ref_program_new(ref_run *r, const ref_box *box, int lane_axis) {
    ref_program *p = calloc(1, sizeof *p);
    if (!p) {
        ref_fail(r, "no memory for a program");
        return NULL;
    }
    p->r = r;
    p->box = box;
    p->lane = lane_axis;
    return p;
}
void ref_program_dispose(ref_program *p) {
    if (!p) return;
    for (int i = 0; i < p->n; i++) {
        free(p->code[i].value);
        free(p->code[i].exists);
    }
    free(p->code);
    free(p->table);
    free(p);
}
const double *ref_program_values(const ref_program *p, int reg) { return p->code[reg].value; }
const unsigned char *ref_program_exists(const ref_program *p, int reg) { return p->code[reg].exists; }

/* -- Building ----------------------------------------------------------------------------------------------------- */
static bool grow_table(ref_program *p) {
    int cap = p->table_cap ? p->table_cap * 2 : 64;
    int *t = malloc(sizeof *t * (size_t)cap);
    if (!t) return ref_fail(p->r, "no memory for a program");
    for (int i = 0; i < cap; i++) t[i] = -1;
    for (int i = 0; i < p->n; i++) {
        if (!p->code[i].e) continue;
        uint32_t at = p->code[i].e->id * UINT32_C(2654435769) & (uint32_t)(cap - 1);
        while (t[at] >= 0) at = (at + 1) & (uint32_t)(cap - 1);
        t[at] = i;
    }
    free(p->table);
    p->table = t;
    p->table_cap = cap;
    return true;
}
static int find(const ref_program *p, const fv_expr *e) {
    if (!p->table_cap) return -1;
    uint32_t at = e->id * UINT32_C(2654435769) & (uint32_t)(p->table_cap - 1);
    for (; p->table[at] >= 0; at = (at + 1) & (uint32_t)(p->table_cap - 1))
        if (p->code[p->table[at]].e == e) return p->table[at];
    return -1;
}
static int append(ref_program *p, instr in, bool partial) {
    if (p->n == p->cap) {
        int cap = p->cap ? p->cap * 2 : 16;
        instr *code = realloc(p->code, sizeof *code * (size_t)cap);
        if (!code) {
            ref_fail(p->r, "no memory for a program");
            return -1;
        }
        p->code = code;
        p->cap = cap;
    }
    in.value = ref_doubles(p->r, REF_LANES);
    in.exists = partial ? ref_bytes(p->r, REF_LANES) : NULL;
    p->code[p->n] = in;
    if (in.kind == I_CONST) for (int i = 0; in.value && i < REF_LANES; i++) in.value[i] = in.number;
    int reg = p->n++;
    if (!in.value || (partial && !in.exists) || (p->n * 2 > p->table_cap && !grow_table(p))) return -1;
    if (in.e && find(p, in.e) < 0) {
        uint32_t at = in.e->id * UINT32_C(2654435769) & (uint32_t)(p->table_cap - 1);
        while (p->table[at] >= 0) at = (at + 1) & (uint32_t)(p->table_cap - 1);
        p->table[at] = reg;
    }
    return reg;
}
/* Adds stride * index to an instruction if the index is affine in the box's axes and inside 0..extent-1 over the whole
 * box. */
static bool add_affine(const ref_program *p, instr *in, const fv_expr *index, int64_t extent, int64_t stride) {
    fv_affine a;
    if (!fv_affine_of(index, &a)) return false;
    int64_t lo = a.constant, hi = a.constant;
    for (int t = 0; t < a.n; t++) {
        int at = a.term[t].atom->op == FV_X_AXIS ? ref_box_find(p->box, a.term[t].atom->name) : -1;
        if (at < 0) return false;
        int64_t reach = a.term[t].coef * (p->box->axis[at].extent - 1);
        lo += reach < 0 ? reach : 0;
        hi += reach > 0 ? reach : 0;
        in->stride[at] += a.term[t].coef * stride;
    }
    in->base += a.constant * stride;
    return lo >= 0 && hi < extent;
}
static bool strided(const ref_program *p, instr *in, const fv_value *src, const fv_expr *const *index) {
    int64_t s = 1;
    for (int i = src->obj.rank - 1; i >= 0; i--) {
        if (!add_affine(p, in, index[i], src->axis[i].extent, s)) return false;
        s *= src->axis[i].extent;
    }
    return true;
}
static int add_read(ref_program *p, const fv_expr *e, const fv_value *src, const fv_expr *const *index,
                    fv_border border, double number,
                    const fv_expr *fill) {
    const ref_store *s = &p->r->at[src->id];
    if (!s->data) {
        ref_fail(p->r, "a value is read that is not there: %s", fv_value_text(p->r->g, src));
        return -1;
    }
    instr in = {.kind = I_STRIDED, .e = e, .src = src, .data = s->data, .data_exists = s->exists, .fill = -1,
                .border = border, .number = number};
    in.row = -1;
    if (strided(p, &in, src, index)) {
        in.varies = in.stride[p->lane] != 0;
        return append(p, in, s->exists != NULL);
    }
    in.kind = I_READ;
    in.n = src->obj.rank;
    int varying = 0;
    bool partial = s->exists != NULL || border == FV_BORDER_CUT;
    for (int i = 0; i < in.n; i++) {
        in.arg[i] = ref_program_expr(p, index[i]);
        if (in.arg[i] < 0) return -1;
        const instr *ix = &p->code[in.arg[i]];
        partial = partial || ix->exists;
        varying += ix->varies;
        if (ix->kind == I_AXIS && ix->varies && src->axis[i].extent >= p->box->axis[p->lane].extent) in.row = i;
    }
    in.varies = varying > 0;
    if (varying != 1) in.row = -1;
    if (fill) {
        in.fill = ref_program_expr(p, fill);
        if (in.fill < 0) return -1;
        partial = partial || p->code[in.fill].exists;
        in.varies = in.varies || p->code[in.fill].varies;
        in.row = -1;
    }
    return append(p, in, partial);
}
int ref_program_read(ref_program *p, const fv_value *src, const fv_expr *const *index, fv_border border,
                     double number) {
    return add_read(p, NULL, src, index, border, number, NULL);
}
static bool add_node(const fv_expr *e, void *user) {    /* arguments come first */
    ref_program *p = user;
    if (find(p, e) >= 0) return false;
    instr in = {.kind = I_OP, .e = e, .fill = -1};
    bool partial = e->op == FV_X_EXACT;
    switch (e->op) {
    case FV_X_INT:
    case FV_X_FLOAT:
        in.kind = I_CONST;
        in.number = e->op == FV_X_INT ? (double)e->i : e->f;
        break;
    case FV_X_AXIS:
        in.kind = I_AXIS;
        in.axis = ref_box_find(p->box, e->name);
        if (in.axis < 0) return !ref_fail(p->r, "a coordinate of no axis: %s", fv_cstr(p->r->ctx, e->name));
        in.varies = in.axis == p->lane;
        break;
    case FV_X_READ: {
        const fv_value *v = fv_value_of(e->ref);
        return add_read(p, e, v, e->arg, FV_BORDER_NONE, 0, e->i ? e->arg[v->obj.rank] : NULL) < 0;
    }
    default:
        in.n = e->n;
        if (e->n > 3 || fv_op_arity(e->op) < 1)
            return !ref_fail(p->r, "an operator that graphs do not have: %s", fv_op_spelling(e->op));
        for (int i = 0; i < e->n; i++) {
            in.arg[i] = find(p, e->arg[i]);
            partial = partial || p->code[in.arg[i]].exists;
            in.varies = in.varies || p->code[in.arg[i]].varies;
        }
    }
    return append(p, in, partial) < 0;
}
int ref_program_expr(ref_program *p, const fv_expr *e) {
    if (!e) return -2;
    if (fv_visit(e, add_node, p)) return -1;
    return find(p, e);
}

/* -- Running ------------------------------------------------------------------------------------------------------ */
static void run_strided(const ref_program *p, instr *in, const int64_t *pos, int lanes) {
    int64_t at = in->base, step = in->stride[p->lane];
    for (int a = 0; a < p->box->n; a++) at += in->stride[a] * pos[a];
    const double *d = in->data + at;
    if (step == 1) memcpy(in->value, d, sizeof(double) * (size_t)lanes);
    else for (int i = 0; i < lanes; i++) in->value[i] = d[i * step];
    if (in->exists) for (int i = 0; i < lanes; i++) in->exists[i] = in->data_exists[at + i * step];
}
/* The coordinate that a border makes of an index; -1: the number, -2: absent, -3: a fault. */
static int64_t bordered(fv_border b, double index, int64_t n) {
    if (index >= 0 && index < (double)n) return (int64_t)index;
    if (!(index > -0x1p62 && index < 0x1p62)) return -3;
    int64_t i = (int64_t)index, m;
    switch (b) {
    case FV_BORDER_NUMBER: return -1;
    case FV_BORDER_CUT: return -2;
    case FV_BORDER_CLAMP: return i < 0 ? 0 : n - 1;
    case FV_BORDER_WRAP: return (m = i % n) < 0 ? m + n : m;
    case FV_BORDER_REFLECT: m = i < 0 ? -i : 2 * (n - 1) - i; return m >= 0 && m < n ? m : -3;
    case FV_BORDER_NONE: break;
    }
    return -3;
}
static bool read_one(ref_program *p, instr *in, int lane) {
    int64_t at = 0;
    bool outside = false;
    for (int k = 0; k < in->n; k++) {                   /* an absent index: nothing is read, whatever the others say */
        const instr *ix = &p->code[in->arg[k]];
        if (ix->exists && !ix->exists[lane]) return true;
    }
    for (int k = 0; k < in->n; k++) {
        double index = p->code[in->arg[k]].value[lane];
        int64_t n = in->src->axis[k].extent, i = bordered(in->fill >= 0 ? FV_BORDER_NUMBER : in->border, index, n);
        if (i == -2) return true;
        if (i == -3)
            return ref_fail(p->r, "axis '%s' of extent %lld is read at %g: %s",
                            fv_cstr(p->r->ctx, in->src->axis[k].name),
                                     (long long)n, index, fv_value_text(p->r->g, in->src));
        outside = outside || i == -1;
        at = at * n + i;
    }
    if (outside && in->fill >= 0) {
        const instr *f = &p->code[in->fill];
        in->value[lane] = f->value[lane];
        if (in->exists) in->exists[lane] = !f->exists || f->exists[lane];
        return true;
    }
    in->value[lane] = outside ? in->number : in->data[at];
    if (in->exists) in->exists[lane] = outside || !in->data_exists || in->data_exists[at];
    return true;
}
/* The first lane says where (or whether) the row lies; the others follow it. */
static bool run_row(ref_program *p, instr *in, int lanes) {
    int64_t at = 0, step = 1, row_step = 0, border = 0;
    for (int k = in->n - 1; k >= 0; k--) {
        const instr *ix = &p->code[in->arg[k]];
        int64_t n = in->src->axis[k].extent, i = bordered(in->border, ix->value[0], n);
        if ((ix->exists && !ix->exists[0]) || i == -3) return false;
        border = i == -2 || border == -2 ? -2 : i == -1 ? -1 : border;
        at += i * step;
        if (k == in->row) row_step = step;
        step *= n;
    }
    if (border) {
        for (int i = 0; i < lanes; i++) in->value[i] = border == -1 ? in->number : 0;
        if (in->exists) memset(in->exists, border == -1, (size_t)lanes);
        return true;
    }
    for (int i = 0; i < lanes; i++) in->value[i] = in->data[at + i * row_step];
    for (int i = 0; in->exists && i < lanes; i++)
        in->exists[i] = !in->data_exists || in->data_exists[at + i * row_step];
    return true;
}
static bool run_read(ref_program *p, instr *in, int lanes) {
    if (in->row >= 0 && run_row(p, in, lanes)) return true;
    memset(in->value, 0, sizeof(double) * (size_t)lanes);
    if (in->exists) memset(in->exists, 0, (size_t)lanes);
    for (int i = 0; i < lanes; i++) if (!read_one(p, in, i)) return false;
    return true;
}

#define EACH(expression) do { for (int i = 0; i < lanes; i++) v[i] = (expression); } while (0)
static void run_op(const ref_program *p, instr *in, int lanes) {
    double *restrict v = in->value;
    const double *a = p->code[in->arg[0]].value, *b = in->n > 1 ? p->code[in->arg[1]].value : a, *c = in->n > 2
        ? p->code[in->arg[2]].value : a;
    bool whole = in->e->type == FV_I32;
    switch (in->e->op) {
    case FV_X_ADD: EACH(a[i] + b[i]); return;
    case FV_X_SUB: EACH(a[i] - b[i]); return;
    case FV_X_MUL: if (!whole) { EACH(a[i] * b[i]); return; } break;
    case FV_X_DIV: EACH(a[i] / b[i]); return;
    case FV_X_NEG: if (!whole) { EACH(-a[i]); return; } break;
    case FV_X_LT: EACH(a[i] < b[i]); return;
    case FV_X_LE: EACH(a[i] <= b[i]); return;
    case FV_X_EQ: EACH(a[i] == b[i]); return;
    case FV_X_NE: EACH(a[i] != b[i]); return;
    case FV_X_WHERE: EACH(a[i] != 0 ? b[i] : c[i]); return;
    case FV_X_TOFLOAT: EACH(a[i]); return;
    case FV_X_EXP: EACH(exp(a[i])); return;
    default: break;
    }
    for (int i = 0; i < lanes; i++) {
        double arg[3] = {a[i], b[i], c[i]};
        v[i] = fv_apply(in->e->op, in->e->type, arg);
    }
}
static bool there(const ref_program *p, int reg, int lane) { return !p->code[reg].exists || p->code[reg].exists[lane]; }
static void run_exists(const ref_program *p, instr *in, int lanes) {
    for (int i = 0; i < lanes; i++) {
        bool e = there(p, in->arg[0], i);
        if (in->e->op == FV_X_WHERE) {
            e = e && there(p, in->arg[p->code[in->arg[0]].value[i] != 0 ? 1 : 2], i);
        } else {
            for (int k = 1; k < in->n; k++) e = e && there(p, in->arg[k], i);
            if (e && in->e->op == FV_X_EXACT) {
                double n = p->code[in->arg[1]].value[i];
                e = n != 0 && fmod(p->code[in->arg[0]].value[i], n) == 0;
            }
        }
        in->exists[i] = e;
        if (!e) in->value[i] = 0;
    }
}
static bool run_one(ref_program *p, instr *in, const int64_t *pos, int lanes) {
    switch (in->kind) {
    case I_CONST: return true;
    case I_AXIS:
        for (int i = 0; i < lanes; i++) in->value[i] = (double)(pos[in->axis] + (in->axis == p->lane ? i : 0));
        return true;
    case I_STRIDED: run_strided(p, in, pos, lanes); return true;
    case I_READ: return run_read(p, in, lanes);
    case I_OP:
        run_op(p, in, lanes);
        if (in->exists) run_exists(p, in, lanes);
        return true;
    }
    return true;
}
bool ref_program_run(ref_program *p, const int64_t *pos, int lanes) {
    for (int k = 0; k < p->n; k++) {
        instr *in = &p->code[k];
        if (!run_one(p, in, pos, in->varies ? lanes : 1)) return false;
        if (in->varies || in->kind == I_CONST) continue;
        for (int i = 1; i < lanes; i++) in->value[i] = in->value[0];
        if (in->exists) memset(in->exists + 1, in->exists[0], (size_t)lanes - 1);
    }
    return true;
}

/* -- Which axis to run along -------------------------------------------------------------------------------------- */
typedef struct { const ref_box *box; int score[FV_MAX_BOX]; } lane_votes;
static bool vote(const fv_expr *e, void *user) {
    lane_votes *v = user;
    if (e->op != FV_X_READ || !fv_value_of(e->ref)->obj.rank) return false;
    fv_affine a;
    if (!fv_affine_of(e->arg[fv_value_of(e->ref)->obj.rank - 1], &a)) return false;
    for (int t = 0; t < a.n; t++) {
        int at = a.term[t].coef == 1 && a.term[t].atom->op == FV_X_AXIS ? ref_box_find(v->box, a.term[t].atom->name)
            : -1;
        if (at >= 0) v->score[at]++;
    }
    return false;
}
int ref_best_lane(const ref_box *box, const fv_expr *e) {
    lane_votes v = {.box = box};
    if (e) fv_visit(e, vote, &v);
    int best = box->n - 1;
    double most = -1;
    for (int a = box->n - 1; a >= 0; a--) {             /* short axes cost a block each */
        double x = (double)box->axis[a].extent;
        double s = (x > 32 ? 32 : x) * (1 + v.score[a]);
        if (s > most) { most = s; best = a; }
    }
    return best;
}
