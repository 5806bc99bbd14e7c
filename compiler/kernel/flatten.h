/* flatten: inside of the lowering from tile kernels to flat kernels for CPUs. The parts, in the order of a lowering:
 *   flatten_scope.c     axes and scalars of the tile text as flat expressions, facts about them
 *   flatten_lanes.c     which axis of a buffer is stored innermost, which axis of a statement is in the lanes
 *   flatten_fuse.c      several axes as one (on the tile text)
 *   flatten_pack.c      copies of operands that would be gathered (on the tile text)
 *   flatten_walk.c      grid, for, let, if, alloc
 *   flatten_join.c      runs of statements that share one nest; tails
 *   flatten_order.c     the nest of a group: from the schedule, or by the number of registers
 *   flatten_loop.c      one axis as loops over blocks, with remainders
 *   flatten_nest.c      loops of a group
 *   flatten_guard.c     its conditions, placed on the way in
 *   flatten_acc.c       its accumulators and tails
 *   flatten_leaf.c      its innermost body
 *   flatten_point.c     an expression at a point: scalars, vectors
 *   flatten_read.c      loads: broadcast, contiguous, permuted, gathered; masked and guarded
 *   flatten_pair.c      products of 16-bit pairs
 *   flatten_frag.c      the same on a matrix unit
 *   flatten_config.c    its configuration, once for all programs
 *   flatten_slack.c     permuted loads near the end of a caller's tensor
 *   flatten_turn.c      loads of transposed blocks
 *   flatten_write.c     stores
 *   flatten_special.c   scan, topk
 *   flatten_clean.c     on the flat text: invariants hoisted
 *   flatten_dead.c      on the flat text: unused values removed, scratch memory placed
 *
 * A point is written as the offsets of its axes (fl_axis.off); in the lanes, the axis `lane` stands at off + lane 0, 1,
 * 2 …  Integer expressions are kept as scalar trees over the leaf `lane_leaf` (0..vl-1) and over names for vectors
 * ("holds") until it is known which operand class they make; `fl_vector` makes vectors of them. */
#ifndef FV_FLATTEN_H
#define FV_FLATTEN_H
#include "kernel/flat.h"

enum { FL_MAX_GROUP = 16, FL_MAX_CONJUNCTS = 24 };

typedef struct {
    fv_str name;
    const fv_expr *leaf; /* the AXIS node */
    int64_t tile;
    const fv_expr *base;  /* position of offset 0: a scalar of the flat text */
    const fv_expr *count; /* valid points of the tile, 0..tile */
    bool whole;           /* count is tile */
    int n_known;          /* > 0: count takes no values but these (none of them 0) */
    int64_t known[2];
    const fv_expr *limit; /* of the declaration, flat; NULL: none */
    const fv_expr *off;   /* of the point being evaluated (its lane 0) */
} fl_axis;

typedef struct {
    const fv_buffer *b;
    fv_memory *mem;
    int lane;   /* the axis stored innermost; -1: rank 0 */
    bool fixed; /* chosen by the schedule */
    int64_t stride[FV_MAX_AXES];
    int writers;           /* statements that write it */
    const fv_stmt *writer; /* the only one, if writers is 1 */
} fl_buffer;

typedef struct {
    const fv_expr *leaf, *vector, *pure;
} fl_hold; /* pure: the same value over lane_leaf and scalars, or NULL */
typedef struct {
    const fv_expr *key, *var;
    const fv_obj *ref;
} fl_memo;
typedef struct {
    const fv_expr *e, *valid;
    int vectors;
} fl_span; /* of a lane map: 1 or 2; 0: more */
typedef struct {
    const fv_expr *read;
    const fl_axis *lane;
    int storage, c;
} fl_seen; /* an operand class found before */

