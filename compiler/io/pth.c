/* A checkpoint of torch.save: the archive, its pickle, and the tensors of the dict that was chosen. Invariant: after a
 * failure everything that was taken is given back and *out is empty. */
#include "io/pth.h"
#include "io/mapped.h"
#include "io/pth_inside.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { COPY_ROOM = 16 << 20, NEWEST = 10 }; /* bytes that reordering may always take; format versions */
enum { MOST_TENSORS = 1 << 18, LONGEST_NAME = 500, MOST_STEPS = 1 << 26 };
static const unsigned char legacy[] = {0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

static bool is_pickle(const unsigned char *b, size_t n) { return n >= 9 && b[0] == 0x80 && b[1] <= 5 && b[8] != '{'; }
static bool is_tar(const unsigned char *b, size_t n) { return n >= 512 && !memcmp(b + 257, "ustar", 5); }
bool fv_pth_is(const unsigned char *b, size_t n) { return fv_zip_is(b, n) || is_pickle(b, n) || is_tar(b, n); }

/* What PyTorch wrote before 1.6, and what only looks like a checkpoint. */
static bool refuse_other(fv_ctx *ctx, const char *label, const unsigned char *b, size_t n) {
    const char *advice = "load it in PyTorch and save it again";
    if (is_tar(b, n)) return fv_refuse_bytes(ctx, label, 0, "a tar archive, as PyTorch wrote until 0.1.9: %s", advice);
    for (size_t i = 2; i + sizeof legacy <= n && i < 32; i++)
        if (!memcmp(b + i, legacy, sizeof legacy))
            return fv_refuse_bytes(ctx, label, 0, "the form that PyTorch wrote before 1.6 (no zip archive): %s",
                                   advice);
    return fv_refuse_bytes(ctx, label, 0, "a bare pickle, not a checkpoint of torch.save: %s with torch.save", advice);
}

void fv_pth_note(fv_pth_reader *r, const char *fmt, ...) {
    char text[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    fv_pth *p = r->out;
    fv_push(r->ctx, p->note, p->n_notes, p->cap_notes, fv_strdup(r->ctx, text));
}

/* -- The archive ---- */
static bool refuse_archive(const fv_pth_reader *r, const char *label) {
    const char *first = r->zip.n ? r->zip.entry[0].name : "nothing";
    return fv_refuse_bytes(r->ctx, label, 0,
                           "a zip archive without NAME/data.pkl (it has %s): no checkpoint of torch.save", first);
}
/* The one entry NAME/data.pkl says what all others begin with. */
static bool find_folder(fv_pth_reader *r, fv_arena *scratch, const char *label, const fv_zip_entry **pickle) {
    *pickle = NULL;
    for (int32_t i = 0; i < r->zip.n; i++) {
        const char *name = r->zip.entry[i].name, *slash = strchr(name, '/');
        if (!slash || strcmp(slash, "/data.pkl")) continue;
        if (*pickle)
            return fv_refuse_bytes(r->ctx, label, r->zip.entry[i].at, "two checkpoints: \"%s\" and \"%s\"",
                                   (*pickle)->name, name);
        *pickle = &r->zip.entry[i];
    }
    if (!*pickle) return refuse_archive(r, label);
    size_t n = strlen((*pickle)->name) - strlen("data.pkl");
    char *folder = fv_arena_alloc(scratch, n + 1);
    memcpy(folder, (*pickle)->name, n);
    r->folder = folder;
    r->label = fv_printf(r->ctx, "%s: %s", label, (*pickle)->name);
    return true;
}
static const fv_zip_entry *entry(const fv_pth_reader *r, fv_arena *scratch, const char *name) {
    size_t n = strlen(r->folder), k = strlen(name);
    char *path = fv_arena_alloc(scratch, n + k + 1);
    memcpy(path, r->folder, n);
    memcpy(path + n, name, k);
    return fv_zip_find(&r->zip, path);
}
static bool check_records(const fv_pth_reader *r, fv_arena *scratch, const char *label) {
    const fv_zip_entry *order = entry(r, scratch, "byteorder"), *version = entry(r, scratch, "version");
    if (entry(r, scratch, "constants.pkl"))
        return fv_refuse_bytes(r->ctx, label, 0, "a TorchScript archive, which holds a program: save its state_dict()");
    if (order && (order->n != 6 || memcmp(order->data, "little", 6) != 0))
        return fv_refuse_bytes(r->ctx, label, order->at, "\"%s\" is not \"little\": other byte orders are not read",
                               order->name);
    if (!version) return fv_refuse_bytes(r->ctx, label, 0, "the archive has no entry \"%sversion\"", r->folder);
    int64_t number = 0;
    uint64_t i = 0;
    for (; i < version->n && i < 4 && version->data[i] >= '0' && version->data[i] <= '9'; i++)
        number = 10 * number + (version->data[i] - '0');
    bool ends = i == version->n || (i + 1 == version->n && version->data[i] == '\n');
    if (!ends || number < 1 || number > NEWEST)
        return fv_refuse_bytes(r->ctx, label, version->at, "\"%s\" is no version of the format that is known (1 to %d)",
                               version->name, NEWEST);
    return true;
}

/* -- The tensors ---- */
static const char *keep_name(fv_pth_reader *r, const fv_pv *key) {
    const char *s = key->u.text.p;
    size_t n = key->u.text.n;
    if (n == 0 || n > LONGEST_NAME || !fv_name_is_plain(s, n)) {
        fv_refuse_bytes(r->ctx, r->label, key->at,
                        "the name of a tensor is empty, beyond %d bytes, not UTF-8 or has control characters",
                        LONGEST_NAME);
        return NULL;
    }
    char *name = fv_arena_alloc(r->out->arena, n + 1);
    memcpy(name, s, n);
    return name;
}
static bool collect_one(fv_pth_reader *r, const fv_pv *key, const fv_pv *v) {
    fv_pth *p = r->out;
    if (key->kind != FV_PV_TEXT)
        return fv_refuse_bytes(r->ctx, r->label, key->at, "the name of a tensor is %s", fv_pv_kind_name(key->kind));
    if (p->n + p->n_unread == MOST_TENSORS)
        return fv_refuse_bytes(r->ctx, r->label, key->at, "more than %d tensors", MOST_TENSORS);
    const char *name = keep_name(r, key), *why;
    fovea_stored t = {.name = name};
    if (!name || !fv_pth_tensor(r, name, v, &t, &why)) return false;
    if (why) fv_push(r->ctx, p->unread, p->n_unread, p->cap_unread, ((fv_unread){name, why}));
    else fv_push(r->ctx, p->tensor, p->n, p->cap, t);
    return true;
}
static bool collect(fv_pth_reader *r, const fv_pv_list *pairs) {
    fv_pth *p = r->out;
    for (int32_t i = 0; i + 1 < pairs->n; i += 2)
        if (fv_pth_is_tensor(pairs->v[i + 1]) && !collect_one(r, pairs->v[i], pairs->v[i + 1])) return false;
    if (p->n == 0 && p->n_unread > 0)
        return fv_refuse_bytes(r->ctx, r->label, 0, "no tensor can be read; \"%s\" is %s", p->unread[0].name,
                               p->unread[0].why);
    if (p->n_unread == 1) fv_pth_note(r, "\"%s\" is %s, which is not read", p->unread[0].name, p->unread[0].why);
    if (p->n_unread > 1)
        fv_pth_note(r, "%d tensors are not read, first of them \"%s\": %s", p->n_unread, p->unread[0].name,
                    p->unread[0].why);
    return true;
}

static bool read_all(fv_pth_reader *r, fv_arena *scratch, const char *label, const unsigned char *b, size_t n) {
    const fv_zip_entry *pickle;
    if (!fv_zip_read(r->ctx, scratch, label, b, n, &r->zip) || !find_folder(r, scratch, label, &pickle) ||
        !check_records(r, scratch, label))
        return false;
    const fv_pv *saved = fv_pickle_read(r->ctx, scratch, r->label, pickle->data, (size_t)pickle->n);
    const fv_pv_list *pairs = saved ? fv_pth_choose(r, saved) : NULL;
    return pairs && collect(r, pairs);
}

bool fv_pth_read(fv_ctx *ctx, const char *label, const unsigned char *bytes, size_t n, const char *key, fv_pth *out) {
    *out = (fv_pth){0};
    if (!fv_zip_is(bytes, n)) return refuse_other(ctx, label, bytes, n);
    fv_arena *scratch = fv_arena_new();
    out->arena = fv_arena_new();
    fv_pth_reader r = {.ctx = ctx,
                       .label = label,
                       .key = key,
                       .out = out,
                       .copy_room = COPY_ROOM + 4 * (uint64_t)n,
                       .steps = MOST_STEPS};
    bool good = read_all(&r, scratch, label, bytes, n);
    fv_arena_dispose(scratch);
    if (!good) fv_pth_dispose(out);
    return good;
}

void fv_pth_dispose(fv_pth *p) {
    for (int32_t i = 0; i < p->n_copies; i++) free(p->copy[i]);
    free(p->copy);
    fv_arena_dispose(p->arena);
    *p = (fv_pth){0};
}
