/* opencl_mma: products on matrix units as calls of the functions that a unit's prelude defines (preludes/README.md).
 * Runs of products load each fragment of their operands once. Invariant: nothing is written to local memory within a
 * run, since it holds nothing but products. */
#include "backends/opencl/text.h"

#include <string.h>

static void put(fv_cl *p, const char *s) { fv_buf_puts(p->out, s); }
static const char *text_of(const char *name) {
    const fv_cl_prelude *x = fv_cl_preludes;
    while (x->name && strcmp(x->name, name) != 0) x++;
    return x->text ? x->text : "";
}
static const fv_flat *find(const fv_flat *s) { /* any product: all have operands of one type */
    for (; s; s = s->next) {
        if (s->kind == FV_L_MMA) return s;
        const fv_flat *in = find(s->body);
        if (in || (in = find(s->orelse))) return in;
    }
    return NULL;
}
bool fv_cl_has_products(const fv_flat *s) { return find(s) != NULL; }
void fv_cl_unit(fv_cl *p) {
    const fv_flat *s = find(p->k->body);
    const char *name = p->k->unit->name;
    fv_buf_printf(p->out, "#define FOV_BF16 %d\n", s && s->part[0].memory->obj.type == FV_BF16);
    put(p, text_of(name));
    if (!strcmp(name, "cdna") || !strcmp(name, "rdna")) put(p, text_of("amd"));
    put(p, "#ifndef FOV_KERNEL\n#define FOV_KERNEL\n#endif\n");
}
void fv_cl_sum(fv_cl *p, const fv_memory *m, const fv_expr *offset) {
    const char *name = fv_cl_name_of(p, m->obj.name, true);
    int64_t at, n = p->k->unit->elements;
    if (fv_is_int(offset, &at)) {
        fv_buf_printf(p->out, "%s[%lld].e[%lld]", name, (long long)(at / n), (long long)(at % n));
        return;
    }
    fv_buf_printf(p->out, "%s[(", name);
    fv_cl_expr(p, offset);
    put(p, ") / FOV_CN].e[(");
    fv_cl_expr(p, offset);
    put(p, ") % FOV_CN]");
}
void fv_cl_sums(fv_cl *p, const fv_memory *m) {
    fv_buf_printf(p->out, "fov_c %s[%lld];", fv_cl_name_of(p, m->obj.name, true),
                  (long long)(m->count / p->k->unit->elements));
}
bool fv_cl_holds_sums(const fv_flat *s) {
    for (; s; s = s->next) {
        if (s->kind == FV_L_STORE && s->memory && s->memory->space == FV_SPACE_FRAG) return true;
        if (fv_cl_reads_sums(s->expr) || fv_cl_holds_sums(s->body) || fv_cl_holds_sums(s->orelse)) return true;
    }
    return false;
}
static bool of_sums(const fv_expr *e, void *user) {
    (void)user;
    return e->op == FV_X_LOAD && e->ref->kind == FV_OBJ_BUFFER && ((const fv_memory *)e->ref)->space == FV_SPACE_FRAG;
}
bool fv_cl_reads_sums(const fv_expr *e) { return e && fv_visit(e, of_sums, NULL); }

/* -- Runs -------------------------------------------------------------------------------------- */
/* The number of the first product of the run that reads the same fragment as product `at`. */
static int first_use(const fv_flat *run, int at, int i) {
    const fv_flat *own = run;
    for (int j = 0; j < at; j++) own = own->next;
    const fv_flat *s = run;
    for (int j = 0; j < at; j++, s = s->next)
        if (s->part[i].memory == own->part[i].memory && s->part[i].offset == own->part[i].offset &&
            s->part[i].stride == own->part[i].stride && s->turned == own->turned)
            return j;
    return at;
}
static void load(fv_cl *p, const fv_flat *s, int i, int number) {
    fv_buf_printf(p->out, "const fov_%c %c%d = fov_ld%s(%s + (", "ab"[i], "ab"[i], number,
                  !i          ? "a"
                  : s->turned ? "bt"
                              : "b",
                  fv_cl_name_of(p, s->part[i].memory->obj.name, true));
    fv_cl_expr(p, s->part[i].offset);
    fv_buf_printf(p->out, "), %lld, lane);\n", (long long)s->part[i].stride);
}
const fv_flat *fv_cl_products(fv_cl *p, const fv_flat *run) {
    const fv_flat *s = run, *last = run;
    int indent = 4 * (p->indent + 1);
    fv_cl_line(p, run);
    put(p, "{\n");
    fv_buf_printf(p->out, "%*sconst int lane = (int)get_local_id(0) %% FOV_SUB;\n", indent, "");
    for (int at = 0; s && s->kind == FV_L_MMA; s = s->next, at++) {
        int from[2];
        last = s;
        for (int i = 0; i < 2; i++)
            if ((from[i] = first_use(run, at, i)) == at) {
                fv_buf_printf(p->out, "%*s", indent, "");
                load(p, s, i, at);
            }
        fv_buf_printf(p->out, "%*sfov_mma(&%s[", indent, "", fv_cl_name_of(p, s->memory->obj.name, true));
        int64_t c;
        if (fv_is_int(s->offset, &c)) fv_buf_printf(p->out, "%lld", (long long)(c / p->k->unit->elements));
        else {
            put(p, "(");
            fv_cl_expr(p, s->offset);
            put(p, ") / FOV_CN");
        }
        fv_buf_printf(p->out, "], a%d, b%d);", from[0], from[1]);
        fv_cl_end(p, s);
    }
    fv_buf_printf(p->out, "%*s}\n", 4 * p->indent, "");
    return last;
}
