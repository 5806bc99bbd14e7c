/* The runtime as a library shows it: its types as they are, its functions as NAME_…, read from the runtime's own
 * headers, so that they are declared and explained in one place. Invariant: what the header of a library declares and
 * what its object shows are the same list. */
#include "cli/artefact.h"
#include "io/file.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const headers[] = {"dlpack.h",      "program.h", "fovea.h",  "pool.h",
                                      "safetensors.h", "tiles.h",   "library.h"};
enum { N_HEADERS = sizeof headers / sizeof *headers };

/* fovea_model_X and fovea_X are NAME_X, but for these. Hidden: comments say NAME_X, which the library defines itself or
 * does without. */
static const struct {
    const char *from, *to;
    bool hidden;
} exceptions[] = {{"fovea_model_bind", "bind_tensors", false},
                  {"fovea_model_bind_file", "bind", false},
                  {"fovea_workspace_measure", "measure", false},
                  {"fovea_model_load", "load", true},
                  {"fovea_model_run", "run", true},
                  {"fovea_image_open", "open", true},
                  {"fovea_image_load", "open_memory", true},
                  {"fovea_cgroup_processors", "threads_available", true},
                  {"fovea_range_init", "range_init", true},
                  {"fovea_range_take", "range_take", true}};
enum { N_EXCEPTIONS = sizeof exceptions / sizeof *exceptions };
static const char *const hidden_types[] = {"fovea_range"};

const char *cli_runtime_folder(fv_ctx *ctx) {
    const char *e = getenv("FOVEA_RUNTIME");
    return e && *e ? e : fv_printf(ctx, "%s/runtime", FOVEA_SOURCE_DIR);
}

/* -- Pieces of a header: comments, directives, declarations of types, of functions ---- */
typedef enum { END, TITLE, DIRECTIVE, TYPE, FUNCTION } kind;
typedef struct {
    kind kind;
    const char *from, *to;
    const char *name; /* FUNCTION and TYPE: what it declares; n letters */
    size_t n;
} piece;

static bool letter(char c) { return isalnum((unsigned char)c) || c == '_'; }
static const char *blanks(const char *s) {
    while (*s == ' ' || *s == '\n') s++;
    return s;
}
static const char *line_end(const char *s) {
    s += strcspn(s, "\n");
    return *s ? s + 1 : s;
}
static const char *comment_end(const char *s) {
    const char *e = strstr(s + 2, "*/");
    return e ? e + 2 : s + strlen(s);
}
/* Behind the comments in front of a declaration; *title: it is the title of a part, or an empty line follows. */
static const char *leading(const char *s, bool *title) {
    for (*title = false; !strncmp(s, "/*", 2) && !*title;) {
        *title = !strncmp(s, "/* -- ", 6);
        s = comment_end(s);
        *title = *title || !strncmp(s, "\n\n", 2);
        s = blanks(s);
    }
    return s;
}
/* The name before `at`. */
static void name_before(const char *from, const char *at, piece *p) {
    while (at > from && !letter(at[-1])) at--;
    p->name = at;
    while (p->name > from && letter(p->name[-1])) p->name--;
    p->n = (size_t)(at - p->name);
}
static piece next_piece(const char *s) {
    piece p = {.from = blanks(s)};
    bool title;
    const char *d = leading(p.from, &title), *call = NULL;
    p.to = d;
    if (title || !*d) {
        p.kind = title ? TITLE : END;
        return p;
    }
    if (*d == '#') {
        const char *cplusplus = strncmp(d, "#ifdef __cplusplus", 18) ? NULL : strstr(d, "#endif");
        p.kind = DIRECTIVE;
        p.to = line_end(cplusplus ? cplusplus : d);
        return p;
    }
    int depth = 0;
    const char *e = d;
    for (; *e && !(*e == ';' && !depth); e++) {
        if (!strncmp(e, "/*", 2)) e = comment_end(e) - 1;
        else if (*e == '{') depth++;
        else if (*e == '}') depth--;
        else if (*e == '(' && !call) call = e;
    }
    bool type = !strncmp(d, "typedef", 7) || !strncmp(d, "enum", 4) || !call;
    p.kind = type ? TYPE : FUNCTION;
    name_before(d, type ? e : call, &p);
    const char *tail = strstr(e, "/*"), *end = line_end(e); /* a comment behind it */
    p.to = tail && tail < end ? line_end(comment_end(tail)) : end;
    return p;
}
/* Without the comment of the file and its guard: they are of the file. `guard`: the guard's name. */
static char *body(char *text, char **guard) {
    char *at = strstr(text, "#ifndef "), *last = NULL;
    if (!at) return text;
    *guard = at + 8;
    at += strcspn(at, "\n");
    *at++ = 0;
    at = (char *)(uintptr_t)line_end(at);
    for (char *s = strstr(at, "#endif"); s; s = strstr(s + 1, "#endif")) last = s;
    if (last) *last = 0;
    return at;
}
static bool is(const piece *p, const char *name) { return strlen(name) == p->n && !memcmp(name, p->name, p->n); }
static bool hidden(const piece *p) {
    for (size_t i = 0; i < sizeof hidden_types / sizeof *hidden_types; i++)
        if (p->kind == TYPE && is(p, hidden_types[i])) return true;
    for (int i = 0; i < N_EXCEPTIONS; i++)
        if (p->kind == FUNCTION && exceptions[i].hidden && is(p, exceptions[i].from)) return true;
    return false;
}

