/* The parser's state, shared by parse.c (file, leaves, simple nodes) and parse_many.c (attend, topk, scan). */
#ifndef FV_GRAPH_PARSE_H
#define FV_GRAPH_PARSE_H
#include "graph/private.h"

typedef struct { fv_str name; fv_type type; int n; fv_axis axis[FV_MAX_AXES]; bool partial; } fv_declared;
typedef struct {
    fv_lexer lx;
    fv_ctx *ctx;
    fv_graph *g;
    fv_value **by_name;                                 /* indexed by interned string */
    uint32_t n_names;
    fv_loc loc;                                         /* of the statement */
    int n_declared;
    fv_declared *declared;                              /* what stands left of "=" */
    int cap_declared;
} fv_graph_parser;

/* Each returns false after recording an error. */
bool fv_parse_value(fv_graph_parser *p, fv_value **out);                     /* _N, defined before */
bool fv_parse_axes(fv_graph_parser *p, fv_axis *axis, int *n);               /* [a=1 b=2:B] */
bool fv_parse_number(fv_graph_parser *p, double *out);                       /* signed; inf, nan */
bool fv_parse_int(fv_graph_parser *p, int64_t *out);
bool fv_parse_string(fv_graph_parser *p, fv_str *out);
bool fv_parse_values(fv_graph_parser *p, fv_value **list, int cap, int *n);  /* _1, _2 */
/* Takes `at "file" line` if it is there, and sets p->loc. */
bool fv_parse_loc(fv_graph_parser *p);
fv_node *fv_parse_attend(fv_graph_parser *p);
fv_node *fv_parse_topk(fv_graph_parser *p);
fv_node *fv_parse_scan(fv_graph_parser *p);
#endif
