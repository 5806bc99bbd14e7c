/* What it takes to start a kernel, through the runtime: launches whose programs, one for each thread, do the same small
 * work, beside launches of one program on one thread. An empty program would measure less: the calling thread would
 * have taken all of them before another woke up. See cost.h. */
#include "tune/cost.h"

#include "runtime/fovea.h"
#include "runtime/program.h"

enum { LAUNCHES = 8, RUNS = 25, STEPS = 8000 /* some 10 us */ };

static void nothing(void *const *args, int64_t begin, int64_t end, void *scratch) {
    (void)args;
    (void)begin;
    (void)end;
    (void)scratch;
}
static void work(void *const *args, int64_t begin, int64_t end, void *scratch) {
    nothing(args, begin, end, scratch);
    volatile double keep = 1;
    for (int64_t i = begin; i < end; i++) {
        double x = keep;
        for (int j = 0; j < STEPS; j++) x = x * 0.999999 + 1e-6;
        keep = x;
    }
}
/* The least seconds of a launch on so many threads. */
static double seconds_of(fovea_kernel *kernel, int threads) {
    fovea_launch launch[LAUNCHES];
    int64_t ns[LAUNCHES] = {0}, least = 0;
    fovea_model *model = NULL;
    fovea_options o = {.threads = threads};
    fovea_error e;
    for (int i = 0; i < LAUNCHES; i++) launch[i] = (fovea_launch){.kernel = kernel, .programs = threads, .label = ""};
    fovea_program program = {.name = "start", .run = launch, .n_run = LAUNCHES};
    if (fovea_model_load(&program, &o, &model, &e)) return 0;
    bool fine = fovea_model_bind(model, NULL, 0, &e) == FOVEA_OK;
    fovea_model_profile(model, ns);
    for (int run = 0; run < RUNS && fine; run++) {
        fine = fovea_model_run(model, NULL, 0, NULL, 0, &e) == FOVEA_OK;
        for (int i = 0; i < LAUNCHES; i++)
            if (!least || ns[i] < least) least = ns[i];
    }
    fovea_model_dispose(model);
    return fine ? 1e-9 * (double)least : 0;
}
fv_start fv_cost_start(int threads) {
    fv_start s = {.alone = seconds_of(nothing, 1)};
    double more = threads < 2 ? 0 : seconds_of(work, threads) - seconds_of(work, 1);
    s.together = more > 0 ? s.alone + more : s.alone;
    return s;
}
