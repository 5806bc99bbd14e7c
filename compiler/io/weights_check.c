/* What to say when weights do not fit: names that are near, shapes, counts. Invariant: the work is bounded whatever the
 * file holds: distances are measured for ten names, against so many others. */
#include "io/weights.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* -- Names ---- */
enum { LONGEST = 255 };

int fv_edit_distance(const char *a, const char *b, int most) {
    size_t n = strlen(a), m = strlen(b);
    size_t gap = n > m ? n - m : m - n;
    if (n > LONGEST || m > LONGEST || gap > (size_t)most) return most + 1;
    int row[LONGEST + 1];
    for (size_t j = 0; j <= m; j++) row[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int diagonal = row[0], least = row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
            if (best < least) least = best;
        }
        if (least > most) return most + 1;
    }
    return row[m] <= most ? row[m] : most + 1;
}

const char *fv_nearest_name(const char *name, const char *const *names, int n) {
    size_t length = strlen(name);
    int most = length < 3 ? 1 : (int)((length < LONGEST ? length : LONGEST) / 3);
    const char *best = NULL;
    for (int i = 0; i < n && most > 0; i++) {
        int d = fv_edit_distance(name, names[i], most);
        if (d == 0 || d > most) continue;
        best = names[i];
        most = d - 1;
    }
    return best;
}

/* -- Comparing ---- */
enum { SHOWN = 10, SEARCHED = 5000 };

static const char *shape_text(fv_ctx *ctx, const int64_t *shape, int32_t rank) {
    fv_buf b = {0};
    fv_buf_puts(&b, "[");
    for (int32_t d = 0; d < rank; d++) {
        if (d) fv_buf_puts(&b, ", ");
        if (shape[d] < 0) fv_buf_puts(&b, "any");
        else fv_buf_printf(&b, "%" PRId64, shape[d]);
    }
    fv_buf_puts(&b, "]");
    const char *text = fv_strdup(ctx, b.text);
    fv_buf_dispose(&b);
    return text;
}

static bool fits(const fovea_stored *t, const fv_wanted *w) {
    if (t->rank != w->rank) return false;
    for (int32_t d = 0; d < t->rank; d++)
        if (w->shape[d] >= 0 && w->shape[d] != t->shape[d]) return false;
    return true;
}

typedef struct {
    const char *name;
    int32_t i;
} sorted_name;
static int by_name(const void *a, const void *b) {
    return strcmp(((const sorted_name *)a)->name, ((const sorted_name *)b)->name);
}

static void list_extra(fv_ctx *ctx, const fv_weights *w, const fv_wanted *wanted, int32_t n, fv_weights_report *r) {
    sorted_name *names = FV_NEWN(ctx, sorted_name, n + 1);
    for (int32_t i = 0; i < n; i++) names[i] = (sorted_name){wanted[i].name, i};
    if (n > 1) qsort(names, (size_t)n, sizeof *names, by_name);
    r->extra = FV_NEWN(ctx, const char *, fv_weights_count(w) + 1);
    for (int32_t i = 0; i < fv_weights_count(w); i++) {
        sorted_name key = {fv_weights_at(w, i)->name, 0};
        if (n == 0 || !bsearch(&key, names, (size_t)n, sizeof *names, by_name)) r->extra[r->n_extra++] = key.name;
    }
}

/* The nearest of the names that nobody wanted, those of the shape that is missing before the others, and of all names
 * when none of these is near: most likely the same tensor, spelled differently. */
