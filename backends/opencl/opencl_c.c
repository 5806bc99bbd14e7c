/* opencl_c: a flat kernel as a program in OpenCL C 1.2: helpers and one kernel; a group is a program, get_local_id(0)
 * the item. Barriers stand where the flat text has them. Invariant: every name of the text comes from fv_cl_name_of, so
 * no name of the author's meets a keyword or a built-in function. */
#include "backends/opencl/text.h"

#include <string.h>

/* min, max pass NaN; / and % of integers round down; an index from a float saturates and NaN gives 0. */
static const char prelude[] =
    "static inline int fv_floordiv(int a, int b) { int q = a / b; return q - ((a % b != 0) && ((a % b < 0) != (b < "
    "0))); }\n"
    "static inline int fv_mod(int a, int b) { int r = a % b; return r != 0 && (r < 0) != (b < 0) ? r + b : r; }\n"
    "static inline int fv_abs(int a) { return a < 0 ? -a : a; }\n"
    "static inline float fv_ffloordiv(float a, float b) { return floor(a / b); }\n"
    "static inline float fv_fmod(float a, float b) { return a - floor(a / b) * b; }\n"
    "static inline int fv_floor(float x) { return x != x ? 0 : convert_int_sat(floor(x)); }\n"
    "static inline float fv_scalef(float a, float n) { return ldexp(a, convert_int_sat(clamp(n, -1000.0f, "
    "1000.0f))); }\n";
const char fv_cl_prelude_f32[] =
    "static inline float fv_min(float a, float b) { return a < b || a != a ? a : b; }\n"
    "static inline float fv_max(float a, float b) { return a > b || a != a ? a : b; }\n"
    "static inline float fv_safe(float m) { return m == -INFINITY ? 0.0f : m; }\n"
    "static inline float fv_mantissa(float x) { return as_float((as_uint(x) & 0x7fffffu) | 0x3f800000u); }\n"
    "static inline float fv_exponent(float x) { return (float)((int)(as_uint(x) >> 23) - 127); }\n";
const char fv_cl_prelude_16[] =
    "static inline float fv_half(ushort h) { return vload_half(0, (const __private half *)&h); }\n"
    "static inline ushort fv_to_half(float x) { ushort h; vstore_half_rte(x, 0, (__private half *)&h); return h; }\n"
    "static inline float fv_bfloat(ushort h) { return as_float((uint)h << 16); }\n"
    "static inline ushort fv_to_bfloat(float x) { uint u = as_uint(x); return (ushort)(x != x ? 0x7fc0u : (u + "
    "0x7fffu + (u >> 16 & 1u)) >> 16); }\n";

bool fv_cl_fail(fv_cl *p, const char *format, ...) {
    char text[300];
    va_list ap;
    if (p->failed) return false;
    p->failed = true;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    fv_error(p->ctx, FV_E_BACKEND, p->at ? p->at->loc : (fv_loc){ { 0 }, 0 },
             "kernel %s cannot be written in OpenCL C: %s", fv_cstr(p->ctx, p->k->name), text);
    return false;
}

/* -- Names ------------------------------------------------------------------------------------- */
static void clean(const char *name, fv_buf *out) {
    if (name[0] == '_') fv_buf_puts(out, "u");
    for (const char *s = name; *s; s++) {
        bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || *s == '_';
        fv_buf_printf(out, "%c", plain ? *s : '_');
    }
}
static bool taken(const fv_cl *p, const char *text) {
    for (int i = 0; i < p->n_names; i++)
        if (!strcmp(p->name[i].text, text)) return true;
    return false;
}
/* Names made by lowerings hold a dot and a number; others get an underscore at the end, which no OpenCL word has. */
const char *fv_cl_name_of(fv_cl *p, fv_str name, bool object) {
    for (int i = p->n_names - 1; i >= 0; i--)
        if (fv_str_eq(p->name[i].name, name) && p->name[i].object == object) return p->name[i].text;
    fv_buf b = { 0 };
    const char *own = fv_cstr(p->ctx, name), *dot = strrchr(own, '.');
    clean(own, &b);
    if (!dot || dot[1] < '0' || dot[1] > '9') fv_buf_puts(&b, "_");
    size_t end = b.len;
    for (int i = 2; taken(p, b.text); i++) {
        b.len = end;
        fv_buf_printf(&b, "_%d_", i);
    }
    fv_cl_name n = { name, object, fv_strdup(p->ctx, b.text) };
    fv_buf_dispose(&b);
    fv_push(p->ctx, p->name, p->n_names, p->cap_names, n);
    return n.text;
}
void fv_opencl_entry(const fv_flat_kernel *k, fv_buf *out) {
    fv_buf_puts(out, "fovea_");
    clean(fv_cstr(k->ctx, k->name), out);
}

