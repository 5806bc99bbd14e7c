/* Which of the dicts in a checkpoint is the one of tensors by name. Invariant: what was chosen holds at least one
 * tensor; where more than one dict could be meant and no rule picks one, nothing is picked. */
#include "io/mapped.h"
#include "io/pth_inside.h"

#include <string.h>

/* Averaged weights before the raw ones, as timm loads checkpoints. */
static const char *const wrappers[] = {"state_dict_ema", "model_ema", "ema_state_dict",   "ema",
                                       "state_dict",     "model",     "model_state_dict", "module"};
enum { N_WRAPPERS = sizeof wrappers / sizeof *wrappers, DEEPEST = 2, LISTED = 8 };

/* The last value under a key, as Python has it; NULL: none. */
static const fv_pv *get(const fv_pv_list *pairs, const char *key) {
    for (int32_t i = pairs->n - 2; i >= 0; i -= 2)
        if (fv_pv_is_text(pairs->v[i], key)) return pairs->v[i + 1];
    return NULL;
}
static bool holds_tensors(const fv_pv_list *pairs) {
    for (int32_t i = 0; i + 1 < pairs->n; i += 2)
        if (pairs->v[i]->kind == FV_PV_TEXT && fv_pth_is_tensor(pairs->v[i + 1])) return true;
    return false;
}

/* The dict of tensors that v is or wraps by known keys, `depth` wrappers down; names the keys in `path`. Dicts may be
 * shared many times over, so steps are counted. */
static const fv_pv_list *find(fv_pth_reader *r, const fv_pv *v, int depth, const char **path) {
    const fv_pv_list *pairs = fv_pth_pairs(v);
    if (!pairs || (r->steps -= 1 + pairs->n) < 0) return NULL;
    for (int i = 0; depth < DEEPEST && i < N_WRAPPERS; i++) {
        path[depth] = wrappers[i];
        const fv_pv *inner = get(pairs, wrappers[i]);
        const fv_pv_list *found = inner ? find(r, inner, depth + 1, path) : NULL;
        if (found) return found;
    }
    if (depth < DEEPEST) path[depth] = NULL;
    return holds_tensors(pairs) ? pairs : NULL;
}

/* Names what else could have been meant, and what would have come first but cannot be read. */
static void note_choice(fv_pth_reader *r, const fv_pv_list *top, const char *const *path) {
    if (!path[0]) return;
    fv_buf b = {0};
    fv_buf_printf(&b, "the weights under \"%s\" were taken", path[0]);
    if (path[1]) fv_buf_printf(&b, ", there under \"%s\"", path[1]);
    bool before = true, first = true;
    for (int i = 0; i < N_WRAPPERS; i++) {
        const char *inner[DEEPEST] = {0};
        const fv_pv *other = get(top, wrappers[i]);
        if (!strcmp(wrappers[i], path[0])) {
            before = false;
            continue;
        }
        if (!other) continue;
        if (find(r, other, 1, inner)) {
            fv_buf_printf(&b, "%s \"%s\"", first ? "; left were those under" : ",", wrappers[i]);
            first = false;
        } else if (before && *fv_pv_callee(other)) {
            fv_pth_note(r, "\"%s\" is an object of class %s, which is not read", wrappers[i], fv_pv_callee(other));
        }
    }
    fv_pth_note(r, "%s", b.text);
    fv_buf_dispose(&b);
}

static bool showable(const fv_pv *key) {
    return key->kind == FV_PV_TEXT && key->u.text.n <= 60 && fv_name_is_plain(key->u.text.p, key->u.text.n);
}
static void list_key(fv_buf *b, const fv_pv *key, int shown) {
    if (shown > LISTED) return;
    fv_buf_puts(b, shown ? ", " : "");
    if (shown == LISTED) fv_buf_puts(b, "...");
    else if (showable(key)) fv_buf_printf(b, "\"%.*s\"", (int)key->u.text.n, key->u.text.p);
    else fv_buf_puts(b, fv_pv_kind_name(key->kind));
}

