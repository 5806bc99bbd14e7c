/* Running the system's compiler and linker: see artefact.h. No shell is involved, so that no path can be taken for a
 * command. */
#define _POSIX_C_SOURCE 200809L
#include "cli/artefact.h"
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

const char *cli_find_program(fv_ctx *ctx, const char *name) {
    if (strchr(name, '/')) return access(name, X_OK) == 0 ? name : NULL;
    const char *path = getenv("PATH");
    for (char *p = fv_strdup(ctx, path && *path ? path : "/usr/bin:/bin"), *next; p; p = next) {
        next = strchr(p, ':');
        if (next) *next++ = 0;
        const char *full = fv_printf(ctx, "%s/%s", *p ? p : ".", name);
        if (access(full, X_OK) == 0) return full;
    }
    return NULL;
}
bool cli_run_tool(fv_ctx *ctx, char *const *argv, const char *log) {
    posix_spawn_file_actions_t files;
    pid_t child;
    int status = 0;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
    int failed = posix_spawn(&child, argv[0], &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    if (failed) {
        fv_error(ctx, FV_E_FILE, (fv_loc){0}, "cannot run %s: %s", argv[0], strerror(failed));
        return false;
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
    fv_error(ctx, FV_E_FILE, (fv_loc){0}, "%s failed", argv[0]);
    fv_bytes text;
    if (fv_file_read(ctx, log, 1 << 16, &text)) {
        int lines = 0;
        for (char *s = strtok((char *)text.data, "\n"); s && lines < 8; s = strtok(NULL, "\n"), lines++)
            fv_note(ctx, (fv_loc){0}, "%s", s);
        fv_bytes_dispose(&text);
    }
    return false;
}
