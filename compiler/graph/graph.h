/* graph: a pure DAG of tensors with named axes: what an author's spec means. docs/language.md defines the meaning of
 * every node.
 *
 * Nodes are made in topological order and live as long as the context. A node has one or several results (`fv_value`);
 * a value's axes are a set of names with extents (their order here is that of first appearance and carries no meaning).
 * Bodies and indices are `fv_expr` trees whose AXIS leaves are coordinates of named axes and whose READ leaves refer to
 * values (one index per axis of that value, in its order). */
#ifndef FV_GRAPH_H
#define FV_GRAPH_H
#include "expr/expr.h"

typedef struct fv_node fv_node;
typedef struct fv_graph fv_graph;

typedef struct {
    fv_obj obj; /* kind FV_OBJ_VALUE; an index type is a ranged i32 */
    fv_node *node;
    int result;          /* which result of the node */
    int id;              /* dense over the graph: fv_graph.value[id] */
    const fv_axis *axis; /* [obj.rank] */
    bool partial;        /* elements may be absent (language.md A2) */
    bool free_form;      /* made of coordinates, numbers and constants alone (R3: nests freely) */
} fv_value;

/* A stored order: one group of axes per stored dimension, major to minor; a group of no axes is a stored dimension of
 * extent 1. */
typedef struct {
    int n;
    int axis[FV_MAX_AXES];
} fv_stored_dim; /* indices into value->axis */
typedef struct {
    int rank;
    fv_stored_dim dim[FV_MAX_AXES];
} fv_stored;

typedef enum {
    FV_NODE_INPUT,
    FV_NODE_PARAM,
    FV_NODE_CONST,
    FV_NODE_STATE,
    FV_NODE_PLACEHOLDER,
    FV_NODE_READ,
    FV_NODE_CONCAT,
    FV_NODE_COMPUTE,
    FV_NODE_ATTEND,
    FV_NODE_TOPK,
    FV_NODE_SCAN,
    FV_NODE_COUNT
} fv_node_op;
const char *fv_node_op_name(fv_node_op op);

/* What happens where an index of a read leaves its axis. NONE: the index is always inside (proved by ranges, or an
 * error). */
typedef enum {
    FV_BORDER_NONE,
    FV_BORDER_NUMBER,
    FV_BORDER_CUT,
    FV_BORDER_CLAMP,
    FV_BORDER_REFLECT,
    FV_BORDER_WRAP
} fv_border;

/* NONE: a map. MEAN divides by the number of elements that exist (0 if none). COUNT counts them. ANY and ALL give
 * bools. */
typedef enum {
    FV_MONOID_NONE,
    FV_MONOID_SUM,
    FV_MONOID_MEAN,
    FV_MONOID_MAX,
    FV_MONOID_MIN,
    FV_MONOID_COUNT,
    FV_MONOID_ANY,
    FV_MONOID_ALL
} fv_monoid;

/* Leaves. */
typedef struct {
    fv_str name;
    fv_stored stored;
    fv_type stored_type;
} fv_leaf_node; /* INPUT, PARAM, STATE: result axes are the stored ones */
typedef struct {
    const double *data;
    int64_t count;
} fv_const_node; /* row-major in the order of the result's axes */
/* PLACEHOLDER: a value bound by the node that owns it: the raw score or a normalised p of an attend set, a state or
 * element of a scan. */
typedef struct {
    fv_str what;
} fv_placeholder_node;

/* out[A] = src[ index_0(A), index_1(A), ... ]: one index per axis of src; AXIS leaves are the result's axes; READs of
 * i32 or float values are allowed in them (data-dependent; identity coordinates). */
typedef struct {
    fv_value *src;
    const fv_expr **index; /* [src rank] */
    fv_border border;
    double number;       /* FV_BORDER_NUMBER */
    const fv_expr *only; /* NULL, or a bool over the result's axes: where false (or absent) the element is absent */
} fv_read_node;

/* Along `axis`, the parts in order; a part that lacks another axis of the result is constant along it. */
typedef struct {
    fv_str axis;
    int n;
    fv_value **part;
} fv_concat_node;

/* out[F] = monoid over `over` of body[F, over]; elements of the body that are absent are skipped. A map with absent
 * operands is absent there. `only`: NULL, or a bool over F and over: where false (or absent) the body's element is
 * absent. otherwise: NULL, or (maps only) the value where the body is absent: the result is then not partial. */
typedef struct {
    fv_monoid monoid;
    int n_over;
    fv_axis over[FV_MAX_AXES];
    const fv_expr *body, *only, *otherwise;
} fv_compute_node;

/* attend: see language.md section 4 and docs/language.md. The score and the weight of a set are sub-graphs: values
 * computed by ordinary nodes from placeholders that this node owns (raw: the dot product over the pair's axes; p: the
 * normalised scores). Those nodes stand before the attend in the graph's order and are evaluated by it. Over axes that
 * q also has were renamed on the key side by reads (n -> n'). */