/* What there is where a dict of tensors should be. */
static void refuse(fv_pth_reader *r, const fv_pv *saved, const fv_pv_list *pairs) {
    const char *class = fv_pv_callee(saved), *label = r->label;
    if (fv_pth_is_tensor(saved)) fv_refuse_bytes(r->ctx, label, saved->at, "one tensor was saved, not a dict of them");
    else if (!pairs && *class)
        fv_refuse_bytes(r->ctx, label, saved->at,
                        "an object of class %s was saved, and classes are not read: "
                        "load it in PyTorch and save its state_dict()",
                        class);
    else if (!pairs)
        fv_refuse_bytes(r->ctx, label, saved->at, "%s was saved, not a dict of tensors", fv_pv_kind_name(saved->kind));
    else if (pairs->n == 0) fv_refuse_bytes(r->ctx, label, saved->at, "an empty dict was saved");
    if (!pairs || pairs->n == 0) return;
    fv_buf b = {0};
    for (int32_t i = 0; i + 1 < pairs->n; i += 2) list_key(&b, pairs->v[i], i / 2);
    fv_refuse_bytes(r->ctx, label, saved->at, "a dict was saved that holds no dict of tensors, only %s", b.text);
    for (int32_t i = 0, n = 0; i + 1 < pairs->n && n < LISTED; i += 2) {
        class = fv_pth_pairs(pairs->v[i + 1]) ? "" : fv_pv_callee(pairs->v[i + 1]);
        if (!*class || !showable(pairs->v[i])) continue;
        fv_note(r->ctx, (fv_loc){0}, "\"%.*s\" is an object of class %s, and classes are not read",
                (int)pairs->v[i]->u.text.n, pairs->v[i]->u.text.p, class);
        n++;
    }
    fv_buf_dispose(&b);
}

/* No known key: the only dict of tensors there is. */
static const fv_pv_list *only(fv_pth_reader *r, const fv_pv *saved, const fv_pv_list *pairs) {
    const fv_pv_list *found = NULL;
    const fv_pv *key = NULL;
    fv_buf b = {0};
    int n = 0;
    for (int32_t i = 0; pairs && i + 1 < pairs->n && r->steps >= 0; i += 2) {
        const char *path[DEEPEST] = {0};
        const fv_pv_list *one = find(r, pairs->v[i + 1], 1, path);
        if (!one) continue;
        list_key(&b, pairs->v[i], n++);
        found = one;
        key = pairs->v[i];
    }
    if (r->steps < 0) fv_refuse_bytes(r->ctx, r->label, saved->at, "too many dicts to look through for tensors"), n = 0;
    else if (n == 0) refuse(r, saved, pairs);
    else if (n == 1) fv_pth_note(r, "the weights under %s were taken, the only dict of tensors there is", b.text);
    else fv_refuse_bytes(r->ctx, r->label, key->at, "%d dicts of tensors, name one as FILE#KEY: %s", n, b.text);
    fv_buf_dispose(&b);
    return n == 1 ? found : NULL;
}

/* The one that was asked for, itself or what it wraps. */
static const fv_pv_list *asked(fv_pth_reader *r, const fv_pv *saved, const fv_pv_list *pairs) {
    const char *path[DEEPEST] = {0}, *said = r->key;
    const fv_pv *v = pairs ? get(pairs, said) : NULL;
    const fv_pv_list *found = v ? find(r, v, 0, path) : NULL;
    if (found) {
        if (path[0]) fv_pth_note(r, "the weights under \"%s\" were taken, there under \"%s\"", said, path[0]);
        return found;
    }
    fv_buf b = {0};
    for (int32_t i = 0; pairs && i + 1 < pairs->n; i += 2) list_key(&b, pairs->v[i], i / 2);
    if (v) fv_refuse_bytes(r->ctx, r->label, v->at, "\"%s\" is or holds no dict of tensors", said);
    else
        fv_refuse_bytes(r->ctx, r->label, saved->at, "no \"%s\" in what was saved: %s", said,
                        b.text ? b.text : fv_pv_kind_name(saved->kind));
    fv_buf_dispose(&b);
    return NULL;
}

const fv_pv_list *fv_pth_choose(fv_pth_reader *r, const fv_pv *saved) {
    const char *path[DEEPEST] = {0};
    const fv_pv_list *pairs = fv_pth_pairs(saved);
    if (r->key) return asked(r, saved, pairs);
    const fv_pv_list *found = find(r, saved, 0, path);
    if (!found) return only(r, saved, pairs);
    note_choice(r, pairs, path);
    return found;
}
