/* An inert pickle machine: reads a stream of Python's pickle protocols 2 to 5 into a tree of what it says, and does
 * nothing of it. No name is looked up, nothing is imported, called or constructed: where the stream says "call this
 * class with these arguments", the tree has a node that says so. What a node means is for the reader of the tree to
 * decide, from a list of names that it knows.
 *
 * Trees may share nodes and hold themselves (a list in itself): walk with a bound. */
#ifndef FV_PICKLE_H
#define FV_PICKLE_H
#include "base/base.h"

typedef enum {
    FV_PV_NONE, FV_PV_BOOL, FV_PV_INT, FV_PV_LONG /* beyond 64 bits: no value */, FV_PV_FLOAT, FV_PV_TEXT, FV_PV_BYTES,
    FV_PV_TUPLE, FV_PV_LIST, FV_PV_SET, FV_PV_DICT /* key, value, key, value ... */,
    FV_PV_GLOBAL /* a class or function, by its dotted name */,
    FV_PV_CALL /* what a call would give */, FV_PV_STORED /* a persistent id: u.of */
} fv_pv_kind;

typedef struct fv_pv fv_pv;
typedef struct { fv_pv **v; int32_t n, cap; } fv_pv_list;
typedef struct {
    const fv_pv *callee, *args;          /* args: a tuple */
    const fv_pv *state;                  /* what BUILD gave; NULL: nothing */
    fv_pv_list items, pairs;             /* appended and set afterwards, as to a list and a dict */
} fv_pv_call;
struct fv_pv {
    fv_pv_kind kind;
    uint32_t at;                         /* the byte of the opcode that made it */
    union {
        int64_t i;                       /* BOOL, INT */
        double f;
        struct { const char *p; uint32_t n; } text;   /* TEXT, BYTES: in the stream, no NUL after it */
        fv_pv_list list;                 /* TUPLE, LIST, SET, DICT */
        const char *name;                /* GLOBAL: "torch._utils._rebuild_tensor_v2"; letters, digits, _ and . */
        fv_pv_call *call;
        const fv_pv *of;
    } u;
};

enum { FV_PICKLE_MAX = 64 << 20, FV_PICKLE_VALUES = 1 << 23 };   /* bytes of a stream; nodes and items of a tree */

/* Reads all n bytes, which have to outlive the tree; nodes live in `arena`. NULL: FV_E_FORMAT was recorded with the
 * opcode and its byte. Refused beside what is not well formed: more than FV_PICKLE_MAX bytes, FV_PICKLE_VALUES nodes,
 * a stack of 2^20, marks nested 1000 deep. */
const fv_pv *fv_pickle_read(fv_ctx *ctx, fv_arena *arena, const char *label, const unsigned char *bytes, size_t n);

const char *fv_pv_kind_name(fv_pv_kind kind);                    /* "a dict" */
bool fv_pv_is_text(const fv_pv *v, const char *text);            /* v may be NULL */
/* The name of the class or function that a CALL calls; "" if it is none or calls the result of a call. */
const char *fv_pv_callee(const fv_pv *v);
#endif