typedef struct fl {
    fv_ctx *ctx;
    const fv_kernel *k;
    const fv_schedule *s;
    const fv_target *t;
    int vl;
    fv_flat_kernel *out;
    fv_facts facts, late; /* late: of loop variables and counts, kept for the passes over the flat text */
    fv_flats *list;       /* where statements go */
    fv_str label;         /* of the statement being lowered */
    fv_loc loc;
    int n_axes, cap_axes;
    fl_axis **axis;
    int n_buffers, cap_buffers;
    fl_buffer **buffer;
    int n_bind, cap_bind;
    fv_binding *bind; /* scalars of the tile text -> flat */
    int names;        /* for fresh names */
    int packs;        /* operands packed so far */
    bool failed;
    /* the point */
    fl_axis *lane; /* NULL: scalar code */
    const fv_expr *lane_leaf;
    const fv_expr *valid; /* which lanes are valid, over lane_leaf; NULL: all */
    const fv_expr *guard; /* scalar bool under which reads happen; NULL: always */
    const fv_expr *mask;  /* the same by lane, over lane_leaf */
    struct {
        fl_axis *axis;
        const fv_expr *at;
        int64_t i;
    } turn; /* the block of a transposing map: its start, the point in it */
    int n_holds, cap_holds;
    fl_hold *hold;
    int n_memo, cap_memo, memo_base;
    fl_memo *memo;
    int n_ended, cap_ended;
    const fv_expr **ended; /* reads of the nest whose permuted loads must not pass the tensor's end … */
    bool draw_back;        /* … and might: they are drawn back to it */
    int n_spans, cap_spans;
    fl_span *span;
    int n_seen, cap_seen;
    fl_seen *seen;
} fl;

typedef struct fl_group fl_group;

/* -- scope ------------------------------------------------------------------------------------------------------- */
bool fl_scope(fl *f); /* declares all axes, scalars and buffers of the kernel */
fl_axis *fl_axis_find(const fl *f, fv_str name);
fl_buffer *fl_buffer_find(const fl *f, const fv_obj *b);
fv_str fl_fresh(fl *f, const char *stem);
const fv_expr *fl_simple(fl *f, const fv_expr *e);
const fv_expr *fl_bound_var(const fl *f, const fv_expr *var);
int fl_stmt_axes(const fl *f, const fv_stmt *s, fl_axis **out,
                 int *n_free);                         /* free axes, then reduced ones; the count */
void fl_define_bounds(fl *f, const fv_tile_axis *t);   /* binds bounds that read memory */
const fv_expr *fl_lower(fl *f, const fv_tile_axis *t); /* bounds in flat names */
const fv_expr *fl_upper(fl *f, const fv_tile_axis *t);
void fl_count(fl *f, fl_axis *a); /* binds count where the axis comes into scope */
fv_range fl_range(fl *f, const fv_expr *e);
void fl_fact(fl *f, const fv_expr *var, int64_t lo, int64_t hi); /* of a loop variable or count */
void fl_position_fact(fl *f, const fl_axis *a, const fv_expr *off,
                      int64_t points); /* off .. off + points - 1 are valid offsets of a */

/* -- emitting ---------------------------------------------------------------------------------------------------- */
typedef struct {
    fv_flats *list;
    int n_memo, memo_base;
} fl_mark;
fv_flat *fl_emit(fl *f, fv_flat_kind kind);
fl_mark fl_enter(fl *f, fv_flats *list,
                 bool loop); /* statements go to `list`; a loop's body knows nothing of loads before it */
void fl_leave(fl *f, fl_mark m);
const fv_expr *fl_let(fl *f, const char *stem, const fv_expr *e); /* binds e to a fresh name */
const fv_expr *fl_once(fl *f, const char *stem, const fv_expr *key,
                       const fv_obj *ref);         /* the same, but once per block */
const fv_expr *fl_find(fl *f, const fv_expr *key); /* what was remembered in this block; NULL: nothing */
void fl_remember(fl *f, const fv_expr *key, const fv_expr *var, const fv_obj *ref);
void fl_forget(fl *f, const fv_obj *ref); /* memory was written */
fv_memory *fl_registers(fl *f, const char *stem, fv_type type, int lanes, int64_t count);
const fv_expr *fl_reg(fl *f, const fv_memory *m, int64_t i);
void fl_set_reg(fl *f, fv_memory *m, int64_t i, const fv_expr *v);

