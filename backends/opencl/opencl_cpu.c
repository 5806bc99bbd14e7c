/* opencl_cpu: statements of the CPU shape, and the whole program. The loop over programs is the launch: a group is one
 * item and runs the program of its number. Invariant: one C variable per register and one array per scratch buffer, so
 * that the device's compiler sees what cannot overlap. */
#include "backends/opencl/cpu.h"

enum { STACK_BYTES = 256 << 10 }; /* scratch beyond that is __local */

static const fv_target wide = {.name = "opencl x16",
                               .lanes = 16,
                               .registers = 32,
                               .masks = true,
                               .permute = true,
                               .scalef = true,
                               .l1_bytes = 32 << 10,
                               .l2_bytes = 1 << 20};
static const fv_target middle = {.name = "opencl x8",
                                 .lanes = 8,
                                 .registers = 16,
                                 .masks = true,
                                 .permute = true,
                                 .scalef = false,
                                 .l1_bytes = 32 << 10,
                                 .l2_bytes = 512 << 10};
static const fv_target narrow = {.name = "opencl x4",
                                 .lanes = 4,
                                 .registers = 16,
                                 .masks = false,
                                 .permute = false,
                                 .scalef = false,
                                 .l1_bytes = 32 << 10,
                                 .l2_bytes = 512 << 10};

const fv_target *fv_opencl_cpu_target(int native_width) {
    return native_width >= 16 ? &wide : native_width >= 8 ? &middle : &narrow;
}
int64_t fv_opencl_cpu_local(const fv_flat_kernel *k) { return k->scratch_bytes > STACK_BYTES ? k->scratch_bytes : 0; }
static void make_far(fv_flat *s) {
    for (; s; s = s->next) {
        if (s->kind == FV_L_ALLOC && s->memory->space == FV_SPACE_LOCAL) s->memory->space = FV_SPACE_FAR;
        make_far(s->body);
        make_far(s->orelse);
    }
}
void fv_opencl_cpu_place(fv_flat_kernel *k, int64_t local) {
    if (k->scratch_bytes <= local || k->scratch_bytes <= STACK_BYTES) return;
    make_far(k->body);
    k->far_bytes = k->scratch_bytes;
    k->scratch_bytes = 0;
}

static void put(fv_cl *p, const char *s) { fv_buf_puts(p->out, s); }
static void list(fv_cl *p, const fv_flat *s);

/* -- Names ------------------------------------------------------------------------------------- */
static void bind(fv_cl *p, fv_str name) {
    fv_cl_level l = {name, p->loops};
    fv_push(p->ctx, p->level, p->n_levels, p->cap_levels, l);
}
static void block(fv_cl *p, const fv_flat *body) {
    int levels = p->n_levels;
    p->indent++;
    list(p, body);
    p->indent--;
    p->n_levels = levels;
    fv_buf_printf(p->out, "%*s}", 4 * p->indent, "");
}

