/* Launches that can run one compiled kernel: equal kernel text and schedule, but for names that change nothing (of the
 * kernel, of its tensors
 * and their dimensions). Leaves `code`: dense numbers over both plans, in order of first use. */
#include "plan/plan_internal.h"

#include <string.h>

/* The names of a kernel, put aside while it is printed under neutral ones. */
typedef struct { fv_str kernel; fv_str *tensor, (*dim)[FV_MAX_AXES]; } saved_names;

static saved_names neutral_names(fv_kernel *k) {
    fv_ctx *c = k->ctx;
    saved_names s = {.kernel = k->name, .tensor = FV_NEWN(c, fv_str, k->n_tensors + 1)};
    s.dim = fv_alloc(c, sizeof *s.dim * (size_t)(k->n_tensors + 1));
    k->name = fv_intern(c, "k");
    for (int j = 0; j < k->n_tensors; j++) {
        fv_tensor *t = k->tensor[j];
        s.tensor[j] = t->obj.name;
        memcpy(s.dim[j], t->dim, sizeof t->dim);
        t->obj.name = fv_internf(c, "T'%d", j);
        for (int i = 0; i < t->obj.rank; i++) t->dim[i] = fv_internf(c, "d%d", i);
    }
    return s;
}

static void restore_names(fv_kernel *k, const saved_names *s) {
    k->name = s->kernel;
    for (int j = 0; j < k->n_tensors; j++) {
        k->tensor[j]->obj.name = s->tensor[j];
        memcpy(k->tensor[j]->dim, s->dim[j], sizeof s->dim[j]);
    }
}

/* A schedule that speaks of tensors speaks of their neutral names too. */
static void print_schedule(fv_ctx *c, const fv_launch *l, const saved_names *names, fv_buf *out) {
    if (!l->schedule) return;
    fv_schedule s = *l->schedule;
    s.entry = FV_NEWN(c, fv_sched_entry, s.n + 1);
    for (int j = 0; j < s.n; j++) {
        s.entry[j] = l->schedule->entry[j];
        for (int i = 0; i < l->kernel->n_tensors; i++)
            if (s.entry[j].subject.i && fv_str_eq(s.entry[j].subject, names->tensor[i]))
                s.entry[j].subject = fv_internf(c, "T'%d", i);
    }
    fv_schedule_print(c, &s, out);
}

char *fv_launch_key(fv_ctx *c, const fv_launch *l) {
    fv_buf b = {0};
    saved_names names = neutral_names(l->kernel);
    fv_kernel_print(l->kernel, &b);
    print_schedule(c, l, &names, &b);
    restore_names(l->kernel, &names);
    char *key = fv_strdup(c, b.text);
    fv_buf_dispose(&b);
    return key;
}

fv_schedule *fv_launch_schedule(fv_ctx *c, const fv_launch *l) {
    const fv_schedule *own = l->schedule;
    fv_schedule *s = fv_schedule_new(c, own ? fv_cstr(c, own->strategy) : "");
    for (int i = 0; i < l->n_tiles; i++)
        fv_schedule_set_int(c, s, FV_F_TILE, fv_cstr(c, l->tile[i].axis), l->tile[i].tile);
    for (int i = 0; own && i < own->n; i++)
        fv_schedule_set(c, s, own->entry[i].field, own->entry[i].subject, own->entry[i].item, own->entry[i].n);
    return s;
}

int fv_plan_share(fv_plan *p) {
    char **key = FV_NEWN(p->ctx, char *, p->n_launches[0] + p->n_launches[1] + 1);
    int n = 0;
    for (int which = 0; which < 2; which++)
        for (int j = 0; j < p->n_launches[which]; j++) {
            fv_launch *l = p->launch[which][j];
            char *text = fv_launch_key(p->ctx, l);
            for (l->code = 0; l->code < n && strcmp(key[l->code], text) != 0;) l->code++;
            if (l->code == n) key[n++] = text;
        }
    return n;
}
