/* expr: named axes, scalar expression trees, affine normal form, intervals. Graph and kernel both stand on it.
 *
 * Trees are immutable and hash-consed in the context: equal trees are the same pointer. Builders fold constants;
 * integer sums are kept in affine normal form (sum of coefficient * atom, then a constant; atoms in order of first
 * creation), so that two ways to write one index are one pointer. Float operations are never reassociated.
 *
 * Integers are i32 in meaning (int64_t here); // and % round to minus infinity (Lua). A bool is 0 or 1. */
#ifndef FV_EXPR_H
#define FV_EXPR_H
#include "base/base.h"

enum { FV_MAX_AXES = 24 };

typedef enum { FV_VOID, FV_BOOL, FV_I32, FV_F32, FV_F64, FV_F16, FV_BF16, FV_TYPE_COUNT } fv_type;
const char *fv_type_name(fv_type t); /* "bool" "i32" "f32" "f64" "f16" "bf16" */
bool fv_type_parse(const char *s, fv_type *out);
int fv_type_bytes(fv_type t); /* bool is one byte */
static inline bool fv_type_is_float(fv_type t) { return t >= FV_F32; }

/* A named axis with its extent. `symbol` names the extent symbol that it was bound from ({0}: a number of the spec). */
typedef struct {
    fv_str name;
    int64_t extent;
    fv_str symbol;
} fv_axis;

/* What can be read: first member of graph values, kernel tensors and buffers. */
typedef enum { FV_OBJ_VALUE, FV_OBJ_TENSOR, FV_OBJ_BUFFER } fv_obj_kind;
typedef struct {
    fv_obj_kind kind;
    fv_str name;
    fv_type type;
    int rank;
    bool ranged; /* i32 whose elements are known to lie in lo..hi */
    int64_t lo, hi;
} fv_obj;

/* Operators: X(name, spelling, arity, form).  form: I infix, F function, L leaf, S special print. See expr_ops.def. */
typedef enum {
#define X(name, spelling, arity, form) FV_X_##name,
#include "expr/expr_ops.def"
#undef X
    FV_X_COUNT
} fv_op;
const char *fv_op_spelling(fv_op op);
int fv_op_arity(fv_op op); /* -1: any */

typedef struct fv_expr fv_expr;
struct fv_expr {
    fv_op op;
    fv_type type;
    int lanes;         /* 1: scalar; > 1: a vector (flat stage only) */
    int n;             /* number of arguments */
    uint32_t id;       /* order of creation: deterministic */
    int64_t i;         /* INT: value; READ: 1 if the last argument is a fill; LOAD and others: see flat.h */
    double f;          /* FLOAT */
    fv_str name;       /* AXIS, VAR */
    const fv_obj *ref; /* READ, LOAD */
    const fv_expr *arg[];
};

/* -- Builders (all fold)
 * ------------------------------------------------------------------------------------------------ */
const fv_expr *fv_int(fv_ctx *ctx, int64_t v);
const fv_expr *fv_bool(fv_ctx *ctx, bool v);
const fv_expr *fv_float(fv_ctx *ctx, double v);                  /* f32 in meaning; kept in double */
const fv_expr *fv_float_of(fv_ctx *ctx, fv_type type, double v); /* of another float type */
const fv_expr *fv_axis_ref(fv_ctx *ctx, fv_str name);            /* coordinate of an axis: i32 */
const fv_expr *fv_var(fv_ctx *ctx, fv_str name,
                      fv_type type); /* a scalar bound elsewhere (let, symbol, loop variable) */
const fv_expr *fv_var_n(fv_ctx *ctx, fv_str name, fv_type type, int lanes);
/* Element of `ref` at the index expressions (one per axis, in its order). fill: NULL, or the value read where an index
 * leaves its extent. */
