/* Storage of values, boxes and strides. Invariant: data of absent elements is 0. */
#include "ref.h"

#include <stdlib.h>

bool ref_fail(ref_run *r, const char *fmt, ...) {
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fv_error(r->ctx, FV_E_RUN, r->node ? r->node->loc : (fv_loc){0}, "reference: %s", text);
    return false;
}
double *ref_doubles(ref_run *r, int64_t n) {
    double *p = n <= FV_RANGE_MAX / 8 ? calloc((size_t)(n ? n : 1), sizeof *p) : NULL;
    if (!p) ref_fail(r, "no memory for %lld numbers", (long long)n);
    return p;
}
unsigned char *ref_bytes(ref_run *r, int64_t n) {
    unsigned char *p = calloc((size_t)(n ? n : 1), 1);
    if (!p) ref_fail(r, "no memory for %lld bytes", (long long)n);
    return p;
}
void ref_free(ref_run *r, const fv_value *v) {
    ref_store *s = &r->at[v->id];
    free(s->data);
    free(s->exists);
    *s = (ref_store){0};
}
bool ref_alloc(ref_run *r, const fv_value *v) {
    ref_free(r, v);
    ref_store *s = &r->at[v->id];
    s->data = ref_doubles(r, fv_value_count(v));
    if (s->data && v->partial) s->exists = ref_bytes(r, fv_value_count(v));
    return s->data && (!v->partial || s->exists);
}

void ref_box_add(ref_box *b, const fv_axis *axis, int n) {
    for (int i = 0; i < n; i++) if (ref_box_find(b, axis[i].name) < 0) b->axis[b->n++] = axis[i];
}
int ref_box_find(const ref_box *b, fv_str name) {
    for (int i = 0; i < b->n; i++) if (fv_str_eq(b->axis[i].name, name)) return i;
    return -1;
}
int64_t ref_box_count(const ref_box *b) {
    int64_t n = 1;
    for (int i = 0; i < b->n; i++) n *= b->axis[i].extent;
    return n;
}
void ref_strides(const ref_box *b, const fv_axis *axis, int n, int64_t *stride) {
    int64_t s = 1;
    for (int i = 0; i < b->n; i++) stride[i] = 0;
    for (int i = n - 1; i >= 0; i--) {
        int at = ref_box_find(b, axis[i].name);
        if (at >= 0) stride[at] = s;
        s *= axis[i].extent;
    }
}
