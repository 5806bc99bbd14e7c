/* The parts of fovea bench. */
#ifndef FV_CLI_BENCH_H
#define FV_CLI_BENCH_H
#include "cli/measure.h"
#include "io/json.h"

/* A session of a spec given by options in words ("--set out=64 --shape n=1"), as on the command line. */
bool cli_bench_open(fv_ctx *ctx, const char *spec, const char *words, cli_session *s);
const char *cli_bench_folder(fv_ctx *ctx); /* where the benchmarks' own specs are */
int cli_bench_floors(fv_ctx *ctx, const cli_args *a);
int cli_bench_amx(fv_ctx *ctx, const cli_args *a);
int cli_bench_cost(fv_ctx *ctx, const cli_args *a);
int cli_bench_backbones(fv_ctx *ctx, const cli_args *a);
const char *cli_bench_peer_title(const fv_json *file, const char *otherwise); /* what the file says it is of */
double cli_bench_peer_ms(const fv_json *file, const char *name, int threads); /* 0: the file has no such time */
bool cli_bench_format(fv_ctx *ctx, const cli_args *a, const char **format);   /* "md", "csv" or "json" */
bool cli_bench_seconds(fv_ctx *ctx, const cli_args *a, double *io);           /* --seconds, unchanged if not given */
#endif
