/* Canonical text of a plan (grammar: docs/ir.md): tensors, launches of prepare and run, then every distinct kernel
 * once.
 * Invariant: printed names are unique (a repeated one gets ' and its number), so that the text with its kernels reads
 * back as an equal plan. */
#include "plan/plan_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const fv_plan *p;
    fv_buf *out;
    fv_str *tensor;                                     /* printed names */
    /* distinct kernels: text without their name, printed name, the kernel */
    char **text;
    fv_str *kernel_name;
    fv_kernel **kernel;
    int *kernel_of[2], n_kernels;                       /* of each launch */
} printer;

static bool taken(const fv_str *list, int n, fv_str name) {
    for (int j = 0; j < n; j++)
        if (fv_str_eq(list[j], name)) return true;
    return false;
}

/* `name`, or with ' and a number so that it is not among the first n of the list. */
static fv_str unique(fv_ctx *c, const fv_str *list, int n, fv_str name, int number) {
    if (!name.i) name = fv_intern(c, "t");
    for (fv_str s = name;; s = fv_internf(c, "%s'%d", fv_cstr(c, name), number++))
        if (!taken(list, n, s)) return s;
}

/* -- Names --------------------------------------------------------------------------------------------------------- */
static void name_tensors(printer *pr) {
    fv_ctx *c = pr->p->ctx;
    pr->tensor = FV_NEWN(c, fv_str, pr->p->n_tensors + 1);
    for (int t = 0; t < pr->p->n_tensors; t++) {
        char *text = fv_strdup(c, fv_cstr(c, pr->p->tensor[t]->name));
        for (char *s = text; *s; s++)
            if (*s == '"' || *s == '\n') *s = '_';
        pr->tensor[t] = unique(c, pr->tensor, t, fv_intern(c, text), t);
    }
}

static char *text_without_name(fv_kernel *k) {
    fv_buf b = {0};
    fv_str name = k->name;
    k->name = fv_intern(k->ctx, "k");
    fv_kernel_print(k, &b);
    k->name = name;
    char *t = fv_strdup(k->ctx, b.text);
    fv_buf_dispose(&b);
    return t;
}

static int number_of_kernel(printer *pr, fv_kernel *k) {
    char *text = text_without_name(k);
    int j = 0;
    while (j < pr->n_kernels && strcmp(pr->text[j], text) != 0) j++;
    if (j < pr->n_kernels) return j;
    pr->text[j] = text;
    pr->kernel[j] = k;
    pr->kernel_name[j] = unique(pr->p->ctx, pr->kernel_name, j, k->name, j);
    return pr->n_kernels++;
}

static void name_kernels(printer *pr) {
    fv_ctx *c = pr->p->ctx;
    int all = pr->p->n_launches[0] + pr->p->n_launches[1] + 1;
    pr->text = FV_NEWN(c, char *, all);
    pr->kernel = FV_NEWN(c, fv_kernel *, all);
    pr->kernel_name = FV_NEWN(c, fv_str, all);
    for (int which = 0; which < 2; which++) {
        pr->kernel_of[which] = FV_NEWN(c, int, all);
        for (int j = 0; j < pr->p->n_launches[which]; j++)
            pr->kernel_of[which][j] = number_of_kernel(pr, pr->p->launch[which][j]->kernel);
    }
}

/* -- Lines --------------------------------------------------------------------------------------------------------- */
static bool plain(const char *s) {
    if (!isalpha((unsigned char)*s) && *s != '_') return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && *s != '_' && *s != '\'' && !(*s == '.' &&
                (isalnum((unsigned char)s[1]) || s[1] == '_' || s[1] == '\'')))
            return false;
    return true;
}

static void name(printer *pr, fv_str n) {
    const char *s = fv_cstr(pr->p->ctx, n);
    fv_buf_printf(pr->out, plain(s) ? "%s" : "\"%s\"", s);
}

static bool dense(const fv_plan_tensor *t) {
    fv_plan_tensor d = *t;
    fv_plan_tensor_dense(&d);
    return memcmp(d.stride, t->stride, sizeof *t->stride * (size_t)t->rank) == 0;
}

