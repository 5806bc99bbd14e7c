/* What the files of this folder share. One `lower` lives through one call of fv_lower. */
#ifndef FV_LOWER_INTERNAL_H
#define FV_LOWER_INTERNAL_H
#include "lower/lower.h"

enum { LOWER_MAX_SINKS = 6, LOWER_PREPARE_ELEMENTS = 1 << 21 };

/* Where a node's work ends up. */
typedef enum {
    LOWER_DEAD,    /* no output needs it */
    LOWER_LEAF,    /* input, param, const: a plan tensor */
    LOWER_INNER,   /* depends on a placeholder: part of the attend or scan that owns it */
    LOWER_INLINE,  /* its expression is substituted where it is read */
    LOWER_STORED,  /* the final value of a group: a tensor */
    LOWER_ABSORBED /* computed inside the group of `group_final` */
} lower_role;

/* The memory of a stored value: address = sum of index * stride over the value's own axes. */
typedef struct {
    int tensor;
    int64_t stride[FV_MAX_AXES];
} lower_place;

typedef struct {
    lower_role role;
    bool exact;   /* ranked, or made an integer of: in f32 whatever the storage */
    bool prepare; /* depends on parameters, constants and coordinates alone */
    int final;    /* ABSORBED: node id of its group's final node */
    int owner;    /* INNER: node id of the attend or scan; else -1 */
    int n_sinks;  /* node ids where the value is consumed by a kernel; LOWER_MAX_SINKS + 1: many */
    int sink[LOWER_MAX_SINKS + 1];
    double multiplicity; /* largest (domain of a sink) / (size of this value) */
} lower_node;

typedef struct lower_pack lower_pack;

typedef struct {
    fv_ctx *ctx;
    fv_graph *g;
    fv_lower_options *o;
    const fv_target *t;
    fv_plan *plan;
    lower_node *node;   /* by node id */
    bool *placed;       /* by value id: has a place */
    lower_place *place; /* by value id */
    const int **order;  /* by value id: memory order wanted (outermost first, indices of its axes); NULL: by default */
    const fv_expr **
        *coords; /* by node id of a group's final node: its coordinates over the anchor's axes; NULL: its own */
    int *output; /* by value id: the output stored straight from its kernel, or -1 */
    lower_pack *packs;
    int group;   /* node whose group is being emitted; -1: none */
    int *first_kernel;       /* by node: the number of the first kernel emitted for it */
    int n_kernels, n_values; /* values: those of the graph, then extra ones */
    int cap_values;
    bool failed;
} lower;

/* -- expand.c
 * --------------------------------------------------------------------------------------------------------------------------
 */
/* The graph with every attend (all), or those that only expansion can lower, replaced by its expansion; g itself where
 * there is none. NULL: it cannot be expanded. */
fv_graph *lower_expand_attends(fv_graph *g, bool all);
/* -- unroll.c: the same graph without the live scans that no kernel runs; g itself where there is none. NULL after
 * recording an error, or where one cannot be unrolled. */
fv_graph *lower_unroll_scans(fv_graph *g, fv_lower_options *o);

static inline bool lower_is_reduce(const fv_node *n) {
    return n->op == FV_NODE_COMPUTE && n->u.compute.monoid != FV_MONOID_NONE;
}
/* -- decide.c: roles, sinks, groups
 * ---------------------------------------------------------------------------------------------- */
void lower_decide(lower *l);
/* Number of pointwise operations of a map's body; 0 for pure views and coordinates. */
int lower_map_cost(const fv_node *n);
/* All reductions of final map `y` that are computed in its kernel, in order; n <= cap. */
int lower_row_members(const lower *l, const fv_node *y, const fv_node **out, int cap);

/* -- orders.c: the memory order that every stored value should have
 * ---------------------------------------------------------------------- */
void lower_orders(lower *l);

/* -- invert.c
 * -------------------------------------------------------------------------------------------------------------------------------
 */
/* Coordinates of a view's result as expressions, given those of its source; false: it does more than move elements. */
bool lower_invert_view(lower *l, const fv_node *view, const fv_expr *const *source, const fv_facts *facts,
                       const fv_expr **out);

/* -- inline.c: a value at a point, as an expression over stored values
 * ----------------------------------------------------------------- */
typedef struct {
    const fv_expr *value, *exists;
} lower_pair; /* exists NULL: always */
/* index: one expression per axis of v. Facts: ranges of the leaves that occur. Stored values and group members stay
 * READs of the value. */