/* -- points ------------------------------------------------------------------------------------------------------ */
bool fl_by_lane(const fl *f, const fv_expr *e);                 /* does a scalar-form tree vary with the lane? */
const fv_expr *fl_index(fl *f, const fv_expr *e, bool offsets); /* i32 or bool of the tile text, in scalar form */
const fv_expr *fl_vector(fl *f, const fv_expr *e); /* scalar form -> flat: a vector if it varies with the lane */
const fv_expr *fl_value(fl *f, const fv_expr *e);  /* tile expression -> flat: scalar or vector */
const fv_expr *fl_hold_value(fl *f, const fv_expr *v, const fv_expr *pure, const fv_obj *range_of);
const fv_expr *fl_valid(fl *f); /* the lanes' validity as a bool vector; NULL: all */
/* Reads below happen only where c holds (scalar form); returns what was in force, for fl_guard_restore. */
typedef struct {
    const fv_expr *guard, *mask;
} fl_guards;
fl_guards fl_guard_add(fl *f, const fv_expr *c);
void fl_guard_restore(fl *f, fl_guards g);

/* -- reads and writes -------------------------------------------------------------------------------------------- */
typedef enum { FL_SCALAR, FL_CONTIGUOUS, FL_PERMUTED, FL_PERMUTED2, FL_STRIDED, FL_GATHERED } fl_class;
const fv_expr *fl_read(fl *f, const fv_expr *read);
const fv_expr *fl_offset(fl *f, const fv_obj *ref, const fv_expr *const *index,
                         const fv_expr **each); /* element offset, scalar form */
/* A read of 16-bit memory at pair 0 of a point, with its neighbour: 2 lanes, or 2 vl where it varies with the lane. */
const fv_expr *fl_read_pairs(fl *f, const fv_expr *read);
fl_class fl_classify(fl *f, const fv_expr *offset, const fv_expr **by_lane, const fv_expr **rest, int64_t *coef);
void fl_store_buffer(fl *f, fl_buffer *b, const fv_expr *v); /* at the point */
/* Both points of a pair, v[1] right behind v[0], for every lane. The point is pair 0. */
void fl_store_pairs(fl *f, fl_buffer *b, const fv_expr *const *v);
const fv_expr *fl_load_buffer(fl *f, fl_buffer *b);
const fv_expr *fl_buffer_offset(fl *f, fl_buffer *b);
void fl_write(fl *f, const fl_buffer *b, const fv_expr *offset, const fv_expr *v);
void fl_store_tensor(fl *f, const fv_stmt *s, const fv_expr *v);
const fv_expr *fl_convert(fl *f, const fv_expr *v, fv_type to);

bool fl_turns(fv_type t); /* elements that transposed blocks are made of: f32, or widened to it */
/* offset: of the block's start, by lane; mask: the lanes that may be read, others are 0 (NULL: all). NULL: it cannot
 * be. */
const fv_expr *fl_turned(fl *f, const fv_obj *mem, const fv_expr *offset, const fv_expr *mask, int64_t i);
fl_axis *fl_turn_axis(fl *f, const fl_group *g);
fl_axis *fl_turn_along(fl *f, const fv_expr *read, fl_axis *lane, fl_axis *const *axes, int n);

/* -- lanes ------------------------------------------------------------------------------------------------------- */
void fl_choose_lanes(fl *f);                                 /* and lays out every buffer */
double fl_stmt_cost(fl *f, const fv_stmt *s, fl_axis *lane); /* of one pass over its points; comparable between lanes */
fl_axis *fl_stmt_lane(fl *f, const fv_stmt *s);
const fv_expr *fl_symbol(fl *f, const fl_axis *a); /* stands for the offset of an axis before there are loops */
const fv_expr *fl_symbolic_offset(fl *f, const fv_obj *ref, const fv_expr *const *index, fl_axis *lane);

double fl_cost(fl *f); /* of the whole kernel with the lanes chosen */
/* Is this a buffer of bf16 whose last axis, of two points, stays innermost? */
bool fl_holds_pairs(const fv_buffer *b);
fl_class fl_operand_class(fl *f, const fv_expr *read, fl_axis *lane);
const fv_expr *fl_symbolic_index(fl *f, const fv_expr *e, fl_axis *lane);

