/* Opening and closing the database: where it lies, whether it is one, and its schema. A rollback journal, not a
 * write-ahead log: that one needs memory shared between processes, which network file systems lack. */
#define _POSIX_C_SOURCE 200809L
#include "tune/database_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROGRAM = 0x46764154, SCHEMA = 1, PATIENCE_MS = 60000 }; /* PROGRAM: "FvAT" */

static const char *const schema =
    "CREATE TABLE kernel(id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, mask INTEGER NOT NULL, text TEXT NOT NULL);"
    "CREATE INDEX kernel_hash ON kernel(hash); CREATE INDEX kernel_mask ON kernel(mask);"
    "CREATE TABLE place(id INTEGER PRIMARY KEY, dtype TEXT NOT NULL, device TEXT NOT NULL, driver TEXT NOT NULL,"
    " compiler TEXT NOT NULL, threads INTEGER NOT NULL, UNIQUE(dtype, device, driver, compiler, threads));"
    "CREATE TABLE record(id INTEGER PRIMARY KEY, kernel INTEGER NOT NULL REFERENCES kernel,"
    " place INTEGER NOT NULL REFERENCES place, name TEXT NOT NULL, schedule TEXT NOT NULL, status TEXT NOT NULL,"
    " reason TEXT NOT NULL, seconds REAL NOT NULL, seconds_min REAL NOT NULL, default_seconds REAL NOT NULL,"
    " ratio REAL NOT NULL, predicted REAL NOT NULL, pairs INTEGER NOT NULL, unix_time INTEGER NOT NULL,"
    " origin TEXT NOT NULL,"
    " UNIQUE(kernel, place, schedule, unix_time, status, seconds, seconds_min, default_seconds, ratio, pairs));";

/* -- Errors ---- */
bool fv_tune_db_fail(fv_tune_db *db) {
    int code = sqlite3_errcode(db->sql), system = sqlite3_system_errno(db->sql);
    const char *path = *db->path ? db->path : "the database in memory";
    fv_loc none = {0};
    switch (code & 0xff) {
    case SQLITE_FULL: fv_error(db->ctx, FV_E_FILE, none, "%s cannot grow: no space is left", path); break;
    case SQLITE_IOERR:
        fv_error(db->ctx, FV_E_FILE, none, "%s: %s", path, system ? strerror(system) : "input or output failed");
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        fv_error(db->ctx, FV_E_FILE, none, "%s: another process has kept it locked for %d s", path, PATIENCE_MS / 1000);
        break;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        fv_error(db->ctx, FV_E_FILE, none, "%s cannot be %s%s%s", path, db->write ? "written" : "read",
                 system ? ": " : "", system ? strerror(system) : "");
        break;
    case SQLITE_NOTADB: fv_error(db->ctx, FV_E_FORMAT, none, "%s is no database of tuning records", path); break;
    case SQLITE_CORRUPT:
        fv_error(db->ctx, FV_E_FORMAT, none, "%s is damaged; move it away, or repair it with sqlite3's .recover", path);
        break;
    default: fv_error(db->ctx, FV_E_FORMAT, none, "%s: %s", path, sqlite3_errmsg(db->sql)); break;
    }
    return false;
}
static bool refuse(fv_tune_db *db, const char *why) {
    fv_error(db->ctx, FV_E_FORMAT, (fv_loc){0}, "%s %s", db->path, why);
    return false;
}
bool fv_tune_db_do(fv_tune_db *db, const char *sql) {
    return sqlite3_exec(db->sql, sql, NULL, NULL, NULL) == SQLITE_OK || fv_tune_db_fail(db);
}
sqlite3_stmt *fv_tune_db_prepare(fv_tune_db *db, const char *sql) {
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(db->sql, sql, -1, &s, NULL) != SQLITE_OK) fv_tune_db_fail(db);
    return s;
}
bool fv_tune_db_begin(fv_tune_db *db) { return fv_tune_db_do(db, "BEGIN IMMEDIATE"); }
bool fv_tune_db_end(fv_tune_db *db, bool fine) {
    fine = fine && fv_tune_db_do(db, "COMMIT");
    /* After some errors SQLite has rolled back by itself: asking again says so and changes nothing. */
    if (!fine) sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
    return fine;
}