typedef struct {
    fv_value *k, *v, *s; /* s: given logits in place of k (then k is NULL); v NULL: the number v_number */
    double v_number;
    int n_over;
    fv_axis over[FV_MAX_AXES]; /* key axes, key-side names; none: one key */
    fv_value *only;            /* NULL, or a bool over axes of Q and over; false or absent: no pair */
    fv_value *raw;             /* placeholder over Q and over; NULL where s is given */
    int n_scores;
    fv_value **score; /* [n_scores] over axes of Q and over; for given logits without a score function: s itself */
    fv_value **p;     /* [n_scores] placeholders over Q and over; NULL without a weight */
    fv_value *weight; /* NULL: p1 */
} fv_attend_set;
typedef struct {
    bool ratio; /* else softmax */
    int n_axes;
    fv_str axis[FV_MAX_AXES]; /* none: over the keys of all sets together */
    bool has_floor;
    double floor, eps; /* ratio: x / max(sum, floor) or x / (sum + eps) */
} fv_attend_step;
typedef struct {
    fv_value *q; /* NULL where logits are given */
    int n_dot;
    fv_axis dot[FV_MAX_AXES];
    int n_sets;
    fv_attend_set *set;
    int n_steps;
    fv_attend_step *step;
    bool lse;     /* result 1: log-sum-exp over Q (natural logarithm) */
} fv_attend_node; /* result 0: axes Q then E */

/* The k best of src over `over` (in the stated order: linear index major to minor), descending (or ascending), ties to
 * the lower linear index, NaN last. Results: one index value per over axis (axes: the rest, then `name`), then the
 * values. */
typedef struct {
    fv_value *src;
    int n_over;
    fv_str over[FV_MAX_AXES];
    int64_t k;
    fv_str name;
    bool ascending;
} fv_topk_node;

/* scan over an axis: body values are computed from placeholders by ordinary nodes that stand before this node. */
typedef struct {
    fv_axis over;
    bool reverse;
    int n_states;
    fv_value **init, **state, **next; /* [n_states]: initial values, placeholders, next values */
    int n_elements;
    fv_value **element_src, **element; /* outer values that have the axis, and their placeholders that lack it */
    fv_value *output;                  /* NULL, or the per-step output (lacks the axis) */
} fv_scan_node;                        /* results: output with the axis (if any), then last states */

struct fv_node {
    fv_node_op op;
    int id; /* position in fv_graph.node */
    fv_loc loc;
    int n_results;
    fv_value **result;
    union {
        fv_leaf_node leaf;
        fv_const_node constant;
        fv_placeholder_node placeholder;
        fv_read_node read;
        fv_concat_node concat;
        fv_compute_node compute;
        fv_attend_node attend;
        fv_topk_node topk;
        fv_scan_node scan;
    } u;
};

typedef struct {
    fv_str entry, name;
    fv_value *value;
    fv_stored stored;
    fv_loc loc;
} fv_output; /* entry {0}: the only one */

/* A number the spec leaves open, and what it was bound to. */
typedef enum { FV_BIND_BUILD, FV_BIND_BIND, FV_BIND_CALL, FV_BIND_RUN } fv_binding_time;
typedef struct {
    fv_str name;
    fv_binding_time time;
    int64_t value, multiple_of;
} fv_symbol;

struct fv_graph {
    fv_ctx *ctx;
    fv_str name;
    int n_nodes, cap_nodes;
    fv_node **node;
    int n_values, cap_values;
    fv_value **value;
    int n_outputs, cap_outputs;
    fv_output *output;
    int n_symbols, cap_symbols;
    fv_symbol *symbol;
};

/* -- Building (each checks its own rules, records an error at `loc` and returns NULL on a mistake)
 * --------------------------- */
fv_graph *fv_graph_new(fv_ctx *ctx, const char *name);
fv_value *fv_graph_input(fv_graph *g, fv_loc loc, fv_str name, fv_type type, const fv_axis *axis, int n,
                         const fv_stored *stored);
fv_value *fv_graph_param(fv_graph *g, fv_loc loc, fv_str name, fv_type type, const fv_axis *axis, int n,
                         const fv_stored *stored);
fv_value *fv_graph_state(fv_graph *g, fv_loc loc, fv_str name, fv_type type, const fv_axis *axis, int n,
                         const fv_stored *stored);
fv_value *fv_graph_const(fv_graph *g, fv_loc loc, fv_type type, const fv_axis *axis, int n,
                         const double *data); /* data is copied */
fv_value *fv_graph_placeholder(fv_graph *g, fv_loc loc, const char *what, fv_type type, const fv_axis *axis, int n,
                               bool partial);
/* Declares an extent symbol and what it was bound to; multiple_of 0 or 1: no fact. */
bool fv_graph_symbol(fv_graph *g, fv_loc loc, fv_str name, fv_binding_time time, int64_t value, int64_t multiple_of);
/* States that the elements of an i32 leaf or placeholder lie in lo..hi (inputs are checked at entry): makes it an index
 * type. */
bool fv_value_bound(fv_graph *g, fv_loc loc, fv_value *v, int64_t lo, int64_t hi);
/* axis: axes of the result; index: one per axis of src. FV_BORDER_NONE demands a proof by ranges that every index is
 * inside. */
