/* The report of a spec's tuning: what the database knows of its kernels, beside what the cost model says. */
#ifndef FV_CLI_TUNE_REPORT_H
#define FV_CLI_TUNE_REPORT_H
#include "cli/cost.h"
#include "tune/apply.h"

/* One kernel of a run as lowered by default; launches with one text are one kernel. */
typedef struct {
    const char *name, *where, *group; /* group: the text that its records are filed under */
    int launch, times;                /* the first launch of a run that is it, and how many are */
    const char *plain, *tuned; /* whole schedules as lowered, by default and with the winner's; tuned NULL: no winner */
    const char *plain_tiles, *tuned_tiles;
    double flops;
    cli_cost plain_cost, tuned_cost; /* counted false: unknown */
    double plain_seconds;            /* measured beside the winner, else by the latest record; 0: never */
    int n;                           /* records, oldest first */
    const fv_tune_record *record;
    int winner; /* which of them; -1: none is faster than the default */
} cli_tune_kernel;
typedef struct {
    const char *spec, *db;
    fv_tune_key place;
    int n, records; /* kernels; records of all of them */
    cli_tune_kernel *kernel;
    int n_patterns;
    const char **pattern; /* svg elements, */
    const char **caption; /* and what they show, in words */
    bool rated;           /* rates and caches are those of this machine */
    fv_rates rates;
    int64_t cache[4];
} cli_tune_report;

/* Lowers the session's graph, once by default and once tuned; o: as the runs are compiled. false after recording
 * errors. The session's graph cannot be compiled afterwards. */
bool cli_tune_gather(fv_ctx *ctx, const cli_args *a, cli_session *s, fv_tune_db *db, const fv_driver_options *o,
                     int threads, cli_tune_report *out);
/* GFLOP/s that a kernel could reach at most: by arithmetic, or by its compulsory bytes from the smallest level that
 * holds them. 0: unknown. */
double cli_tune_roof(const cli_tune_report *r, const cli_tune_kernel *k);

void cli_tune_json(const cli_tune_report *r, fv_buf *out);
void cli_tune_markdown(const cli_tune_report *r, fv_buf *out);
void cli_tune_html(const cli_tune_report *r, fv_buf *out);
/* svg elements of the page (tune_svg.c): the candidates of a kernel in the order of their measuring, and all kernels
 * under the roofs. */
void cli_tune_svg_search(const cli_tune_kernel *k, fv_buf *out);
void cli_tune_svg_roofs(const cli_tune_report *r, fv_buf *out);
void cli_tune_escape(fv_buf *out, const char *text); /* text of HTML and SVG */
#endif
