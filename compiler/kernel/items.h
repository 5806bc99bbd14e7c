/* items: inside of the lowering from tile kernels to flat kernels for OpenCL. The parts:
 *   items_place.c    distribution of every statement, place of every buffer, sizes
 *   items_choose.c   the default `item` list and group size
 *   items.c          grid, for, let, if, alloc; the frame
 *   items_expr.c     expressions at a point
 *   items_stmt.c     statements as loops over an item's points
 *   items_tree.c     reductions and conditions over all items of a group
 *   items_product.c  which contractions a matrix unit takes, and how they are cut
 *   items_mma.c      those contractions
 *   items_copy.c     their operands, copied to local memory
 *   items_barrier.c  barriers
 *
 * A way (`it_way`) distributes points over items: a list of axes read as one mixed-radix number z = slot * group +
 * item. A statement takes the first way of the list whose axes are all free in it; without one it is cooperative: all
 * its free axes are the way. Products on a matrix unit come first in the list, with their elements and their rows. A buffer is private iff every statement that touches it is distributed by one way and
 * indexes it with that way's bare axes at the same places; otherwise it is the group's: local, or, where no distribution
 * fits local memory, far (the largest first). */
#ifndef FV_ITEMS_H
#define FV_ITEMS_H
#include "kernel/flat_internal.h"

enum { IT_MAX_GROUP = 256, IT_MAX_WAYS = 16, IT_MAX_DEPTH = 96, IT_SHARED = 31, IT_MAX_MARKS = 31,
       IT_COOPERATIVE = 100 };

typedef enum { IT_PLAIN, IT_ELEMENTS, IT_ROWS } it_kind;
/* IT_ELEMENTS: rows, then columns of a product; an item has the points whose elements of fragments it has. IT_ROWS: its
 * rows; each item has those that it has a part of, so several items have a row. Both take statements with just these free
 * axes. */
typedef struct { int n; fv_str axis[FV_MAX_AXES]; it_kind kind; int product, rows; } it_way;  /* rows: way of its rows */
/* How an access is tied to the item: by which way, and at which places of the index its axes stand bare. Equal marks:
 * the same item has the same element. */
typedef struct { int way; int place[FV_MAX_AXES]; } it_mark;

typedef struct {
    fv_str name;
    const fv_expr *leaf;                                /* the AXIS node */
    int64_t tile;
    const fv_expr *base, *limit;                        /* flat scalars; limit NULL: whole tiles only */
    const fv_expr *off;                                 /* offset of the point being computed */
} it_axis;

typedef struct {
    const fv_buffer *b;
    fv_memory *mem;
    /* IT_SHARED: the group's; else private by this mark; -1: not seen yet */
    int mark;
    bool far;                                           /* of the group's: in global memory */
    bool by_rows;                                       /* a statement of an IT_ROWS way writes it */
    int object;                                         /* of the group's: number for the barrier pass */
    int64_t stride[FV_MAX_AXES], slot_stride;           /* elements; private: 0 at the axes of the way */
} it_buffer;

/* A contraction on the matrix unit: A (rows x reduced) times B (reduced x columns), padded to whole fragments. */
typedef struct {
    const fv_stmt *s;
    int n_row, n_col, n_k;
    fv_str row[FV_MAX_AXES], col[FV_MAX_AXES], over[FV_MAX_AXES];
    const fv_expr *a, *b, *a_where, *b_where;           /* where NULL: everywhere */
    int64_t m, n, k;                                    /* points */
    bool across[2];                                     /* memory of A runs along rows, of B along columns */
    /* sub-groups over rows and columns of fragments, and fragments of one; points of `k` that are in local memory */
    int64_t wave_rows, wave_cols, rows, cols, chunk;
    int way, from;                                      /* of its elements; that A's elements are those of; -1: none */
} it_product;

/* -- Code with its accesses, before barriers --------------------------------------------------- */
typedef struct { int object; bool write; int mark; } it_access;
typedef struct it_unit it_unit;
struct it_unit {
    it_unit *next;
    fv_flats code;                                      /* a leaf's statements */
    fv_flat *frame;                                     /* FOR, IF around `body`; NULL: a leaf */
    it_unit *body;
    int n_access, cap_access;
    it_access *access;
    bool barrier;                                       /* one stands before it */
};
typedef struct { it_unit *first, *last; } it_units;

