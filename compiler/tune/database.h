/* database: what the tuner measured, kept in one SQLite file that processes share. Rows are only added; one is on the
 * disk before fv_tune_db_add returns. A record belongs to a key: a kernel's text and everything that its time depends
 * on. A process that forks must not use a handle in the child. */
#ifndef FV_TUNE_DATABASE_H
#define FV_TUNE_DATABASE_H
#include "base/base.h"

typedef struct {
    const char *group; /* canonical text of the kernel as lowered by default, with its extents */
    const char *dtype, *device, *driver, *compiler;
    int threads;
} fv_tune_key; /* equal: every field is */

/* One candidate. seconds: the median of its runs; ratio: the median of the ratios candidate / default of `pairs` runs
 * taken in turn. Times that were not taken are 0. */
typedef struct {
    fv_tune_key key;
    const char *kernel;   /* name for readers */
    const char *schedule; /* text of a schedule.h schedule; "" is the default */
    const char *status;   /* a word of fv_tune_statuses */
    const char *reason;   /* why, in words; "" */
    double seconds, seconds_min, default_seconds, ratio, predicted;
    int pairs;
    int64_t unix_time;
    const char *origin; /* a word of fv_tune_origins: where the candidate came from */
} fv_tune_record;
extern const char *const fv_tune_statuses[]; /* correct, wrong, compile …; NULL-terminated */
extern const char *const fv_tune_origins[];  /* default, search, from, import; NULL-terminated */

typedef struct fv_tune_db fv_tune_db;

/* $FOVEA_CACHE/tune.db, $XDG_CACHE_HOME/fovea/tune.db or ~/.cache/fovea/tune.db; NULL: FOVEA_CACHE is empty or there is
 * no home: no database unless one is named. */
const char *fv_tune_db_path(fv_ctx *ctx);

/* path NULL: fv_tune_db_path. To write: made if it is missing, with its folder. To read: a missing file that was not
 * named is an empty database. NULL after recording an error: no such file, no permission, damaged, another program's, a
 * newer schema. Errors and texts of records live in ctx. */
fv_tune_db *fv_tune_db_open(fv_ctx *ctx, const char *path, bool write);
void fv_tune_db_close(fv_tune_db *db);             /* NULL is fine */
const char *fv_tune_db_file(const fv_tune_db *db); /* its path; "" if there is none */

/* Adds one row and waits for the disk. A record that is there already is not added again. false after recording why:
 * another process held the file for a minute, the disk is full … ; what was there before is kept. */
bool fv_tune_db_add(fv_tune_db *db, const fv_tune_record *r);

/* Has it a fastest schedule of any kernel for this dtype, device, driver, compiler and number of threads? */
bool fv_tune_db_any(fv_tune_db *db, const fv_tune_key *place);
/* The fastest schedule of exactly this key: correct, and faster than the default. Of several records of one schedule
 * the latest counts. false: there is none, or an error was recorded. */
bool fv_tune_db_best(fv_tune_db *db, const fv_tune_key *key, fv_tune_record *out);

/* Fastest schedules of kernels that differ from the key only in numbers of their text, or in device, driver, compiler
 * or threads: nearest first, at most cap, none of the key itself. Returns how many; -1 after recording an error. */
int fv_tune_db_nearest(fv_tune_db *db, const fv_tune_key *key, fv_tune_record *out, int cap);

/* Every record (of a key: of this one), oldest first, until the visitor returns false. Texts are valid during the call
 * only. false after recording an error. */
typedef bool fv_tune_visit(void *user, const fv_tune_record *r);
bool fv_tune_db_each(fv_tune_db *db, const fv_tune_key *key, fv_tune_visit *visit, void *user);

/* -- JSON lines: one record a line -- */
void fv_tune_line(const fv_tune_record *r, fv_buf *out); /* with its newline */
bool fv_tune_line_read(fv_ctx *ctx, const char *file, int line, const char *text, size_t n, fv_tune_record *out);
bool fv_tune_db_export(fv_tune_db *db, fv_buf *out);
/* Adds every line of a file: all, or none after recording the first error with its line. */
typedef struct {
    int added, known;
} fv_tune_merged;
bool fv_tune_db_import(fv_tune_db *db, const char *file, const char *text, size_t n, fv_tune_merged *out);
#endif