static const char *nearest(fv_ctx *ctx, const fv_weights *w, const fv_wanted *one, const fv_weights_report *r) {
    int32_t extras = r->n_extra < SEARCHED ? r->n_extra : SEARCHED, n = 0;
    int32_t all = fv_weights_count(w) < SEARCHED ? fv_weights_count(w) : SEARCHED;
    const char **names = FV_NEWN(ctx, const char *, all + 1);
    for (int32_t i = 0; i < extras; i++)
        if (fits(fv_weights_find(w, r->extra[i]), one)) names[n++] = r->extra[i];
    const char *near = fv_nearest_name(one->name, names, n);
    if (!near) near = fv_nearest_name(one->name, r->extra, extras);
    for (n = 0; !near && n < all; n++) names[n] = fv_weights_at(w, n)->name;
    return near ? near : fv_nearest_name(one->name, names, n);
}
static void note_missing(fv_ctx *ctx, const fv_weights *w, const fv_wanted *one, const fv_weights_report *r) {
    const char *shape = shape_text(ctx, one->shape, one->rank), *why = fv_weights_unread(w, one->name);
    if (why) {
        fv_note(ctx, one->loc, "\"%s\" %s is in the file, but is %s, which is not read", one->name, shape, why);
        return;
    }
    const char *near = nearest(ctx, w, one, r);
    if (!near) {
        fv_note(ctx, one->loc, "\"%s\" %s is missing; no name is near", one->name, shape);
        return;
    }
    const fovea_stored *t = fv_weights_find(w, near);
    fv_note(ctx, one->loc, "\"%s\" %s is missing; the nearest name is \"%s\"%s%s", one->name, shape, near,
            fits(t, one) ? "" : " ", fits(t, one) ? "" : shape_text(ctx, t->shape, t->rank));
}

/* A prefix that stored names have and wanted ones lack, if at least half of what is missing is there under it. */
static void note_prefix(fv_ctx *ctx, const fv_weights *w, const fv_wanted *wanted, int32_t n,
                        const fv_weights_report *r) {
    const char *name = NULL, *stored = NULL;
    for (int32_t i = 0; i < n && !name; i++)
        if (!fv_weights_find(w, wanted[i].name)) name = wanted[i].name;
    size_t k = name ? strlen(name) : 0, length = 0;
    for (int32_t i = 0; name && i < r->n_extra && !stored; i++) {
        length = strlen(r->extra[i]);
        if (length > k + 1 && r->extra[i][length - k - 1] == '.' && !strcmp(r->extra[i] + length - k, name))
            stored = r->extra[i];
    }
    if (!stored) return;
    int32_t there = 0;
    fv_buf b = {0};
    for (int32_t i = 0; i < n; i++) {
        if (fv_weights_find(w, wanted[i].name)) continue;
        b.len = 0;
        fv_buf_putn(&b, stored, length - k);
        fv_buf_puts(&b, wanted[i].name);
        there += fv_weights_find(w, b.text) != NULL;
    }
    fv_buf_dispose(&b);
    if (2 * there >= r->missing)
        fv_note(ctx, (fv_loc){0}, "%d of the %d missing are stored under the prefix \"%.*s\"", there, r->missing,
                (int)(length - k), stored);
}

bool fv_weights_check(fv_ctx *ctx, const fv_weights *w, const fv_wanted *wanted, int32_t n, fv_weights_report *report) {
    fv_weights_report own, *r = report ? report : &own;
    *r = (fv_weights_report){0};
    list_extra(ctx, w, wanted, n, r);
    for (int32_t i = 0; i < n; i++) {
        const fovea_stored *t = fv_weights_find(w, wanted[i].name);
        if (!t) r->missing++;
        else if (!fits(t, &wanted[i])) r->misshapen++;
    }
    if (r->missing == 0 && r->misshapen == 0) return true;
    fv_error(ctx, FV_E_WEIGHTS, (fv_loc){0},
             "%s: of %d parameters, %d are missing and %d have another shape (%d of %d stored tensors are not used)",
             fv_weights_path(w), n, r->missing, r->misshapen, r->n_extra, fv_weights_count(w));
    for (int32_t i = 0; fv_weights_note(w, i); i++) fv_note(ctx, (fv_loc){0}, "%s", fv_weights_note(w, i));
    int32_t missing = 0, misshapen = 0;
    for (int32_t i = 0; i < n; i++) {
        const fovea_stored *t = fv_weights_find(w, wanted[i].name);
        if (!t && missing++ < SHOWN) note_missing(ctx, w, &wanted[i], r);
        if (t && !fits(t, &wanted[i]) && misshapen++ < SHOWN)
            fv_note(ctx, wanted[i].loc, "\"%s\" must have shape %s, is stored with %s", wanted[i].name,
                    shape_text(ctx, wanted[i].shape, wanted[i].rank), shape_text(ctx, t->shape, t->rank));
    }
    if (missing > SHOWN) fv_note(ctx, (fv_loc){0}, "%d more are missing", missing - SHOWN);
    if (misshapen > SHOWN) fv_note(ctx, (fv_loc){0}, "%d more have another shape", misshapen - SHOWN);
    if (missing) note_prefix(ctx, w, wanted, n, r);
    return false;
}
