/* Mistakes and what is said about them; leaves, configuration, modules, entries. */
#define _DEFAULT_SOURCE
#include "test_dsl_spec.h"

#include <sys/stat.h>

Test(dsl_language, mistakes_name_line_and_shapes) {
    expect_error("local x = input('x', 'b=2 h=3')\nlocal y = input('y', 'b=2 c=4')\noutput('z', x + y, 'b h c')",
                 FV_E_NESTED, 3, "{b=2 h=3} and {b=2 c=4}");
    expect_error("local x = input('x', 'h=3')\noutput('z', x + input('y', 'h=4'), 'h')", FV_E_AXIS, 2,
                 "axis 'h' is 3 in {h=3} and 4 in {h=4}");
    expect_error("local x = input('x', 'h=3')\nlocal y = x{ w = 0 }", FV_E_AXIS, 2, "no axis 'w' in {h=3}");
    expect_error("local x = input('x', 'h=3')\nlocal y = x{ h = axis('i', 4) }", FV_E_BORDER, 2, "0 to 3");
    expect_error("local x = axis('h', 3)\nlocal y = x{ h = axis('i', 4) }", FV_E_BORDER, 2, "0..3, outside 0..2");
    expect_error("local x = input('x', 'h=3')\nlocal y = x{ h = axis('i', 3) * 1.0 }", FV_E_VIEW, 2,
                 "is a float {i=3}");
    expect_error("local x = input('x', 'h=3')\nlocal y = x{ h = 0, border = 'shift' }", FV_E_BORDER, 2,
                 "this is shift");
    expect_error("local x = input('x', 'h=57')\nlocal y = x:split'h = hb hi=7'", FV_E_VIEW, 2, "no multiple of 7");
    expect_error("local x = input('x', 'h=57')\nlocal y = x:split'h = hb hi=7'", FV_E_VIEW, 2,
                 "the nearest multiples are 56 and 63");
    expect_error("local x = input('x', 'h=3 w=3')\nlocal y = x:as'h=w'", FV_E_VIEW, 2, "already in {h=3 w=3}");
    expect_error("local x = input('x', 'h=3')\nlocal y = roll{ w = 1 }(x)", FV_E_VIEW, 2,
                 "none of its axes is in {h=3}");
    expect_error("local y = roll{ w = 1 }(5)", FV_E_ARGUMENT, 1, "a tensor is wanted");
    expect_error("local x = input('x', 'h=3')\nif x < 3 then end", FV_E_ARGUMENT, 2, "lt, le, eq and ne");
    expect_error("local x = input('x', 'h=3')\nlocal y = 'c=' .. x", FV_E_ARGUMENT, 2, "joined to a text");
    expect_error("local x = input('x', 'h=3')\nx.h = 4", FV_E_ARGUMENT, 2, "cannot be written");
    expect_error("local x = input('x', 'h=3')\nlocal y = x:sum'w'", FV_E_AXIS, 2, "sum: no axis 'w' in {h=3}");
    expect_error("local x = input('x', 'h=3')\nlocal y = x:max()", FV_E_ARGUMENT, 2, "x:max\"n m\" takes the axes");
    expect_error("local x = input('x', 'sum=3')", FV_E_AXIS, 1, "is a method");
    expect_error("local x = input('x', 'h h')", FV_E_INPUT, 1, "extent of axis 'h'");
    expect_error("local x = input('x', 'h=2 h=2')", FV_E_AXIS, 1, "stands twice");
    expect_error("local x = axis('h', 0)", FV_E_AXIS, 1, "extents are 1 to");
    expect_error("local x = axis('h', 1 << 40)", FV_E_AXIS, 1, "extents are 1 to");
    expect_error("local x = input('x', 'h=3')\noutput('y', x, 'h w')", FV_E_AXIS, 2, "no axis 'w' in {h=3}");
    expect_error("local x = input('x', 'h=3 w=2')\noutput('y', x, 'h')", FV_E_AXIS, 2, "must name every axis");
    expect_error("local x = input('x', 'h=3')\noutput('y', x{ only = lt(x:index'h', 2) }, 'h')", FV_E_ABSENT, 2,
                 "absent");
    expect_error("local x = 1", FV_E_ARGUMENT, 0, "names no output");
    expect_error("local x = nil\nlocal y = x.c", FV_E_LUA, 2, "attempt to index a nil value");
    expect_error("local x = \nlocal", FV_E_LUA, 2, "unexpected");
    expect_error("local x = input('x', 'h=3')\nlocal y = window{ h = 'u=5', border = 'shift' }(x)", FV_E_VIEW, 2,
                 "shorter than the window");
    expect_error("local x = 1\nlocal y = const('h=3', { 1, 2 })", FV_E_ARGUMENT, 2, "3 elements, the list has 2");
    expect_error("local x = input('x', 'h=3')\nlocal a, b = x:slices('h', 1, 1)", FV_E_VIEW, 2, "the parts make 2");
    expect_error("local x = lift(3.5)\nlocal y = exact(x, 2)", FV_E_ARGUMENT, 2, "must be i32");
    expect_error("scan{ over = 'n', init = 0.0, step = function(s) return s, s end }", FV_E_AXIS, 1,
                 "number of steps is not known");
}

