/* Text of a plan to its record (grammar: docs/ir.md). Launches name kernels that follow the plan, and are resolved at
 * the end.
 * Invariant: a plan is returned only if every launch names a kernel and tensors that exist. */
#include "plan/plan_internal.h"
#include "schedule/nearest.h"

#include <math.h>

typedef struct {
    fv_ctx *ctx;
    fv_lexer lx;
    fv_plan *plan;
    fv_str *kernel_name[2];                             /* of each launch, in order */
    int n_names[2], cap_names[2];
    fv_kernel **kernel;
    int n_kernels, cap_kernels;
} parser;

static bool fail(parser *p, fv_code code, fv_loc loc, const char *text) {
    fv_error(p->ctx, code, loc, "%s", text);
    return false;
}

static bool name(parser *p, fv_str *out) {
    if (p->lx.kind != FV_T_STRING) return fv_lex_name(&p->lx, out);
    *out = fv_intern_n(p->ctx, p->lx.start, p->lx.len);
    fv_lex_next(&p->lx);
    return true;
}

static bool number(parser *p, double *out) {
    bool negative = fv_lex_accept(&p->lx, "-");
    if (p->lx.kind == FV_T_INT) *out = (double)p->lx.i;
    else if (p->lx.kind == FV_T_FLOAT) *out = p->lx.f;
    else if (fv_lex_is(&p->lx, "inf")) *out = (double)INFINITY;
    else if (fv_lex_is(&p->lx, "nan")) *out = (double)NAN;
    else return fv_lex_fail(&p->lx, "a number");
    if (negative) *out = -*out;
    fv_lex_next(&p->lx);
    return true;
}

static bool count(parser *p, int64_t *out) {
    fv_loc loc = fv_lex_loc(&p->lx);
    if (!fv_lex_int(&p->lx, out)) return false;
    return (*out >= 0 && *out <= FV_RANGE_MAX) || fail(p, FV_E_SYNTAX, loc, "a number is negative or too large");
}

/* -- Tensors ------------------------------------------------------------------------------------------------------- */
static bool dims(parser *p, fv_plan_tensor *t) {
    double elements = 1;
    for (t->rank = 0; !fv_lex_accept(&p->lx, "]"); t->rank++) {
        if (t->rank && !fv_lex_expect(&p->lx, ",")) return false;
        if (t->rank == FV_MAX_AXES) return fail(p, FV_E_SYNTAX, fv_lex_loc(&p->lx), "a tensor has too many dimensions");
        if (!fv_lex_name(&p->lx, &t->dim[t->rank]) || !fv_lex_expect(&p->lx, "=") || !count(p, &t->extent[t->rank]))
            return false;
        elements *= (double)(t->extent[t->rank] ? t->extent[t->rank] : 1);
    }
    if (elements > (double)FV_RANGE_MAX) return fail(p, FV_E_SYNTAX, fv_lex_loc(&p->lx), "a tensor is too large");
    fv_plan_tensor_dense(t);
    return true;
}

static bool strides(parser *p, fv_plan_tensor *t) {
    if (!fv_lex_expect(&p->lx, "[")) return false;
    for (int j = 0; j < t->rank; j++)
        if ((j && !fv_lex_expect(&p->lx, ",")) || !count(p, &t->stride[j])) return false;
    return fv_lex_expect(&p->lx, "]");
}

static bool constants(parser *p, fv_plan_tensor *t) {
    int64_t n = 1;
    for (int j = 0; j < t->rank; j++) n *= t->extent[j];
    if (n > (1 << 24)) return fail(p, FV_E_SYNTAX, fv_lex_loc(&p->lx), "a constant is too large");
    double *v = FV_NEWN(p->ctx, double, n + 1);
    if (!fv_lex_expect(&p->lx, "[")) return false;
    for (int64_t j = 0; j < n; j++)
        if ((j && !fv_lex_expect(&p->lx, ",")) || !number(p, &v[j])) return false;
    t->data = v;
    return fv_lex_expect(&p->lx, "]");
}

static bool tensor(parser *p, fv_mem_kind kind) {
    fv_plan_tensor t = {.kind = kind, .loc = fv_lex_loc(&p->lx)};
    fv_str type;
    if (!name(p, &t.name) || !fv_lex_expect(&p->lx, ":") || !fv_lex_name(&p->lx, &type)) return false;
    if (!fv_type_parse(fv_cstr(p->ctx, type), &t.type))
        return fail(p, FV_E_SYNTAX, t.loc, fv_printf(p->ctx, "no type '%s'", fv_cstr(p->ctx, type)));
    if (!fv_lex_expect(&p->lx, "[") || !dims(p, &t)) return false;
    if (fv_lex_accept(&p->lx, "stride") && !strides(p, &t)) return false;
    if (fv_lex_accept(&p->lx, "bytes") && !count(p, &t.bytes)) return false;
    if (fv_lex_accept(&p->lx, "bound") && !count(p, &t.index_bound)) return false;
    if (fv_lex_accept(&p->lx, "at") && !count(p, &t.offset)) return false;
    if (fv_lex_accept(&p->lx, "=") && !constants(p, &t)) return false;
    for (int j = 0; j < p->plan->n_tensors; j++)
        if (fv_str_eq(p->plan->tensor[j]->name, t.name))
            return fail(p, FV_E_SYNTAX, t.loc, fv_printf(p->ctx, "the plan has two tensors named '%s'",
                                                         fv_cstr(p->ctx, t.name)));
    fv_plan_add_tensor(p->plan, &t);
    return true;
}