/* -- rewriting of the tile text ---------------------------------------------------------------------------------- */
fv_kernel *fl_fuse(fl *f, const fv_str *names, int n); /* NULL: these axes cannot be fused */
bool fl_fuse_candidate(fl *f, fv_str *pair);
fv_kernel *fl_pack(fl *f); /* packs one operand; NULL: none is left that wants it */
/* By what an offset grows with a leaf; -1: it is not affine in it. */
int64_t fl_coefficient(fl *f, const fv_expr *offset, const fv_expr *leaf);
/* The reduced axis of two points along which both factors of a product are pairs in memory; NULL: there is none, or the
 * target has no instruction for them. */
fl_axis *fl_pair_axis(fl *f, const fv_stmt *s, fl_axis *lane);
bool fl_pack_pays(fl *f, const fv_stmt *s, const fv_expr *read);

/* -- groups and nests -------------------------------------------------------------------------------------------- */
typedef struct {
    const fv_stmt *s;
    bool reduces;
    int n_where;
    const fv_expr *where[FL_MAX_CONJUNCTS]; /* conjuncts not yet discharged by an `if` around */
    fv_memory *acc, *acc2;                  /* acc2: positions of argmax */
} fl_member;

struct fl_group {
    int n_body, n_tail; /* members of the same domain; then statements over its free axes */
    fl_member body[FL_MAX_GROUP];
    const fv_stmt *tail[FL_MAX_GROUP];
    int n_axes, n_free; /* free axes first */
    fl_axis *axis[FV_MAX_AXES];
    fl_axis *lane;
    fl_axis *pair; /* see flatten_pair.c; NULL: none */
};

typedef struct {
    fl_axis *ax;
    int64_t step;                 /* points of a block; lanes: a multiple of vl, or at least the tile */
    bool unroll, lane, red, turn; /* turn: the block of a transposing map */
    /* while bound */
    bool bound;
    const fv_expr *at;          /* offset of the block */
    int64_t block, first, full; /* points (lanes: vectors) being emitted, from `first` of `full` */
    const fv_expr *valid;       /* lanes of the last vector; NULL: all */
} fl_item;

const fv_stmt *fl_join(fl *f, const fv_stmt *s, fl_group *g); /* the group that starts at s; returns what follows it */
bool fl_order(fl *f, const fl_group *g, fl_item *item, int *n); /* its nest, outer to inner */
/* Could an operand of the group's contraction leave its tensor where a condition fails? Then pointers are selected, not
 * bodies. */
bool fl_outside(fl *f, const fl_group *g);
bool fl_nest(fl *f, fl_group *g);
/* Lowers the group by `nest`, twice if its permuted loads could pass the end of a tensor. */
bool fl_with_slack(fl *f, fl_group *g, bool (*nest)(fl *, fl_group *));
bool fl_has_end(const fl *f, const fv_expr *read);
bool fl_is_stream(const fl_item *item, int n); /* a serial free loop inside a serial reduced one */
bool fl_is_loop(const fl_item *it);
typedef void fl_body(fl *f, void *user);
void fl_loop(fl *f, fl_item *it, fl_body *fn, void *user);
/* The group's product on the target's matrix unit, tails left out; false, nothing emitted: it does not fit. */
bool fl_fragments(fl *f, const fl_group *g);
void fl_share_config(fl *f); /* one configuration before the loop over programs, where all are alike */
bool fl_special(fl *f, const fv_stmt *s);
void fl_statements(fl *f, const fv_stmt *s);
int64_t fl_vectors(const fl *f, const fl_axis *a);
void fl_refuse(fl *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Points of the tile where every axis is a loop (scan, topk, flags of `any`): loops over axes[0..n), the lane one by
 * vectors. */
void fl_each(fl *f, fl_axis *const *axes, int n, fl_axis *lane, fl_body *fn, void *user);

void fl_clean(fl *f);
void fl_sweep(fl *f);
#endif
