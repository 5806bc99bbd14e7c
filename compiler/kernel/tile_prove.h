/* Proofs about indices of a kernel, for the verifier: what is in scope, what is known of it, and whether an index
 * stays within an extent. */
#ifndef FV_TILE_PROVE_H
#define FV_TILE_PROVE_H
#include "kernel/tile_internal.h"

/* A leaf in scope and what it ranges over: lo, lo + step, ... < hi. A tile axis' position runs over [base, min(limit,
 * base + tile)), and over
 * all bases together [wide_lo, wide_hi) (NULL: no such form). Bounds are expressions of earlier leaves. */
typedef struct {
    const fv_expr *leaf, *lo, *hi, *wide_lo, *wide_hi;
    int64_t step;
    bool program;                                       /* a grid axis' point or base: differs between programs */
    int64_t value;                                      /* while enumerating */
} fv_domain;

typedef struct { const fv_buffer *buffer; const fv_expr *value; } fv_buffer_def;
enum { FV_PROVE_CONDS = 64, FV_PROVE_LEAVES = 32 };
typedef struct {
    fv_ctx *ctx;
    fv_domain *domain;
    int n, cap;
    fv_facts facts;
    fv_binding *inlined;                                /* lets and bases of AXIS declarations, by their definitions */
    int n_inlined, cap_inlined;
    fv_buffer_def *def;                                 /* i32 buffers that one map defines */
    int n_defs, cap_defs;
    const fv_expr *cond[FV_PROVE_CONDS];                /* conditions of the ifs around */
    int n_conds;
} fv_prover;

typedef struct { int n, n_facts, n_inlined, n_conds; } fv_prover_mark;
fv_prover_mark fv_prover_enter(const fv_prover *p);
void fv_prover_leave(fv_prover *p, fv_prover_mark m);
void fv_prover_axis(fv_prover *p, const fv_stmt *owner, const fv_tile_axis *a);
void fv_prover_let(fv_prover *p, const fv_stmt *let);
void fv_prover_cond(fv_prover *p, const fv_expr *cond);
/* value NULL: written in another way, nothing is known */
void fv_prover_define(fv_prover *p, const fv_buffer *b, const fv_expr *value);
/* Definitions put in: lets, bases, buffers that one map defines. */
const fv_expr *fv_prover_inline(fv_prover *p, const fv_expr *e);

/* Does e lie in 0..extent-1 wherever the ifs around and `where` (NULL: always) hold? offsets: axes in e are offsets in
 * their tiles.
 * NULL if so; else text that says why not ("can be 13 at gy=1 i=6" or "cannot be proved ..."). */
const char *fv_prove_index(fv_prover *p, const fv_expr *e, int64_t extent, bool offsets, const fv_expr *where);
/* Do the conditions (inlined) alone, term by term, keep e in 0 .. extent - 1? */
bool fv_prove_by_sums(fv_prover *p, const fv_expr *e, int64_t extent, const fv_expr *const *cond, int n_conds);

/* -- Enumeration of the leaves that some expressions depend on ----------------------------------------------------- */
typedef struct {
    fv_prover *p;
    int leaf[FV_PROVE_LEAVES], n;                       /* numbers of domains, in order of declaration */
    bool ends[FV_PROVE_LEAVES], wide[FV_PROVE_LEAVES];  /* only first and last value; position without its base */
    const fv_expr *cond[FV_PROVE_CONDS];
    int n_conds;
    bool unknown;                                       /* something depends on a leaf that nothing is known of */
    /* a condition was left out that could exclude some assignments */
    bool dropped;
    int64_t budget;                                     /* evaluations left; < 0: given up */
} fv_enumeration;
void fv_enumerate_init(fv_enumeration *n, fv_prover *p, const fv_expr *const *e, int count, const fv_expr *where,
                       bool wider);
double fv_enumerate_eval(fv_enumeration *n, const fv_expr *e);
/* Calls fn at every assignment that satisfies the conditions; stops when it returns true, and returns true then. */
typedef bool fv_assignment_fn(fv_enumeration *n, void *user);
bool fv_enumerate(fv_enumeration *n, fv_assignment_fn *fn, void *user);
void fv_enumerate_show(const fv_enumeration *n, fv_buf *out);       /* " at gy=1 i=6" */
#endif
