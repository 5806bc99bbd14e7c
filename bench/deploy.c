/* What bench/run deploy compiles with a library that it built as "model": the time from opening the weights to the
 * first answer, and the median of later runs, in milliseconds. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "model.h"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}
static int order(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
int main(int argc, char **argv) { /* weights: prints "open first run"; with a second argument runs is timed */
    static float in[MODEL_INPUT_0_BYTES / 4], out[MODEL_OUTPUT_0_BYTES / 4];
    const void *ins[] = {in};
    void *outs[] = {out};
    fovea_model *m = NULL;
    fovea_error e;
    double begin = now();
    if (argc < 2 || model_open(argv[1], NULL, &m, &e))
        return fprintf(stderr, "%s\n", argc < 2 ? "weights?" : e.text), 1;
    double opened = now();
    if (model_run(m, ins, outs, &e)) return fprintf(stderr, "%s\n", e.text), 1;
    enum { RUNS = 21 };
    double first = now(), run[RUNS] = {0};
    for (int i = 0; i < (argc > 2 ? RUNS : 0); i++) {
        double t = now();
        if (model_run(m, ins, outs, &e)) return 1;
        run[i] = now() - t;
    }
    qsort(run, RUNS, sizeof *run, order);
    printf("%.3f %.3f %.3f\n", opened - begin, first - begin, run[RUNS / 2]);
    model_dispose(m);
    return 0;
}