/* -- Statements -------------------------------------------------------------------------------- */
static void put(fv_cl *p, const char *s) { fv_buf_puts(p->out, s); }
void fv_cl_line(fv_cl *p, const fv_flat *s) {
    p->at = s;
    const char *file = p->lines ? fv_cstr(p->ctx, s->loc.file) : "";
    if (file[0] && s->loc.line > 0) {
        fv_buf_printf(p->out, "#line %d \"", s->loc.line);
        for (; *file; file++)
            fv_buf_printf(p->out, *file == '"' || *file == '\\' ? "\\%c" : "%c", *file == '\n' ? ' ' : *file);
        put(p, "\"\n");
    }
    fv_buf_printf(p->out, "%*s", 4 * p->indent, "");
}
void fv_cl_end(fv_cl *p, const fv_flat *s) {
    if (s->label.i && !p->lines) fv_buf_printf(p->out, "  /* %s */", fv_cstr(p->ctx, s->label));
    put(p, "\n");
}
static void list(fv_cl *p, const fv_flat *s);

static void block(fv_cl *p, const fv_flat *body) {
    p->indent++;
    list(p, body);
    p->indent--;
    fv_buf_printf(p->out, "%*s}", 4 * p->indent, "");
}
void fv_cl_know(fv_cl *p, fv_str name, fv_range r) {
    fv_facts_add(p->ctx, &p->facts, fv_var(p->ctx, name, FV_I32), r.lo, r.hi);
}

/* -- Far memory -------------------------------------------------------------------------------- */
enum { FAR_GROUPS = 512 };                                  /* enough to fill a device */

int64_t fv_opencl_groups(const fv_flat_kernel *k) {
    return k->far_bytes && k->programs > FAR_GROUPS ? FAR_GROUPS : k->programs; }
int64_t fv_opencl_far_bytes(const fv_flat_kernel *k) { return (k->far_bytes + 127) / 128 * 128; }
void fv_cl_far(fv_cl *p, const fv_memory *m) {
    const char *type = fv_cl_storage(m->obj.type);
    fv_buf_printf(p->out, "__global %s *%s = (__global %s *)(fv_far + (size_t)get_group_id(0) * %lld + %lld);", type,
                  fv_cl_name_of(p, m->obj.name, true), type, (long long)fv_opencl_far_bytes(p->k),
                  (long long)m->offset_bytes);
}
void fv_cl_group_loop(fv_cl *p, const char *type, const char *v) {
    fv_buf_printf(p->out, "for (%s %s = (%s)get_group_id(0); %s < %lld; %s += (%s)get_num_groups(0)) {\n", type, v, type,
                  v, (long long)p->k->programs, v, type);
}
void fv_cl_local_arrays(fv_cl *p, const fv_flat *s) {
    for (; s; s = s->next) {
        if (s->kind == FV_L_ALLOC && s->memory->space == FV_SPACE_LOCAL)
            fv_buf_printf(p->out, "    __local %s %s[%lld] __attribute__((aligned(64)));\n",
                          fv_cl_storage(s->memory->obj.type), fv_cl_name_of(p, s->memory->obj.name, true),
                          (long long)s->memory->count);
        fv_cl_local_arrays(p, s->body);
        fv_cl_local_arrays(p, s->orelse);
    }
}
void fv_cl_declared(fv_cl *p, const fv_memory *m) {
    fv_buf_printf(p->out, "/* %s: %lld */", fv_cl_name_of(p, m->obj.name, true), (long long)m->count); }
static void put_barrier(fv_cl *p);

