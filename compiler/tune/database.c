/* Adding and finding tuning records. */
#include "tune/database_inside.h"

#include <math.h>
#include <string.h>

const char *const fv_tune_statuses[] = {"correct", "wrong",  "compile",  "runtime",
                                        "timeout", "memory", "declined", NULL};
const char *const fv_tune_origins[] = {"default", "search", "from", "import", NULL};

static int64_t hash_of(const char *text) { return (int64_t)fv_hash(text, strlen(text), FV_HASH_SEED); }
static void bind_text(sqlite3_stmt *s, int i, const char *text) {
    sqlite3_bind_text(s, i, text ? text : "", -1, SQLITE_STATIC);
}

/* -- Records as they should be ---- */
static bool among(const char *word, const char *const *words) {
    for (int i = 0; words[i]; i++)
        if (word && !strcmp(word, words[i])) return true;
    return false;
}
bool fv_tune_record_check(fv_ctx *ctx, fv_loc loc, const fv_tune_record *r) {
    const double numbers[] = {r->seconds, r->seconds_min, r->default_seconds, r->ratio, r->predicted};
    bool finite = true;
    const char *why = NULL;
    for (int i = 0; i < 5; i++) finite = finite && isfinite(numbers[i]) && numbers[i] >= 0;
    if (!r->key.group || !*r->key.group) why = "the kernel's text (\"group\") is empty";
    else if (!finite) why = "a time or ratio is no number of 0 or more";
    else if (r->key.threads < 0 || r->pairs < 0) why = "threads and pairs are 0 or more";
    else if (!among(r->status, fv_tune_statuses))
        why = "the status is none of correct, wrong, compile, runtime, timeout, memory, declined";
    else if (!among(r->origin, fv_tune_origins)) why = "the origin is none of default, search, from, import";
    else if (!strcmp(r->status, "correct") && !(r->seconds > 0 && r->ratio > 0))
        why = "a correct candidate has a time and a ratio above 0";
    if (why) fv_error(ctx, FV_E_FORMAT, loc, "a tuning record: %s", why);
    return !why;
}

/* -- Adding ---- */
/* The id of the row that a SELECT finds, or that the INSERT makes; both take the same parameters. 0: an error was
 * recorded. */
static int64_t row_of(fv_tune_db *db, const char *find, const char *make,
                      void (*bind)(sqlite3_stmt *, const fv_tune_key *), const fv_tune_key *key) {
    sqlite3_stmt *s = fv_tune_db_prepare(db, find);
    if (!s) return 0;
    bind(s, key);
    int step = sqlite3_step(s);
    int64_t id = step == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
    sqlite3_finalize(s);
    if (step != SQLITE_ROW && step != SQLITE_DONE) return fv_tune_db_fail(db);
    if (id || !make) return id;
    s = fv_tune_db_prepare(db, make);
    if (!s) return 0;
    bind(s, key);
    step = sqlite3_step(s);
    if (step == SQLITE_DONE) id = sqlite3_last_insert_rowid(db->sql);
    else fv_tune_db_fail(db);
    sqlite3_finalize(s);
    return id;
}
static void bind_kernel(sqlite3_stmt *s, const fv_tune_key *key) {
    sqlite3_bind_int64(s, 1, hash_of(key->group));
    bind_text(s, 2, key->group);
    if (sqlite3_bind_parameter_count(s) == 3) sqlite3_bind_int64(s, 3, fv_tune_mask(key->group));
}
static void bind_place(sqlite3_stmt *s, const fv_tune_key *key) {
    bind_text(s, 1, key->dtype);
    bind_text(s, 2, key->device);
    bind_text(s, 3, key->driver);
    bind_text(s, 4, key->compiler);
    sqlite3_bind_int(s, 5, key->threads);
}
static const char *const find_kernel = "SELECT id FROM kernel WHERE hash=?1 AND text=?2";
static const char *const find_place =
    "SELECT id FROM place WHERE dtype=?1 AND device=?2 AND driver=?3 AND compiler=?4 AND threads=?5";

