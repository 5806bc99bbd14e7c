/* See fuzz.h. */
#define _DEFAULT_SOURCE
#include "tests/fuzz/fuzz.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

/* -- Corpus -- */
void fv_corpus_add(fv_corpus *c, const char *name, const char *data, size_t n) {
    if (c->n == c->cap) {
        int cap = c->cap ? 2 * c->cap : 64;
        fv_sample *grown = realloc(c->item, sizeof *grown * (size_t)cap);
        if (!grown) return;
        c->item = grown;
        c->cap = cap;
    }
    fv_sample s = {strdup(name), malloc(n + 1), n};
    if (!s.data) return;
    memcpy(s.data, data, n);
    s.data[n] = 0;
    c->item[c->n++] = s;
}
static void add_file(fv_corpus *c, const char *path, size_t most) {
    FILE *f = fopen(path, "rb");
    fv_buf b = {0};
    char chunk[4096];
    for (size_t n; f && (n = fread(chunk, 1, sizeof chunk, f)) > 0;) fv_buf_putn(&b, chunk, n);
    if (f) fclose(f);
    if (b.len) fv_corpus_add(c, path, b.text, most && b.len > most ? most : b.len);
    fv_buf_dispose(&b);
}
void fv_corpus_add_files(fv_corpus *c, const char *folder, const char *suffix, size_t most) {
    struct dirent **list;
    int n = scandir(folder, &list, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char path[1024];
        size_t len = strlen(list[i]->d_name), tail = strlen(suffix);
        snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name);
        if (list[i]->d_name[0] == '.') {
        } else if (list[i]->d_type == DT_DIR) fv_corpus_add_files(c, path, suffix, most);
        else if (len >= tail && !strcmp(list[i]->d_name + len - tail, suffix)) add_file(c, path, most);
        free(list[i]);
    }
    if (n >= 0) free(list);
}

