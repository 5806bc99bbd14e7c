/* Shared by the files that put products on a matrix unit of sub-groups (items_mma.c, items_copy.c) only. */
#ifndef FV_ITEMS_UNIT_H
#define FV_ITEMS_UNIT_H
#include "kernel/items.h"

const fv_expr *it_num(it *f, int64_t v);
const fv_expr *it_simple(it *f, const fv_expr *e);
const fv_expr *it_quotient(it *f, const fv_expr *e, int64_t by);
const fv_expr *it_rest(it *f, const fv_expr *e, int64_t by);
const fv_expr *it_counter(it *f, const char *stem, int64_t n); /* the variable of a loop from 0 to n that begins here */
const fv_expr *it_below(it *f, const fv_expr *e, int64_t n);   /* e < n; NULL: always */
/* Offsets of the axes from their number x, the last fastest; what a valid point needs is added to *valid. */
void it_decode(it *f, const fv_str *axes, int n, const fv_expr *x, bool named, const fv_expr **valid);
void it_assume(it *f, const fv_str *axes, int n); /* the offsets of the axes are those of a valid point */
fv_flat *it_put(it *f, fv_memory *m, const fv_expr *at, const fv_expr *v);

/* Operand `which` (0 A, 1 B), from reduced point `from` on, into the copy `half` of it, where `cond` (NULL: always). */
void it_copy_operand(it *f, const it_product *p, int which, int half, const fv_expr *from, const fv_expr *cond);
#endif
