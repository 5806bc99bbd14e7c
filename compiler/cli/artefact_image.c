/* What the weights of a library are made of: prepare, run in this process for every level of processor. */
#include "cli/artefact.h"
#include "cli/live.h"
#include "io/file.h"
#include "runtime/image.h"

#include <stdlib.h>
#include <string.h>

const char *cli_artefact_file(fv_ctx *ctx, const char *folder, const cli_level *l, const char *what) {
    return fv_printf(ctx, "%s/level_%016llx_%s", folder, (unsigned long long)l->number, what);
}
const char *cli_artefact_tried(fv_ctx *ctx, const char *folder, const cli_level *l, int shape, const char *what) {
    return cli_artefact_file(ctx, folder, l, fv_printf(ctx, "%d_%s", shape, what));
}
static bool write_tensors(fv_ctx *ctx, const char *path, const fovea_array *const *of, const DLTensor *t, int n) {
    fovea_stored *list = FV_NEWN(ctx, fovea_stored, n + 1);
    fovea_error e;
    for (int i = 0; i < n; i++) list[i] = cli_stored(of[i], t[i].data);
    return fovea_safetensors_write(path, list, n, NULL, &e) ? cli_runtime_error(ctx, FV_E_FILE, &e) : true;
}
/* What the shapes that are tried answer; inputs and answers as files. */
static bool answers(fv_ctx *ctx, cli_session *s, cli_artefact *a, cli_level *l, const char *folder, cli_live *live) {
    bool fine = true;
    for (int i = 0; i < a->n_tried && fine; i++) {
        const int64_t *extents = a->bounds.n ? a->bounds.tried + (ptrdiff_t)i * a->bounds.n : NULL;
        fine = !extents || (cli_artefact_retrace(ctx, s, a, i) && cli_live_resize(ctx, s, extents, a->bounds.n, live));
        fine =
            fine && cli_live_run(ctx, live) &&
            write_tensors(ctx, cli_artefact_tried(ctx, folder, l, i, "inputs"), live->input, live->in, live->n_in) &&
            write_tensors(ctx, cli_artefact_tried(ctx, folder, l, i, "answers"), live->output, live->out, live->n_out);
        if (fine && !a->known[i]) fine = (a->known[i] = cli_known_take(ctx, live)) != NULL;
    }
    return fine && (!a->bounds.n || cli_artefact_retrace(ctx, s, a, 0));
}
/* One level: its image, and what a run answers if it can run here. */
static bool one(fv_ctx *ctx, cli_session *s, cli_artefact *a, cli_level *l, const char *folder, void **data) {
    bool runs = cli_level_runs_here(l);
    cli_live live = {0};
    fv_compiled here = {0};
    fovea_options run = {0};
    fovea_error e;
    *data = NULL;
    if (!runs && !fv_compile_prepare(ctx, &l->compiled, cli_cache_dir(ctx), &here)) {
        fv_compiled_dispose(&here);
        return false;
    }
    live.compiled = runs ? l->compiled : here;
    l->image = cli_artefact_file(ctx, folder, l, "weights");
    bool fine = cli_live_load(ctx, s, &run, false, &live);
    if (runs) fine = fine && answers(ctx, s, a, l, folder, &live);
    l->answered = runs;
    if (fine && fovea_image_make(live.model, l->number, data, &l->image_bytes, &e))
        fine = cli_runtime_error(ctx, FV_E_RUN, &e);
    fine = fine && (!a->embedded || fv_file_write(ctx, l->image, *data, (size_t)l->image_bytes));
    cli_live_unload(&live);
    fv_compiled_dispose(&here);
    return fine;
}
/* What a run of the level answers to the numbers of the session, which are written too, all to one file. */
static bool answers_to_used(fv_ctx *ctx, cli_session *s, cli_level *l, const char *folder) {
    cli_live live = {.compiled = l->compiled};
    fovea_options run = {0};
    bool fine = cli_live_load(ctx, s, &run, false, &live) && cli_live_run(ctx, &live) &&
                cli_leaves_write(ctx, s, cli_artefact_tried(ctx, folder, l, 0, "inputs")) &&
                write_tensors(ctx, cli_artefact_tried(ctx, folder, l, 0, "answers"), live.output, live.out, live.n_out);
    l->answered = fine;
    cli_live_unload(&live);
    return fine;
}
bool cli_artefact_answers(fv_ctx *ctx, cli_session *s, cli_artefact *a, const char *folder) {
    bool fine = true;
    for (int i = 0; i < a->n_levels && fine && !a->bounds.n; i++)
        if (cli_level_runs_here(&a->level[i])) fine = answers_to_used(ctx, s, &a->level[i], folder);
    return fine;
}
/* Where no level runs here: what this processor answers, near to which every level has to come. */
static bool known_here(fv_ctx *ctx, cli_session *s, cli_artefact *a) {
    fovea_options run = {0};
    fv_driver_options o = {.cache_dir = cli_cache_dir(ctx), .storage = s->storage};
    bool fine = true;
    for (int i = 0; i < a->n_tried && fine; i++) {
        cli_live live = {0};
        fine = (!a->bounds.n || cli_artefact_retrace(ctx, s, a, i)) && cli_live_open(ctx, s, &o, &run, false, &live) &&
               (a->known[i] = cli_known_take(ctx, &live)) != NULL;
        cli_live_close(&live);
    }
    return fine && (!a->bounds.n || cli_artefact_retrace(ctx, s, a, 0));
}
/* Do two images differ in nothing but the level that their headers name? */
static bool same_weights(const void *x, const void *y) {
    fovea_image_header a, b;
    memcpy(&a, x, sizeof a);
    memcpy(&b, y, sizeof b);
    a.level = b.level;
    return !memcmp(&a, &b, sizeof a) &&
           !memcmp((const char *)x + sizeof a, (const char *)y + sizeof a, (size_t)a.bytes - sizeof a);
}
bool cli_artefact_images(fv_ctx *ctx, cli_session *s, cli_artefact *a, const char *folder) {
    void *data[CLI_LEVELS + CLI_DEVICES] = {0}, *set = NULL;
    fovea_error e;
    bool fine = true;
    int n = 0, at[CLI_LEVELS + CLI_DEVICES]; /* images, and which is a level's */
    a->image_bytes = 0;
    for (int i = 0; i < cli_artefact_forms(a) && fine; i++) {
        cli_level *l = &a->level[i];
        fine = one(ctx, s, a, l, folder, &data[n]);
        for (int j = 0; j < i && fine && l->opencl && l->same < 0; j++)
            if (a->level[j].same < 0 && same_weights(data[at[j]], data[n])) {
                l->same = j;
                l->number = a->level[j].number;
                free(data[n]);
                data[n] = NULL;
            }
        if (l->same >= 0) continue;
        at[i] = n++;
        a->image_bytes += l->image_bytes;
    }
    fine = fine && (a->known[0] || known_here(ctx, s, a));
    a->image = fv_printf(ctx, "%s/%s.weights", folder, a->name);
    const void *whole = data[0];
    if (fine && !a->embedded && n > 1) {
        if (fovea_image_join((const void *const *)data, n, &set, &a->image_bytes, &e))
            fine = cli_runtime_error(ctx, FV_E_RUN, &e);
        whole = set;
    }
    fine = fine && (a->embedded || fv_file_write(ctx, a->image, whole, (size_t)a->image_bytes));
    free(set);
    for (int i = 0; i < CLI_LEVELS + CLI_DEVICES; i++) free(data[i]);
    return fine;
}
