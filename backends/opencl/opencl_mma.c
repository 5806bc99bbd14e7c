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
static bool copies(const fv_flat *s) {
    for (; s; s = s->next)
        if (s->kind == FV_L_COPY || copies(s->body) || copies(s->orelse)) return true;
    return false;
}
bool fv_cl_has_products(const fv_flat *s) { return find(s) != NULL; }
void fv_cl_prelude_text(fv_buf *out, const char *name) { fv_buf_puts(out, text_of(name)); }
void fv_cl_unit_text(fv_buf *out, const char *unit) {
    fv_cl_prelude_text(out, unit);
    if (!strcmp(unit, "cdna") || !strcmp(unit, "rdna")) fv_cl_prelude_text(out, "amd");
}
void fv_cl_unit(fv_cl *p) {
    const fv_flat *s = find(p->k->body);
    fv_buf_printf(p->out, "#define FOV_BF16 %d\n", s && s->part[1].memory->obj.type == FV_BF16);
    fv_cl_unit_text(p->out, p->k->unit->name);
    if (copies(p->k->body)) fv_cl_prelude_text(p->out, "copy");
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
        bool own = s->memory && (s->memory->space == FV_SPACE_FRAG || s->memory->space == FV_SPACE_PRIVATE);
        if (own && s->kind != FV_L_ALLOC) return true;
        if (fv_cl_reads_sums(s->expr) || fv_cl_holds_sums(s->body) || fv_cl_holds_sums(s->orelse)) return true;
    }
    return false;
}
static bool of_sums(const fv_expr *e, void *user) {
    (void)user;
    if (e->op != FV_X_LOAD || e->ref->kind != FV_OBJ_BUFFER) return false;
    fv_space space = ((const fv_memory *)e->ref)->space;
    return space == FV_SPACE_FRAG || space == FV_SPACE_PRIVATE;
}
bool fv_cl_reads_sums(const fv_expr *e) { return e && fv_visit(e, of_sums, NULL); }

/* "name[number of the fragment]" */
static void fragment(fv_cl *p, const fv_memory *m, const fv_expr *offset) {
    int64_t c;
    put(p, fv_cl_name_of(p, m->obj.name, true));
    if (fv_is_int(offset, &c)) {
        fv_buf_printf(p->out, "[%lld]", (long long)(c / p->k->unit->elements));
        return;
    }
    put(p, "[(");
    fv_cl_expr(p, offset);
    put(p, ") / FOV_CN]");
}
static bool converts(const fv_flat *s) { /* does some product have a fragment of C as A? */
    for (; s; s = s->next)
        if ((s->kind == FV_L_MMA && s->part[0].memory->space == FV_SPACE_FRAG) || converts(s->body) ||
            converts(s->orelse))
            return true;
    return false;
}
void fv_cl_bounce(fv_cl *p) {
    if (converts(p->k->body))
        fv_buf_printf(p->out,
                      "    __local ushort fov_bounce[%lld / FOV_SUB * FOV_BOUNCE] __attribute__((aligned(16)));\n",
                      (long long)p->k->group_size);
}
void fv_cl_copy(fv_cl *p, const fv_flat *s) {
    fv_cl_line(p, s);
    fv_buf_printf(p->out, "fov_cp16(%s + (", fv_cl_name_of(p, s->memory->obj.name, true));
    fv_cl_expr(p, s->offset);
    fv_buf_printf(p->out, "), %s + (", fv_cl_name_of(p, s->tensor->obj.name, true));
    fv_cl_expr(p, s->part[0].offset);
    put(p, "));");
    fv_cl_end(p, s);
}
void fv_cl_copied(fv_cl *p) {
    if (p->k->unit && copies(p->k->body)) fv_buf_printf(p->out, "%*sfov_cp_wait();\n", 4 * p->indent, "");
}
void fv_cl_rows(fv_cl *p, const fv_flat *s) {
    fv_cl_line(p, s);
    fv_cl_element(p, &s->memory->obj, s->offset);
    fv_buf_printf(p->out, " = fov_row_%s(", s->max ? "max" : "sum");
    fv_cl_element(p, &s->memory->obj, s->offset);
    put(p, ", (int)get_local_id(0) % FOV_SUB);");
    fv_cl_end(p, s);
}

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
/* A fragment of C as one of A. The local memory that some units need for it stands before the kernel's own. */
static void convert(fv_cl *p, const fv_flat *s, int number) {
    fv_buf_printf(p->out, "const fov_a a%d = fov_c2a(", number);
    fragment(p, s->part[0].memory, s->part[0].offset);
    put(p, ", fov_bounce + (int)get_local_id(0) / FOV_SUB * FOV_BOUNCE, lane);\n");
}
static void load(fv_cl *p, const fv_flat *s, int i, int number) {
    if (s->part[i].memory->space == FV_SPACE_FRAG) {
        convert(p, s, number);
        return;
    }
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
        fv_buf_printf(p->out, "%*sfov_mma(&", indent, "");
        fragment(p, s->memory, s->offset);
        fv_buf_printf(p->out, ", a%d, b%d);", from[0], from[1]);
        fv_cl_end(p, s);
    }
    fv_buf_printf(p->out, "%*s}\n", 4 * p->indent, "");
    return last;
}
