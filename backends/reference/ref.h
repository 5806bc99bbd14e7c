/* Shared inside backends/reference only: the run, storage of values, loops, and programs that evaluate expressions. */
#ifndef FV_REF_H
#define FV_REF_H
#include "backends/reference/reference.h"

/* Elements of one value in the order of its axes. exists: NULL unless the value is partial; where it is 0 the element
 * is 0. */
typedef struct { double *data; unsigned char *exists; } ref_store;
typedef struct {
    fv_graph *g;
    fv_ctx *ctx;
    ref_store *at;                                      /* by value id */
    /* by node id: the nodes that an attend or scan evaluates itself, NULL-ended, in order */
    const fv_node ***body;
    fv_ref_source *source;
    void *user;
    const fv_node *node;                                /* being evaluated: for messages */
    double *most;                                       /* NULL, or the largest magnitude so far */
} ref_run;

/* Storage: false (with an error) when memory ends. Values that were there are dropped first. */
bool ref_alloc(ref_run *r, const fv_value *v);
void ref_free(ref_run *r, const fv_value *v);
double *ref_doubles(ref_run *r, int64_t n);             /* zeroed, malloc'ed; NULL with an error */
unsigned char *ref_bytes(ref_run *r, int64_t n);        /* zeroed */

bool ref_eval(ref_run *r, const fv_node *n);            /* any node but a placeholder */
bool ref_eval_read(ref_run *r, const fv_node *n);
bool ref_eval_concat(ref_run *r, const fv_node *n);
bool ref_eval_compute(ref_run *r, const fv_node *n);
bool ref_eval_attend(ref_run *r, const fv_node *n);
bool ref_eval_topk(ref_run *r, const fv_node *n);
bool ref_eval_scan(ref_run *r, const fv_node *n);
void ref_free_body(ref_run *r, const fv_node *owner);
bool ref_fail(ref_run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* -- Boxes: the points of named axes, row-major ------------------------------------------------------------------- */
typedef struct { int n; fv_axis axis[2 * FV_MAX_AXES]; } ref_box;
void ref_box_add(ref_box *b, const fv_axis *axis, int n);   /* axes that are not there yet */
int64_t ref_box_count(const ref_box *b);
int ref_box_find(const ref_box *b, fv_str name);
/* Stride of each box axis in a row-major tensor over `axis`; 0 where it lacks the axis. */
void ref_strides(const ref_box *b, const fv_axis *axis, int n, int64_t *stride);
/* Odometer over several offsets: pos and off start at 0; next returns false after the last point. */
enum { REF_MAX_OFFSETS = 4 };
typedef struct {
    const ref_box *box;
    int n;                                              /* offsets */
    const int64_t *stride[REF_MAX_OFFSETS];
    int64_t off[REF_MAX_OFFSETS];
    int64_t pos[2 * FV_MAX_AXES];
} ref_walk;
static inline bool ref_next(ref_walk *w) {
    for (int a = w->box->n - 1; a >= 0; a--) {
        if (++w->pos[a] < w->box->axis[a].extent) {
            for (int i = 0; i < w->n; i++) w->off[i] += w->stride[i][a];
            return true;
        }
        for (int i = 0; i < w->n; i++) w->off[i] -= w->stride[i][a] * (w->box->axis[a].extent - 1);
        w->pos[a] = 0;
    }
    return false;
}

/* out[...] += a[...] * b[...] over the whole box; an axis that out lacks (stride 0) is summed. */
bool ref_sum_product(ref_run *r, const ref_box *box, const double *a, const int64_t *sa, const double *b,
                     const int64_t *sb,
                     double *out, const int64_t *so);

/* -- Programs: expressions evaluated for a run of points along one axis at a time --------------------------------- */
enum { REF_LANES = 256 };
typedef struct ref_program ref_program;
ref_program *ref_program_new(ref_run *r, const ref_box *box, int lane_axis);
void ref_program_dispose(ref_program *p);
/* Adds an expression (or a read with a border) and returns its register, or -1 with an error; NULL gives -2. */
int ref_program_expr(ref_program *p, const fv_expr *e);
int ref_program_read(ref_program *p, const fv_value *src, const fv_expr *const *index, fv_border border, double number);
/* Evaluates everything at pos (lane coordinate from pos[lane_axis], `lanes` of them). */
bool ref_program_run(ref_program *p, const int64_t *pos, int lanes);
const double *ref_program_values(const ref_program *p, int reg);
const unsigned char *ref_program_exists(const ref_program *p, int reg);   /* NULL: all exist */
/* The axis of the box along which most elements read by e lie side by side. */
int ref_best_lane(const ref_box *box, const fv_expr *e);
#endif