typedef struct { fv_flat *frame; fv_flats *outer, *inner; } it_open;
typedef struct { const fv_expr *e, *guard, *result; bool offsets; } it_memo;

typedef struct {
    fv_ctx *ctx;
    const fv_kernel *k;
    const fv_target *t;
    fv_flat_kernel *out;
    int64_t group;                                      /* items of a group */
    int n_ways;
    it_way way[IT_MAX_WAYS];
    int n_shared_ways;
    /* axis lists of cooperative statements: number IT_COOPERATIVE + index */
    it_way shared_way[IT_MAX_WAYS];
    int n_marks;
    it_mark mark[IT_MAX_MARKS];
    int n_axes, cap_axes;
    it_axis **axis;
    int n_buffers, cap_buffers;
    it_buffer **buffer;
    bool spill;                                         /* what local memory has no room for becomes far */
    int64_t local_bytes, private_words;
    const fv_unit *unit;                                /* NULL: none */
    int n_products, cap_products;
    it_product *product;
    fv_type mma_type;                                   /* bf16 or f16 */
    int n_fragment_ways;                                /* the first of the list */
    bool no_rows;                                       /* IT_ROWS ways are not used: they would write shared memory */
    /* of A and B, 16-bit; of C without a buffer in fragments; of A whose elements are those of a product's C */
    fv_memory *stage[2][2], *sums, *values;                 /* stage: one half is read while the other is written */
    int stage_object[2][2];
    bool halves;
    int n_objects;                                      /* buffers of the group, inout tensors, scratch of trees and flags */
    /* f32 and i32 partial results, flags of conditions; made when needed */
    fv_memory *scratch[3];
    int scratch_object[3];
    /* emission */
    const fv_expr *item;                                /* VAR of the item loop */
    fv_facts facts;
    int n_bind, cap_bind;
    fv_binding *bind;                                   /* scalars of the tile text -> flat */
    it_units *units;
    it_unit *leaf;                                      /* whose accesses are being recorded */
    fv_flats *list;
    int depth;
    it_open open[IT_MAX_DEPTH];
    fv_str label;
    fv_loc loc;
    int names;
    const fv_stmt *stmt;
    int way_now;                                        /* of the statement being lowered; -1: nothing is known of it */
    const fv_expr *slot, *row_slot;                     /* which of its points, of its rows, an item is at */
    const fv_expr *first;                               /* IT_ROWS: is it the first item that has the row? */
    int n_memo, cap_memo;
    it_memo *memo;
    bool failed;
} it;

/* -- place ------------------------------------------------------------------------------------- */
int it_way_of(const it *f, const fv_str *axes, int n);              /* first way within the axes; -1 */
/* else the number of the cooperative way over just these */
int it_any_way_of(it *f, const fv_str *axes, int n);
/* axes a statement can be distributed over: free ones, less the scanned or list axis */
int it_stmt_axes(const fv_stmt *s, fv_str *axes);
/* a cooperative reduction done by all items together */
bool it_is_tree(const it *f, const fv_stmt *s);
/* index NULL: at the buffer's own axes */
int it_mark_of(it *f, const fv_expr *const *index, const fv_buffer *b, int way);
/* fills axes, buffers, sizes; needs ways and group */
void it_place(it *f);
int64_t it_tile(const it *f, fv_str axis);
int64_t it_points(const it *f, const fv_str *axes, int n);
it_axis *it_find_axis(const it *f, fv_str name);
it_buffer *it_find_buffer(const it *f, const fv_obj *b);
/* within the target's local memory and private words */
bool it_fits(const it *f);
/* Is a reduction's predicate free of reduced axes? */
bool it_where_is_free(const fv_stmt *s);

/* -- product ----------------------------------------------------------------------------------- */
/* The contractions that fit, and the items of a group that they want; 0: none, with the reasons in the remarks of f->out,
 * or after an error. */