/* -- Names ---- */
static const char *shown_as(fv_ctx *ctx, const char *from) {
    for (int i = 0; i < N_EXCEPTIONS; i++)
        if (!strcmp(exceptions[i].from, from)) return exceptions[i].to;
    return fv_strdup(ctx, !strncmp(from, "fovea_model_", 12) ? from + 12 : from + 6);
}
static bool add(fv_ctx *ctx, cli_artefact *a, const piece *p) {
    if (a->n_exports == CLI_EXPORTS) {
        fv_error(ctx, FV_E_INTERNAL, (fv_loc){0}, "the runtime has more than %d functions", CLI_EXPORTS);
        return false;
    }
    const char *from = fv_printf(ctx, "%.*s", (int)p->n, p->name);
    a->export[a->n_exports++] = (cli_export){from, fv_printf(ctx, "%s_%s", a->name, shown_as(ctx, from)), !hidden(p)};
    return true;
}
/* The text, functions of the runtime under the names that the library gives them. */
static void put(const cli_artefact *a, const char *s, const char *end, fv_buf *out) {
    while (s < end) {
        size_t n = 0;
        while (s + n < end && letter(s[n])) n++;
        int found = -1;
        for (int i = 0; i < a->n_exports && found < 0; i++)
            if (strlen(a->export[i].from) == n && !memcmp(a->export[i].from, s, n)) found = i;
        if (found >= 0) fv_buf_puts(out, a->export[found].to);
        else fv_buf_putn(out, s, n ? n : 1);
        s += n ? n : 1;
    }
}

bool cli_artefact_runtime(fv_ctx *ctx, cli_artefact *a) {
    fv_bytes text[N_HEADERS] = {{0}};
    fv_buf types = {0}, functions = {0};
    char *guard[N_HEADERS] = {NULL}, *from[N_HEADERS] = {NULL};
    bool fine = true;
    a->n_exports = 0;
    for (int i = 0; i < N_HEADERS && fine; i++) {
        const char *path = fv_printf(ctx, "%s/%s", cli_runtime_folder(ctx), headers[i]);
        fine = fv_file_read(ctx, path, 1 << 20, &text[i]);
        if (fine) from[i] = body((char *)text[i].data, &guard[i]);
        if (fine && !guard[i]) {
            fv_error(ctx, FV_E_FORMAT, (fv_loc){0}, "%s: a header of the runtime begins with #ifndef", path);
            fine = false;
        }
        for (piece p = next_piece(fine ? from[i] : ""); fine && p.kind != END; p = next_piece(p.to))
            if (p.kind == FUNCTION) fine = add(ctx, a, &p);
    }
    for (int i = 0; i < N_EXCEPTIONS && fine;
         i++) { /* those of headers that a library does without: in comments only */
        piece p = {.kind = FUNCTION, .name = exceptions[i].from, .n = strlen(exceptions[i].from)};
        if (exceptions[i].hidden) fine = add(ctx, a, &p);
    }
    for (int i = 0; i < N_HEADERS && fine; i++) {
        fv_buf_printf(&types, "#ifndef %s\n#define %s\n", guard[i], guard[i]);
        for (piece p = next_piece(from[i]); p.kind != END; p = next_piece(p.to)) {
            bool kept = p.kind == DIRECTIVE && (!strncmp(p.from, "#include <", 10) || !strncmp(p.from, "#define ", 8));
            fv_buf *to = p.kind == FUNCTION ? &functions : &types;
            if (hidden(&p)) continue;
            if (!strncmp(p.from, "/*", 2) && p.kind != TITLE) fv_buf_puts(to, "\n");
            if (kept || p.kind == TYPE) put(a, p.from, p.to, &types);
            if (p.kind == FUNCTION) put(a, p.from, p.to, &functions);
        }
        fv_buf_puts(&types, "#endif\n");
    }
    if (fine) {
        a->types = fv_strdup(ctx, types.text);
        a->functions = fv_strdup(ctx, functions.text);
    }
    fv_buf_dispose(&types);
    fv_buf_dispose(&functions);
    for (int i = 0; i < N_HEADERS; i++) fv_bytes_dispose(&text[i]);
    return fine;
}
