/* Shared by tile_parse.c and tile_parse_stmt.c only. */
#ifndef FV_TILE_PARSE_H
#define FV_TILE_PARSE_H
#include "kernel/tile_internal.h"

typedef struct {
    fv_ctx *ctx;
    fv_lexer lx;
    fv_kernel *kernel;
    fv_names names;
    int depth;
    int errors;                                         /* count before this kernel: one mistake gives one error */
} fv_tile_parser;

/* records unless something was; returns false */
bool fv_tile_parse_fail(fv_tile_parser *p, fv_code code, const char *text);
const fv_expr *fv_tile_parse_expr(fv_tile_parser *p);
bool fv_tile_parse_name(fv_tile_parser *p, fv_str *out);
bool fv_tile_parse_declare(fv_tile_parser *p, fv_name item);
bool fv_tile_parse_range(fv_tile_parser *p, const char *word, bool *ranged, int64_t *lo, int64_t *hi);
bool fv_tile_parse_buffer_type(fv_tile_parser *p, fv_type *out);
/* name[axis, ...][: type]: the buffer of that name, made if it is new (*made). */
fv_buffer *fv_tile_parse_buffer(fv_tile_parser *p, bool *made);
bool fv_tile_parse_one(fv_tile_parser *p, fv_stmts *list);         /* a structure or a statement */
bool fv_tile_parse_stmt(fv_tile_parser *p, fv_stmts *list);        /* label: target op value ... */
#endif