/* -- What kind of file it is ---- */
static bool number(fv_tune_db *db, const char *sql, int64_t *out) {
    sqlite3_stmt *s = fv_tune_db_prepare(db, sql);
    if (!s) return false;
    bool fine = sqlite3_step(s) == SQLITE_ROW;
    if (fine) *out = sqlite3_column_int64(s, 0);
    else fv_tune_db_fail(db);
    sqlite3_finalize(s);
    return fine;
}
/* *fresh: nothing is in it yet. */
static bool known(fv_tune_db *db, bool *fresh) {
    int64_t program = 0, version = 0, tables = 0;
    if (!number(db, "PRAGMA application_id", &program) || !number(db, "PRAGMA user_version", &version) ||
        !number(db, "SELECT count(*) FROM sqlite_master", &tables))
        return false;
    *fresh = program == 0 && tables == 0;
    if (*fresh) return true;
    if (program != PROGRAM) return refuse(db, "is another program's database");
    if (version > SCHEMA)
        return refuse(db, fv_printf(db->ctx, "was written by a newer Fovea: its schema is %lld, this one reads %d",
                                    (long long)version, SCHEMA));
    return true;
}
/* The same outside of a transaction: what it reads is of one moment, while another process may be making the tables. */
static bool known_at_once(fv_tune_db *db, bool *fresh) {
    if (!fv_tune_db_do(db, "BEGIN")) return false;
    bool fine = known(db, fresh);
    return fv_tune_db_end(db, fine);
}
static bool make(fv_tune_db *db) {
    bool fresh = true;
    if (!fv_tune_db_begin(db)) return false;
    bool fine = known(db, &fresh); /* another process may have been first */
    if (fine && fresh)
        fine =
            fv_tune_db_do(db, schema) &&
            fv_tune_db_do(db, fv_printf(db->ctx, "PRAGMA application_id=%d; PRAGMA user_version=%d", PROGRAM, SCHEMA));
    return fv_tune_db_end(db, fine);
}
static bool whole(fv_tune_db *db) {
    sqlite3_stmt *s = fv_tune_db_prepare(db, "PRAGMA quick_check(1)");
    if (!s) return false;
    bool row = sqlite3_step(s) == SQLITE_ROW;
    bool fine = row && !strcmp((const char *)sqlite3_column_text(s, 0), "ok");
    if (!row) fv_tune_db_fail(db);
    else if (!fine) refuse(db, "is damaged; move it away, or repair it with sqlite3's .recover");
    sqlite3_finalize(s);
    return fine;
}

/* -- Where it lies ---- */
const char *fv_tune_db_path(fv_ctx *ctx) {
    const char *own = getenv("FOVEA_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (own) return *own ? fv_printf(ctx, "%s/tune.db", own) : NULL;
    if (xdg && *xdg) return fv_printf(ctx, "%s/fovea/tune.db", xdg);
    return home && *home ? fv_printf(ctx, "%s/.cache/fovea/tune.db", home) : NULL;
}
/* Makes the folders above a file; what cannot be made shows when the file is opened. */
static void make_folders(fv_ctx *ctx, const char *path) {
    char *p = fv_strdup(ctx, path);
    for (char *at = strchr(p + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = 0;
        mkdir(p, 0777);
        *at = '/';
    }
}
static bool open_file(fv_tune_db *db, bool in_memory) {
    /* To read, too, it is opened to write where that is allowed: what a killed process left half-done is then undone.
     */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    if (in_memory || db->write) flags |= SQLITE_OPEN_CREATE;
    bool fresh = true;
    if (sqlite3_open_v2(in_memory ? ":memory:" : db->path, &db->sql, flags, NULL) != SQLITE_OK) {
        if (!db->sql) fv_error(db->ctx, FV_E_FILE, (fv_loc){0}, "%s: no memory is left", db->path);
        return db->sql && fv_tune_db_fail(db);
    }
    sqlite3_extended_result_codes(db->sql, 1);
    sqlite3_busy_timeout(db->sql, PATIENCE_MS);
    if (in_memory) return make(db) && fv_tune_db_do(db, "PRAGMA query_only=1");
    if (!known_at_once(db, &fresh)) return false;
    if (!db->write && fresh) { /* an empty file holds no records: read an empty database in its place */
        sqlite3_close(db->sql);
        db->sql = NULL;
        return open_file(db, true);
    }
    if (!db->write) return fv_tune_db_do(db, "PRAGMA query_only=1");
    if (sqlite3_db_readonly(db->sql, "main") == 1) {
        fv_error(db->ctx, FV_E_FILE, (fv_loc){0}, "%s cannot be written: it is read-only here", db->path);
        return false;
    }
    return fresh ? make(db) : whole(db);
}
fv_tune_db *fv_tune_db_open(fv_ctx *ctx, const char *path, bool write) {
    bool named = path != NULL;
    if (!named) path = fv_tune_db_path(ctx);
    if (!path && write) {
        fv_error(ctx, FV_E_FILE, (fv_loc){0}, "there is no place for the tuning records: name a file");
        return NULL;
    }
    fv_tune_db *db = FV_NEW(ctx, fv_tune_db);
    *db = (fv_tune_db){.ctx = ctx, .path = path ? fv_strdup(ctx, path) : "", .write = write};
    bool missing = !path || (access(path, F_OK) && (errno == ENOENT || errno == ENOTDIR));
    if (missing && named && !write) {
        fv_error(ctx, FV_E_FILE, (fv_loc){0}, "there is no database %s", path);
        return NULL;
    }
    if (missing && write) make_folders(ctx, path);
    if (open_file(db, missing && !write)) return db;
    fv_tune_db_close(db);
    return NULL;
}
void fv_tune_db_close(fv_tune_db *db) {
    if (db) sqlite3_close(db->sql);
    if (db) db->sql = NULL;
}
const char *fv_tune_db_file(const fv_tune_db *db) { return db->path; }
