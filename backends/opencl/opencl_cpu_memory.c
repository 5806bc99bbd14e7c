/* opencl_cpu_memory: addresses and loads of the CPU shape. */
#include "backends/opencl/cpu.h"

static void put(fv_cl *p, const char *s) { fv_buf_puts(p->out, s); }
bool fv_cl_cpu_is_register(const fv_expr *e) {
    const fv_memory *m = e->ref && e->ref->kind == FV_OBJ_BUFFER ? (const fv_memory *)e->ref : NULL;
    return m && m->space == FV_SPACE_REG;
}

static bool deepest(const fv_expr *e, void *user) {
    struct {
        fv_cl *p;
        int level;
    } *d = user;
    if (e->ref) d->level = d->p->loops; /* what is read may change wherever it stands */
    if (e->op != FV_X_VAR) return false;
    int level = d->p->loops;
    for (int i = d->p->n_levels - 1; i >= 0; i--)
        if (fv_str_eq(d->p->level[i].name, e->name)) {
            level = d->p->level[i].level;
            break;
        }
    if (level > d->level) d->level = level;
    return false;
}
static int level_of(fv_cl *p, const fv_expr *e) {
    struct {
        fv_cl *p;
        int level;
    } d = {p, 0};
    fv_visit(e, deepest, &d);
    return d.level;
}
enum { MAX_SUM = 48 };
typedef struct {
    const fv_expr *term[MAX_SUM];
    int n;
    int64_t constant;
} sum;
static void collect(const fv_expr *e, sum *s, int room) {
    if (e->op == FV_X_INT) s->constant += e->i;
    else if (e->op == FV_X_ADD && s->n + 2 <= room) {
        collect(e->arg[0], s, room - 1);
        collect(e->arg[1], s, room);
    } else s->term[s->n++] = e;
}
static void terms(fv_cl *p, const fv_expr *offset) { /* " + a + b" */
    sum s = {.n = 0};
    int level[MAX_SUM];
    if (offset->lanes != 1) {
        fv_cl_fail(p, "an offset is a vector");
        return;
    }
    collect(offset, &s, MAX_SUM);
    for (int i = 0; i < s.n; i++) level[i] = level_of(p, s.term[i]);
    for (int wanted = 0; wanted <= p->loops; wanted++)
        for (int i = 0; i < s.n; i++) {
            if (level[i] != wanted) continue;
            put(p, " + ");
            fv_cl_cpu_expr(p, s.term[i]);
        }
    if (s.constant) fv_buf_printf(p->out, " + %lld", (long long)s.constant);
}
void fv_cl_cpu_address(fv_cl *p, const fv_obj *ref, const fv_expr *offset) {
    put(p, fv_cl_name_of(p, ref->name, true));
    terms(p, offset);
}
void fv_cl_cpu_register(fv_cl *p, const fv_memory *m, int64_t i) {
    put(p, fv_cl_name_of(p, m->obj.name, true));
    if (m->count > 1) fv_buf_printf(p->out, "_r%lld", (long long)i);
}
const char *fv_cl_cpu_space(const fv_cl *p, const fv_obj *ref) {
    if (ref->kind != FV_OBJ_BUFFER || ((const fv_memory *)ref)->space == FV_SPACE_FAR) return "__global";
    return fv_opencl_cpu_local(p->k) ? "__local" : "__private";
}
/* "*(const __global fv_f16 *)(" …; a scalar's pointer has the type already, except for zeros */
static void deref(fv_cl *p, const fv_expr *e) {
    if (e->lanes > 1) {
        fv_buf_printf(p->out, "*(const %s fv_%c%d *)(", fv_cl_cpu_space(p, e->ref), fv_cl_cpu_code(e->ref->type),
                      e->lanes);
    } else put(p, "*(");
}
static void plain_load(fv_cl *p, const fv_expr *e) {
    bool logic = e->type == FV_BOOL;
    if (logic) put(p, e->lanes > 1 ? "fv_bool" : "(");
    if (logic && e->lanes > 1) fv_buf_printf(p->out, "%d(", e->lanes);
    if (e->type == FV_I32 && e->lanes == 1) put(p, "(long)");
    deref(p, e);
    if (e->op == FV_X_LOAD && e->i) { /* guarded */
        if (e->i + e->lanes > p->zeros) p->zeros = e->i + e->lanes;
        put(p, "(");
        fv_cl_cpu_expr(p, e->arg[2]);
        put(p, " ? ");
        fv_cl_cpu_address(p, e->ref, e->arg[0]);
        fv_buf_printf(p->out, " : (const %s %s *)(ulong)fv_zeros)", fv_cl_cpu_space(p, e->ref),
                      fv_cl_storage(e->ref->type));
        terms(p, e->arg[1]);
    } else fv_cl_cpu_address(p, e->ref, e->arg[0]);
    put(p, ")");
    if (logic) put(p, e->lanes > 1 ? ")" : " != 0)");
}
/* A vector as it is in memory. */
static void as_stored(fv_cl *p, const fv_expr *e, int lanes, fv_type t) {
    if (t == FV_BOOL && lanes > 1) fv_buf_printf(p->out, "fv_byte%d(", lanes);
    fv_cl_cpu_value(p, e, lanes);
    if (t == FV_BOOL && lanes > 1) put(p, ")");
}
static void chosen_load(fv_cl *p, const fv_expr *e) { /* masked loads and gathers */
    bool gather = e->op == FV_X_GATHER;
    fv_type t = e->ref->type;
    const char *stored = fv_cl_storage(t);
    if (e->lanes == 1) {
        if (e->n == 3) {
            put(p, "(");
            fv_cl_cpu_expr(p, e->arg[1]);
            put(p, " ? ");
        }
        plain_load(p, e);
        if (e->n == 3) {
            put(p, " : ");
            fv_cl_cpu_expr(p, e->arg[2]);
            put(p, ")");
        }
        return;
    }
    if (t == FV_BOOL) fv_buf_printf(p->out, "fv_bool%d(", e->lanes);
    fv_buf_printf(p->out, "fv_%s_%c%d(FV_AT(const %s, ", gather ? "gather" : "masked", fv_cl_cpu_code(t), e->lanes,
                  stored);
    if (gather) {
        put(p, fv_cl_name_of(p, e->ref->name, true));
        put(p, "), ");
        fv_cl_cpu_expr(p, e->arg[0]);
    } else {
        fv_cl_cpu_address(p, e->ref, e->arg[0]);
        put(p, ")");
    }
    if (e->n == 3) {
        put(p, ", ");
        fv_cl_cpu_expr(p, e->arg[1]);
        put(p, ", ");
        as_stored(p, e->arg[2], e->lanes, t);
    } else fv_buf_printf(p->out, ", (int%d)(-1), (%s%d)(0)", e->lanes, stored, e->lanes);
    put(p, t == FV_BOOL ? "))" : ")");
}
void fv_cl_cpu_load(fv_cl *p, const fv_expr *e) {
    if (fv_cl_cpu_is_register(e)) fv_cl_cpu_register(p, (const fv_memory *)e->ref, e->arg[0]->i);
    else if (e->op == FV_X_PERMLOAD && e->lanes > 1) {
        fv_type t = e->ref->type;
        fv_buf_printf(p->out, "fv_permute_%c%d(", t == FV_BOOL ? 'i' : fv_cl_cpu_code(t), e->lanes);
        plain_load(p, e);
        put(p, ", ");
        fv_cl_cpu_expr(p, e->arg[1]);
        put(p, ")");
    } else if (e->op == FV_X_GATHER || (e->op == FV_X_LOAD && e->n == 3 && !e->i)) chosen_load(p, e);
    else plain_load(p, e);
}
