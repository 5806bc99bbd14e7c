/* The table of docs/systems.md against what is on disk: a row for each backbone and no other, exactly its variants, as
 * many golden cases as are kept, and the parameters that the variant listed first declares. Invariant: what a cell says
 * in parentheses, or after a semicolon, is prose. */
#define _DEFAULT_SOURCE
#include "backbone_kit.h"

#include <ctype.h>
#include <glob.h>

enum { NAME, VARIANTS, PAPER, SOURCE, CASES, PARAMETERS, GMACS, TIME, CELLS };
enum { ROWS = 100, WORDS = 64 };

/* -- The table: | cell | cell | ... ---------------------------------------------------------------------------------*/
typedef struct {
    char *cell[CELLS];
} row;
static char *trimmed(char *s) {
    while (*s == ' ') s++;
    size_t n = strlen(s);
    while (n && s[n - 1] == ' ') s[--n] = 0;
    return s;
}
static bool split_row(char *line, row *r) {
    int n = 0;
    for (char *p = line + 1, *bar; n < CELLS && (bar = strchr(p, '|')); p = bar + 1) {
        *bar = 0;
        r->cell[n++] = trimmed(p);
    }
    return n == CELLS;
}
/* The rows under the head; *text is what they point into. */
static int read_table(row *rows, char **text) {
    size_t size;
    char *save = NULL;
    int n = 0;
    *text = case_slurp(FOVEA_TESTS_DIR "/../docs", "systems.md", &size);
    cr_assert(*text != NULL, "docs/systems.md");
    for (char *line = strtok_r(*text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "| ", 2) != 0 || !strncmp(line, "| name ", 7)) continue;
        char *copy = strdup(line);
        cr_assert(n < ROWS && split_row(line, &rows[n]), "not %d cells: %s", CELLS, copy);
        free(copy);
        n++;
    }
    return n;
}
static int rows_named(const row *rows, int n, const char *name) {
    int found = 0;
    for (int i = 0; i < n; i++) found += !strcmp(rows[i].cell[NAME], name);
    return found;
}

Test(systems, every_backbone_has_one_row_and_every_row_a_backbone) {
    row rows[ROWS];
    char *text;
    int n = read_table(rows, &text);
    glob_t specs;
    cr_assert_eq(glob(FOVEA_SPEC_DIR "/backbones/*.lua", 0, NULL, &specs), 0);
    for (size_t i = 0; i < specs.gl_pathc; i++) {
        char name[100];
        snprintf(name, sizeof name, "%s", strrchr(specs.gl_pathv[i], '/') + 1);
        *strrchr(name, '.') = 0;
        int found = rows_named(rows, n, name);
        cr_expect_eq(found, 1, "%s has %d rows", name, found);
    }
    cr_expect_eq((size_t)n, specs.gl_pathc, "%d rows, %zu specs", n, specs.gl_pathc);
    globfree(&specs);
    free(text);
}

/* -- Variants -------------------------------------------------------------------------------------------------------*/
typedef struct {
    int n;
    char word[WORDS][48];
} list;
static bool holds(const list *l, const char *word) {
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->word[i], word)) return true;
    return false;
}
static void add_word(list *l, const char *s, size_t n) {
    if (n && *s != '`' && l->n < WORDS) snprintf(l->word[l->n++], sizeof l->word[0], "%.*s", (int)n, s);
}
/* The words of a text that are no prose. */
static list words(const char *s) {
    list l = {0};
    int depth = 0;
    bool prose = false;
    for (size_t n; *s; s += n + (s[n] != 0)) {
        n = strcspn(s, " ,;:()");
        if (!depth && !prose) add_word(&l, s, n);
        depth += (s[n] == '(') - (s[n] == ')');
        if (!depth && s[n] == ':') prose = true;
        if (!depth && s[n] == ';') prose = false;
    }
    return l;
}
/* What the spec offers: it says so where there is no such variant. */
static list offered(const char *family) {
    net n = open_net(family, "no such variant", NULL);
    const char *known = strstr(n.report, "there are: ");
    cr_assert(!n.good && known, "%s: %s", family, n.report);
    char *line = strndup(known, strcspn(known, "\n"));
    list l = words(line + strlen("there are: "));
    free(line);
    close_net(&n);
    return l;
}
Test(systems, a_family_without_a_variant_lists_its_variants) {
    row rows[ROWS];
    char *text;
    int n = read_table(rows, &text);
    for (int i = 0; i < n; i++) {
        net v = open_net(rows[i].cell[NAME], NULL, NULL);
        const char *listed = strstr(v.report, "no variant is given (");
        cr_expect(!v.good && listed, "%s: %s", rows[i].cell[NAME], v.report);
        list said = words(rows[i].cell[VARIANTS]);
        for (int j = 0; listed && j < said.n; j++)
            cr_expect(strstr(listed, said.word[j]), "%s does not list '%s'", rows[i].cell[NAME], said.word[j]);
        close_net(&v);
    }
    free(text);
}
Test(systems, variants_are_those_that_the_spec_offers) {
    row rows[ROWS];
    char *text;
    int n = read_table(rows, &text);
    for (int i = 0; i < n; i++) {
        const char *name = rows[i].cell[NAME];
        list said = words(rows[i].cell[VARIANTS]), has = offered(name);
        for (int j = 0; j < said.n; j++) cr_expect(holds(&has, said.word[j]), "%s offers no '%s'", name, said.word[j]);
        for (int j = 0; j < has.n; j++) {
            if (holds(&said, has.word[j])) continue;
            net v = open_net(name, has.word[j], NULL);
            cr_expect(!v.good, "the row of %s lacks the variant '%s'", name, has.word[j]);
            close_net(&v);
        }
    }
    free(text);
}