bool fv_tune_db_insert(fv_tune_db *db, const fv_tune_record *r, bool *added) {
    int64_t kernel =
        row_of(db, find_kernel, "INSERT INTO kernel(hash, text, mask) VALUES(?1, ?2, ?3)", bind_kernel, &r->key);
    int64_t place =
        kernel ? row_of(db, find_place,
                        "INSERT INTO place(dtype, device, driver, compiler, threads) VALUES(?1, ?2, ?3, ?4, ?5)",
                        bind_place, &r->key)
               : 0;
    if (!place) return false;
    sqlite3_stmt *s =
        fv_tune_db_prepare(db, "INSERT OR IGNORE INTO record(kernel, place, name, schedule, status, reason,"
                               " seconds, seconds_min, default_seconds, ratio, predicted, pairs, unix_time,"
                               " origin) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)");
    if (!s) return false;
    sqlite3_bind_int64(s, 1, kernel);
    sqlite3_bind_int64(s, 2, place);
    bind_text(s, 3, r->kernel);
    bind_text(s, 4, r->schedule);
    bind_text(s, 5, r->status);
    bind_text(s, 6, r->reason);
    const double numbers[] = {r->seconds, r->seconds_min, r->default_seconds, r->ratio, r->predicted};
    for (int i = 0; i < 5; i++) sqlite3_bind_double(s, 7 + i, numbers[i]);
    sqlite3_bind_int(s, 12, r->pairs);
    sqlite3_bind_int64(s, 13, r->unix_time);
    bind_text(s, 14, r->origin);
    bool fine = sqlite3_step(s) == SQLITE_DONE || fv_tune_db_fail(db);
    *added = fine && sqlite3_changes(db->sql) > 0;
    sqlite3_finalize(s);
    return fine;
}
bool fv_tune_db_add(fv_tune_db *db, const fv_tune_record *r) {
    bool added;
    if (!fv_tune_record_check(db->ctx, (fv_loc){0}, r)) return false;
    if (!db->write) {
        fv_error(db->ctx, FV_E_FILE, (fv_loc){0}, "%s was opened to be read only", db->path);
        return false;
    }
    return fv_tune_db_begin(db) && fv_tune_db_end(db, fv_tune_db_insert(db, r, &added));
}

/* -- Finding ---- */
#define COLUMNS                                                                                                        \
    "k.text, p.dtype, p.device, p.driver, p.compiler, p.threads, r.name, r.schedule, r.status, r.reason, r.seconds,"   \
    " r.seconds_min, r.default_seconds, r.ratio, r.predicted, r.pairs, r.unix_time, r.origin, r.kernel, r.place"       \
    " FROM record r JOIN kernel k ON k.id=r.kernel JOIN place p ON p.id=r.place "
/* Of a schedule's records the latest, if it is correct and faster than the default. */
#define WINS                                                                                                           \
    "r.status='correct' AND r.ratio<1 AND NOT EXISTS(SELECT 1 FROM record n WHERE n.kernel=r.kernel AND"               \
    " n.place=r.place AND n.schedule=r.schedule AND (n.unix_time>r.unix_time OR (n.unix_time=r.unix_time AND"          \
    " n.id>r.id))) "

