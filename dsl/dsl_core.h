/* What the files of dsl/ share: the state of one run, tensors as Lua sees them, and how mistakes leave.
 *
 * A tensor is a userdata over `tensor`: named axes and an expression over their coordinates. Operations on data make
 * graph nodes at once. What is made of coordinates and numbers alone, and i32 and bool arithmetic, stays an expression
 * until a node needs a value: so that an index of a read keeps its form (affine, piecewise affine). */
#ifndef FV_DSL_CORE_H
#define FV_DSL_CORE_H
#include "dsl/dsl.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

enum { DSL_MAX_EXPR = 2000, DSL_MAX_TEXT = 1 << 20 };

typedef struct {
    int n;
    fv_axis axis[FV_MAX_AXES];
    const fv_expr *expr;                                /* the element at the coordinates of the axes */
    const fv_expr *only;                                /* NULL, or a bool: where false there is no element */
    fv_value *value;                                    /* NULL: no node yet */
    bool partial;                                       /* elements may be absent */
    bool free_form;                                     /* of coordinates, numbers and constants alone (R3) */
    bool pure;                                          /* the expression reads no value */
    int64_t size;                                       /* of the expression as a tree, about */
    fv_loc loc;
} tensor;

/* One scan whose body is being traced: outer tensors that have its axis become elements. */
typedef struct scan_frame scan_frame;
struct scan_frame {
    scan_frame *outer;
    fv_axis over;                                       /* extent 0: not known yet */
    int n, cap;
    struct scan_element { fv_value *source, *element; } *item;
};

typedef struct {
    fv_ctx *ctx;
    fv_graph *graph;
    const fv_spec_options *o;
    const char *path;
    fv_spec *spec;
    int scoped;                                         /* > 0: inside score or weight (R3 does not hold) */
    scan_frame *scan;
    fv_str entry;
    /* limits */
    size_t memory, memory_cap;
    int64_t steps, step_cap, node_cap, ops;
    double deadline;
    const char *tripped;                                /* NULL, or which limit was reached: nothing runs on */
    lua_State *L;                                       /* while the spec runs */
    fv_loc last;                                        /* where the spec was when memory was last refused */
    /* what was read, declared and printed */
    int n_read, cap_read;
    fv_str *read;
    int n_leaves, cap_leaves;
    struct dsl_leaf { fv_str key; fv_value *value; } *leaf;
    int cap_entries;
    fv_buf printed, scratch;                            /* scratch: here so that an error leaves nothing behind */
} dsl;

static inline dsl *dsl_of(lua_State *L) { return *(dsl **)lua_getextraspace(L); }

/* -- Mistakes: each records one diagnostic at the author's line and raises; they do not return --------------------- */
fv_loc dsl_loc(lua_State *L);                           /* innermost frame that is not one of Fovea's modules */
_Noreturn void dsl_fail(lua_State *L, fv_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
_Noreturn void dsl_raise(lua_State *L);                 /* a diagnostic was recorded already */
_Noreturn void dsl_trip(lua_State *L, const char *limit);
bool dsl_is_raised(lua_State *L, int at);               /* is this error value one of the above? */
void dsl_charge(lua_State *L, int64_t steps);           /* work done in C counts as instructions */

/* -- Tensors ------------------------------------------------------------------------------------------------------- */
void dsl_tensor_open(lua_State *L);                     /* makes the metatable; leaves nothing */
tensor *dsl_is_tensor(lua_State *L, int at);            /* NULL if it is none */
/* The tensor, number or bool at `at` as an operand; inside a scan, elements of the step. `what` is for messages. */
void dsl_operand(lua_State *L, int at, const char *what, tensor *out);
tensor *dsl_push(lua_State *L, const tensor *t);
tensor *dsl_push_value(lua_State *L, fv_value *v, bool free_form);   /* NULL raises: the builder has said why */
fv_value *dsl_value(lua_State *L, const tensor *t);     /* a node that holds it (made if there is none) */
/* the same of an argument; remembers it in the userdata */
fv_value *dsl_value_at(lua_State *L, int at, const char *what);
int dsl_axis_of(const tensor *t, fv_str name);          /* index, or -1 */
const char *dsl_text(lua_State *L, const tensor *t);    /* "{b=2 h=7}" */
/* Adds the axes of `t` (less `skip`, if not NULL) to `io`; another extent for a name fails and shows both. */
void dsl_union(lua_State *L, tensor *io, const tensor *t, const tensor *skip);
void dsl_add_axis(lua_State *L, tensor *io, fv_str name, int64_t extent, const tensor *from);
fv_str dsl_axis_name(lua_State *L, const char *s, size_t n);         /* checks that it is one */
int64_t dsl_extent(lua_State *L, int64_t n, const char *axis);       /* checks 1 .. 2^31 - 1 */
/* Pushes a result of a pointwise operation: as an expression if it may stay one, else as a node. */
int dsl_push_pointwise(lua_State *L, tensor *t);
const fv_expr *dsl_bool(fv_ctx *ctx, const fv_expr *e); /* e ~= 0 where e is no bool */
const fv_expr *dsl_number(fv_ctx *ctx, const fv_expr *e);            /* a bool as 0 or 1 */

/* -- Order strings ------------------------------------------------------------------------------------------------- */
typedef struct { const char *text; size_t len; int64_t extent; } order_name;   /* extent -1: open */
typedef struct { int n; order_name name[FV_MAX_AXES]; } order_group;
typedef struct { int n; order_group group[FV_MAX_AXES]; } order_list;
/* "(part=3 head d) c 1": one group per stored dimension; extents of `sizes` (a table, or 0) fill the open ones. */
void dsl_order_parse(lua_State *L, const char *s, int sizes, order_list *out);
int dsl_words(lua_State *L, const char *s, fv_str *out);             /* axis names; at most FV_MAX_AXES */

/* -- Parts of the language: each adds its functions to the table on top of the stack ------------------------------- */
void dsl_open_pointwise(lua_State *L);
void dsl_open_access(lua_State *L);
void dsl_open_order(lua_State *L);
void dsl_open_leaf(lua_State *L);
void dsl_open_attend(lua_State *L);
void dsl_open_scan(lua_State *L);
int dsl_read(lua_State *L);                             /* x{ ... }: the metamethod __call */
lua_CFunction dsl_metamethod(int i, const char **out_name);          /* pointwise metamethods, NULL after the last */

/* -- The sandbox --------------------------------------------------------------------------------------------------- */
void *dsl_allocate(void *user, void *p, size_t old, size_t size);
void dsl_hook(lua_State *L, lua_Debug *at);
double dsl_now(void);
void dsl_open_sandbox(lua_State *L);                    /* fills the globals with what is safe */
void dsl_open_strings(lua_State *L);                    /* find, match, gmatch into the table on top */
void dsl_open_require(lua_State *L);
void dsl_open_config(lua_State *L);                     /* the globals config, case, variant */
int dsl_load_library(lua_State *L);                     /* runs Fovea's modules; a protected call away */

/* -- JSON ---------------------------------------------------------------------------------------------------------- */
/* Pushes the value of a JSON text (needs two free slots per level); false (nothing pushed) and *out_error otherwise.
 * null is nil. */
bool dsl_json_push(lua_State *L, const char *text, const char **out_error);
/* tables with [1] (or empty) are arrays; keys sorted */
void dsl_json_write(lua_State *L, int at, fv_buf *out, int depth);

/* Fovea's modules, in order of loading. */
typedef struct { const char *name; const unsigned char *text; size_t len; } dsl_module;
extern const dsl_module dsl_modules[];
extern const int dsl_n_modules;
#endif