int64_t it_products_find(it *f, const fv_schedule *s);
void it_product_chunk(it *f, int64_t chunk);            /* at most so many reduced points in local memory at once */
int it_element_way(const it *f, const fv_str *row, int n_row, const fv_str *col, int n_col);   /* -1: there is none */
/* The elements whose rows a reduction goes over; -1: it is none of those */
int it_rows_over(const it *f, const fv_stmt *s);
int64_t it_way_slots(const it *f, int way);             /* points of an item */
bool it_has_home(const it *f, const it_product *p);     /* its target's elements are in fragments */
const it_product *it_product_of(const it *f, const fv_stmt *s);     /* NULL: it is distributed over items */
int64_t it_product_rows(const it_product *p, int which);    /* rows of A's copy, columns of B's (1): whole fragments */
int64_t it_product_stride(const it_product *p, int which);  /* elements from row to row of a copy */
int64_t it_stage_count(const it *f, int which);             /* elements of the largest copy */
int64_t it_sums_count(const it *f);                         /* elements of C that an item has, at most */
int64_t it_values_count(const it *f);                       /* elements of A that an item has in fragments, at most */
void it_remark(it *f, const fv_stmt *s, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* -- choose ------------------------------------------------------------------------------------ */
/* sets ways and group from the schedule, else the cheapest that fits */
bool it_choose(it *f, const fv_schedule *s);

/* -- emission ---------------------------------------------------------------------------------- */
void it_refuse(it *f, fv_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
fv_flat *it_emit(it *f, fv_flat_kind kind);
fv_str it_fresh(it *f, const char *stem);
const fv_expr *it_let(it *f, const char *stem, const fv_expr *e);  /* constants and variables as they are */
/* statements go into the body of `frame` (appended) until it_end */
void it_begin(it *f, fv_flat *frame);
void it_end(it *f, int depth);                                      /* back to this depth */
void it_if(it *f, const fv_expr *cond);                             /* opens; nothing if always true */
const fv_expr *it_for(it *f, const char *stem, const fv_expr *lo, const fv_expr *hi);   /* opens; the loop variable */
void it_leaf(it *f);                                                /* further statements belong to a new leaf */
void it_touch(it *f, int object, bool write, int mark);
fv_memory *it_register(it *f, const char *stem, fv_type type);
const fv_expr *it_get(it *f, const fv_memory *m);                   /* of a register */
void it_set(it *f, fv_memory *m, const fv_expr *v);
/* 0: f32, 1: i32, one element an item; 2: i32, flags */
fv_memory *it_scratch(it *f, int which);
/* a frame whose body holds units: loops and branches that may hold barriers */
void it_units_in(it *f, fv_flat *frame, it_units *body, it_units **outer);

/* -- expr -------------------------------------------------------------------------------------- */
const fv_expr *it_value(it *f, const fv_expr *e);                   /* at the point; shared parts are bound */
const fv_expr *it_convert(it *f, const fv_expr *v, fv_type to);
void it_store_buffer(it *f, it_buffer *b, const fv_expr *v);        /* at the point */
const fv_expr *it_load_buffer(it *f, it_buffer *b);
void it_store_tensor(it *f, const fv_stmt *s, const fv_expr *v);
void it_forget(it *f);                                              /* a new point: nothing is known of it yet */

/* -- statements -------------------------------------------------------------------------------- */
/* loops over the item's points of the axes; the way's first */
void it_open_points(it *f, const it_way *way, const fv_str *axes, int n);
void it_open_axis(it *f, fv_str axis);                              /* a serial loop over the valid points of an axis */
void it_axes_count(it *f, it_axis *a, const fv_expr **count);       /* valid points, flat */
void it_know(it *f, const it_axis *a);                              /* facts of a point of the axis */
void it_open_fragments(it *f, const it_way *way);                   /* loops over an item's elements or rows */
void it_rows_reduce(it *f, const fv_stmt *s, int way);              /* over the columns of the elements `way` */
void it_mma(it *f, const it_product *p);
fv_memory *it_mma_memory(it *f, int which);                         /* makes it: copies of A and B, sums, elements of A */
void it_statement(it *f, const fv_stmt *s);
void it_alloc(it *f, const fv_stmt *s);
fv_type it_acc_type(const fv_stmt *s);
const fv_expr *it_neutral(it *f, const fv_stmt *s, fv_type t);
const fv_expr *it_combine(it *f, const fv_stmt *s, const fv_expr *a, const fv_expr *b);
void it_reduce_point(it *f, const fv_stmt *s, fv_memory *acc);      /* acc = acc op value where the predicate holds */
void it_tree(it *f, const fv_stmt *s);
/* a scalar with ANY and ALL in it: every item gets the same value */
const fv_expr *it_condition(it *f, const fv_expr *e);

/* -- barriers ---------------------------------------------------------------------------------- */
void it_barriers(it *f, it_unit *units);
fv_flat *it_assemble(it *f, it_unit *units);
#endif
