/* The database of tuning records: what it finds again, and what it does with files that are damaged, foreign, newer or
 * read-only, with several writers, a full disk, and writers that are killed. */
#define _DEFAULT_SOURCE
#include "tune/database.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], file[96];
static fv_ctx *ctx;

static void set_up(void) {
    strcpy(folder, "/tmp/fovea-tune-XXXXXX");
    cr_assert(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/t.db", folder);
    ctx = fv_ctx_new();
}
static void tear_down(void) {
    char command[192];
    fv_ctx_dispose(ctx);
    snprintf(command, sizeof command, "chmod -R u+w %s; rm -rf %s", folder, folder);
    cr_assert_eq(system(command), 0);
}
TestSuite(database, .init = set_up, .fini = tear_down);

static fv_tune_record record(const char *group, const char *schedule, double ratio, int64_t when) {
    return (fv_tune_record){.key = {group, "f32", "cpu a", "1", "0.1 llvm 19", 2},
                            .kernel = "attend",
                            .schedule = schedule,
                            .status = "correct",
                            .reason = "",
                            .seconds = ratio * 0.25,
                            .seconds_min = ratio * 0.2,
                            .default_seconds = 0.25,
                            .ratio = ratio,
                            .predicted = 0.125,
                            .pairs = 11,
                            .unix_time = when,
                            .origin = "search"};
}
static fv_tune_db *open_db(bool write) {
    fv_tune_db *db = fv_tune_db_open(ctx, file, write);
    cr_assert(db, "%s", fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : "no reason");
    return db;
}
static void put(fv_tune_db *db, fv_tune_record r) {
    cr_assert(fv_tune_db_add(db, &r), "%s", fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : "no reason");
}
static bool one_more(void *user, const fv_tune_record *r) {
    (void)r;
    ++*(int *)user;
    return true;
}
static int rows(fv_tune_db *db) {
    int n = 0;
    cr_assert(fv_tune_db_each(db, NULL, one_more, &n));
    return n;
}
static void says(const char *part) {
    cr_assert_eq(fv_error_count(ctx), 1);
    cr_assert(strstr(fv_diag_at(ctx, 0)->text, part), "'%s' lacks '%s'", fv_diag_at(ctx, 0)->text, part);
    fv_diag_clear(ctx);
}
static void write_bytes(long at, const void *bytes, size_t n) {
    FILE *f = fopen(file, at < 0 ? "wb" : "r+b");
    cr_assert(f);
    if (at > 0) fseek(f, at, SEEK_SET);
    cr_assert_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
}
static void sql(const char *text) {
    sqlite3 *s;
    char *why = NULL;
    cr_assert_eq(sqlite3_open(file, &s), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(s, text, NULL, NULL, &why), SQLITE_OK, "%s", why);
    sqlite3_close(s);
}

/* -- Finding ---- */
Test(database, keeps_every_field) {
    fv_tune_db *db = open_db(true);
    fv_tune_record r = record("kernel \"a\"\n\ttile 3\x01 ü", "offset tile.q=64", 0.1 + 0.2, 1700000000), got;
    r.reason = "said \\ so";
    put(db, r);
    fv_tune_db_close(db);
    db = open_db(false);
    cr_assert(fv_tune_db_best(db, &r.key, &got));
    cr_assert_str_eq(got.key.group, r.key.group);
    cr_assert_str_eq(got.key.dtype, r.key.dtype);
    cr_assert_str_eq(got.key.device, r.key.device);
    cr_assert_str_eq(got.key.driver, r.key.driver);
    cr_assert_str_eq(got.key.compiler, r.key.compiler);
    cr_assert_eq(got.key.threads, 2);
    cr_assert_str_eq(got.kernel, r.kernel);
    cr_assert_str_eq(got.schedule, r.schedule);
    cr_assert_str_eq(got.status, "correct");
    cr_assert_str_eq(got.reason, r.reason);
    cr_assert(got.seconds == r.seconds && got.seconds_min == r.seconds_min && got.predicted == r.predicted);
    cr_assert(got.default_seconds == r.default_seconds && got.ratio == r.ratio && got.pairs == r.pairs);
    cr_assert(got.unix_time == r.unix_time && !strcmp(got.origin, "search"));
    fv_tune_db_close(db);
}
Test(database, finds_the_fastest_of_exactly_the_key) {
    fv_tune_db *db = open_db(true);
    fv_tune_record got, r = record("k 8", "", 0.5, 1);
    cr_assert_not(fv_tune_db_best(db, &r.key, &got), "nothing is there yet");
    put(db, record("k 8", "a", 0.9, 1));
    put(db, record("k 8", "b", 0.7, 2));
    put(db, record("k 8", "c", 1.0, 3)); /* as fast as the default: no reason to take it */
    fv_tune_record wrong = record("k 8", "d", 0.1, 4);
    wrong.status = "wrong";
    put(db, wrong);
    put(db, record("k 16", "e", 0.2, 5));
    for (int i = 0; i < 5; i++) {
        fv_tune_record other = record("k 8", "f", 0.3, 6);
        if (i == 0) other.key.dtype = "bf16";
        if (i == 1) other.key.device = "cpu b";
        if (i == 2) other.key.driver = "2";
        if (i == 3) other.key.compiler = "0.2 llvm 19";
        if (i == 4) other.key.threads = 3;
        put(db, other);
    }
    cr_assert(fv_tune_db_best(db, &r.key, &got));
    cr_assert_str_eq(got.schedule, "b");
    put(db, record("k 8", "b", 1.2, 7)); /* measured again: it does not win after all */
    cr_assert(fv_tune_db_best(db, &r.key, &got));
    cr_assert_str_eq(got.schedule, "a");
    fv_tune_key elsewhere = r.key;
    cr_assert(fv_tune_db_any(db, &r.key));
    elsewhere.device = "cpu c";
    cr_assert_not(fv_tune_db_any(db, &elsewhere));
    int n = 0;
    cr_assert(fv_tune_db_each(db, &r.key, one_more, &n));
    cr_assert_eq(n, 5);
    cr_assert_eq(rows(db), 11);
    put(db, wrong);
    cr_assert_eq(rows(db), 11, "the same record twice is one");
    cr_assert_eq(fv_error_count(ctx), 0);
    fv_tune_db_close(db);
}
Test(database, finds_the_nearest_extents_first) {
    fv_tune_db *db = open_db(true);
    fv_tune_record out[8], self = record("k q=64 f32 d=8", "self", 0.5, 1);
    put(db, self);
    put(db, record("k q=256 f32 d=8", "far", 0.5, 1));
    put(db, record("k q=128 f32 d=8", "near", 0.5, 1));
    put(db, record("k q=128 f32 d=8", "slower", 0.6, 1));
    put(db, record("k q=64 f16 d=8", "a name differs", 0.5, 1));
    put(db, record("k q=64 f32 e=8", "another kernel", 0.5, 1));
    put(db, record("k q=70 f32 d=8", "loses", 1.5, 1));
    fv_tune_record else_where = self;
    else_where.key.device = "cpu b";
    else_where.schedule = "elsewhere";
    put(db, else_where);
    cr_assert_eq(fv_tune_db_nearest(db, &self.key, out, 8), 3);
    cr_assert_str_eq(out[0].schedule, "near");
    cr_assert_str_eq(out[1].schedule, "far");
    cr_assert_str_eq(out[2].schedule, "elsewhere");
    cr_assert_eq(fv_tune_db_nearest(db, &self.key, out, 1), 1);
    cr_assert_str_eq(out[0].schedule, "near");
    self.key.group = "nothing like it";
    cr_assert_eq(fv_tune_db_nearest(db, &self.key, out, 8), 0);
    fv_tune_db_close(db);
}
Test(database, refuses_records_that_say_nothing) {
    fv_tune_db *db = open_db(true);
    fv_tune_record r = record("k", "a", 0.5, 1);
    r.status = "fine";
    cr_assert_not(fv_tune_db_add(db, &r));
    says("status");
    r = record("k", "a", 0.0 / 0.0, 1);
    cr_assert_not(fv_tune_db_add(db, &r));
    says("number");
    r = record("", "a", 0.5, 1);
    cr_assert_not(fv_tune_db_add(db, &r));
    says("group");
    cr_assert_eq(rows(db), 0);
    fv_tune_db_close(db);
}

/* -- Files ---- */
Test(database, a_missing_file_is_empty_only_by_default) {
    cr_assert_null(fv_tune_db_open(ctx, file, false));
    says("there is no database");
    setenv("FOVEA_CACHE", folder, 1);
    fv_tune_db *db = fv_tune_db_open(ctx, NULL, false);
    cr_assert(db);
    cr_assert_eq(rows(db), 0);
    fv_tune_db_close(db);
    char deep[128];
    snprintf(deep, sizeof deep, "%s/a/b", folder);
    setenv("FOVEA_CACHE", deep, 1);
    db = fv_tune_db_open(ctx, NULL, true);
    cr_assert(db, "folders are made");
    put(db, record("k", "a", 0.5, 1));
    fv_tune_db_close(db);
    setenv("FOVEA_CACHE", "", 1);
    cr_assert_null(fv_tune_db_path(ctx));
    cr_assert_null(fv_tune_db_open(ctx, NULL, true));
    says("name a file");
    unsetenv("FOVEA_CACHE");
    setenv("XDG_CACHE_HOME", "/x", 1);
    cr_assert_str_eq(fv_tune_db_path(ctx), "/x/fovea/tune.db");
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", "/h", 1);
    cr_assert_str_eq(fv_tune_db_path(ctx), "/h/.cache/fovea/tune.db");
    write_bytes(-1, "", 0);
    db = open_db(false);
    cr_assert_eq(rows(db), 0, "so is an empty file");
    fv_tune_db_close(db);
}
Test(database, names_files_that_are_none) {
    write_bytes(-1,
                "this is a letter, and longer than a header of a database would be: one hundred bytes, at the least.\n",
                101);
    for (int write = 0; write < 2; write++) {
        cr_assert_null(fv_tune_db_open(ctx, file, write));
        says("no database of tuning records");
    }
    unlink(file);
    sql("CREATE TABLE t(x)");
    for (int write = 0; write < 2; write++) {
        cr_assert_null(fv_tune_db_open(ctx, file, write));
        says("another program's");
    }
    unlink(file);
    fv_tune_db_close(open_db(true));
    sql("PRAGMA user_version=9");
    for (int write = 0; write < 2; write++) {
        cr_assert_null(fv_tune_db_open(ctx, file, write));
        says("newer Fovea: its schema is 9");
    }
    cr_assert_null(fv_tune_db_open(ctx, folder, false));
    cr_assert_eq(fv_error_count(ctx), 1);
}
Test(database, names_damage) {
    fv_tune_db *db = open_db(true);
    char group[64], zeros[16384];
    for (int i = 0; i < 300; i++) {
        snprintf(group, sizeof group, "kernel of a text that is longer %d", i);
        put(db, record(group, "a", 0.5, i + 1));
    }
    fv_tune_db_close(db);
    memset(zeros, 0x5a, sizeof zeros);
    write_bytes(8192, zeros, sizeof zeros);
    cr_assert_null(fv_tune_db_open(ctx, file, true));
    cr_assert(fv_error_count(ctx) >= 1);
    cr_assert(strstr(fv_diag_at(ctx, 0)->text, "damaged"), "%s", fv_diag_at(ctx, 0)->text);
    fv_diag_clear(ctx);
    db = fv_tune_db_open(ctx, file, false); /* it is not read whole to look one kernel up: the damage shows there */
    int n = 0;
    cr_assert_not(db && fv_tune_db_each(db, NULL, one_more, &n));
    cr_assert(strstr(fv_diag_at(ctx, 0)->text, "damaged"), "%s", fv_diag_at(ctx, 0)->text);
    fv_tune_db_close(db);
    cr_assert_eq(truncate(file, 5000), 0);
    fv_diag_clear(ctx);
    cr_assert_null(fv_tune_db_open(ctx, file, true));
    cr_assert(fv_error_count(ctx) >= 1);
}
Test(database, reads_what_it_may_not_write) {
    fv_tune_db *db = open_db(true);
    fv_tune_record r = record("k", "a", 0.5, 1), got;
    put(db, r);
    fv_tune_db_close(db);
    db = open_db(false);
    cr_assert_not(fv_tune_db_add(db, &r));
    says("read only");
    fv_tune_db_close(db);
    if (geteuid() == 0) { /* root writes everywhere: drop what makes it root */
        cr_assert_eq(chmod(folder, 0755), 0);
        cr_assert_eq(seteuid(65534), 0);
    } else {
        cr_assert_eq(chmod(file, 0444), 0);
        cr_assert_eq(chmod(folder, 0555), 0);
    }
    cr_assert_null(fv_tune_db_open(ctx, file, true));
    says("cannot be written");
    db = open_db(false);
    cr_assert(fv_tune_db_best(db, &r.key, &got));
    fv_tune_db_close(db);
    char deep[128];
    snprintf(deep, sizeof deep, "%s/none/t.db", folder);
    cr_assert_null(fv_tune_db_open(ctx, deep, true));
    says("cannot be written");
    if (getuid() == 0) cr_assert_eq(seteuid(0), 0);
}

/* -- Several processes ---- */
static void write_many(const char *name, int n) {
    fv_ctx *own = fv_ctx_new();
    fv_tune_db *db = fv_tune_db_open(own, file, true);
    bool fine = db != NULL;
    for (int i = 0; fine && i < n; i++) {
        fv_tune_record r = record("shared kernel", name, 0.5, i);
        fine = fv_tune_db_add(db, &r);
    }
    fv_tune_db_close(db);
    _exit(fine ? 0 : 1);
}
Test(database, is_shared_by_writers) {
    pid_t child[3];
    for (int i = 0; i < 3; i++) {
        child[i] = fork();
        cr_assert(child[i] >= 0);
        if (!child[i]) write_many(i == 0 ? "a" : i == 1 ? "b" : "c", 20); /* all make the file as well */
    }
    for (int i = 0; i < 3; i++) {
        int status = -1;
        waitpid(child[i], &status, 0);
        cr_assert_eq(status, 0);
    }
    fv_tune_db *db = open_db(true);
    cr_assert_eq(rows(db), 60);
    fv_tune_db_close(db);
}
Test(database, loses_nothing_to_a_killed_writer) {
    int known = 0;
    for (int round = 0; round < 4; round++) {
        int pipes[2];
        cr_assert_eq(pipe(pipes), 0);
        pid_t child = fork();
        cr_assert(child >= 0);
        if (!child) {
            fv_ctx *own = fv_ctx_new();
            fv_tune_db *db = fv_tune_db_open(own, file, true);
            for (int i = 0; db; i++) {
                fv_tune_record r = record("k", "a", 0.5, round * 1000000 + i);
                if (!fv_tune_db_add(db, &r) || write(pipes[1], "+", 1) != 1) _exit(1);
            }
            _exit(1);
        }
        close(pipes[1]);
        char c;
        for (int i = 0; i < 7 + round; i++) {
            cr_assert_eq(read(pipes[0], &c, 1), 1);
            known++;
        }
        usleep(300 * (unsigned)round);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(pipes[0], &c, 1) == 1) known++;
        close(pipes[0]);
        fv_tune_db *db = open_db(round % 2); /* either way repairs what was left */
        int n = rows(db);
        fv_tune_db_close(db);
        cr_assert(n == known || n == known + 1, "%d rows, %d acknowledged", n, known);
        known = n;
    }
}

