/* Laws of plans: arguments fit parameters, memory is written before it is read and only by those who may, outputs are
 * written.
 * Invariant: a plan without faults can be executed in order, prepare once and run any number of times. */
#include "plan/plan_internal.h"

typedef struct { fv_plan *p; bool *written; int faults; fv_loc loc; } verifier;

static void fault(verifier *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fault(verifier *v, const char *fmt, ...) {
    fv_buf b = {0};
    char text[500];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    fv_buf_puts(&b, text);
    fv_error(v->p->ctx, FV_E_KERNEL, v->loc, "plan: %s", b.text);
    fv_buf_dispose(&b);
    v->faults++;
}

static const char *name(const verifier *v, fv_str s) { return fv_cstr(v->p->ctx, s); }

static void tensor(verifier *v, const fv_plan_tensor *t) {
    const char *n = name(v, t->name);
    v->loc = t->loc;
    if (t->rank < 0 || t->rank > FV_MAX_AXES) { fault(v, "'%s' has %d dimensions", n, t->rank); return; }
    if (t->type <= FV_VOID || t->type >= FV_TYPE_COUNT) fault(v, "'%s' has no type", n);
    for (int j = 0; j < t->rank; j++)
        if (t->extent[j] < 0 || t->stride[j] < 0) fault(v, "'%s' has a negative extent or stride", n);
    if (t->bytes < fv_plan_tensor_elements(t) * fv_type_bytes(t->type))
        fault(v, "'%s' has fewer bytes than its strides span", n);
    if (t->kind == FV_MEM_CONST && !t->data && fv_plan_tensor_elements(t)) fault(v, "the constant '%s' has no data", n);
    if (fv_mem_is_ours(t->kind) && t->offset % 64)
        fault(v, "'%s' lies at %lld, no multiple of 64", n, (long long)t->offset);
}

/* Who may write and read what: prepare knows no inputs and outputs, and run leaves what is prepared as it is. */
static void access_law(verifier *v, int which, const fv_plan_tensor *t, bool writes, bool reads, bool *written) {
    const char *n = name(v, t->name);
    bool given = t->kind == FV_MEM_INPUT || t->kind == FV_MEM_PARAM || t->kind == FV_MEM_CONST;
    if (which == 0 && (t->kind == FV_MEM_INPUT || t->kind == FV_MEM_OUTPUT))
        fault(v, "prepare touches '%s', which only run knows", n);
    if (writes && given) fault(v, "'%s' is given and is written", n);
    if (writes && which == 1 && t->kind == FV_MEM_PREPARED) fault(v, "run writes '%s', which is prepared", n);
    if (reads && !given && !*written) fault(v, "'%s' is read before anything wrote it", n);
    if (writes) *written = true;
}

static void argument(verifier *v, const fv_launch *l, int j) {
    const fv_plan_tensor *t = v->p->tensor[l->arg[j]];
    const fv_tensor *k = l->kernel->tensor[j];
    const char *n = name(v, t->name), *kn = name(v, k->obj.name);
    if (t->type != k->obj.type)
        fault(v, "'%s' is %s and '%s' of the kernel is %s", n, fv_type_name(t->type), kn, fv_type_name(k->obj.type));
    if (fv_tensor_elements(k) > fv_plan_tensor_elements(t) && fv_tensor_elements(k) * fv_type_bytes(t->type) > t->bytes)
        fault(v, "'%s' of the kernel spans %lld elements, '%s' has %lld", kn, (long long)fv_tensor_elements(k), n,
              (long long)fv_plan_tensor_elements(t));
    if (k->padded && !fv_mem_is_ours(t->kind))
        fault(v, "'%s' is read past its end and has no guard: it is not the plan's own", n);
    if (k->obj.ranged && t->kind == FV_MEM_INPUT && (k->obj.lo > 0 || !t->index_bound ||
                                                     t->index_bound - 1 > k->obj.hi))
        fault(v, "the kernel relies on '%s' lying in %lld..%lld, and nothing checks it", n, (long long)k->obj.lo,
              (long long)k->obj.hi + 1);
}

static void launch(verifier *v, int which, const fv_launch *l) {
    v->loc = l->loc;
    if (!l->kernel || l->n_args != l->kernel->n_tensors) {
        fault(v, "a launch of '%s' has %d arguments, not %d", l->kernel ? name(v, l->kernel->name) : "nothing",
              l->n_args,
              l->kernel ? l->kernel->n_tensors : 0);
        return;
    }
    for (int j = 0; j < l->n_args; j++)
        if (l->arg[j] < 0 || l->arg[j] >= v->p->n_tensors) {
            fault(v, "argument %d is no tensor of the plan", j);
            return;
        }
    for (int j = 0; j < l->n_args; j++) argument(v, l, j);
    for (int pass = 0; pass < 2; pass++)                /* reads of a launch come before its writes */
        for (int j = 0; j < l->n_args; j++) {
            bool in = l->kernel->tensor[j]->role != FV_ROLE_OUT, out = l->kernel->tensor[j]->role != FV_ROLE_IN;
            if (pass == 0 ? in : out)
                access_law(v, which, v->p->tensor[l->arg[j]], pass == 1, pass == 0, &v->written[l->arg[j]]);
            for (int i = 0; pass == 1 && out && i < l->n_args; i++)
                if (i != j && l->arg[i] == l->arg[j] && (i > j || l->kernel->tensor[i]->role == FV_ROLE_IN))
                    fault(v, "'%s' is written and is another argument of the same launch",
                          name(v, v->p->tensor[l->arg[j]]->name));
        }
}

int fv_plan_verify(fv_plan *p) {
    verifier v = {.p = p, .written = FV_NEWN(p->ctx, bool, p->n_tensors + 1)};
    for (int t = 0; t < p->n_tensors; t++) tensor(&v, p->tensor[t]);
    if (v.faults) return v.faults;
    for (int which = 0; which < 2; which++)
        for (int j = 0; j < p->n_launches[which]; j++) launch(&v, which, p->launch[which][j]);
    for (int t = 0; t < p->n_tensors; t++) {
        v.loc = p->tensor[t]->loc;
        if (p->tensor[t]->kind == FV_MEM_OUTPUT && !v.written[t])
            fault(&v, "nothing writes the output '%s'", name(&v, p->tensor[t]->name));
    }
    fv_kernel **seen = FV_NEWN(p->ctx, fv_kernel *, p->n_launches[0] + p->n_launches[1] + 1);
    int n = 0;
    for (int which = 0; which < 2; which++)
        for (int j = 0; j < p->n_launches[which]; j++) {
            fv_kernel *k = p->launch[which][j]->kernel;
            bool known = !k;
            for (int i = 0; i < n; i++) known = known || seen[i] == k;
            if (!known) v.faults += fv_kernel_verify(seen[n++] = k);
        }
    return v.faults;
}
