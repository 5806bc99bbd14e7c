/* What the files of the database share: SQL with errors turned into diagnostics. */
#ifndef FV_TUNE_DATABASE_INSIDE_H
#define FV_TUNE_DATABASE_INSIDE_H
#include "tune/database.h"

#include <sqlite3.h>

struct fv_tune_db {
    fv_ctx *ctx;
    sqlite3 *sql;
    const char *path; /* "": in memory */
    bool write;
};

/* Records why the last call failed, as a user reads it; always false. */
bool fv_tune_db_fail(fv_tune_db *db);
bool fv_tune_db_do(fv_tune_db *db, const char *sql); /* statements without results */
/* NULL after recording an error. */
sqlite3_stmt *fv_tune_db_prepare(fv_tune_db *db, const char *sql);
bool fv_tune_db_begin(fv_tune_db *db);
bool fv_tune_db_end(fv_tune_db *db, bool fine); /* commits, or rolls back; fine, and committed */
/* Within a transaction; *added: it was new. */
bool fv_tune_db_insert(fv_tune_db *db, const fv_tune_record *r, bool *added);
bool fv_tune_record_check(fv_ctx *ctx, fv_loc loc, const fv_tune_record *r);

/* Hash of a text with every number of its own left out; equal texts up to numbers have equal hashes. */
int64_t fv_tune_mask(const char *text);
/* Sum of |log2| of the quotients of such numbers; a negative number: the texts differ in more. */
double fv_tune_distance(const char *a, const char *b);
#endif
