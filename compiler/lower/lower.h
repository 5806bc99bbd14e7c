/* lower: from a graph to a plan of kernels. Decides what is stored, which nodes form one kernel, the memory order of
 * every edge, and the strategy and schedule of every kernel. Strategies are rows of a table (strategies.c): each says
 * for a group whether it fits and why not, its default schedule, and how it is emitted; none looks at anything but the
 * group, the target's facts and the schedule. docs/architecture.md walks one construct through. */
#ifndef FV_LOWER_H
#define FV_LOWER_H
#include "graph/graph.h"
#include "kernel/flat.h"
#include "plan/plan.h"

/* One strategy considered for one node: chosen, or refused with the reason. */
typedef struct {
    fv_loc loc;
    const char *node, *strategy, *reason;
    bool chosen;
} fv_consideration;

/* What a lowering has decided, kept for lowering single groups again; lives as long as the context. */
typedef struct fv_lowering fv_lowering;

typedef struct {
    const fv_target *target;     /* facts; never NULL */
    const char *attend_strategy; /* NULL: by cost; else "box", "offset", "expand": for differential tests */
    bool no_row_sharing;         /* attend.offset: one query row per tile */
    fv_type storage;             /* of floats between kernels: FV_VOID or FV_F32: f32; FV_BF16, FV_F16: storage.c */
    bool no_pairs;               /* products of bf16 are computed in f32 even where the target multiplies pairs */
    int64_t storage_small;       /* values of fewer elements stay f32; 0: the default. Tests give 1 */
    /* Schedules over the defaults, by fv_launch.group of a lowering without them; NULL: the default. A wish says what
     * it wants otherwise: the strategy, tile sizes, entries of the schedule. */
    const fv_schedule *const *wish;
    int n_wish;
    int n_considered, cap_considered;
    fv_consideration *considered; /* filled: every choice made, in order */
    fv_lowering *kept;            /* filled */
} fv_lower_options;

/* Lowers the live part of one entry ({0}: the only one). Returns NULL after recording NOT_LOWERED or DECLINED errors
 * that name the node, or SCHEDULE errors for wishes that do not fit. */
fv_plan *fv_lower(fv_graph *g, fv_str entry, fv_lower_options *o);

/* One group once more, under a wish (NULL: the default), in a small part of the time. The plan has the tensors of the
 * kept one under their numbers, its prepare launches, and in its run the launches of this group alone (owner == group).
 * NULL after recording errors. */
fv_plan *fv_lower_group(fv_lowering *kept, int group, const fv_schedule *wish);
int fv_lowering_groups(const fv_lowering *kept); /* groups are numbers below it */
#endif