static void constants(printer *pr, const fv_plan_tensor *t) {
    int64_t n = 1;
    for (int j = 0; j < t->rank; j++) n *= t->extent[j];
    fv_buf_puts(pr->out, " = [");
    for (int64_t i = 0; i < n; i++) {
        if (i) fv_buf_puts(pr->out, i % 16 ? ", " : ",\n    ");
        fv_buf_double(pr->out, t->data[i]);
    }
    fv_buf_puts(pr->out, "]");
}

static void tensor(printer *pr, int number) {
    static const char *const KIND[] = {"input", "output", "param", "const", "prepared", "scratch"};
    const fv_plan_tensor *t = pr->p->tensor[number];
    fv_buf_printf(pr->out, "  %s ", KIND[t->kind]);
    name(pr, pr->tensor[number]);
    fv_buf_printf(pr->out, " : %s[", fv_type_name(t->type));
    for (int j = 0; j < t->rank; j++)
        fv_buf_printf(pr->out, "%s%s=%lld", j ? ", " : "", t->dim[j].i ? fv_cstr(pr->p->ctx, t->dim[j]) : "d",
                      (long long)t->extent[j]);
    fv_buf_puts(pr->out, "]");
    if (!dense(t)) {
        fv_buf_puts(pr->out, " stride [");
        for (int j = 0; j < t->rank; j++) fv_buf_printf(pr->out, "%s%lld", j ? ", " : "", (long long)t->stride[j]);
        fv_buf_puts(pr->out, "]");
    }
    if (t->bytes != fv_plan_tensor_elements(t) * fv_type_bytes(t->type))
        fv_buf_printf(pr->out, " bytes %lld", (long long)t->bytes);
    if (t->index_bound) fv_buf_printf(pr->out, " bound %lld", (long long)t->index_bound);
    if (fv_mem_is_ours(t->kind)) fv_buf_printf(pr->out, " at %lld", (long long)t->offset);
    if (t->kind == FV_MEM_CONST && t->data) constants(pr, t);
    fv_buf_puts(pr->out, "\n");
}

static void launch(printer *pr, const fv_launch *l, int kernel) {
    fv_buf_puts(pr->out, "    launch ");
    name(pr, pr->kernel_name[kernel]);
    fv_buf_puts(pr->out, "(");
    for (int j = 0; j < l->n_args; j++) {
        if (j) fv_buf_puts(pr->out, ", ");
        name(pr, pr->tensor[l->arg[j]]);
    }
    fv_buf_puts(pr->out, ")");
    if (l->schedule) {
        fv_buf_puts(pr->out, " schedule \"");
        fv_schedule_print(pr->p->ctx, l->schedule, pr->out);
        fv_buf_puts(pr->out, "\"");
    }
    if (l->flops > 0) {
        fv_buf_puts(pr->out, " flops ");
        fv_buf_double(pr->out, l->flops);
    }
    if (l->bytes > 0) {
        fv_buf_puts(pr->out, " bytes ");
        fv_buf_double(pr->out, l->bytes);
    }
    fv_buf_puts(pr->out, "\n");
}

void fv_plan_print(const fv_plan *p, fv_buf *out, bool kernels) {
    static const char *const PLAN[] = {"prepare", "run"};
    printer pr = {.p = p, .out = out};
    name_tensors(&pr);
    name_kernels(&pr);
    fv_buf_puts(out, "plan {\n");
    if (p->prepared_bytes) fv_buf_printf(out, "  prepared_bytes %lld\n", (long long)p->prepared_bytes);
    if (p->arena_bytes) fv_buf_printf(out, "  arena_bytes %lld\n", (long long)p->arena_bytes);
    for (int t = 0; t < p->n_tensors; t++) tensor(&pr, t);
    for (int which = 0; which < 2; which++) {
        fv_buf_printf(out, "  %s {\n", PLAN[which]);
        for (int j = 0; j < p->n_launches[which]; j++) launch(&pr, p->launch[which][j], pr.kernel_of[which][j]);
        fv_buf_puts(out, "  }\n");
    }
    fv_buf_puts(out, "}\n");
    for (int j = 0; kernels && j < pr.n_kernels; j++) {
        fv_str own = pr.kernel[j]->name;
        pr.kernel[j]->name = pr.kernel_name[j];
        fv_kernel_print(pr.kernel[j], out);
        pr.kernel[j]->name = own;
    }
}