const fv_expr *fv_read(fv_ctx *ctx, const fv_obj *ref, const fv_expr *const *index, int rank, const fv_expr *fill);
/* Any operator; types follow the rules in expr_ops.def; mixed int and float arithmetic converts the int. */
const fv_expr *fv_op1(fv_ctx *ctx, fv_op op, const fv_expr *a);
const fv_expr *fv_op2(fv_ctx *ctx, fv_op op, const fv_expr *a, const fv_expr *b);
const fv_expr *fv_op3(fv_ctx *ctx, fv_op op, const fv_expr *a, const fv_expr *b, const fv_expr *c);
/* Conversions: a bool counts as where(b, 1, 0); a number as a condition is number != 0. */
const fv_expr *fv_to_i32(fv_ctx *ctx, const fv_expr *a); /* bools only; others are returned as they are */
const fv_expr *fv_to_bool(fv_ctx *ctx, const fv_expr *a);
/* The raw maker, for flat-stage operators and rewriters: no folding beyond hash-consing when op is not an arithmetic
 * one. */
const fv_expr *fv_make(fv_ctx *ctx, fv_op op, fv_type type, int lanes, int64_t i, const fv_obj *ref,
                       const fv_expr *const *arg, int n);
/* Folds nothing at all, for parsers of texts that must come back as they were written. */
const fv_expr *fv_cons(fv_ctx *ctx, fv_op op, fv_type type, int lanes, int64_t i, const fv_obj *ref,
                       const fv_expr *const *arg, int n);
/* The same operator over other arguments (folds as the builders do). */
const fv_expr *fv_rebuild(fv_ctx *ctx, const fv_expr *e, const fv_expr *const *arg);

static inline const fv_expr *fv_add(fv_ctx *c, const fv_expr *a, const fv_expr *b) { return fv_op2(c, FV_X_ADD, a, b); }
static inline const fv_expr *fv_sub(fv_ctx *c, const fv_expr *a, const fv_expr *b) { return fv_op2(c, FV_X_SUB, a, b); }
static inline const fv_expr *fv_mul(fv_ctx *c, const fv_expr *a, const fv_expr *b) { return fv_op2(c, FV_X_MUL, a, b); }
static inline const fv_expr *fv_and(fv_ctx *c, const fv_expr *a, const fv_expr *b) {
    return !a ? b : !b ? a : fv_op2(c, FV_X_AND, a, b);
}
static inline const fv_expr *fv_addi(fv_ctx *c, const fv_expr *a, int64_t b) {
    return fv_op2(c, FV_X_ADD, a, fv_int(c, b));
}
static inline const fv_expr *fv_muli(fv_ctx *c, const fv_expr *a, int64_t b) {
    return fv_op2(c, FV_X_MUL, a, fv_int(c, b));
}
static inline bool fv_is_int(const fv_expr *e, int64_t *out) { /* a constant integer (or bool)? */
    if (!e || e->op != FV_X_INT) return false;
    if (out) *out = e->i;
    return true;
}
static inline bool fv_is_true(const fv_expr *e) { return !e || (e->op == FV_X_INT && e->i != 0); }
static inline bool fv_is_false(const fv_expr *e) { return e && e->op == FV_X_INT && e->i == 0; }

/* -- Walks
 * --------------------------------------------------------------------------------------------------------------- */
/* Rewrites bottom-up, sharing kept: `fn` gets the node rebuilt over rewritten arguments and returns its replacement (or
 * itself). */
typedef const fv_expr *fv_rewrite_fn(fv_ctx *ctx, const fv_expr *e, void *user);
const fv_expr *fv_rewrite(fv_ctx *ctx, const fv_expr *e, fv_rewrite_fn *fn, void *user);
/* Simultaneous substitution of leaves (AXIS or VAR nodes, by pointer). */
typedef struct {
    const fv_expr *from, *to;
} fv_binding;
const fv_expr *fv_subst(fv_ctx *ctx, const fv_expr *e, const fv_binding *b, int n);
/* Calls fn on every distinct node, arguments first; stops and returns true as soon as fn does. */
typedef bool fv_visit_fn(const fv_expr *e, void *user);
bool fv_visit(const fv_expr *e, fv_visit_fn *fn, void *user);
bool fv_uses_axis(const fv_expr *e, fv_str axis);
bool fv_uses(const fv_expr *e, const fv_expr *leaf); /* any node, by pointer */
/* Appends the names of axes that occur in e (each once, in order of first appearance); returns the new count. */
int fv_axes_of(const fv_expr *e, fv_str *names, int n, int cap);
int64_t fv_expr_size(const fv_expr *e); /* distinct nodes */