static const char *text_at(sqlite3_stmt *s, int i) {
    const unsigned char *t = sqlite3_column_text(s, i);
    return t ? (const char *)t : "";
}
static fv_tune_record read_row(sqlite3_stmt *s) {
    return (fv_tune_record){
        {text_at(s, 0), text_at(s, 1), text_at(s, 2), text_at(s, 3), text_at(s, 4), sqlite3_column_int(s, 5)},
        text_at(s, 6),
        text_at(s, 7),
        text_at(s, 8),
        text_at(s, 9),
        sqlite3_column_double(s, 10),
        sqlite3_column_double(s, 11),
        sqlite3_column_double(s, 12),
        sqlite3_column_double(s, 13),
        sqlite3_column_double(s, 14),
        sqlite3_column_int(s, 15),
        sqlite3_column_int64(s, 16),
        text_at(s, 17)};
}
static fv_tune_record keep(fv_ctx *ctx, fv_tune_record r) {
    const char **texts[] = {&r.key.group, &r.key.dtype, &r.key.device, &r.key.driver, &r.key.compiler,
                            &r.kernel,    &r.schedule,  &r.status,     &r.reason,     &r.origin};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) *texts[i] = fv_strdup(ctx, *texts[i]);
    return r;
}
/* The rows of a key; false: it has none, or an error was recorded. */
static bool find_key(fv_tune_db *db, const fv_tune_key *key, int64_t *kernel, int64_t *place) {
    *kernel = row_of(db, find_kernel, NULL, bind_kernel, key);
    *place = *kernel ? row_of(db, find_place, NULL, bind_place, key) : 0;
    return *place != 0;
}
bool fv_tune_db_best(fv_tune_db *db, const fv_tune_key *key, fv_tune_record *out) {
    int64_t kernel, place;
    if (!find_key(db, key, &kernel, &place)) return false;
    sqlite3_stmt *s = fv_tune_db_prepare(db, "SELECT " COLUMNS "WHERE r.kernel=?1 AND r.place=?2 AND " WINS
                                             "ORDER BY r.ratio, r.id LIMIT 1");
    if (!s) return false;
    sqlite3_bind_int64(s, 1, kernel);
    sqlite3_bind_int64(s, 2, place);
    int step = sqlite3_step(s);
    if (step == SQLITE_ROW) *out = keep(db->ctx, read_row(s));
    else if (step != SQLITE_DONE) fv_tune_db_fail(db);
    sqlite3_finalize(s);
    return step == SQLITE_ROW;
}
bool fv_tune_db_any(fv_tune_db *db, const fv_tune_key *key) {
    int64_t place = row_of(db, find_place, NULL, bind_place, key);
    sqlite3_stmt *s =
        place ? fv_tune_db_prepare(db, "SELECT 1 FROM record r WHERE r.place=?1 AND " WINS "LIMIT 1") : NULL;
    if (!s) return false;
    sqlite3_bind_int64(s, 1, place);
    int step = sqlite3_step(s);
    if (step != SQLITE_ROW && step != SQLITE_DONE) fv_tune_db_fail(db);
    sqlite3_finalize(s);
    return step == SQLITE_ROW;
}
bool fv_tune_db_each(fv_tune_db *db, const fv_tune_key *key, fv_tune_visit *visit, void *user) {
    int64_t kernel = 0, place = 0;
    int before = fv_error_count(db->ctx);
    if (key && !find_key(db, key, &kernel, &place)) return fv_error_count(db->ctx) == before;
    sqlite3_stmt *s = fv_tune_db_prepare(db, key ? "SELECT " COLUMNS "WHERE r.kernel=?1 AND r.place=?2 ORDER BY r.id"
                                                 : "SELECT " COLUMNS "ORDER BY r.id");
    if (!s) return false;
    if (key) sqlite3_bind_int64(s, 1, kernel);
    if (key) sqlite3_bind_int64(s, 2, place);
    int step;
    bool more = true;
    while (more && (step = sqlite3_step(s)) == SQLITE_ROW) {
        fv_tune_record r = read_row(s);
        more = visit(user, &r);
    }
    bool fine = !more || step == SQLITE_DONE || fv_tune_db_fail(db);
    sqlite3_finalize(s);
    return fine;
}

/* -- The nearest ---- */
static double far(const fv_tune_key *a, const fv_tune_record *r) {
    const fv_tune_key *b = &r->key;
    double d = fv_tune_distance(a->group, b->group);
    if (d < 0) return d;
    if (strcmp(a->device, b->device)) d += 4;
    if (strcmp(a->driver, b->driver)) d += 0.25;
    if (strcmp(a->compiler, b->compiler)) d += 0.25;
    return d + fabs(log2((a->threads + 1.0) / (b->threads + 1.0)));
}
int fv_tune_db_nearest(fv_tune_db *db, const fv_tune_key *key, fv_tune_record *out, int cap) {
    double *distance = FV_NEWN(db->ctx, double, cap + 1);
    int64_t kernel = -1, place = -1, own_kernel, own_place;
    int n = 0, before = fv_error_count(db->ctx);
    find_key(db, key, &own_kernel, &own_place);
    if (fv_error_count(db->ctx) != before) return -1;
    sqlite3_stmt *s = fv_tune_db_prepare(db, "SELECT " COLUMNS "WHERE k.mask=?1 AND p.dtype=?2 AND " WINS
                                             "ORDER BY r.kernel, r.place, r.ratio, r.id");
    if (!s) return -1;
    sqlite3_bind_int64(s, 1, fv_tune_mask(key->group));
    bind_text(s, 2, key->dtype);
    int step;
    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        int64_t k = sqlite3_column_int64(s, 18), p = sqlite3_column_int64(s, 19);
        if ((k == kernel && p == place) || (k == own_kernel && p == own_place)) continue;
        kernel = k;
        place = p;
        fv_tune_record r = read_row(s);
        double d = far(key, &r);
        int at = n;
        while (at > 0 && distance[at - 1] > d) at--;
        if (d < 0 || at == cap) continue;
        if (n == cap) n--;
        memmove(out + at + 1, out + at, (size_t)(n - at) * sizeof *out);
        memmove(distance + at + 1, distance + at, (size_t)(n - at) * sizeof *distance);
        out[at] = keep(db->ctx, r);
        distance[at] = d;
        n++;
    }
    if (step != SQLITE_DONE) fv_tune_db_fail(db);
    sqlite3_finalize(s);
    return step == SQLITE_DONE ? n : -1;
}