/* -- Mutations -- */
fv_random fv_random_start(uint64_t seed) { return (fv_random){seed * UINT64_C(0x9e3779b97f4a7c15) + 0x1234567}; }
uint64_t fv_random_bits(fv_random *r) {
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
int fv_random_below(fv_random *r, int n) { return n > 0 ? (int)(fv_random_bits(r) % (uint64_t)n) : 0; }

static void splice(char **s, size_t *n, size_t at, size_t gone, const char *with, size_t m) {
    char *out = malloc(*n - gone + m + 1);
    if (!out) return;
    memcpy(out, *s, at);
    memcpy(out + at, with, m);
    memcpy(out + at + m, *s + at + gone, *n - at - gone);
    *n = *n - gone + m;
    out[*n] = 0;
    free(*s);
    *s = out;
}
static size_t place(fv_random *r, size_t n) { return n ? (size_t)(fv_random_bits(r) % n) : 0; }
/* The run of letters, or of digits, that begins at or after a random place. */
static bool word(fv_random *r, const char *s, size_t n, bool digits, size_t *at, size_t *len) {
    size_t i = place(r, n);
    for (; i < n && !(digits ? isdigit((unsigned char)s[i]) : isalpha((unsigned char)s[i])); i++) {}
    size_t e = i;
    for (; e < n && (isalnum((unsigned char)s[e]) || s[e] == '_' || (digits && s[e] == '.')); e++) {}
    *at = i;
    *len = e - i;
    return e > i;
}
static void change(fv_random *r, const fv_corpus *c, char **s, size_t *n, bool text) {
    static const char *const numbers[] = {"0",
                                          "1",
                                          "-1",
                                          "2",
                                          "7",
                                          "63",
                                          "64",
                                          "255",
                                          "4096",
                                          "65537",
                                          "2147483647",
                                          "2147483648",
                                          "-2147483648",
                                          "4294967296",
                                          "9223372036854775807",
                                          "9223372036854775808",
                                          "99999999999999999999",
                                          "1e308",
                                          "1e-320",
                                          "0.1",
                                          "nan",
                                          "inf",
                                          "0x7f",
                                          ""};
    size_t at = place(r, *n), len, from, many;
    char byte;
    switch (fv_random_below(r, text ? 8 : 6)) {
    case 0:
        byte = (char)(text && fv_random_below(r, 8) ? ' ' + fv_random_below(r, 95) : fv_random_below(r, 256));
        splice(s, n, at, *n > at, &byte, 1);
        break;
    case 1: splice(s, n, at, *n > at ? 1 + place(r, *n - at < 24 ? *n - at : 24) : 0, "", 0); break;
    case 2: { /* a span once more, somewhere */
        len = *n > at ? 1 + place(r, *n - at < 60 ? *n - at : 60) : 0;
        char copy[64];
        if (at + len > *n) len = *n - at;
        memcpy(copy, *s + at, len);
        splice(s, n, place(r, *n + 1), 0, copy, len);
        break;
    }
    case 3:
        if (*n) (*s)[at] = (char)((*s)[at] ^ (1 << fv_random_below(r, text ? 7 : 8)));
        break;
    case 4: { /* the rest of another sample, or the end cut off */
        const fv_sample *o = &c->item[fv_random_below(r, c->n)];
        from = place(r, o->n);
        many = o->n - from < 200 ? o->n - from : 200;
        if (fv_random_below(r, 4)) splice(s, n, at, 0, o->data + from, many);
        else splice(s, n, at, *n - at, "", 0);
        break;
    }
    case 5:
    case 6:
        if (!word(r, *s, *n, true, &at, &len)) break;
        const char *v = numbers[fv_random_below(r, (int)(sizeof numbers / sizeof *numbers))];
        splice(s, n, at, len, v, strlen(v));
        break;
    default: { /* one word becomes another of the corpus */
        const fv_sample *o = fv_random_below(r, 2) ? &c->item[fv_random_below(r, c->n)] : NULL;
        const char *p = o ? o->data : *s;
        size_t size = o ? o->n : *n, wat, wlen;
        char copy[64];
        if (!word(r, *s, *n, false, &at, &len) || !word(r, p, size, false, &wat, &wlen) || wlen > sizeof copy) break;
        memcpy(copy, p + wat, wlen);
        splice(s, n, at, len, copy, wlen);
        break;
    }
    }
}
char *fv_mutate(fv_random *r, const fv_corpus *c, const fv_sample *s, bool text, size_t *out_n) {
    char *p = malloc(s->n + 1);
    if (!p) abort();
    memcpy(p, s->data, s->n + 1);
    *out_n = s->n;
    for (int changes = fv_random_below(r, 10) < 6 ? 1 : 1 + fv_random_below(r, 6); changes > 0; changes--)
        change(r, c, &p, out_n, text);
    return p;
}

/* -- Driver -- */
typedef struct {
    fv_fuzz_case *one;
    uint64_t from;
    int count;
} batch;
static fv_diff_verdict run_batch(void *user, fv_buf *report) {
    const batch *b = user;
    bool fine = true;
    for (int i = 0; i < b->count; i++) {
        fv_buf why = {0};
        if (!b->one(b->from + (uint64_t)i, &why)) {
            fv_buf_printf(report, "seed %llu: %s\n", (unsigned long long)(b->from + (uint64_t)i),
                          why.text ? why.text : "");
            fine = false;
        }
        fv_buf_dispose(&why);
    }
    return fine ? FV_DIFF_AGREES : FV_DIFF_WRONG;
}
/* A batch that crashed is split until single cases are left. */
static int run_range(const char *name, batch b) {
    fv_buf report = {0};
    fv_diff_verdict v = fv_diff_isolated(run_batch, &b, b.count > 1 ? 60 : 20, &report);
    int bad = 0;
    bool died = v == FV_DIFF_WRONG && (!report.text || strncmp(report.text, "seed ", 5) ||
                                       strstr(report.text, "(signal ") || strstr(report.text, "ended with status"));
    if (died && b.count > 1) {
        batch left = {b.one, b.from, b.count / 2},
              right = {b.one, b.from + (uint64_t)(b.count / 2), b.count - b.count / 2};
        bad = run_range(name, left) + run_range(name, right);
    } else if (v == FV_DIFF_WRONG) {
        printf("%s seed %llu: %s\n", name, (unsigned long long)b.from, report.text ? report.text : "");
        fflush(stdout);
        bad = 1;
    }
    fv_buf_dispose(&report);
    return bad;
}
int fv_fuzz_main(int argc, char **argv, const char *name, fv_fuzz_case *one) {
    enum { BATCH = 64 };
    long long from = 0, count = 2000;
    double seconds = 1e9, begin = fv_now();
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--from")) from = atoll(argv[i + 1]);
        else if (!strcmp(argv[i], "--count")) count = atoll(argv[i + 1]);
        else if (!strcmp(argv[i], "--seconds")) {
            seconds = atof(argv[i + 1]);
            count = 1LL << 40;
        } else if (!strcmp(argv[i], "--one")) { /* in this process, for a debugger */
            fv_buf why = {0};
            bool fine = one((uint64_t)atoll(argv[i + 1]), &why);
            printf("%s\n", fine ? "fine" : why.text ? why.text : "wrong");
            fv_buf_dispose(&why);
            return !fine;
        }
    }
    int bad = 0;
    long long at = from;
    for (; at < from + count && fv_now() - begin < seconds; at += BATCH) {
        long long n = from + count - at;
        bad += run_range(name, (batch){one, (uint64_t)at, n < BATCH ? (int)n : BATCH});
    }
    printf("%s: seeds %lld to %lld, %d wrong, %.1f s\n", name, from, at - 1, bad, fv_now() - begin);
    return bad != 0;
}