/* -- Affine view of an i32 expression: sum of coef * atom + constant
 * ------------------------------------------------------- */
enum { FV_MAX_TERMS = 32 };
typedef struct {
    int n;
    struct {
        int64_t coef;
        const fv_expr *atom;
    } term[FV_MAX_TERMS];
    int64_t constant;
} fv_affine;
bool fv_affine_of(const fv_expr *e, fv_affine *out); /* false: more than FV_MAX_TERMS terms */
const fv_expr *fv_affine_expr(fv_ctx *ctx, const fv_affine *a);
/* Splits e = coef * leaf + rest where rest is free of leaf (an AXIS or VAR); false if it is not so. */
bool fv_split_affine(fv_ctx *ctx, const fv_expr *e, const fv_expr *leaf, int64_t *coef, const fv_expr **rest);

/* -- Ranges
 * --------------------------------------------------------------------------------------------------------------- */
typedef struct {
    int64_t lo, hi;
} fv_range; /* both inclusive */
#define FV_RANGE_MIN (-(INT64_C(1) << 40))
#define FV_RANGE_MAX (INT64_C(1) << 40)
/* What is known of leaves: a list of (leaf, range); the latest entry for a leaf counts. */
typedef struct {
    int n, cap;
    struct {
        const fv_expr *leaf;
        fv_range range;
    } *item;
} fv_facts;
void fv_facts_add(fv_ctx *ctx, fv_facts *f, const fv_expr *leaf, int64_t lo, int64_t hi);
/* `leaf` may be any i32 expression: a limit that names other leaves is a fact like  i - (99 - g) // 4  in
 * FV_RANGE_MIN..0. What is known of coef * atom + constant is kept as a range of the atom, within what was known of it.
 * A bool expression in 1..1 is assumed to hold: */
void fv_facts_assume(fv_ctx *ctx, fv_facts *f, const fv_expr *pred); /* and, <, <=, ==, not are taken apart */
fv_facts fv_facts_copy(fv_ctx *ctx, const fv_facts *f);              /* NULL: none */
fv_range fv_range_of(const fv_facts *f, const fv_expr *e);           /* sound; unknown leaves are unbounded */
/* Proves or refutes a bool expression by ranges: 1 always, 0 never, -1 unknown. */
int fv_prove(fv_ctx *ctx, const fv_facts *f, const fv_expr *pred);
bool fv_prove_le(const fv_facts *f, const fv_expr *a, const fv_expr *b,
                 int64_t c); /* a <= b + c, of i32; makes no nodes */
/* Folds div, mod, min, max, comparisons and where that the facts decide; recombines (x // n) * n + x % n. */
const fv_expr *fv_simplify(fv_ctx *ctx, const fv_facts *f, const fv_expr *e);
/* Smallest and largest value of e over a box: `leaf[j]` ranges over lo[j]..hi[j] (expressions free of the leaves). The
 * results are expressions; they are exact where each leaf occurs monotonically and once, sound otherwise. false: no
 * bound known. */
bool fv_bounds(fv_ctx *ctx, const fv_facts *f, const fv_expr *e, const fv_expr *const *leaf, const fv_expr *const *lo,
               const fv_expr *const *hi, int n, const fv_expr **out_lo, const fv_expr **out_hi);
