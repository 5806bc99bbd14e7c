/* Every case of an operator or a procedure under tests/goldens: its system's spec, through the reference, against what the
 * published implementation answered. (Whole nets are checked with the backbones.) */
#define _DEFAULT_SOURCE
#include "test_dsl_case.h"

#include <criterion/criterion.h>
#include <dirent.h>

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

/* Is the output named in the spec's first line, "-- not: NAME NAME"? */
static int left_out(const char *spec) {
    char line[400] = "";
    FILE *f = fopen(spec, "r");
    if (!f) return 0;
    if (!fgets(line, sizeof line, f)) line[0] = 0;
    fclose(f);
    int n = 0;
    if (strncmp(line, "-- not:", 7) != 0) return 0;
    for (char *p = strtok(line + 7, " \n"); p; p = strtok(NULL, " \n")) n++;
    return n;
}

static int run_system(const char *system) {
    char folder[500], spec[600], path[800];
    snprintf(folder, sizeof folder, "%s/goldens/%s", FOVEA_TESTS_DIR, system);
    snprintf(spec, sizeof spec, "%s/cases/%s.lua", FOVEA_TESTS_DIR, system);
    struct dirent **list;
    int n = scandir(folder, &list, NULL, by_name), ran = 0;
    for (int i = 0; i < n; i++) {
        golden_case c;
        snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name);
        if (list[i]->d_name[0] != '.' && case_open(&c, path)) {
            if (!strcmp(json_string_value(json_object_get(c.meta, "kind")), "net")) {
                case_close(&c);
                free(list[i]);
                continue;
            }
            fv_buf report = {0};
            int missing, right = case_run(&c, spec, NULL, FOVEA_SPEC_DIR, &report, &missing);
            cr_expect(right > 0, "%s/%s:\n%s", system, list[i]->d_name, report.text ? report.text : "");
            cr_expect(missing <= left_out(spec), "%s/%s: %d outputs are not answered", system, list[i]->d_name,
                      missing);
            fv_buf_dispose(&report);
            case_close(&c);
            ran++;
        }
        free(list[i]);
    }
    if (n >= 0) free(list);
    return ran;
}

Test(dsl_goldens, all) {
    char folder[500];
    snprintf(folder, sizeof folder, "%s/goldens", FOVEA_TESTS_DIR);
    struct dirent **list;
    int n = scandir(folder, &list, NULL, by_name), ran = 0;
    for (int i = 0; i < n; i++) {
        if (list[i]->d_name[0] != '.' && list[i]->d_type == DT_DIR) ran += run_system(list[i]->d_name);
        free(list[i]);
    }
    if (n >= 0) free(list);
    cr_expect(ran >= 170, "only %d cases were found", ran);
}
