/* What the mutation fuzzers share: a corpus of files, mutations of bytes and of words, and a driver that runs cases in
 * batches, each batch in a process of its own. Deterministic: the seed of a case and the corpus say everything. */
#ifndef FV_FUZZ_H
#define FV_FUZZ_H
#include "tests/fuzz/differential.h"

typedef struct {
    char *path, *data;
    size_t n;
} fv_sample;
typedef struct {
    fv_sample *item;
    int n, cap;
} fv_corpus;
/* Adds every file below `folder` whose name ends in `suffix`, in the order of names, each cut to `most` bytes (0:
 * whole). */
void fv_corpus_add_files(fv_corpus *c, const char *folder, const char *suffix, size_t most);
void fv_corpus_add(fv_corpus *c, const char *name, const char *data, size_t n); /* copied */

typedef struct {
    uint64_t state;
} fv_random;
fv_random fv_random_start(uint64_t seed);
uint64_t fv_random_bits(fv_random *r);
int fv_random_below(fv_random *r, int n);
/* A few changes to one sample: bytes, spans, numbers, words of another sample. malloc'ed, NUL behind the end. text:
 * keeps to printable bytes mostly. */
char *fv_mutate(fv_random *r, const fv_corpus *c, const fv_sample *s, bool text, size_t *out_n);

/* A case: true if all is well; otherwise it wrote why. Crashes and hangs are found by the driver. */
typedef bool fv_fuzz_case(uint64_t seed, fv_buf *why);
/* Arguments: [--seconds T] [--from S] [--count N] [--one S]. Prints the seeds of failures; the exit code is 1 if there
 * is one. */
int fv_fuzz_main(int argc, char **argv, const char *name, fv_fuzz_case *one);
#endif