/* Direction of an i32 expression in one leaf, others fixed: +1 never falls, -1 never rises, 0 constant, 2 unknown. */
int fv_monotone(const fv_facts *f, const fv_expr *e, const fv_expr *leaf);

/* -- Values
 * --------------------------------------------------------------------------------------------------------------- */
/* Evaluates pointwise operators in f64 (the reference's arithmetic): `leaf` answers AXIS, VAR and READ. Bools are 0
 * and 1. */
typedef double fv_leaf_fn(const fv_expr *e, void *user);
double fv_eval(const fv_expr *e, fv_leaf_fn *leaf, void *user);
double fv_apply(fv_op op, fv_type type, const double *arg); /* one operator on numbers */

/* -- Roundings
 * --------------------------------------------------------------------------------------------------------------- */
enum { FV_WHOLE_LIMIT = 1 << 24 };              /* f32 holds every whole number below it */
double fv_float_operations(const fv_expr *e); /* operators with a float result; NULL: 0 */
/* The largest magnitude of e where what it reads are whole numbers, if f32 computes it without rounding; HUGE_VAL: it is
 * not known to be a whole number below the limit. NULL: 0. leaf: the same of a READ or a TOFLOAT. */
typedef double fv_whole_leaf(const fv_expr *e, void *user);
double fv_whole_magnitude(const fv_expr *e, fv_whole_leaf *leaf, void *user);

/* -- Text
 * ------------------------------------------------------------------------------------------------------------------ */
/* Prints with minimal parentheses; READ prints as name[i, j] or name[i, j]?fill, flat-stage operators as
 * op<lanes>(object, arguments; i). Operands whose order the builders choose are put in an order that follows from their
 * text, so print(parse(text)) does not depend on which axes the context saw first. Beyond 400 levels or a million nodes
 * "(...)" stands for the rest. */
void fv_expr_print(const fv_ctx *ctx, const fv_expr *e, fv_buf *out);
/* Lexer shared by the parsers of all levels. */
typedef enum {
    FV_T_END,
    FV_T_NAME,
    FV_T_INT,
    FV_T_FLOAT,
    FV_T_PUNCT,
    FV_T_STRING,
    FV_T_NEWLINE,
    FV_T_BAD
} fv_token_kind;
typedef struct {
    fv_ctx *ctx;
    fv_str file;
    const char *at; /* next character */
    int line;
    bool newlines; /* report FV_T_NEWLINE (else newlines are space) */
    /* the current token */
    fv_token_kind kind;
    const char *start;
    size_t len;
    int64_t i;
    double f;
    int token_line;
    int depth; /* nesting of the parser, capped */
} fv_lexer;
void fv_lex_init(fv_lexer *lx, fv_ctx *ctx, const char *file, const char *text); /* positions on the first token */
void fv_lex_next(fv_lexer *lx);
bool fv_lex_is(const fv_lexer *lx, const char *text); /* is the current token this name or punctuation? */
bool fv_lex_accept(fv_lexer *lx, const char *text);   /* and step over it */
bool fv_lex_expect(fv_lexer *lx, const char *text);   /* or record a SYNTAX error; false then */
bool fv_lex_name(fv_lexer *lx, fv_str *out);          /* a name (letters, digits, _ . '), or an error */
bool fv_lex_int(fv_lexer *lx, int64_t *out);          /* an optionally signed integer, or an error */
fv_loc fv_lex_loc(const fv_lexer *lx);
bool fv_lex_fail(fv_lexer *lx, const char *what); /* records "expected WHAT, found TOKEN"; returns false */
/* Parses an expression. `resolve` turns a name into a leaf (AXIS, VAR …) or into an object to be read (out_ref set). */
typedef const fv_expr *fv_resolve_fn(void *user, fv_ctx *ctx, fv_str name, const fv_obj **out_ref);
const fv_expr *fv_expr_parse(fv_lexer *lx, fv_resolve_fn *resolve, void *user); /* NULL after recording an error */
#endif
