/* Arguments by tables of options: `--name value`, `--name=value`, `-o value`. */
#include "api/given.h"
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const cli_option *find(const cli_option *list, const char *name, size_t n) {
    for (; list->name; list++)
        if (strlen(list->name) == n && !strncmp(list->name, name, n)) return list;
    return NULL;
}
static bool unknown(fv_ctx *ctx, const char *command, const cli_option *options, const char *word) {
    const char *names[128];
    int n = 0;
    for (const cli_option *o = options; o->name && n < 128; o++) names[n++] = o->name;
    const char *near = fv_nearest_name(word + strspn(word, "-"), names, n);
    fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "%s has no option %s%s%s%s", command, word,
             near ? "; the nearest is --" : "", near ? near : "", near ? "" : "");
    return false;
}
static bool add_given(fv_ctx *ctx, cli_args *out, const cli_option *o, const char *value) {
    if (out->n_given == CLI_MAX_WORDS) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "more than %d options and their values", CLI_MAX_WORDS);
        return false;
    }
    out->given[out->n_given++] = (cli_given){o, value};
    return true;
}
static bool add_word(fv_ctx *ctx, cli_args *out, const char *word) {
    if (out->n_words == CLI_MAX_WORDS) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "more than %d words", CLI_MAX_WORDS);
        return false;
    }
    out->word[out->n_words++] = word;
    return true;
}
/* An option at argv[*i] with its value, which may be the next word. */
static bool add_option(fv_ctx *ctx, cli_args *out, int argc, char **argv, int *i, const cli_option **found) {
    const char *w = argv[*i], *name = w + (w[1] == '-' ? 2 : 1), *equals = strchr(name, '=');
    const cli_option *o = find(out->options, name, equals ? (size_t)(equals - name) : strlen(name));
    *found = o;
    if (!o) return unknown(ctx, out->command, out->options, w);
    if (o->kind == CLI_FLAG && equals) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--%s takes no value", o->name);
        return false;
    }
    if (o->kind == CLI_FLAG) return add_given(ctx, out, o, "");
    if (equals) return add_given(ctx, out, o, equals + 1);
    if (*i + 1 < argc) return add_given(ctx, out, o, argv[++*i]);
    fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--%s needs a value: %s", o->name, o->argument);
    return false;
}
bool cli_parse(fv_ctx *ctx, const char *command, const cli_option *options, int argc, char **argv, cli_args *out) {
    out->command = command;
    out->options = options;
    out->n_given = out->n_words = 0;
    const cli_option *last = NULL; /* words after --input belong to it */
    for (int i = 0; i < argc; i++) {
        bool option = argv[i][0] == '-' && argv[i][1];
        if (option                                 ? !add_option(ctx, out, argc, argv, &i, &last)
            : last && !strcmp(last->name, "input") ? !add_given(ctx, out, last, argv[i])
                                                   : !add_word(ctx, out, argv[i]))
            return false;
    }
    return true;
}
const char *cli_value(const cli_args *a, const char *name) {
    for (int i = a->n_given - 1; i >= 0; i--)
        if (!strcmp(a->given[i].option->name, name)) return a->given[i].value;
    return NULL;
}
bool cli_flag(const cli_args *a, const char *name) { return cli_value(a, name) != NULL; }
int cli_values(const cli_args *a, const char *name, const char **out, int cap) {
    int n = 0;
    for (int i = 0; i < a->n_given && n < cap; i++)
        if (!strcmp(a->given[i].option->name, name)) out[n++] = a->given[i].value;
    return n;
}
bool cli_int(fv_ctx *ctx, const cli_args *a, const char *name, int64_t least, int64_t *io) {
    const char *v = cli_value(a, name);
    if (!v) return true;
    char *end;
    errno = 0;
    long long n = strtoll(v, &end, 10);
    if (errno || end == v || *end || n < least) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--%s takes a whole number of at least %lld, not '%s'", name,
                 (long long)least, v);
        return false;
    }
    *io = n;
    return true;
}
bool cli_choice(fv_ctx *ctx, const cli_args *a, const char *name, const char *const *choices, const char **out) {
    const char *v = *out = cli_value(a, name);
    if (!v) return true;
    fv_buf list = {0};
    for (int i = 0; choices[i]; i++) {
        if (!strcmp(choices[i], v)) {
            fv_buf_dispose(&list);
            return true;
        }
        fv_buf_printf(&list, "%s%s", i ? ", " : "", choices[i]);
    }
    fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--%s takes one of %s, not '%s'", name, list.text, v);
    fv_buf_dispose(&list);
    return false;
}
bool cli_dtype(fv_ctx *ctx, const cli_args *a, fv_type *out) {
    static const char *const names[] = {"f32", "bf16", "f16", NULL};
    const char *name;
    *out = FV_F32;
    if (!cli_choice(ctx, a, "dtype", names, &name)) return false;
    if (name) *out = fv_given_storage(name);
    return true;
}
const char *const cli_strategies[] = {"box", "offset", "expand", NULL};
const char *cli_target(const cli_args *a, const char *backend) {
    const fv_backend *first = fv_backend_default();
    if (!backend && first) backend = first->name;
#ifdef FOVEA_HAVE_OPENCL
    if (backend && !strcmp(backend, "opencl")) return cli_value(a, "opencl-shape");
#endif
    return cli_value(a, "target");
}
