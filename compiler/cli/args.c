/* Arguments by tables of options: `--name value`, `--name=value`, `-o value`. */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const cli_option *find(const cli_option *list, const char *name, size_t n) {
    for (; list->name; list++) if (strlen(list->name) == n && !strncmp(list->name, name, n)) return list;
    return NULL;
}
static bool unknown(fv_ctx *ctx, const char *command, const cli_option *options, const char *word) {
    const char *names[128];
    int n = 0;
    for (const cli_option *o = options; o->name && n < 128; o++) names[n++] = o->name;
    const char *near = fv_nearest_name(word + strspn(word, "-"), names, n);
    fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "%s has no option %s%s%s%s", command, word, near ? "; the nearest is --" : "", near ? near : "", near ? "" : "");
    return false;
}
bool cli_parse(fv_ctx *ctx, const char *command, const cli_option *options, int argc, char **argv, cli_args *out) {
    *out = (cli_args){.command = command, .options = options};
    const cli_option *open = NULL;                      /* the option that a plain word belongs to */
    for (int i = 0; i < argc; i++) {
        const char *w = argv[i];
        if (w[0] != '-' || !w[1]) {
            if (open && out->n_given < 256) { out->given[out->n_given++] = (cli_given){open, w}; if (strcmp(open->name, "input") != 0) open = NULL; continue; }
            if (out->n_words < 256) out->word[out->n_words++] = w;
            continue;
        }
        const char *name = w + (w[1] == '-' ? 2 : 1), *equals = strchr(name, '=');
        const cli_option *o = find(options, name, equals ? (size_t)(equals - name) : strlen(name));
        if (!o) return unknown(ctx, command, options, w);
        open = NULL;
        if (out->n_given == 256) { fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "too many options"); return false; }
        if (o->kind == CLI_FLAG) {
            if (equals) { fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--%s takes no value", o->name); return false; }
            out->given[out->n_given++] = (cli_given){o, ""};
        } else if (equals) out->given[out->n_given++] = (cli_given){o, equals + 1};
        else if (i + 1 < argc) {
            out->given[out->n_given++] = (cli_given){o, argv[++i]};
            if (!strcmp(o->name, "input")) open = o;
        } else { fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--%s needs a value: %s", o->name, o->argument); return false; }
    }
    return true;
}
const char *cli_value(const cli_args *a, const char *name) {
    for (int i = a->n_given - 1; i >= 0; i--) if (!strcmp(a->given[i].option->name, name)) return a->given[i].value;
    return NULL;
}
bool cli_flag(const cli_args *a, const char *name) { return cli_value(a, name) != NULL; }
int cli_values(const cli_args *a, const char *name, const char **out, int cap) {
    int n = 0;
    for (int i = 0; i < a->n_given && n < cap; i++) if (!strcmp(a->given[i].option->name, name)) out[n++] = a->given[i].value;
    return n;
}
bool cli_int(fv_ctx *ctx, const cli_args *a, const char *name, int64_t least, int64_t *io) {
    const char *v = cli_value(a, name);
    if (!v) return true;
    char *end;
    errno = 0;
    long long n = strtoll(v, &end, 10);
    if (errno || end == v || *end || n < least) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--%s takes a whole number of at least %lld, not '%s'", name, (long long)least, v);
        return false;
    }
    *io = n;
    return true;
}
