/* driver: from a graph to a model that runs in this process, on any backend. What the command line, the tests and the
 * benchmarks call. */
#ifndef FV_DRIVER_H
#define FV_DRIVER_H
#include "backends/backend.h"
#include "graph/graph.h"
#include "lower/lower.h"
#include "runtime/fovea.h"

/* Called with the plan of a lowering by default: gives the plan to use, `plain` or another one of the same graph, and
 * leaves in *o what that one was lowered with. */
typedef fv_plan *fv_replan(void *user, fv_graph *g, fv_str entry, fv_lower_options *o, fv_plan *plain);

typedef struct {
    const char *backend;         /* "cpu" (NULL), or another name of fv_backends */
    const char *target;          /* NULL: the host */
    const char *cache_dir;       /* NULL: no cache */
    const char *device;          /* see fv_compile_options */
    bool portable;               /* see fv_compile_options */
    const char *attend_strategy; /* see lower.h */
    fv_type storage;             /* FV_VOID: f32; see lower.h */
    int64_t storage_small;
    bool no_pairs;
    bool no_row_sharing;
    const fv_schedule *const *wish; /* schedules over the defaults, by group; see lower.h */
    int n_wish;
    fv_replan *replan; /* NULL: none */
    void *replan_user;
    bool keep_text; /* for `show` */
    int64_t code_bytes; /* see fv_compile_options; of a family, for each of its programs */
    bool verify;    /* verify every kernel between the levels */
} fv_driver_options;

/* Programs for several extents in one module. */
typedef struct {
    fovea_shapes shapes;
    const fv_plan_part *part; /* by program: its launches among those of the whole plan */
} fv_family;

typedef struct {
    const fv_backend *backend;
    const fv_target *target;
    fv_lower_options lower; /* what was considered */
    fv_plan *plan;
    fv_module *module;
    fovea_program program; /* valid while this lives */
    fv_family *family;     /* NULL: one program; else `plan` is that of all, and `program` the first of them */
    double lower_seconds, compile_seconds;
    fv_compile_stats stats;
    void *memory; /* of the program's tables */
} fv_compiled;

/* Lowers and compiles one entry ({0}: the only one). false after recording errors; *out is empty then. */
bool fv_compile(fv_ctx *ctx, fv_graph *g, fv_str entry, const fv_driver_options *o, fv_compiled *out);
/* The second half of fv_compile: code and program of the plan that *io has (fv_compile_plan, or another plan in its
 * place). false after recording errors. */
bool fv_compile_code(fv_ctx *ctx, const char *name, const fv_driver_options *o, fv_compiled *io);
/* Code and programs of several plans of one model (fv_compile_plan), as one: their parameters and what prepare makes
 * are shared. shapes: what they are for; its programs are left in *out, which is otherwise like `planned[0]`. label[i]
 * names plan i in messages. false after recording errors. */
bool fv_compile_family(fv_ctx *ctx, const char *name, const fv_driver_options *o, const fv_compiled *planned,
                       const char *const *label, const fovea_shapes *shapes, fv_compiled *out);
void fv_compiled_dispose(fv_compiled *c);

/* The prepare stage of `of`, compiled for this process whatever processor or device `of` is for: the same plan, so that what it
 * packs is what of's runs read. out->program can be loaded and bound, and must not be run. of stays as it is and must
 * outlive *out. false after recording errors. */
bool fv_compile_prepare(fv_ctx *ctx, const fv_compiled *of, const char *cache_dir, fv_compiled *out);

/* Lowers only: no backend is called beyond its facts. */
bool fv_compile_plan(fv_ctx *ctx, fv_graph *g, fv_str entry, const fv_driver_options *o, fv_compiled *out);

/* Seconds of a monotonic clock. */
double fv_now(void);
#endif
