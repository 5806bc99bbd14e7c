/* fovea: the command line. Each command is a file cmd_*.c; this one finds it, prints help and turns diagnostics into an
 * exit code. */
#include "cli/cli.h"
#include "cli/device_report.h"

#include <string.h>

const cli_command *const cli_commands[] = {&cli_run,     &cli_check, &cli_show,  &cli_compile, &cli_build,
                                           &cli_verify,  &cli_tune,  &cli_bench, &cli_devices, &cli_doctor,
                                           &cli_explain, &cli_demo,  NULL};

static void usage(FILE *f) {
    fprintf(f, "fovea compiles attention: specs in Lua to machine code, and whole backbones around it.\n\n");
    for (int i = 0; cli_commands[i]; i++)
        fprintf(f, "  fovea %-9s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
    fprintf(f, "\n  fovea COMMAND --help   what a command takes\n\nExit codes: 0 fine, 1 a mistake in what was given, "
               "2 an internal error.\n");
}
static void help(const cli_command *c) {
    printf("fovea %s\n\n%s\n\n", c->synopsis, c->summary);
    for (const cli_option *o = c->options; o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s %s", strlen(o->name) == 1 ? "-" : "--", o->name,
                 o->argument ? o->argument : "");
        printf("  %-28s %s\n", left, o->help);
    }
}
static const cli_command *find(const char *name) {
    for (int i = 0; cli_commands[i]; i++)
        if (!strcmp(cli_commands[i]->name, name)) return cli_commands[i];
    return NULL;
}
static int finish(fv_ctx *ctx, int code) {
    cli_progress_done();
    if (fv_diag_count(ctx)) {
        fv_buf text = {0};
        fv_diag_render(ctx, &text);
        fflush(stdout);
        fputs(text.text, stderr);
        fv_buf_dispose(&text);
    }
    for (int i = 0; i < fv_diag_count(ctx); i++)
        if (fv_diag_at(ctx, i)->code == FV_E_INTERNAL) code = CLI_INTERNAL;
    fv_ctx_dispose(ctx);
    return code;
}
int main(int argc, char **argv) {
    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        const cli_command *c = argc > 2 ? find(argv[2]) : NULL;
        if (c) help(c);
        else usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? CLI_USER : CLI_OK;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("fovea %s\n", FOVEA_VERSION);
        return CLI_OK;
    }
#ifdef FOVEA_HAVE_OPENCL
    cli_ask_devices_apart();
#endif
    fv_ctx *ctx = fv_ctx_new();
    const cli_command *c = find(argv[1]);
    if (!c) {
        const char *names[32];
        int n = 0;
        for (int i = 0; cli_commands[i]; i++) names[n++] = cli_commands[i]->name;
        const char *near = fv_nearest_name(argv[1], names, n);
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "there is no command '%s'%s%s; fovea --help lists them", argv[1],
                 near ? "; the nearest is " : "", near ? near : "");
        return finish(ctx, CLI_USER);
    }
    for (int i = 2; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            help(c);
            fv_ctx_dispose(ctx);
            return CLI_OK;
        }
    static cli_args args;
    if (!cli_parse(ctx, c->name, c->options, argc - 2, argv + 2, &args)) return finish(ctx, CLI_USER);
    return finish(ctx, c->run(ctx, &args));
}