/* -- Launches ------------------------------------------------------------------------------------------------------ */
static bool argument(parser *p, fv_launch *l, int *cap) {
    fv_loc loc = fv_lex_loc(&p->lx);
    fv_str n;
    if (!name(p, &n)) return false;
    for (int j = 0; j < p->plan->n_tensors; j++)
        if (fv_str_eq(p->plan->tensor[j]->name, n)) {
            fv_push(p->ctx, l->arg, l->n_args, *cap, j);
            return true;
        }
    const char **known = FV_NEWN(p->ctx, const char *, p->plan->n_tensors + 1);
    for (int j = 0; j < p->plan->n_tensors; j++) known[j] = fv_cstr(p->ctx, p->plan->tensor[j]->name);
    return fail(p, FV_E_UNKNOWN, loc, fv_printf(p->ctx, "the plan has no tensor '%s'%s", fv_cstr(p->ctx, n),
                                                fv_nearest(p->ctx, fv_cstr(p->ctx, n), known, p->plan->n_tensors)));
}

static bool schedule(parser *p, fv_launch *l) {
    if (p->lx.kind != FV_T_STRING) return fv_lex_fail(&p->lx, "a schedule in quotes");
    fv_buf text = {0};
    for (int j = 1; j < p->lx.token_line; j++) fv_buf_puts(&text, "\n");   /* so that errors name the plan's line */
    fv_buf_putn(&text, p->lx.start, p->lx.len);
    l->schedule = fv_schedule_parse(p->ctx, fv_cstr(p->ctx, p->lx.file), text.text ? text.text : "");
    fv_buf_dispose(&text);
    fv_lex_next(&p->lx);
    return l->schedule != NULL;
}

static bool launch(parser *p, int which) {
    fv_launch l = {.loc = fv_lex_loc(&p->lx), .group = -1, .owner = -1};
    fv_str kernel;
    int cap = 0;
    if (!name(p, &kernel) || !fv_lex_expect(&p->lx, "(")) return false;
    while (!fv_lex_accept(&p->lx, ")"))
        if ((l.n_args && !fv_lex_expect(&p->lx, ",")) || !argument(p, &l, &cap)) return false;
    if (fv_lex_accept(&p->lx, "schedule") && !schedule(p, &l)) return false;
    if (fv_lex_accept(&p->lx, "flops") && !number(p, &l.flops)) return false;
    if (fv_lex_accept(&p->lx, "bytes") && !number(p, &l.bytes)) return false;
    fv_plan_add_launch(p->plan, which, &l);
    fv_push(p->ctx, p->kernel_name[which], p->n_names[which], p->cap_names[which], kernel);
    return true;
}

static bool launches(parser *p, int which) {
    if (!fv_lex_expect(&p->lx, "{")) return false;
    while (!fv_lex_accept(&p->lx, "}"))
        if (!fv_lex_expect(&p->lx, "launch") || !launch(p, which)) return false;
    return true;
}

/* -- Plans --------------------------------------------------------------------------------------------------------- */
static bool item(parser *p) {
    static const char *const KIND[] = {"input", "output", "param", "const", "prepared", "scratch"};
    for (int k = 0; k < 6; k++)
        if (fv_lex_accept(&p->lx, KIND[k])) return tensor(p, (fv_mem_kind)k);
    if (fv_lex_accept(&p->lx, "prepared_bytes")) return count(p, &p->plan->prepared_bytes);
    if (fv_lex_accept(&p->lx, "arena_bytes")) return count(p, &p->plan->arena_bytes);
    if (fv_lex_accept(&p->lx, "prepare")) return launches(p, 0);
    if (fv_lex_accept(&p->lx, "run")) return launches(p, 1);
    return fv_lex_fail(&p->lx, "input, output, param, const, prepared, scratch, prepare, run or '}'");
}

static bool resolve(parser *p) {
    for (int which = 0; which < 2; which++)
        for (int j = 0; j < p->plan->n_launches[which]; j++) {
            fv_launch *l = p->plan->launch[which][j];
            for (int k = 0; k < p->n_kernels; k++)
                if (fv_str_eq(p->kernel[k]->name, p->kernel_name[which][j])) l->kernel = p->kernel[k];
            if (!l->kernel)
                return fail(p, FV_E_UNKNOWN, l->loc, fv_printf(p->ctx, "no kernel '%s' follows the plan",
                                                               fv_cstr(p->ctx, p->kernel_name[which][j])));
        }
    return true;
}

static bool kernels(parser *p) {
    while (p->lx.kind != FV_T_END) {
        fv_loc loc = fv_lex_loc(&p->lx);
        fv_kernel *k = fv_kernel_parse_from(&p->lx);
        if (!k) return false;
        for (int j = 0; j < p->n_kernels; j++)
            if (fv_str_eq(p->kernel[j]->name, k->name))
                return fail(p, FV_E_SYNTAX, loc, fv_printf(p->ctx, "two kernels are named '%s'",
                                                           fv_cstr(p->ctx, k->name)));
        fv_push(p->ctx, p->kernel, p->n_kernels, p->cap_kernels, k);
    }
    return true;
}

fv_plan *fv_plan_parse(fv_ctx *ctx, const char *file, const char *text) {
    parser p = {.ctx = ctx, .plan = fv_plan_new(ctx)};
    fv_lex_init(&p.lx, ctx, file, text);
    if (!fv_lex_expect(&p.lx, "plan") || !fv_lex_expect(&p.lx, "{")) return NULL;
    while (!fv_lex_accept(&p.lx, "}"))
        if (!item(&p)) return NULL;
    if (!kernels(&p) || !resolve(&p)) return NULL;
    fv_plan_share(p.plan);
    return p.plan;
}