lower_pair lower_value_at(lower *l, const fv_facts *f, const fv_value *v, const fv_expr *const *index);
/* The same for an expression with READs of values. */
lower_pair lower_expand(lower *l, const fv_facts *f, const fv_expr *e);
/* Replaces READs of a placeholder, or of a group's anchor, wherever they are read, by an expression. */
const fv_expr *lower_replace_read(fv_ctx *c, const fv_expr *e, const fv_value *placeholder, const fv_expr *with);
lower_pair lower_value_at_self(lower *l, const fv_facts *f, const fv_value *v);
/* Treats `v` as opaque (a READ) although it is not stored: members of the group being emitted. */
bool lower_is_opaque(const lower *l, const fv_value *v);

/* -- place.c: memory
 * ----------------------------------------------------------------------------------------------------------------------
 */
void lower_place_leaves(lower *l);
/* Gives a stored value its tensor (an OUTPUT, PREPARED or SCRATCH one); order: outermost first, NULL: l->order or the
 * value's own. */
void lower_place_value(lower *l, const fv_value *v, const int *order);
/* A fresh scratch or prepared tensor for axes in the given order. Returns its number. */
int lower_new_tensor(lower *l, const char *name, fv_type type, bool prepared, const fv_axis *axis, int n,
                     int64_t *out_stride, fv_loc loc);
/* An id for a value that is no part of the graph: rank axes, dense, in an existing plan tensor (prepared tables). */
int lower_extra_value(lower *l, int tensor, int rank);
bool lower_unit_stride(const lower *l, const fv_value *v, fv_str axis);
/* The axes of a placed value, outermost in memory first; their number. */
int lower_memory_order(const lower *l, const fv_value *v, int *out);

/* -- storage.c: types in memory */
bool lower_sixteen(const lower *l);                          /* floats are stored in 16 bits */
bool lower_takes_pairs(const lower *l); /* does the target multiply pairs, and are floats stored in bf16? */
/* Rows of a tile of a product on a CPU's matrix unit, of `extent` rows in all: at most `most`. */
int64_t lower_fragment_rows(int64_t extent, int64_t most);
void lower_choose_storage(lower *l);                         /* after lower_decide: marks what stays f32 */
fv_type lower_storage(const lower *l, const fv_value *v);    /* of a stored value that is no output */
/* Of a product's packed weights, each used so many times. */
fv_type lower_weight_storage(const lower *l, double uses);

/* -- kernel.c: a kernel under construction
 * ---------------------------------------------------------------------------------------------------- */
typedef struct {
    lower *l;
    fv_kernel *k;
    fv_facts facts; /* ranges of kernel axes and scalars */
    int n_args;
    int arg[64];        /* plan tensor of each kernel tensor */
    fv_stmts pre, body; /* AXIS declarations before the grid; statements inside it */
    int n_grid;
    fv_tile_axis grid[FV_MAX_AXES];
    fv_schedule *schedule;
    fv_loc loc;
    bool prepare;
    double flops, bytes;
    int n_labels;
    int n_inner;
    struct {
        fv_str axis;
        int64_t tile, extent;
    } inner[8]; /* axes of tile loops and hulls: buffers inside have them too */
    int group;               /* -1: not the kernel of a group, or prepared */
    const fv_schedule *wish; /* NULL: none */
    bool used[64];           /* entries of the wish that the emission has read */
    int n_tiles;
    fv_tile_size tile[FV_MAX_AXES];
} lower_kernel;
void lower_kernel_begin(lower *l, lower_kernel *k, const char *name, const char *strategy, fv_loc loc, bool prepare);
/* -- wish.c: schedules over the defaults */
/* The schedule wished for the group being emitted; NULL: none. */
const fv_schedule *lower_wish(const lower *l);
/* It is the kernel of the group being emitted: it bears the group's id and follows its wish. */
void lower_kernel_own(lower_kernel *k);
/* The tile size of an axis: the wished one, or else this. At most the extent, or this if it is more. */
int64_t lower_tile(lower_kernel *k, fv_str axis, int64_t otherwise, int64_t extent);
/* An entry of the wish that the strategy heeds by itself; NULL: none. */
const fv_sched_entry *lower_wish_entry(lower_kernel *k, fv_field f, fv_str subject);
/* The entries that the flattening heeds, over the default ones; what nothing has heeded is an error. */
void lower_wish_apply(lower_kernel *k);
/* Declares a grid axis (tile 0: a point) over 0..extent-1. */
void lower_grid(lower_kernel *k, fv_str axis, int64_t tile, int64_t extent);
/* Declares a further axis 0..extent-1 of the whole extent. */
void lower_axis(lower_kernel *k, fv_str axis, int64_t extent);
/* Makes the axis of a tile loop or hull known: its tile for buffers, its whole extent. */
void lower_inner_axis(lower_kernel *k, fv_str axis, int64_t tile, int64_t extent);
/* The coordinate of an axis declared as a tile axis (AXIS) or as a point axis (VAR). */
const fv_expr *lower_coord(lower_kernel *k, fv_str axis);
/* Kernel tensor bound to a plan tensor with these logical dims and strides (made once per distinct view). */
const fv_tensor *lower_tensor(lower_kernel *k, int plan_tensor, const fv_axis *dim, const int64_t *stride, int rank,
                              fv_role role);