/* Loops over groups and items are the launch itself; what groups with far memory do in turn ends with a barrier. */
static void launch_loop(fv_cl *p, const fv_flat *s) {
    int64_t lo, hi, want = s->loop == FV_LOOP_GROUP ? p->k->programs : p->k->group_size;
    if (!fv_is_int(s->lo, &lo) || !fv_is_int(s->hi, &hi) || lo || hi != want || s->step != 1 || s->dim) {
        fv_cl_fail(p, "the loop over %s does not run over one dimension from 0 to %lld", fv_cstr(p->ctx, s->name),
                   (long long)want);
        return;
    }
    bool turns = s->loop == FV_LOOP_GROUP && p->k->far_bytes;
    const char *name = fv_cl_name_of(p, s->name, false);
    if (turns) fv_cl_local_arrays(p, s->body);
    fv_cl_line(p, s);
    if (turns) fv_cl_group_loop(p, "int", name);
    else fv_buf_printf(p->out, "const int %s = (int)get_%s_id(0);\n", name, s->loop == FV_LOOP_GROUP ? "group"
                       : "local");
    fv_cl_know(p, s->name, (fv_range){ 0, hi - 1 });
    p->indent += turns;
    list(p, s->body);
    if (!turns) return;
    put_barrier(p);
    p->indent--;
    fv_buf_printf(p->out, "%*s}\n", 4 * p->indent, "");
}
void fv_cl_for_head(fv_cl *p, const fv_flat *s, const char *type, void (*expr)(fv_cl *, const fv_expr *)) {
    const char *v = fv_cl_name_of(p, s->name, false);
    fv_buf_printf(p->out, "for (%s %s = ", type, v);
    expr(p, s->lo);
    if (s->hi->op == FV_X_INT || s->hi->op == FV_X_VAR) {
        fv_buf_printf(p->out, "; %s < ", v);
        expr(p, s->hi);
    } else {
        fv_buf_printf(p->out, ", %s_end = ", v);
        expr(p, s->hi);
        fv_buf_printf(p->out, "; %s < %s_end", v, v);
    }
    if (s->step == 1) fv_buf_printf(p->out, "; %s++) {", v);
    else fv_buf_printf(p->out, "; %s += %lld) {", v, (long long)s->step);
    fv_cl_end(p, s);
    fv_cl_know(p, s->name, (fv_range){fv_range_of(&p->facts, s->lo).lo, fv_range_of(&p->facts, s->hi).hi - 1});
}
static void put_for(fv_cl *p, const fv_flat *s) {
    int facts = p->facts.n;
    fv_cl_line(p, s);
    /* what an item has of sums and rows of a matrix unit stays in registers only where its numbers are known; beside them loops are unrolled no
     * further than registers reach */
    const char *unroll = fv_cl_has_products(s->body) ? " 1" : fv_cl_holds_sums(s->body) ? "" : " 4";
    if (p->k->unit) fv_buf_printf(p->out, "#pragma unroll%s\n%*s", unroll, 4 * p->indent, "");
    fv_cl_for_head(p, s, "int", fv_cl_expr);
    block(p, s->body);
    p->facts.n = facts;
    put(p, "\n");
}
void fv_cl_branches(fv_cl *p, const fv_flat *s, void (*body)(fv_cl *, const fv_flat *)) {
    put(p, ") {");
    fv_cl_end(p, s);
    body(p, s->body);
    if (s->orelse) {
        put(p, " else {\n");
        body(p, s->orelse);
    }
    put(p, "\n");
}
static void put_if(fv_cl *p, const fv_flat *s) {
    fv_cl_line(p, s);
    put(p, "if (");
    fv_cl_expr(p, s->expr);
    fv_cl_branches(p, s, block);
}
static void put_let(fv_cl *p, const fv_flat *s) {
    fv_cl_line(p, s);
    fv_buf_printf(p->out, "const %s %s = ", fv_cl_type(s->expr->type), fv_cl_name_of(p, s->name, false));
    fv_cl_expr(p, s->expr);
    put(p, ";");
    fv_cl_end(p, s);
    if (s->expr->type == FV_I32 && s->expr->lanes == 1) fv_cl_know(p, s->name, fv_range_of(&p->facts, s->expr));
}
static void put_alloc(fv_cl *p, const fv_flat *s) {
    const fv_memory *m = s->memory;
    const char *name = fv_cl_name_of(p, m->obj.name, true);
    fv_cl_line(p, s);
    if (m->lanes != 1) fv_cl_fail(p, "registers of %d lanes", m->lanes);
    if (m->space == FV_SPACE_FRAG) fv_cl_sums(p, m);
    else if (m->space == FV_SPACE_REG) {
        fv_buf_printf(p->out, "%s ", fv_cl_type(m->obj.type));
        for (int64_t i = 0; i < m->count; i++) {
            if (m->count > 1) fv_buf_printf(p->out, "%s%s_r%lld", i ? ", " : "", name, (long long)i);
            else put(p, name);
        }
        put(p, ";");
    } else if (m->space == FV_SPACE_FAR) fv_cl_far(p, m);
    else if (m->space == FV_SPACE_LOCAL && p->k->far_bytes) fv_cl_declared(p, m);
    else fv_buf_printf(p->out, "%s%s %s[%lld]%s;", m->space == FV_SPACE_LOCAL ? "__local " : "",
                         fv_cl_storage(m->obj.type), name, (long long)m->count,
                         p->k->unit && m->space == FV_SPACE_LOCAL ? " __attribute__((aligned(16)))" : "");
    fv_cl_end(p, s);
}
static void put_store(fv_cl *p, const fv_flat *s) {
    const fv_obj *to = s->memory ? &s->memory->obj : &s->tensor->obj;
    fv_cl_line(p, s);
    if (s->scatter) fv_cl_fail(p, "a scattered store");
    if (s->mask) {
        put(p, "if (");
        fv_cl_expr(p, s->mask);
        put(p, ") ");
    }
    fv_cl_element(p, to, s->offset);
    put(p, " = ");
    fv_cl_expr(p, s->expr);
    put(p, ";");
    fv_cl_end(p, s);
}
static void put_barrier(fv_cl *p) {
    fv_cl_copied(p);
    bool global = p->k->far_bytes > 0;
    for (int i = 0; i < p->k->n_tensors; i++) global |= p->k->tensor[i]->role == FV_ROLE_INOUT;
    fv_buf_printf(p->out, "%*sbarrier(CLK_LOCAL_MEM_FENCE%s);\n", 4 * p->indent, "", global ? " | CLK_GLOBAL_MEM_FENCE"
                  : "");
}
static void list(fv_cl *p, const fv_flat *s) {
    for (; s && !p->failed; s = s->next) {
        switch (s->kind) {
        case FV_L_FOR:
            if (s->loop == FV_LOOP_PROGRAMS) fv_cl_fail(p, "a loop over programs");
            else if (s->loop == FV_LOOP_SERIAL) put_for(p, s);
            else launch_loop(p, s);
            break;
        case FV_L_IF: put_if(p, s); break;
        case FV_L_LET: put_let(p, s); break;
        case FV_L_ALLOC: put_alloc(p, s); break;
        case FV_L_STORE: put_store(p, s); break;
        case FV_L_MMA: s = fv_cl_products(p, s); break;
        case FV_L_ROWS: fv_cl_rows(p, s); break;
        case FV_L_COPY: fv_cl_copy(p, s); break;
        case FV_L_FRAG: fv_cl_fail(p, "a fragment of a matrix unit"); break;
        case FV_L_BARRIER: put_barrier(p); break;
        case FV_L_ASSERT: break;                            /* indices are checked where a model is entered */
        }
    }
}

