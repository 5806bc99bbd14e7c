/* What the files that read a checkpoint share. */
#ifndef FV_PTH_INSIDE_H
#define FV_PTH_INSIDE_H
#include "io/pickle.h"
#include "io/pth.h"
#include "io/zip.h"

typedef struct {
    fv_ctx *ctx;
    const char *label;                   /* "x.pth: archive/data.pkl": bytes in messages count in that entry */
    const char *folder;                  /* "archive/" */
    const char *key;                     /* the dict that was asked for; NULL: by the rules */
    fv_zip zip;
    fv_pth *out;
    uint64_t copy_room;                  /* bytes that copies may still take */
    int64_t steps;                       /* pairs that the choice may still look at */
} fv_pth_reader;

void fv_pth_note(fv_pth_reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The pairs of a dict, OrderedDict or defaultdict; NULL: v is none. */
const fv_pv_list *fv_pth_pairs(const fv_pv *v);
/* Whether v is what rebuilds a tensor, of any kind. */
bool fv_pth_is_tensor(const fv_pv *v);
/* Fills *t, the name excepted. *why: NULL, or why such a tensor is not read, and *t is not filled. false: it
 * contradicts itself or the archive; an error was recorded. */
bool fv_pth_tensor(fv_pth_reader *r, const char *name, const fv_pv *v, fovea_stored *t, const char **why);

/* The dict of tensors by name inside what was saved. NULL: an error was recorded that says what there is instead. */
const fv_pv_list *fv_pth_choose(fv_pth_reader *r, const fv_pv *saved);
#endif
