/* Finding a spec by path or by name, with the nearest names where there is none. */
#define _POSIX_C_SOURCE 200809L
#include "cli/artefact.h"
#include "cli/cli.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const folders[] = {"", "attention/", "backbones/"};

const char *cli_spec_dir(void) {
    const char *e = getenv("FOVEA_SPECS");
    return e && *e ? e : FOVEA_SPEC_DIR;
}
static int names_of(fv_ctx *ctx, const char **out, int cap) {
    int n = 0;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        DIR *d = opendir(fv_printf(ctx, "%s/%s", cli_spec_dir(), folders[i]));
        for (struct dirent *e; d && (e = readdir(d)) && n < cap;) {
            size_t len = strlen(e->d_name);
            if (len > 4 && !strcmp(e->d_name + len - 4, ".lua")) {
                char *name = fv_strdup(ctx, e->d_name);
                name[len - 4] = 0;
                out[n++] = name;
            }
        }
        if (d) closedir(d);
    }
    return n;
}
const char *cli_spec_path(fv_ctx *ctx, const char *name) {
    size_t len = strlen(name);
    if (len > 4 && !strcmp(name + len - 4, ".lua")) {
        if (access(name, R_OK) == 0) return name;
        const char *under = fv_printf(ctx, "%s/%s", cli_spec_dir(), name);
        if (access(under, R_OK) == 0) return under;
        fv_error(ctx, FV_E_FILE, (fv_loc){0}, "cannot read the spec %s", name);
        return NULL;
    }
    for (size_t i = 0; i < sizeof folders / sizeof *folders && !strstr(name, ".."); i++) {
        const char *p = fv_printf(ctx, "%s/%s%s.lua", cli_spec_dir(), folders[i], name);
        if (access(p, R_OK) == 0) return p;
    }
    const char *names[512];
    int n = names_of(ctx, names, 512);
    const char *near = fv_nearest_name(name, names, n);
    fv_error(ctx, FV_E_UNKNOWN, (fv_loc){0}, "there is no spec '%s' under %s%s%s", name, cli_spec_dir(),
             near ? "; the nearest is " : "", near ? near : "");
    return NULL;
}
static const char *below(const char *path, const char *folder) {
    size_t n = strlen(folder);
    while (n && folder[n - 1] == '/') n--;
    return n && !strncmp(path, folder, n) && path[n] == '/' ? path + n + 1 : NULL;
}
const char *cli_artefact_place(fv_ctx *ctx, const char *path) {
    char here[4096];
    if (!path || *path != '/') return path;
    const char *rest = below(path, cli_spec_dir()), *slash = strrchr(path, '/');
    if (!rest && getcwd(here, sizeof here)) rest = below(path, here);
    return fv_strdup(ctx, rest ? rest : slash + 1);
}
