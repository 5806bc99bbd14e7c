/* Names of a kernel in scope. One name space for tensors, buffers, axes and scalars: a name means one thing in a whole
 * kernel. */
#include "kernel/tile_internal.h"
#include "schedule/nearest.h"

fv_name *fv_names_find(const fv_names *t, fv_str name) {
    for (int j = t->n - 1; j >= 0; j--)
        if (!t->item[j].gone && fv_str_eq(t->item[j].name, name)) return &t->item[j];
    return NULL;
}

bool fv_names_taken(const fv_names *t, fv_str name) {
    for (int j = 0; j < t->n; j++)
        if (fv_str_eq(t->item[j].name, name)) return true;
    return false;
}

void fv_names_add(fv_names *t, fv_name item) { fv_push(t->ctx, t->item, t->n, t->cap, item); }

void fv_names_leave(fv_names *t, int mark) {
    for (int j = mark; j < t->n; j++)
        if (t->item[j].kind == FV_NAME_AXIS || t->item[j].kind == FV_NAME_SCALAR) t->item[j].gone = true;
}

const char *fv_names_nearest(const fv_names *t, fv_str name) {
    const char **known = FV_NEWN(t->ctx, const char *, t->n + 1);
    int n = 0;
    for (int j = 0; j < t->n; j++)
        if (!t->item[j].gone) known[n++] = fv_cstr(t->ctx, t->item[j].name);
    return fv_nearest(t->ctx, fv_cstr(t->ctx, name), known, n);
}