/* -- Golden cases: "1 net, 3 op", or "1 net, 7 op of FOLDER" --------------------------------------------------------*/
/* Cases of this kind in these folders; family not NULL: only those whose config.backbone is one of its variants. */
static int cases_of(const char *folder, const char *kind, const char *family) {
    glob_t found;
    char pattern[600];
    int n = 0;
    snprintf(pattern, sizeof pattern, "%s/goldens/%s/*/case.json", FOVEA_TESTS_DIR, folder);
    if (glob(pattern, 0, NULL, &found)) return 0;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        json_t *j = json_load_file(found.gl_pathv[i], 0, NULL);
        const char *is = json_string_value(json_object_get(j, "kind"));
        const char *of = json_string_value(json_object_get(json_object_get(j, "config"), "backbone"));
        size_t len = family ? strlen(family) : 0;
        cr_assert(is != NULL, "%s", found.gl_pathv[i]);
        n += !strcmp(is, kind) && (!family || (of && !strncmp(of, family, len) && of[len] == ':'));
        json_decref(j);
    }
    globfree(&found);
    return n;
}
Test(systems, golden_cases_are_those_kept) {
    row rows[ROWS];
    char *text;
    int n = read_table(rows, &text);
    for (int i = 0; i < n; i++) {
        const char *name = rows[i].cell[NAME], *folder = strstr(rows[i].cell[CASES], " of ");
        int nets = -1, ops = -1;
        cr_expect_eq(sscanf(rows[i].cell[CASES], "%d net, %d op", &nets, &ops), 2, "%s: %s", name, rows[i].cell[CASES]);
        folder = folder ? folder + 4 : name;
        cr_expect_eq(nets, cases_of("*", "net", name), "%s: %d net, kept: %d", name, nets, cases_of("*", "net", name));
        cr_expect_eq(ops, cases_of(folder, "op", NULL), "%s: %d op, kept: %d", name, ops, cases_of(folder, "op", NULL));
    }
    free(text);
}

/* -- Parameters: the first number of the cell, to its digits --------------------------------------------------------*/
Test(systems, parameters_are_those_of_the_variant_listed_first) {
    row rows[ROWS];
    char *text;
    int n = read_table(rows, &text);
    for (int i = 0; i < n; i++) {
        const char *name = rows[i].cell[NAME], *said = rows[i].cell[PARAMETERS], *point = strchr(said, '.');
        list variants = words(rows[i].cell[VARIANTS]);
        net v = open_net(name, variants.word[0], NULL);
        cr_expect(v.good, "%s:%s: %s", name, variants.word[0], v.report);
        long long count = v.good ? parameters(&v) : -1;
        int digits = 0;
        char want[40];
        while (point && isdigit((unsigned char)point[1 + digits])) digits++;
        snprintf(want, sizeof want, "%.*f M", digits, 1e-6 * (double)count);
        cr_expect(!strncmp(said, want, strlen(want)), "%s: %s, declared: %s (%lld)", name, said, want, count);
        close_net(&v);
    }
    free(text);
}
