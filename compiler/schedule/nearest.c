/* Suggestions for misspelt names: Levenshtein distance over short words. */
#include "schedule/nearest.h"

#include <string.h>

enum { MAX_WORD = 48, MAX_LISTED = 12 };

static int distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    if (n > MAX_WORD || m > MAX_WORD) return MAX_WORD;
    int row[MAX_WORD + 1];
    for (size_t j = 0; j <= m; j++) row[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[m];
}

const char *fv_nearest(fv_ctx *ctx, const char *word, const char *const *name, int n) {
    int limit = (int)strlen(word) / 3;
    if (limit < 1) limit = strlen(word) > 1;
    fv_buf out = {0};
    int found = 0;
    for (int d = 0; d <= limit && found < 3; d++)
        for (int j = 0; j < n && found < 3; j++)
            if (distance(word, name[j]) == d) fv_buf_printf(&out, "%s%s", found++ ? ", " : "; did you mean ", name[j]);
    if (found) fv_buf_puts(&out, "?");
    else if (n > 0 && n <= MAX_LISTED)
        for (int j = 0; j < n; j++) fv_buf_printf(&out, "%s%s", j ? ", " : "; known: ", name[j]);
    const char *text = out.text ? fv_strdup(ctx, out.text) : "";
    fv_buf_dispose(&out);
    return text;
}