const fv_tensor *lower_value_tensor(lower_kernel *k, const fv_value *v, fv_role role);
/* READs of placed values become READs of kernel tensors; AXIS leaves of point axes become VARs; simplified with the
 * kernel's facts. */
const fv_expr *lower_bind(lower_kernel *k, const fv_expr *e);
fv_stmt *lower_stmt(lower_kernel *k, fv_stmts *list, fv_stmt_kind kind, const char *label);
/* Statement writing a buffer (made here with these axes) or storing to a placed value at the given indices. */
fv_buffer *lower_buffer(lower_kernel *k, const char *name, fv_type type, const fv_str *axis, int n);
const fv_expr *lower_buffer_at(lower_kernel *k, const fv_buffer *b); /* READ at its own axes */
void lower_store(lower_kernel *k, fv_stmts *list, const char *label, const fv_value *v, const fv_expr *const *index,
                 const fv_expr *value, const fv_expr *where);
void lower_kernel_end(lower_kernel *k);
/* Settles what simplification has changed: products that are no contraction any more, reductions over nothing, a
 * target's own coordinate on an axis of one point. */
void lower_settle(lower_kernel *k, fv_stmt *list);
/* Gives another name to an axis that is called as the base of another is. */
void lower_rename_axes(lower_kernel *k, fv_stmt *list);
int64_t lower_extent(const lower_kernel *k, fv_str axis); /* of a declared axis: whole extent */

/* -- emit_*.c: one file per strategy
 * ------------------------------------------------------------------------------------------------------------ */
void lower_emit_map(lower *l, const fv_node *final);                           /* a stored map, view or concat part */
void lower_emit_reduce(lower *l, const fv_node *anchor, const fv_node *final); /* contract and reduce with epilogue */
void lower_emit_rows(lower *l, const fv_node *final, const fv_node *const *member, int n);
void lower_emit_attend(lower *l, const fv_node *anchor, const fv_node *final);
/* The memory order of a placed value that `value`, of v, reads point by point (outermost first, indices of v's axes);
 * NULL: there is none. */
const int *lower_follow(lower *l, const fv_value *v, const fv_expr *value);
/* A copy of a placed value in another memory order (outermost first, indices of its axes), made by a kernel of its own.
 */
const fv_value *lower_copy(lower *l, const fv_value *v, const int *order, fv_loc loc);
void lower_emit_topk(lower *l, const fv_node *anchor);
void lower_emit_concat(lower *l, const fv_node *n);
void lower_emit_scan(lower *l, const fv_node *n);
/* Why a scan is no recurrence that one kernel runs; NULL: it is. body: by node id, the live nodes that depend on its
 * placeholders. */
const char *lower_scan_refused(const fv_graph *g, const fv_node *scan, const bool *body);

/* Coordinates of the final value over the axes of its anchor. */
void lower_final_coords(const lower *l, const fv_node *final, const fv_expr **out);
/* The epilogue of a group: the final value's expression over the group's axes, where READ(anchor result 0) at identity
 * stands for `acc`. */
const fv_expr *lower_epilogue(lower_kernel *k, const fv_node *anchor, const fv_node *final, const fv_expr *acc);

/* -- prepare.c: values of parameters alone, in the memory order that their consumer wants
 * ------------------------------------------------------------ */
/* Stores expression `e` (over axes, READs of prepared or param values) as a PREPARED tensor with these axes, outermost
 * first; equal requests share one. Returns the plan tensor; stride as for a dense tensor. pad: the last axis' extent
 * may exceed what e covers; there the value is 0 (e must be safe: READs filled). */
int lower_prepared(lower *l, fv_loc loc, const fv_expr *e, fv_type type, const fv_axis *axis, int n);
/* The type that an expression is stored in: its own, bool, f32 or i32. */
fv_type lower_plain_type(const fv_expr *e);
/* A node that stands for prepared tensors that are no node's value. */
fv_node *lower_prepared_node(lower *l);
bool lower_expr_is_prepare(const lower *l, const fv_expr *e);

void lower_consider(lower *l, const fv_node *n, const char *strategy, bool chosen, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
const char *lower_node_text(lower *l, const fv_node *n);
#endif
