/* Which keys a query sees: computed from the index and existence expressions of an attend's key sets by the reference,
 * drawn as text or as a picture. */
#ifndef FV_CLI_PATTERN_H
#define FV_CLI_PATTERN_H
#include "cli/cli.h"

enum {
    PATTERN_OUTSIDE = -1,
    PATTERN_ABSENT = -2
}; /* a key that is no element of the map (a border's number); no key */
enum { PATTERN_MOST_PAIRS = 1 << 23 };

/* One key set. `map`: the axes of the tensor that keys come from and along which they differ; `query`: the query axes
 * that matter to it. */
typedef struct {
    const fv_node *attend;
    int number;         /* of the set */
    const char *source; /* the tensor that keys come from, in words */
    int n_map, n_query;
    fv_axis map[FV_MAX_AXES], query[FV_MAX_AXES];
    int64_t chosen[FV_MAX_AXES];        /* the query drawn, by query axis */
    int64_t at[FV_MAX_AXES];            /* where that query stands in the map, -1: it does not */
    int64_t n_cells, n_queries, n_keys; /* products: of map, of query, of the set's `over` */
    bool whole;                         /* code covers all queries; else the chosen one alone */
    double *code;                       /* [n_queries or 1][n_keys]: cell of the map, OUTSIDE or ABSENT; malloc'ed */
} cli_pattern_set;

/* Key blocks that the compiled kernel goes through for a query: positions lo..hi of the axis named. */
typedef struct {
    fv_str axis;
    int64_t lo, hi;
    bool skipped;
} cli_block;
/* Blocks of the launch that computes the attend, for a query given by axis; their number, at most cap. */
int cli_blocks(fv_ctx *ctx, const fv_plan *plan, const fv_node *attend, const fv_axis *axis, const int64_t *at, int n,
               cli_block *out, int cap, const char **strategy);

int64_t cli_pattern_index(const cli_pattern_set *p); /* of the chosen query in code */
/* counts[cell]: how often the chosen query sees it. Returns the number of keys that exist; *outside: of them, those not
 * in the map. */
int64_t cli_pattern_counts(const cli_pattern_set *p, int *counts, int64_t *outside);
void cli_pattern_text(fv_ctx *ctx, const cli_pattern_set *p);
bool cli_pattern_picture(fv_ctx *ctx, const cli_pattern_set *p, const char *path);
/* Appends an svg element; n blocks, of axes of the map, are outlined. */
void cli_pattern_svg(fv_ctx *ctx, const cli_pattern_set *p, const cli_block *block, int n, fv_buf *out);
bool cli_pattern_equal(const cli_pattern_set *a, const cli_pattern_set *b);
/* Every key set of every attend of the spec, as long as the visitor says true; p->code is freed after the visit. The
 * graph has more outputs afterwards: compile before. false after recording errors. */
typedef bool cli_pattern_visit(void *user, const cli_pattern_set *p);
bool cli_pattern_each(fv_ctx *ctx, const cli_args *a, cli_session *s, cli_pattern_visit *visit, void *user);
/* fovea show --pattern: all attends of the spec. */
bool cli_pattern(fv_ctx *ctx, const cli_args *a, cli_session *s);
#endif