/* -- Programs ---------------------------------------------------------------------------------- */
static bool type_used(const fv_flat *s, fv_type a, fv_type b) {
    for (; s; s = s->next)
        if ((s->memory && (s->memory->obj.type == a || s->memory->obj.type == b))
            || (s->expr && (s->expr->type == a || s->expr->type == b)) ||
            type_used(s->body, a, b) || type_used(s->orelse, a, b))
            return true;
    return false;
}
static bool uses(const fv_flat_kernel *k, fv_type a, fv_type b) {
    for (int i = 0; i < k->n_tensors; i++)
        if (k->tensor[i]->obj.type == a || k->tensor[i]->obj.type == b) return true;
    return type_used(k->body, a, b);
}
void fv_cl_parameters(fv_cl *p) {
    const fv_flat_kernel *k = p->k;
    fv_opencl_entry(k, p->out);
    put(p, "(");
    for (int i = 0; i < k->n_tensors; i++) {
        const fv_tensor *t = k->tensor[i];
        fv_buf_printf(p->out, "%s\n    __global %s%s *%s", i ? "," : "", t->role == FV_ROLE_IN ? "const " : "",
                      fv_cl_storage(t->obj.type), fv_cl_name_of(p, t->obj.name, true));
    }
    if (k->far_bytes) fv_buf_printf(p->out, "%s\n    __global char *fv_far", k->n_tensors ? "," : "");
    put(p, ")\n{\n");
}
static void signature(fv_cl *p) {
    const fv_flat_kernel *k = p->k;
    for (int i = 0; i < k->n_tensors; i++)
        if (fv_tensor_elements(k->tensor[i]) > INT32_MAX)
            fv_cl_fail(p, "%s has more than 2^31 elements", fv_cstr(p->ctx, k->tensor[i]->obj.name));
    fv_buf_printf(p->out, "\n__kernel %s__attribute__((reqd_work_group_size(%lld, 1, 1)))\nvoid ",
                  k->unit ? "FOV_KERNEL " : "", (long long)k->group_size);
    fv_cl_parameters(p);
}
static void remarks(fv_cl *p) {                             /* a comment for each */
    for (const char *s = p->k->remarks; s && *s;) {
        int n = (int)strcspn(s, "\n");
        fv_buf_printf(p->out, "/* %.*s */\n", n, s);
        s += n + (s[n] == '\n');
    }
}
bool fv_opencl_print(const fv_flat_kernel *k, bool lines, fv_buf *out) {
    fv_cl p = { .ctx = k->ctx, .k = k, .out = out, .lines = lines, .indent = 1 };
    p.facts = fv_facts_copy(k->ctx, NULL);
    if (fv_opencl_cpu_shaped(k)) return fv_opencl_print_cpu(k, lines, out);
    if (uses(k, FV_F64, FV_F64)) put(&p, "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n");
    put(&p, fv_cl_prelude_f32);
    put(&p, prelude);
    if (uses(k, FV_F16, FV_BF16)) put(&p, fv_cl_prelude_16);
    if (k->unit) fv_cl_unit(&p);
    remarks(&p);
    signature(&p);
    if (k->unit) fv_cl_bounce(&p);
    list(&p, k->body);
    put(&p, "}\n");
    return !p.failed;
}