fv_value *fv_graph_read(fv_graph *g, fv_loc loc, fv_value *src, const fv_axis *axis, int n, const fv_expr *const *index,
                        fv_border border, double number, const fv_expr *only);
fv_value *fv_graph_concat(fv_graph *g, fv_loc loc, fv_str axis, fv_value *const *part, int n);
/* Type: that of the body (SUM of bools: i32; of halves: f32; MEAN: f32; COUNT: i32; ANY, ALL: bool; with otherwise: the
 * wider of the two). An i32 maximum of nothing is INT32_MIN, a minimum INT32_MAX; of floats -inf and inf. */
fv_value *fv_graph_compute(fv_graph *g, fv_loc loc, fv_monoid m, const fv_axis *axis, int n, const fv_axis *over,
                           int n_over, const fv_expr *body, const fv_expr *only, const fv_expr *otherwise);
fv_value *fv_graph_attend(fv_graph *g, fv_loc loc, const fv_attend_node *spec, fv_value **out_lse); /* spec is copied */
fv_node *fv_graph_topk(fv_graph *g, fv_loc loc, fv_value *src, const fv_str *over, int n_over, int64_t k, fv_str name,
                       bool ascending);
fv_node *fv_graph_scan(fv_graph *g, fv_loc loc, const fv_scan_node *spec); /* spec is copied */
bool fv_graph_output(fv_graph *g, fv_loc loc, fv_str entry, fv_str name, fv_value *v, const fv_stored *stored);

/* The first node that does not treat the elements of `axis` of the inputs apart and alike, *why says in what way ("it
 * ..."); NULL: a graph for n of them gives of each what a graph for any other number gives. Every input and output has
 * the batch as its outermost stored dimension, by itself; no node sums over it, takes a part of it, or uses the number
 * of an element. An extent that the author has put into a formula as a number is not seen: fv_graph_differs finds it. */
const fv_node *fv_graph_mixes(const fv_graph *g, fv_str axis, const char **why);
/* The first node of b that is not that of a but for extents, which are `of_b` where they are `of_a` in a; NULL: none. */
const fv_node *fv_graph_differs(const fv_graph *a, const fv_graph *b, int64_t of_a, int64_t of_b);

/* The value read at its own coordinates: READ(v, axis_0, axis_1, ...). */
const fv_expr *fv_value_at_self(fv_ctx *ctx, const fv_value *v);
static inline const fv_value *fv_value_of(const fv_obj *o) { return (const fv_value *)(const void *)o; }
int fv_axis_find(const fv_axis *axis, int n, fv_str name); /* index into the list, or -1 */
int fv_value_axis(const fv_value *v, fv_str name);         /* index into v->axis, or -1 */
int64_t fv_value_count(const fv_value *v);                 /* product of the extents */
/* Facts that every axis of v lies in 0..extent-1. */
void fv_value_facts(fv_ctx *ctx, const fv_value *v, fv_facts *f);
/* "x: b=2 h=56 w=56 c=64": for messages. */
const char *fv_value_text(const fv_graph *g, const fv_value *v);

/* -- Whole graphs
 * ------------------------------------------------------------------------------------------------------------ */
int fv_graph_verify(fv_graph *g);                            /* number of faults found, each recorded */
void fv_graph_print(const fv_graph *g, fv_buf *out);         /* canonical text: print(parse(t)) == t */
void fv_graph_print_located(const fv_graph *g, fv_buf *out); /* the same, with `at "file" line` behind each node */
fv_graph *fv_graph_parse(fv_ctx *ctx, const char *file, const char *text);
/* Which nodes are needed for the outputs: live[node->id]. */
void fv_graph_live(const fv_graph *g, bool *live);
/* Calls fn for every value that a node reads, bodies and sub-graphs' results included. */
void fv_node_operands(const fv_node *n, void (*fn)(const fv_value *v, void *user), void *user);
/* Calls fn for every value that an expression reads (READ leaves), each once. */
void fv_expr_values(const fv_expr *e, void (*fn)(const fv_value *v, void *user), void *user);
/* Which nodes depend on a placeholder (their values exist only inside the node that owns it): inner[node->id]. */
void fv_graph_inner(const fv_graph *g, bool *inner);
/* Which placeholders each node depends on (less those it owns), one bit each: what makes a node inner. */
typedef struct {
    int n, words;
    const int *slot;              /* by node id: its placeholder's number, or -1 */
    const fv_value **placeholder; /* [n] */
    const fv_node **owner;        /* [n]; NULL: nobody's */
    uint64_t *bits;               /* [node id][words] */
} fv_bound_sets;
const fv_bound_sets *fv_graph_bound_sets(const fv_graph *g); /* in the arena */
bool fv_bound_sets_has(const fv_bound_sets *s, const fv_node *n, int placeholder);
bool fv_bound_sets_any(const fv_bound_sets *s, const fv_node *n);

/* Multiply-accumulates and pointwise operations of the live nodes, by definition (windows count their taps). */
typedef struct {
    double macs, maps, params;
} fv_cost;
void fv_graph_cost(const fv_graph *g, fv_cost *out);
#endif