/* -- Statements -------------------------------------------------------------------------------- */
static void put_programs(fv_cl *p, const fv_flat *s) {
    const char *v = fv_cl_name_of(p, s->name, false);
    fv_cl_line(p, s);
    if (p->k->far_bytes) fv_cl_group_loop(p, "long", v);
    else fv_buf_printf(p->out, "{\n%*sconst long %s = get_group_id(0);\n", 4 * (p->indent + 1), "", v);
    fv_cl_know(p, s->name, (fv_range){0, p->k->programs - 1});
    bind(p, s->name);
    block(p, s->body);
    put(p, "\n");
}
static void put_for(fv_cl *p, const fv_flat *s) {
    const fv_expr *root[] = {s->lo, s->hi};
    int facts = p->facts.n, levels = p->n_levels;
    fv_cl_line(p, s);
    fv_cl_cpu_share(p, root, 2);
    fv_cl_for_head(p, s, "long", fv_cl_cpu_expr);
    p->loops++;
    bind(p, s->name);
    block(p, s->body);
    p->n_levels = levels;
    p->loops--;
    p->facts.n = facts;
    put(p, "\n");
}
static void put_if(fv_cl *p, const fv_flat *s) {
    fv_cl_line(p, s);
    fv_cl_cpu_share(p, &s->expr, 1);
    put(p, "if (");
    fv_cl_cpu_expr(p, s->expr);
    fv_cl_branches(p, s, block);
}
static void put_let(fv_cl *p, const fv_flat *s) {
    fv_cl_line(p, s);
    fv_cl_cpu_share(p, &s->expr, 1);
    put(p, "const ");
    fv_cl_cpu_type(p, s->expr->type, s->expr->lanes);
    fv_buf_printf(p->out, " %s = ", fv_cl_name_of(p, s->name, false));
    fv_cl_cpu_expr(p, s->expr);
    put(p, ";");
    fv_cl_end(p, s);
    bind(p, s->name);
    if (s->expr->type == FV_I32 && s->expr->lanes == 1) fv_cl_know(p, s->name, fv_range_of(&p->facts, s->expr));
}
static void put_alloc(fv_cl *p, const fv_flat *s) {
    const fv_memory *m = s->memory;
    fv_cl_line(p, s);
    if (m->space == FV_SPACE_REG) {
        fv_cl_cpu_type(p, m->obj.type, m->lanes);
        for (int64_t i = 0; i < m->count; i++) {
            put(p, i ? ", " : " ");
            fv_cl_cpu_register(p, m, i);
        }
        put(p, ";");
    } else if (m->space == FV_SPACE_LOCAL && fv_opencl_cpu_local(p->k)) /* declared at the head */
        fv_cl_declared(p, m);
    else if (m->space == FV_SPACE_LOCAL)
        fv_buf_printf(p->out, "%s %s[%lld] __attribute__((aligned(64)));", fv_cl_storage(m->obj.type),
                      fv_cl_name_of(p, m->obj.name, true), (long long)m->count);
    else if (m->space == FV_SPACE_FAR) fv_cl_far(p, m);
    else fv_cl_fail(p, "'%s' is in a memory that a CPU does not have", fv_cstr(p->ctx, m->obj.name));
    fv_cl_end(p, s);
}
static void store_register(fv_cl *p, const fv_flat *s) {
    int lanes = s->memory->lanes;
    fv_cl_cpu_register(p, s->memory, s->offset->i);
    put(p, " = ");
    if (s->mask) {
        fv_cl_cpu_value(p, s->mask, lanes);
        put(p, " ? ");
    }
    fv_cl_cpu_value(p, s->expr, lanes);
    if (!s->mask) return;
    put(p, " : ");
    fv_cl_cpu_register(p, s->memory, s->offset->i);
}
/* A vector in the form that memory has. */
static void stored(fv_cl *p, const fv_flat *s) {
    bool bytes = s->expr->type == FV_BOOL && s->expr->lanes > 1;
    if (bytes) fv_buf_printf(p->out, "fv_byte%d(", s->expr->lanes);
    fv_cl_cpu_expr(p, s->expr);
    if (bytes) put(p, ")");
}
static void store_vector(fv_cl *p, const fv_flat *s, const fv_obj *to) {
    int lanes = s->expr->lanes;
    char c = fv_cl_cpu_code(to->type);
    if (!s->mask && !s->scatter) {
        const char *space = fv_cl_cpu_space(p, s->memory ? &s->memory->obj : &s->tensor->obj);
        fv_buf_printf(p->out, "*(%s fv_%c%d *)(", space, c, lanes);
        fv_cl_cpu_address(p, to, s->offset);
        put(p, ") = ");
        stored(p, s);
        return;
    }
    fv_buf_printf(p->out, "fv_%s_%c%d(FV_AT(%s, ", s->scatter ? "scatter" : "store", c, lanes, fv_cl_storage(to->type));
    fv_cl_cpu_address(p, to, s->offset);
    put(p, "), ");
    if (s->scatter) {
        fv_cl_cpu_value(p, s->scatter, lanes);
        put(p, ", ");
    }
    stored(p, s);
    put(p, ", ");
    if (s->mask) fv_cl_cpu_value(p, s->mask, lanes);
    else fv_buf_printf(p->out, "(int%d)(-1)", lanes);
    put(p, ")");
}
static void store_scalar(fv_cl *p, const fv_flat *s, const fv_obj *to) {
    if (s->mask) {
        put(p, "if (");
        fv_cl_cpu_expr(p, s->mask);
        put(p, ") ");
    }
    put(p, "*(");
    fv_cl_cpu_address(p, to, s->offset);
    if (s->scatter) {
        put(p, " + ");
        fv_cl_cpu_expr(p, s->scatter);
    }
    put(p, to->type == FV_I32 ? ") = (int)" : ") = ");
    fv_cl_cpu_expr(p, s->expr);
}
static void put_store(fv_cl *p, const fv_flat *s) {
    const fv_obj *to = s->memory ? &s->memory->obj : &s->tensor->obj;
    const fv_expr *root[] = {s->expr, s->offset, s->mask, s->scatter};
    fv_cl_line(p, s);
    fv_cl_cpu_share(p, root, 4);
    if (s->memory && s->memory->space == FV_SPACE_REG) store_register(p, s);
    else if (s->expr->lanes > 1) store_vector(p, s, to);
    else store_scalar(p, s, to);
    put(p, ";");
    fv_cl_end(p, s);
}
static void list(fv_cl *p, const fv_flat *s) {
    for (; s && !p->failed; s = s->next) {
        switch (s->kind) {
        case FV_L_FOR:
            if (s->loop == FV_LOOP_PROGRAMS) put_programs(p, s);
            else if (s->loop == FV_LOOP_SERIAL) put_for(p, s);
            else fv_cl_fail(p, "a loop over groups or items in a kernel for a CPU");
            break;
        case FV_L_IF: put_if(p, s); break;
        case FV_L_LET: put_let(p, s); break;
        case FV_L_ALLOC: put_alloc(p, s); break;
        case FV_L_STORE: put_store(p, s); break;
        case FV_L_FRAG:
        case FV_L_ROWS:
        case FV_L_COPY:
        case FV_L_MMA: fv_cl_fail(p, "a fragment of a matrix unit"); break;
        case FV_L_BARRIER: /* one item runs a program */
        case FV_L_ASSERT: break;
        }
    }
}