Test(dsl_language, mistakes_in_attend) {
    static const char head[] = "local q, k, v = input('q', 'b=1 n=4 d=2'), input('k', 'b=1 m=5 d=2'), input('v', 'b=1 "
                               "m=5 d=3')\n";
    static const struct { const char *call, *part; } cases[] = {
        {"attend{ q = q, k = k, v = v, dot = 'd' }", "axis 'm', which is neither in over nor in dot"},
        {"attend{ q = q, k = k, v = v, over = 'm', dot = 'e' }", "dot names 'e', which q {b=1 n=4 d=2} lacks"},
        {"attend{ q = q, k = k, v = v, over = 'm d', dot = 'd' }", "in dot and in over"},
        {"attend{ q = q, k = k, v = v, over = 'm u', dot = 'd' }", "lacks the key axis 'u'"},
        {"attend{ q = q, k = k, v = input('z', 'b=1 d=2'), over = 'm', dot = 'd' }",
            "v {b=1 d=2} lacks the key axis 'm'"},
        {"attend{ q = q, k = k, v = v, over = 'm', dot = 'd', score = function(s) return s + axis('z', 2) end }",
            "axis 'z', which no pair has"},
        {"attend{ q = q, k = k, v = v, over = 'm', dot = 'd', score = function(s) end }", "score returned nothing"},
        {"attend{ q = q, k = k, v = v, over = 'm', dot = 'd', score = 3 }", "score is a function"},
        {"attend{ q = q, k = k, over = 'm', dot = 'd' }", "a set has no v"},
        {"attend{ q = q, v = v, over = 'm', dot = 'd' }", "neither k nor s"},
        {"attend{ k = k, v = v, over = 'm' }", "neither q nor s"},
        {"attend{ q = q, k = k, v = v, over = 'm', dot = 'd', normalise = 'hard' }", "normalise is"},
        {"attend(3)", "a table is wanted"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[600];
        snprintf(text, sizeof text, "%slocal o = %s", head, cases[i].call);
        expect_error(text, FV_E_ATTEND, 2, cases[i].part);
    }
}

/* -- Stored tensors ------------------------------------------------------------------------------------------------ */
typedef struct { int n; const fv_shape_info *list; } shapes;
static bool find(void *user, const char *name, fv_shape_info *out) {
    shapes *s = user;
    for (int i = 0; i < s->n; i++) if (!strcmp(s->list[i].name, name)) { *out = s->list[i]; return true; }
    return false;
}
static loaded with_weights(const char *text, const fv_shape_info *list, int n) {
    shapes s = {n, list};
    fv_spec_options o = {.param_shape = find, .input_shape = find, .user = &s};
    return load_text(text, strlen(text), &o);
}
static const fv_shape_info STORED[] = {{"x", 2, {3, 8}, FV_F32}, {"ids", 1, {5}, FV_I32},
    {"fc.weight", 4, {24, 8, 1, 1}, FV_F16}, {"fc.bias", 1, {24}, FV_F32},
    {"dw.weight", 4, {8, 1, 3, 3}, FV_F32}, {"alpha", 0, {0}, FV_F32}};
enum { N_STORED = sizeof STORED / sizeof *STORED };

Test(dsl_language, open_extents_follow_from_what_is_stored) {
    loaded l = with_weights("local x = input('x', 'b c') local y = linear(x, 'fc', 'part=3 head=2 d') print(y.d, "
                            "has_param'fc.bias', has_param'no')\n"
                            "output('y', y * param'.alpha', 'b part (head d)')", STORED, N_STORED);
    cr_assert(l.good, "%s", l.report);
    cr_expect_str_eq(l.spec.printed, "4\ttrue\tfalse\n");
    const fv_node *w = NULL;
    for (int i = 0; i < l.spec.graph->n_nodes; i++) {
        const fv_node *n = l.spec.graph->node[i];
        if (n->op == FV_NODE_PARAM && !strcmp(fv_cstr(l.ctx, n->u.leaf.name), "fc.weight")) w = n;
    }
    cr_assert(w);
    cr_expect_eq(w->u.leaf.stored.rank, 4);             /* (part head d) c 1 1 */
    cr_expect_eq(w->u.leaf.stored.dim[0].n, 3);
    cr_expect_eq(w->u.leaf.stored.dim[3].n, 0);
    cr_expect_eq(w->u.leaf.stored_type, FV_F16);
    cr_expect_eq(w->result[0]->obj.type, FV_F32);
    unload(&l);
}

static void expect_weights_error(const char *text, fv_code code, const char *part) {
    loaded l = with_weights(text, STORED, N_STORED);
    cr_assert(!l.good, "accepted: %s", text);
    cr_expect_eq(fv_diag_at(l.ctx, 0)->code, code, "%s", l.report);
    cr_expect(strstr(l.report, part) != NULL, "'%s' is not in: %s", part, l.report);
    unload(&l);
}
Test(dsl_language, what_is_given_is_checked_against_what_is_stored) {
    expect_weights_error("linear(input('x', 'b c'), 'fc', 'c=25')", FV_E_PARAM,
                         "the stored tensor [24, 8, 1, 1] has 24");
    expect_weights_error("linear(input('x', 'c b'), 'fc', 'c')", FV_E_PARAM, "[24, 8, 1, 1] has 8");
    expect_weights_error("linear(input('x', 'b c'), 'fc', 'part=3 head d')", FV_E_PARAM, "both open");
    expect_weights_error("linear(input('x', 'b c'), 'fc', 'part=5 d')", FV_E_PARAM, "a multiple of 5");
    expect_weights_error("linear(input('x', 'b c'), 'nofc', 'c')", FV_E_PARAM, "no tensor 'nofc.weight'");
    expect_weights_error("param('fc.bias', 'c d')", FV_E_PARAM, "'c d' has 2 dimensions, the stored tensor [24] has 1");
    expect_weights_error("param('dw.weight', 'c')", FV_E_PARAM,
                         "'c' has 1 dimensions, the stored tensor [8, 1, 3, 3] has 4");
    expect_weights_error("input('z', 'b c')", FV_E_INPUT, "no input 'z'");
    expect_weights_error("input('x', 'b c=9')", FV_E_INPUT, "the stored tensor [3, 8] has 8");
    expect_weights_error("conv2d(input('x', 'c w'):along'h=5', 'fc')", FV_E_AXIS, "takes 8 channels per group");
    expect_weights_error("conv2d(input('x', 'w c'):along'h=5', 'fc', { kernel = 3 })", FV_E_PARAM,
                         "kernel is 3 in the spec and 1");
    expect_weights_error("conv2d(input('x', 'w c'):along'h=5', 'dw', { groups = 4 })", FV_E_PARAM,
                         "groups is 4 in the spec and 8");
    expect_weights_error("linear(input('x', 'b c'), 'dw', 'c', { bias = true })", FV_E_PARAM, "has");
}
Test(dsl_language, index_inputs_are_bounded_by_what_they_read) {
    loaded l = with_weights("output('y', input('x', 'b c'){ c = input('ids', 'i') }, 'b i')", STORED, N_STORED);
    cr_assert(l.good, "%s", l.report);
    for (int i = 0; i < l.spec.graph->n_values; i++) {
        const fv_value *v = l.spec.graph->value[i];
        if (v->obj.type == FV_I32) cr_expect(v->obj.ranged && v->obj.lo == 0 && v->obj.hi == 7);
    }
    unload(&l);
}

Test(dsl_language, without_weights_the_spec_declares_them) {
    expect_error("local x = input('x', 'b=2 c=8')\nlocal y = linear(x, 'fc', 'c')", FV_E_PARAM, 2,
                 "linear(x, name, \"c=96\")");
    expect_error("local x = input('x', 'b=2 c=8 h=4 w=4')\nlocal y = conv2d(x, 'f')", FV_E_PARAM, 2,
                 "its widths must be written");
    loaded l = load("local x = input('x', 'b=2 c=8') output('y', linear(x, 'fc', 'c=5', { bias = false }), 'b c') "
                    "print(has_param'q', has_param('q', false))");
    cr_assert(l.good, "%s", l.report);
    cr_expect_str_eq(l.spec.printed, "true\tfalse\n");
    int params = 0;
    for (int i = 0; i < l.spec.graph->n_nodes; i++) params += l.spec.graph->node[i]->op == FV_NODE_PARAM;
    cr_expect_eq(params, 1);
    unload(&l);
}

/* -- Configuration, modules, entries ------------------------------------------------------------------------------- */
Test(dsl_language, shapes_fill_open_axes_of_inputs) {
    const char *name[] = {"h", "c"};
    const int64_t value[] = {6, 3};
    fv_spec_options o = {.declare = true, .n_shapes = 2, .shape_name = name, .shape_value = value};
    const char *text = "local x = input('x', 'b=1 h c') output('y', x, 'b h c') print(x)";
    loaded l = load_text(text, strlen(text), &o);
    cr_assert(l.good, "%s", l.report);
    cr_expect_str_eq(l.spec.printed, "{b=1 h=6 c=3} f32\n");
    unload(&l);
}

static loaded with_sets(const char *text, const char *json, int n, const char *const *key, const char *const *value) {
    fv_spec_options o = {.declare = true, .config_json = json, .n_sets = n, .set_key = key, .set_value = value};
    return load_text(text, strlen(text), &o);
}
Test(dsl_language, configuration) {
    const char *key[] = {"d", "list", "deep.a.b", "name", "depth.1", "flag"}, *value[] = {"64", "[1, 2.5]", "3",
        "swin:tiny", "9", "false"};
    const char *text = "print(config.d or 1, config.list[2], config.deep.a.b, config.name, config.depth[2], "
                       "config.flag, config.kept, config.none, #config.depth)\n"
        "for k, v in pairs(config) do print(k) end output('y', axis('h', 2), 'h')";
    loaded l = with_sets(text, "{\"kept\": \"yes \\u00e9\", \"none\": null, \"depth\": [4, 5, 6]}", 6, key, value);
    cr_assert(l.good, "%s", l.report);
    cr_expect_str_eq(l.spec.printed,
                     "64\t2.5\t3\tswin:tiny\t9\tfalse\tyes \xc3\xa9\tnil\t3\nd\ndeep\ndepth\nflag\nkept\nlist\nname\n");
    cr_expect_eq(l.spec.n_config_read, 8);
    cr_expect_str_eq(l.spec.config_read[0], "d");
    unload(&l);
    const char *wrong[] = {"kernal"}, *seven[] = {"7"};
    l = with_sets("local k, d = config.kernel or 3, config.dim or 8 output('y', axis('h', k), 'h')", NULL, 1, wrong,
                  seven);
    cr_expect(!l.good && strstr(l.report, "nothing reads the setting 'kernal'; this spec reads: dim, kernel"), "%s",
              l.report);
    unload(&l);
    static const char *const bad[] = {"[1]", "{", "{\"a\": }", "{\"a\": 1} x", "{\"a\": 01e}", "{\"a\": \"\\u12\"}",
        "nul"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        l = with_sets("output('y', axis('h', 2), 'h')", bad[i], 0, NULL, NULL);
        cr_expect(!l.good && fv_diag_at(l.ctx, 0)->code == FV_E_CONFIG, "%s: %s", bad[i], l.report);
        unload(&l);
    }
    char deep[300];
    memset(deep, '[', sizeof deep - 1);
    deep[299] = 0;
    l = with_sets("output('y', axis('h', 2), 'h')", deep, 0, NULL, NULL);
    cr_expect(!l.good && strstr(l.report, "nested too deeply"), "%s", l.report);
    unload(&l);
}

static void write_file(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    cr_assert(f);
    fputs(text, f);
    fclose(f);
}
Test(dsl_language, modules_beside_the_spec_and_in_the_folder) {
    char dir[] = "/tmp/fovea_mods_XXXXXX", path[100], specs[100];
    cr_assert(mkdtemp(dir));
    snprintf(specs, sizeof specs, "%s/specs", dir);
    mkdir(specs, 0700);
    snprintf(path, sizeof path, "%s/helper.lua", dir);
    write_file(path, "loads = (loads or 0) + 1 return { twice = function(x) return x + x end, bad = function(x)\n\n "
                     "return x:sum'nothing' end }");
    snprintf(path, sizeof path, "%s/specs/shared.lua", dir);
    write_file(path, "return require'self'");
    snprintf(path, sizeof path, "%s/specs/self.lua", dir);
    write_file(path, "return require'self'");
    snprintf(path, sizeof path, "%s/main.lua", dir);
    write_file(path, "local h, again = require'helper', require'helper' assert(h == again and loads == 1) "
                     "assert(require'views'.split == split)\n"
                     "output('y', h.twice(input('x', 'h=2')), 'h') if config.bad then h.bad(axis('h', 2)) end if "
                     "config.shared then require'shared' end");
    fv_ctx *ctx = fv_ctx_new();
    fv_spec spec;
    fv_spec_options o = {.declare = true, .spec_dir = specs};
    cr_expect(fv_spec_load(ctx, path, NULL, &o, &spec));
    o.config_json = "{\"bad\": true}";
    cr_expect(!fv_spec_load(ctx, path, NULL, &o, &spec));
    const char *file = fv_cstr(ctx, fv_diag_at(ctx, 0)->loc.file);
    cr_expect(strstr(file, "helper.lua") && fv_diag_at(ctx, 0)->loc.line == 3, "%s:%d", file,
              fv_diag_at(ctx, 0)->loc.line);
    fv_diag_clear(ctx);
    o.config_json = "{\"shared\": true}";
    cr_expect(!fv_spec_load(ctx, path, NULL, &o, &spec));
    cr_expect(strstr(fv_diag_at(ctx, 0)->text, "requires itself") != NULL);
    fv_ctx_dispose(ctx);
    static const char *const files[] = {"helper.lua", "main.lua", "specs/shared.lua", "specs/self.lua"};
    for (int i = 0; i < 4; i++) { snprintf(path, sizeof path, "%s/%s", dir, files[i]); unlink(path); }
    rmdir(specs);
    rmdir(dir);
}

Test(dsl_language, entries_and_declared_data) {
    loaded l = load("local x = input('x', 'n=4') entry('prefill', function() output('y', x, 'n') end) entry 'step' "
                    "output('y', x:sum'n', '')\n"
                    "preprocess{ size = 224, mean = { 0.5, 0.25, 1 }, crop_pct = 0.875, interpolation = 'bicubic' } "
                    "labels 'imagenet'");
    cr_assert(l.good, "%s", l.report);
    cr_expect_eq(l.spec.n_entries, 2);
    cr_expect_str_eq(fv_cstr(l.ctx, l.spec.entry[1]), "step");
    cr_expect_str_eq(fv_cstr(l.ctx, l.spec.graph->output[0].entry), "prefill");
    cr_expect_str_eq(l.spec.preprocess_json,
                     "{\"crop_pct\": 0.875, \"interpolation\": \"bicubic\", \"mean\": [0.5, 0.25, 1], \"size\": 224}");
    cr_expect_str_eq(l.spec.labels_json, "\"imagenet\"");
    unload(&l);
    expect_error("local t = {}\nt.t = t\npreprocess(t)", FV_E_ARGUMENT, 3, "too deep");
    expect_error("preprocess{ f = print }", FV_E_ARGUMENT, 1, "function");
    expect_error("labels{ 'a', 'b' }\nlabels{ 'a' }", FV_E_ARGUMENT, 2, "declared twice");
}

Test(dsl_language, nodes_carry_the_line_of_the_spec) {
    loaded l = load("local x = input('x', 'h=4 w=4 c=2')\nlocal y = layer_norm(x, 'n')\nlocal z = conv2d(y,\n  'f', { "
                    "out = 2, kernel = 3 })\noutput('y', z, 'h w c')");
    cr_assert(l.good, "%s", l.report);
    int last = 1;
    for (int i = 0; i < l.spec.graph->n_nodes; i++) {
        const fv_node *n = l.spec.graph->node[i];
        cr_expect_str_eq(fv_cstr(l.ctx, n->loc.file), l.path);
        cr_expect(n->loc.line >= last && n->loc.line <= 4, "node %d on line %d", i, n->loc.line);
        last = n->loc.line;
    }
    unload(&l);
}

Test(dsl_language, variant_and_case) {
    const char *text = "print(variant, case, config.x) output('y', axis('h', 2), 'h')";
    fv_spec_options o = {.declare = true, .case_name = "shift-3", .config_json = "{\"case\": \"other\"}"};
    loaded l = load_text(text, strlen(text), &o);
    cr_expect(l.good, "%s", l.report);
    cr_expect_str_eq(l.spec.printed, "nil\tshift-3\tnil\n");
    unload(&l);
    o.case_name = NULL;
    l = load_text(text, strlen(text), &o);
    cr_expect_str_eq(l.spec.printed, "nil\tother\tnil\n");
    fv_spec spec;
    char path[] = "/tmp/fovea_variant.lua";
    write_file(path, text);
    cr_expect(fv_spec_load(l.ctx, path, "mini", &o, &spec));
    cr_expect_str_eq(spec.printed, "mini\tother\tnil\n");
    unlink(path);
    unload(&l);
}

/* The manual's first example is what it says it is. */
Test(dsl_language, the_manual_runs) {
    FILE *f = fopen(FOVEA_TESTS_DIR "/../docs/language.md", "r");
    cr_assert(f);
    static char page[100000];
    page[fread(page, 1, sizeof page - 1, f)] = 0;
    fclose(f);
    char *begin = strstr(page, "```lua\n"), *end = begin ? strstr(begin + 7, "```") : NULL;
    cr_assert(end);
    const char *name[] = {"b", "h", "w", "head", "d"};
    const int64_t value[] = {1, 56, 56, 2, 32};
    fv_spec_options o = {.declare = true, .n_shapes = 5, .shape_name = name, .shape_value = value};
    loaded l = load_text(begin + 7, (size_t)(end - begin - 7), &o);
    cr_expect(l.good, "%s", l.report);
    unload(&l);
}