/* -- A full disk ---- */
Test(database, says_when_the_disk_is_full) {
    fv_tune_db *db = open_db(true);
    fv_tune_record r = record("k", "a", 0.5, 1);
    put(db, r);
    struct stat st;
    cr_assert_eq(stat(file, &st), 0);
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = (rlim_t)st.st_size + 8192;
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    char *big = malloc(100001);
    memset(big, 'x', 100000);
    big[100000] = 0;
    fv_tune_record large = record(big, "b", 0.5, 2);
    cr_assert_not(fv_tune_db_add(db, &large));
    says(file);
    cr_assert_eq(rows(db), 1);
    limit.rlim_cur = before;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    put(db, large);
    cr_assert_eq(rows(db), 2, "it goes on when there is room");
    fv_tune_db_close(db);
    fv_tune_db_close(open_db(true));
    free(big);
}

/* -- JSON lines ---- */
static fv_tune_db *open_at(const char *name) {
    snprintf(file, sizeof file, "%s/%s", folder, name);
    return open_db(true);
}
Test(database, exports_and_merges) {
    fv_tune_db *a = open_at("a"), *b = open_at("b");
    fv_tune_record odd = record("kernel \"q\" {\n\t\\ } é", "x", 1.0 / 3, 9);
    odd.status = "timeout";
    odd.seconds = odd.seconds_min = odd.ratio = 0;
    odd.reason = "more than 3 s";
    put(a, record("k 8", "a", 0.1 + 0.2, 1));
    put(a, odd);
    put(b, record("k 8", "a", 0.1 + 0.2, 1));
    put(b, record("k 9", "c", 0.3, 1));
    fv_buf lines = {0}, again = {0};
    cr_assert(fv_tune_db_export(a, &lines));
    fv_tune_merged m;
    cr_assert(fv_tune_db_import(b, "a.jsonl", lines.text, lines.len, &m), "%s", fv_diag_at(ctx, 0)->text);
    cr_assert_eq(m.added, 1);
    cr_assert_eq(m.known, 1);
    cr_assert(fv_tune_db_import(b, "a.jsonl", lines.text, lines.len, &m));
    cr_assert_eq(m.added, 0, "merging twice changes nothing");
    fv_tune_db_close(a);
    a = open_at("c");
    cr_assert(fv_tune_db_import(a, "a.jsonl", lines.text, lines.len - 1, &m), "the last newline may be missing");
    cr_assert(fv_tune_db_export(a, &again));
    cr_assert_str_eq(again.text, lines.text, "what goes through comes out the same to the bit");
    fv_buf_dispose(&lines);
    fv_buf_dispose(&again);
    fv_tune_db_close(a);
    fv_tune_db_close(b);
}
Test(database, imports_all_or_nothing) {
    fv_tune_db *db = open_at("a");
    fv_tune_record r = record("k", "a", 0.5, 1);
    fv_tune_merged m;
    static const struct {
        const char *line, *says;
    } bad[] = {{"{\"fovea_tune\":1", "no JSON"},
               {"[1]", "no tuning record"},
               {"{\"fovea_tune\":2}", "newer Fovea"},
               {"{\"fovea_tune\":1,\"kernel\":\"a\"}", "lacks \"schedule\""},
               {"{\"fovea_tune\":1,\"kernel\":7}", "\"kernel\" is a whole number"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fv_buf text = {0};
        fv_tune_line(&r, &text);
        fv_buf_printf(&text, "\n%s\n", bad[i].line);
        cr_assert_not(fv_tune_db_import(db, "x.jsonl", text.text, text.len, &m));
        cr_assert_eq(fv_diag_at(ctx, 0)->loc.line, 3);
        says(bad[i].says);
        cr_assert_eq(rows(db), 0);
        fv_buf_dispose(&text);
    }
    static const char *const swaps[][3] = {
        {"\"pairs\":11", "\"pairs\":99999999999", "range"},  {"\"threads\":2", "\"threads\":-2", "threads"},
        {"\"correct\"", "\"splendid\"", "status"},           {"\"search\"", "\"guess\"", "origin"},
        {"\"ratio\":0.5", "\"ratio\":-0.5", "number"},       {"\"dtype\"", "\"d_type\"", "lacks \"dtype\""},
        {"{\"fo", "{\"more\":1,\"fo", "not known: \"more\""}};
    for (size_t i = 0; i < sizeof swaps / sizeof *swaps; i++) {
        fv_buf text = {0}, changed = {0};
        fv_tune_line(&r, &text);
        char *at = strstr(text.text, swaps[i][0]);
        cr_assert(at, "%s", swaps[i][0]);
        fv_buf_putn(&changed, text.text, (size_t)(at - text.text));
        fv_buf_puts(&changed, swaps[i][1]);
        fv_buf_puts(&changed, at + strlen(swaps[i][0]));
        cr_assert_not(fv_tune_db_import(db, "x.jsonl", changed.text, changed.len, &m));
        says(swaps[i][2]);
        fv_buf_dispose(&text);
        fv_buf_dispose(&changed);
    }
    cr_assert(fv_tune_db_import(db, "x.jsonl", "", 0, &m));
    cr_assert_eq(rows(db), 0);
    fv_tune_db_close(db);
}
