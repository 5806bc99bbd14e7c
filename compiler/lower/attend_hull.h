/* The hull of a tile of queries along one axis: the keys that any query of the tile sees, as one range that moves with
 * the tile. Found from the index expression alone: source = phase * (start(i) + tap) + g for query = phase * i + g,
 * with start monotone. */
#ifndef FV_LOWER_ATTEND_HULL_H
#define FV_LOWER_ATTEND_HULL_H
#include "lower/attend_program.h"

typedef struct {
    fv_axis query, tap;   /* the query axis, and the over axis of set 0 that it meets in an index */
    int64_t phase;        /* 1: i is the query axis itself */
    fv_str i, g, y;       /* axes in the kernel: query in its phase, phase, key of the hull */
    const fv_expr *start; /* over i and g */
    int64_t rows, keys;   /* queries of a tile; keys of the largest hull */
} attend_hull;
/* false: the axis has no such form in set 0 (or there are several sets); *why says which part fails. */
bool attend_hull_find(const attend *x, const fv_axis *query, int64_t rows, attend_hull *out, const char **why);
/* Declares grid axes (g, then i in tiles of rows) and the key axis; taps become y - start(i), the pair exists only
 * where that is one. */
void attend_hull_declare(attend_program *p, const attend_hull *h);
#endif
