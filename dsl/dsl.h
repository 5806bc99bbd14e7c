/* dsl: runs an author's spec (Lua, in a sandbox) and gives the graph that it describes.
 *
 * docs/language.md is the author's manual. No Lua type appears here. A spec is not trusted: it runs in a fresh state
 * with a memory cap, an instruction limit and a wall clock, sees no files but modules, and every mistake ends as a
 * diagnostic. */
#ifndef FV_DSL_H
#define FV_DSL_H
#include "graph/graph.h"

enum { FV_SPEC_MAX_RANK = 16 };

/* A stored tensor: of an input file or of a checkpoint. */
typedef struct { const char *name; int rank; int64_t shape[FV_SPEC_MAX_RANK]; fv_type type; } fv_shape_info;

typedef struct {
    const char *config_json;                            /* NULL, or the JSON text (an object) of the global `config` */
    /* Overlays: dotted keys reach into tables; a value is JSON where it parses as a JSON number, bool, null, string or
     * array, else it is a string. */
    int n_sets;
    const char *const *set_key, *const *set_value;
    const char *case_name;                              /* the global `case`; NULL: config.case, or "" */
    /* NULL: no inputs given; false: none of this name */
    bool (*input_shape)(void *user, const char *name, fv_shape_info *out);
    bool (*param_shape)(void *user, const char *name, fv_shape_info *out);   /* NULL: no weights given (as `declare`) */
    void *user;
    /* the spec's own declaration gives every shape: no extent of a param is open */
    bool declare;
    int n_shapes;                                       /* open extents of inputs by axis name */
    const char *const *shape_name;
    const int64_t *shape_value;
    /* where `require` looks beside the spec's own folder; may be NULL */
    const char *spec_dir;
    double seconds;                                     /* limits; 0: 20 s, 256 MB, 50 M instructions, 200,000 nodes */
    size_t memory_bytes;
    int64_t instructions;
    int64_t nodes;
} fv_spec_options;

/* Everything is owned by the context. */
typedef struct {
    fv_graph *graph;
    const char *preprocess_json;                        /* NULL, or what `preprocess{...}` declared, as a JSON object */
    /* NULL, or what `labels` declared: a JSON array, or a string (a known list) */
    const char *labels_json;
    int n_config_read;                                  /* keys of `config` that the spec asked for, sorted */
    const char **config_read;
    int n_entries;                                      /* names given to `entry`, in order; none: one unnamed entry */
    fv_str *entry;
    const char *printed;                                /* what `print` wrote; "" if nothing */
} fv_spec;

/* Runs the spec at `path`. `variant`: the global of that name, or NULL ("mini" of nat:mini).
 * false after recording errors (E_LUA, E_LIMIT, and those of the language), each with the file and line of the spec. */
bool fv_spec_load(fv_ctx *ctx, const char *path, const char *variant, const fv_spec_options *o, fv_spec *out);
/* The same of a text of n bytes. `path`: what messages call it, and in whose folder `require` looks. */
bool fv_spec_load_text(fv_ctx *ctx, const char *path, const char *text, size_t n, const char *variant,
                       const fv_spec_options *o, fv_spec *out);
#endif
