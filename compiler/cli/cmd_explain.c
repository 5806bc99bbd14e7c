/* fovea explain: what an error code means, with an example. Invariant: every row of errors.def has exactly one example
 * (checked when this file is compiled). */
#include "cli/cli.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int number;
    const char *cause, *cure;
} example;
static const example examples[] = {
#define X(name, cause, cure) {FV_E_##name, cause, cure},
#include "cli/explain_examples.def"
#undef X
};
static const int codes[] = {
#define X(name, number, title, remedy) (number),
#include "base/errors.def"
#undef X
};
_Static_assert(sizeof examples / sizeof *examples == sizeof codes / sizeof *codes,
               "explain_examples.def has one row per error code");

static void explain(int number) {
    printf("E%04d  %s\n\n  %s\n", number, fv_code_title(number), fv_code_remedy(number));
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        if (examples[i].number == number)
            printf("\n  for example:  %s\n                %s\n", examples[i].cause, examples[i].cure);
}
static int run(fv_ctx *ctx, const cli_args *a) {
    if (!a->n_words) {
        for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
            printf("E%04d  %s\n", codes[i], fv_code_title(codes[i]));
        return CLI_OK;
    }
    for (int i = 0; i < a->n_words; i++) {
        const char *w = a->word[i];
        char *end;
        if (*w == 'E' || *w == 'e') w++;
        long n = isdigit((unsigned char)*w) ? strtol(w, &end, 10) : -1;
        if (n < 0 || n > 9999 || *end || !fv_code_title((int)n)) {
            fv_error(ctx, FV_E_UNKNOWN, (fv_loc){0}, "there is no error code '%s'; fovea explain lists them",
                     a->word[i]);
            return CLI_USER;
        }
        if (i) printf("\n");
        explain((int)n);
    }
    return CLI_OK;
}
static const cli_option options[] = {{NULL, NULL, NULL, CLI_FLAG}};
const cli_command cli_explain = {"explain", "explain [CODE…]     (E0103 or 103; without: the list)",
                                 "what an error code means, and an example", options, run};