/* -- Programs ---------------------------------------------------------------------------------- */
typedef struct {
    unsigned lanes;
    bool doubles;
} needs;
static bool need(const fv_expr *e, void *user) {
    needs *n = user;
    for (unsigned i = 1; i <= 4; i++)
        if (e->lanes == 1 << i) n->lanes |= 1u << i;
    n->doubles |= e->type == FV_F64;
    return false;
}
static void needs_of(const fv_flat *s, needs *n) {
    for (; s; s = s->next) {
        const fv_expr *root[] = {s->expr, s->offset, s->mask, s->scatter, s->lo, s->hi};
        for (size_t i = 0; i < sizeof root / sizeof root[0]; i++)
            if (root[i]) fv_visit(root[i], need, n);
        if (s->kind == FV_L_ALLOC) {
            for (unsigned i = 1; i <= 4; i++)
                if (s->memory->lanes == 1 << i) n->lanes |= 1u << i;
            n->doubles |= s->memory->obj.type == FV_F64;
        }
        needs_of(s->body, n);
        needs_of(s->orelse, n);
    }
}
bool fv_opencl_print_cpu(const fv_flat_kernel *k, bool lines, fv_buf *out) {
    fv_buf body = {0};
    fv_cl p = {.ctx = k->ctx, .k = k, .out = &body, .lines = lines, .indent = 1};
    needs n = {0};
    p.facts = fv_facts_copy(k->ctx, NULL);
    for (int i = 0; i < k->n_tensors; i++) n.doubles |= k->tensor[i]->obj.type == FV_F64;
    needs_of(k->body, &n);
    put(&p, "\n__kernel __attribute__((reqd_work_group_size(1, 1, 1))) FV_WIDE\nvoid ");
    fv_cl_parameters(&p);
    if (fv_opencl_cpu_local(k)) fv_cl_local_arrays(&p, k->body);
    list(&p, k->body);
    put(&p, "}\n");
    fv_cl_cpu_prelude(n.lanes, n.doubles, out);
    if (p.zeros)
        fv_buf_printf(out, "__constant float fv_zeros[%lld] __attribute__((aligned(64))) = { 0 };\n",
                      (long long)p.zeros * (n.doubles ? 2 : 1));
    fv_buf_putn(out, body.text, body.len);
    fv_buf_dispose(&body);
    return !p.failed;
}
