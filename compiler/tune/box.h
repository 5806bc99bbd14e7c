/* box: what a loop nest touches of one array, as boxes over the array's dimensions, and the cache lines in them. */
#ifndef FV_TUNE_BOX_H
#define FV_TUNE_BOX_H
#include "expr/expr.h"

enum { FV_BOX_DIMS = 8, FV_LINE_BYTES = 64 };

/* Dimensions of an array by falling stride (elements), the last one 1. */
typedef struct {
    int n, width; /* width: bytes of an element */
    int64_t stride[FV_BOX_DIMS];
    double bytes; /* of the whole array */
} fv_array;
/* extent: >= 0; of more than FV_BOX_DIMS dimensions some before the innermost are left out. */
fv_array fv_array_of(int width, int rank, const int64_t *extent, const int64_t *stride);

typedef struct {
    int64_t at;                 /* element of the lowest corner */
    int64_t reach[FV_BOX_DIMS]; /* steps of the dimension beyond it */
} fv_box;
/* Widens b by values 0..reach of a term coef * value. */
void fv_box_extend(const fv_array *a, fv_box *b, int64_t coef, int64_t reach);
/* Steps beyond the end of an inner dimension become steps of the next outer one. Once, after the last extension. */
void fv_box_carry(const fv_array *a, fv_box *b);
double fv_box_bytes(const fv_array *a, const fv_box *b); /* in whole lines */

/* The union of many boxes: a few of them, which do not overlap much. */
enum { FV_BOX_MOST = 6 };
typedef struct {
    int n;
    fv_box box[FV_BOX_MOST];
} fv_boxes;
void fv_boxes_add(const fv_array *a, fv_boxes *list, const fv_box *b);
double fv_boxes_bytes(const fv_array *a, const fv_boxes *list); /* no more than the whole array */
#endif
