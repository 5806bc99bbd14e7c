/* How near two kernels' texts are: those that differ in numbers alone are the same kernel at other extents. */
#include "tune/database_inside.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

/* A number of its own starts here: digits that belong to no name (f32, t3 are names). */
static bool starts(const char *text, const char *at) {
    return isdigit((unsigned char)*at) && (at == text || !(isalnum((unsigned char)at[-1]) || at[-1] == '_'));
}
static const char *digits(const char *at, double *value) {
    *value = 0;
    for (; isdigit((unsigned char)*at); at++) *value = *value * 10 + (*at - '0');
    return at;
}
int64_t fv_tune_mask(const char *text) {
    uint64_t h = FV_HASH_SEED;
    double ignored;
    for (const char *at = text; *at;) {
        bool number = starts(text, at);
        h = fv_hash(number ? "#" : at, 1, h);
        at = number ? digits(at, &ignored) : at + 1;
    }
    return (int64_t)h;
}
double fv_tune_distance(const char *a, const char *b) {
    double sum = 0, x, y;
    const char *p = a, *q = b;
    while (*p && *q) {
        bool number = starts(a, p);
        if (number != starts(b, q) || (!number && *p != *q)) return -1;
        if (number) {
            p = digits(p, &x);
            q = digits(q, &y);
            sum += fabs(log2((x + 1) / (y + 1)));
        } else {
            p++;
            q++;
        }
    }
    return *p || *q ? -1 : sum;
}
