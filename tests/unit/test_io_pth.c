/* Checkpoints of torch.save: what PyTorch wrote (tests/oracle/pth.py), archives and pickles that lie, and mutations. */
#define _POSIX_C_SOURCE 200809L
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "io/pickle.h"
#include "io/pth.h"
#include "io/weights.h"
#include "io/zip.h"
#include "tests/unit/files_kit.h"

static const char *data_file(const char *name) { return fv_printf(ctx, "%s/data/pth/%s", FOVEA_TESTS_DIR, name); }
/* Criterion pastes the first token of an assertion: it has to be a name. */
static bool is(bool v) { return v; }
static fv_weights *opened(const char *name) {
    fv_weights *w = fv_weights_open(ctx, data_file(name));
    cr_assert(w != NULL, "%s: %s", name, first_error());
    return w;
}
static bool noted(const fv_weights *w, const char *part) {
    for (int i = 0; fv_weights_note(w, i); i++)
        if (strstr(fv_weights_note(w, i), part)) return true;
    return false;
}
/* Element i has to be scale * (0.5 at(i) - 1), or at(i) % 7 of whole numbers. */
static void expect_numbers(const fv_weights *w, const char *name, double scale, int64_t (*at)(int64_t i)) {
    const fovea_stored *t = fv_weights_find(w, name);
    cr_assert(t != NULL, "%s", name);
    double *v = malloc(sizeof *v * (size_t)(t->count + 1));
    cr_assert(fovea_stored_convert(t, FOVEA_F64, v, NULL), "%s", name);
    bool whole = t->storage < FOVEA_ST_F8_E5M2;
    for (int64_t i = 0; i < t->count; i++) {
        int64_t k = at ? at(i) : i;
        double want = whole ? (double)(k % 7) : scale * (0.5 * (double)k - 1);
        cr_expect(v[i] == want, "%s[%lld] = %g, not %g", name, (long long)i, v[i], want);
    }
    free(v);
}
static void expect_shape(const fv_weights *w, const char *name, fovea_storage storage, int32_t rank, int64_t a,
                         int64_t b) {
    const fovea_stored *t = fv_weights_find(w, name);
    cr_assert(t != NULL, "%s", name);
    cr_expect(t->storage == storage && t->rank == rank, "%s: %s of rank %d", name, fovea_storage_name(t->storage),
              t->rank);
    cr_expect(is((rank < 1 || t->shape[0] == a) && (rank < 2 || t->shape[1] == b)), "%s has another shape", name);
}

/* -- What PyTorch wrote ---- */
Test(io_pth, reads_every_dtype, .init = open_all, .fini = close_all) {
    fv_weights *w = opened("dtypes.pth");
    const struct {
        const char *name;
        fovea_storage storage;
    } rows[] = {{"float64", FOVEA_ST_F64},
                {"float32", FOVEA_ST_F32},
                {"float16", FOVEA_ST_F16},
                {"bfloat16", FOVEA_ST_BF16},
                {"float8_e5m2", FOVEA_ST_F8_E5M2},
                {"float8_e4m3fn", FOVEA_ST_F8_E4M3},
                {"int64", FOVEA_ST_I64},
                {"int32", FOVEA_ST_I32},
                {"int16", FOVEA_ST_I16},
                {"int8", FOVEA_ST_I8},
                {"uint8", FOVEA_ST_U8},
                {"uint16", FOVEA_ST_U16},
                {"uint32", FOVEA_ST_U32},
                {"uint64", FOVEA_ST_U64}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect_shape(w, rows[i].name, rows[i].storage, 2, 2, 3);
        expect_numbers(w, rows[i].name, 1, NULL);
    }
    expect_shape(w, "bool", FOVEA_ST_BOOL, 2, 2, 3);
    cr_expect(eq(int, memcmp(fv_weights_find(w, "bool")->data, "\1\0\1\0\0\1", 6), 0));
    expect_shape(w, "scalar", FOVEA_ST_F32, 0, 0, 0);
    cr_expect(fv_weights_f32(ctx, w, "scalar")[0] == 2.5f);
    expect_shape(w, "empty", FOVEA_ST_F32, 2, 0, 4);
    cr_expect(eq(int, fv_weights_count(w), 17));
    cr_expect(fv_weights_file(w) == NULL && fv_weights_note(w, 0) == NULL);
    cr_expect(fv_weights_i32(ctx, w, "int64")[5] == 5 && fv_weights_f32(ctx, w, "bfloat16")[5] == 1.5f);
    expect_error(!fv_weights_i32(ctx, w, "float16"), FV_E_WEIGHTS, "stored as F16, which does not become i32");
    fv_weights_close(w);
}

/* Element i of a view, as an element of its base of 4 x 6 (or what the name says). */
static int64_t at_transposed(int64_t i) { return i % 4 * 6 + i / 4; }
static int64_t at_rows(int64_t i) { return i + 6; }
static int64_t at_columns(int64_t i) { return i / 2 * 6 + i % 2 + 2; }
static int64_t at_stepped(int64_t i) { return i / 2 * 12 + i % 2 * 3; }
static int64_t at_corner(int64_t i) { return (i % 2 + 2) * 6 + i / 2 + 3; }
static int64_t at_expanded(int64_t i) { return 6 + i % 3; }
static int64_t at_permuted(int64_t i) { return i / 6 + i % 3 * 4 + i / 3 % 2 * 12; }
static int64_t at_one(int64_t i) { return i * 6 + 5; }

Test(io_pth, puts_strided_tensors_in_order, .init = open_all, .fini = close_all) {
    fv_weights *w = opened("views.pth");
    const struct {
        const char *name;
        int64_t rows, columns;
        int64_t (*at)(int64_t);
    } views[] = {{"base", 4, 6, NULL},
                 {"transposed", 6, 4, at_transposed},
                 {"rows", 2, 6, at_rows},
                 {"columns", 4, 2, at_columns},
                 {"stepped", 2, 2, at_stepped},
                 {"corner", 3, 2, at_corner},
                 {"expanded", 4, 3, at_expanded},
                 {"tied", 4, 6, NULL},
                 {"one", 4, 1, at_one},
                 {"parameter", 6, 4, at_transposed}};
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        expect_shape(w, views[i].name, FOVEA_ST_F32, 2, views[i].rows, views[i].columns);
        expect_numbers(w, views[i].name, 1, views[i].at);
    }
    expect_shape(w, "permuted", FOVEA_ST_F32, 3, 4, 2);
    expect_numbers(w, "permuted", 1, at_permuted);
    expect_shape(w, "channels_last", FOVEA_ST_F32, 4, 2, 3);
    expect_numbers(w, "channels_last", 1, NULL);
    /* what is dense is read where it lies, shared storages once */
    cr_expect(fv_weights_find(w, "base")->data == fv_weights_find(w, "tied")->data);
    cr_expect(
        is((const char *)fv_weights_find(w, "rows")->data == (const char *)fv_weights_find(w, "base")->data + 24));
    fv_weights_close(w);
}

static void expect_small(fv_weights *w, double scale) {
    cr_expect(eq(int, fv_weights_count(w), 4));
    expect_shape(w, "stem.weight", FOVEA_ST_F32, 4, 4, 3);
    expect_numbers(w, "stem.weight", scale, NULL);
    expect_numbers(w, "norm.running_mean", scale, NULL);
    cr_expect(fv_weights_i32(ctx, w, "norm.num_batches_tracked")[0] == 5);
}

Test(io_pth, finds_the_weights_in_what_was_saved, .init = open_all, .fini = close_all) {
    fv_weights *w = opened("plain.pth");
    expect_small(w, 1);
    cr_expect(fv_weights_note(w, 0) == NULL);
    cr_expect(eq(str, (char *)fv_weights_at(w, 0)->name, "stem.weight"));
    fv_weights_close(w);
    w = opened("rezipped.pth");
    expect_small(w, 1);
    fv_weights_close(w);
    w = opened("protocol4.pth");
    expect_small(w, 1);
    cr_expect(noted(w, "the weights under \"model\" were taken"));
    fv_weights_close(w);
    w = opened("nested.pth");
    expect_small(w, 1);
    cr_expect(noted(w, "under \"model\" were taken, there under \"state_dict\""));
    cr_expect(noted(w, "the prefix \"module.\"") && noted(w, "the prefix \"_orig_mod.\""));
    fv_weights_close(w);
    w = opened("ema.pth");
    expect_numbers(w, "a", 2, NULL);
    cr_expect(noted(w, "under \"state_dict_ema\" were taken; left were those under \"state_dict\""));
    fv_weights_close(w);
    w = opened("averaged.pth");
    expect_numbers(w, "a", 2, NULL);
    cr_expect(noted(w, "under \"model_ema\"") && noted(w, "the prefix \"module.\""));
    cr_expect(fv_weights_i32(ctx, w, "n_averaged")[0] == 9);
    fv_weights_close(w);
    w = opened("only.pth");
    expect_numbers(w, "a", 1, NULL);
    cr_expect(noted(w, "under \"net\" were taken, the only dict of tensors"));
    fv_weights_close(w);
    w = opened("trained.pth");
    expect_shape(w, "weight", FOVEA_ST_F32, 2, 2, 3);
    expect_numbers(w, "weight", 1, NULL);
    expect_numbers(w, "bias", 1, NULL);
    cr_expect(eq(int, fv_weights_count(w), 2));
    fv_weights_close(w);
}

Test(io_pth, takes_the_key_that_was_asked_for, .init = open_all, .fini = close_all) {
    fv_weights *w = opened("object.pth");
    cr_expect(is(noted(w, "\"ema\" is an object of class torch.nn.modules.linear.Identity, which is not read")));
    cr_expect(is(noted(w, "under \"state_dict\" were taken")));
    fv_weights_close(w);
    w = opened("two.pth#discriminator");
    expect_numbers(w, "a", 1, NULL);
    cr_expect(fv_weights_note(w, 0) == NULL);
    fv_weights_close(w);
    w = opened("ema.pth#state_dict"); /* not the averaged ones */
    expect_numbers(w, "a", 1, NULL);
    fv_weights_close(w);
    w = opened("nested.pth#model");
    cr_expect(is(noted(w, "under \"model\" were taken, there under \"state_dict\"")));
    fv_weights_close(w);
    expect_error(!fv_weights_open(ctx, data_file("two.pth#critic")), FV_E_FORMAT,
                 "no \"critic\" in what was saved: \"generator\", \"discriminator\"");
    expect_error(!fv_weights_open(ctx, data_file("trained.pth#args")), FV_E_FORMAT, "\"args\" is or holds no dict");
    expect_error(!fv_weights_open(ctx, data_file("list.pth#a")), FV_E_FORMAT, "no \"a\" in what was saved: a list");
    expect_error(!fv_weights_open(ctx, data_file("bias.safetensors#a")), FV_E_FORMAT, "no file of torch.save");
    expect_error(!fv_weights_open(ctx, data_file("none.pth#a")), FV_E_FILE, "none.pth:");
    fv_bytes b;
    cr_assert(fv_file_read(ctx, data_file("plain.pth"), 1 << 20, &b));
    const char *path = fv_printf(ctx, "%s/x#model", folder); /* a file of that very name */
    cr_assert(fv_file_write(ctx, path, b.data, b.n));
    fv_bytes_dispose(&b);
    w = fv_weights_open(ctx, path);
    cr_assert(w != NULL, "%s", first_error());
    expect_small(w, 1);
    fv_weights_close(w);
}

Test(io_pth, names_what_it_does_not_read, .init = open_all, .fini = close_all) {
    fv_weights *w = opened("special.pth");
    expect_numbers(w, "fine", 1, NULL);
    expect_numbers(w, "tagged", 1, NULL);
    cr_expect(eq(int, fv_weights_count(w), 2));
    cr_expect(noted(w, "5 tensors are not read, first of them \"complex\": a complex tensor"));
    const char *const unread[][2] = {{"complex", "a complex"},
                                     {"sparse", "a sparse"},
                                     {"quantised", "a quantised"},
                                     {"negated", "sign"},
                                     {"meta", "no elements"}};
    for (size_t i = 0; i < sizeof unread / sizeof *unread; i++) {
        const char *why = fv_weights_unread(w, unread[i][0]);
        cr_expect(is(why && strstr(why, unread[i][1])), "%s: %s", unread[i][0], why ? why : "read");
        expect_error(!fv_weights_f32(ctx, w, unread[i][0]), FV_E_WEIGHTS, "which is not read");
    }
    cr_expect(fv_weights_unread(w, "fine") == NULL && fv_weights_unread(w, "other") == NULL);
    const int64_t two[] = {2};
    fv_wanted wanted = {"sparse", 1, two, {{0}, 0}};
    cr_expect(is(!fv_weights_check(ctx, w, &wanted, 1, NULL)));
    cr_expect(strstr(fv_diag_at(ctx, 2)->text, "\"sparse\" [2] is in the file, but is a sparse tensor") != NULL, "%s",
              fv_diag_at(ctx, 2)->text);
    fv_weights_close(w);
}

Test(io_pth, refuses_other_files_with_a_reason, .init = open_all, .fini = close_all) {
    const char *const files[][2] = {{"legacy.pth", "before 1.6"},
                                    {"bare.pkl", "a bare pickle"},
                                    {"packed.pth", "is compressed (method 8)"},
                                    {"big_endian.pth", "is not \"little\""},
                                    {"two.pth", "2 dicts of tensors, name one as FILE#KEY: \"generator\""},
                                    {"module.pth", "an object of class torch.nn.modules.linear.Linear was saved"},
                                    {"list.pth", "a list was saved"},
                                    {"nothing.pth", "holds no dict of tensors, only \"epoch\", \"args\""}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        bool refused = !fv_weights_open(ctx, data_file(files[i][0]));
        if (i == 7)
            cr_expect(strstr(fv_diag_at(ctx, 1)->text, "\"args\" is an object of class argparse.Namespace") != NULL);
        expect_error(refused, FV_E_FORMAT, files[i][1]);
    }
    const char *const texts[][2] = {{"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"},
                                    {"<!DOCTYPE html>", "a web page"},
                                    {"\x1f\x8b\x08\0\0\0\0\0\0\0", "gzip"}};
    const char *path = fv_printf(ctx, "%s/x.pth", folder);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cr_assert(fv_file_write(ctx, path, texts[i][0], i == 2 ? 10 : strlen(texts[i][0])));
        expect_error(!fv_weights_open(ctx, path), FV_E_FORMAT, texts[i][1]);
    }
    expect_error(!fv_weights_open(ctx, "/nowhere/x.pth"), FV_E_FILE, "/nowhere/x.pth");
    expect_error(!fv_weights_open(ctx, folder), FV_E_FILE, "regular");
}

/* -- Either kind behind one interface ---- */
Test(io_pth, the_content_decides_and_prefixes_go, .init = open_all, .fini = close_all) {
    fv_bytes b;
    cr_assert(fv_file_read(ctx, data_file("plain.pth"), 1 << 20, &b));
    const char *path = fv_printf(ctx, "%s/x.safetensors", folder);
    cr_assert(fv_file_write(ctx, path, b.data, b.n));
    fv_bytes_dispose(&b);
    fv_weights *w = fv_weights_open(ctx, path);
    cr_assert(w != NULL, "%s", first_error());
    expect_small(w, 1);
    fv_weights_close(w);
    const float f[] = {1, 2, 3, 4};
    fovea_stored stored[] = {{.name = "module.b", .storage = FOVEA_ST_F32, .rank = 1, .shape = {4}, .data = f},
                             {.name = "module.a", .storage = FOVEA_ST_F32, .rank = 2, .shape = {1, 2}, .data = f}};
    path = fv_printf(ctx, "%s/x.pth", folder);
    cr_assert(eq(int, fovea_safetensors_write(path, stored, 2, NULL, NULL), FOVEA_OK));
    w = fv_weights_open(ctx, path);
    cr_assert(w != NULL, "%s", first_error());
    cr_expect(fv_weights_file(w) == NULL && noted(w, "the prefix \"module.\""));
    cr_expect(fv_weights_find(w, "a")->rank == 2 && fv_weights_find(w, "module.a") == NULL);
    cr_expect(fv_weights_f32(ctx, w, "b")[3] == 4);
    fv_weights_close(w);
    stored[1].name = "a"; /* not all names have it: it belongs to them */
    cr_assert(eq(int, fovea_safetensors_write(path, stored, 2, NULL, NULL), FOVEA_OK));
    w = fv_weights_open(ctx, path);
    cr_assert(w != NULL, "%s", first_error());
    cr_expect(fv_weights_file(w) != NULL && fv_weights_find(w, "module.b") != NULL && fv_weights_note(w, 0) == NULL);
    fv_weights_close(w);
}

Test(io_pth, says_how_another_variant_differs, .init = open_all, .fini = close_all) {
    fv_weights *w = opened("protocol4.pth");
    static const int64_t four[] = {4}, five[] = {5}, kernel[] = {4, 3, 2, 2};
    fv_wanted wanted[40] = {{"stem.weight", 4, kernel, {{0}, 0}},
                            {"stem.bias", 1, five, {{0}, 0}},
                            {"norm.running_means", 1, four, {{0}, 0}}};
    for (int i = 3; i < 40; i++)
        wanted[i] = (fv_wanted){fv_printf(ctx, "blocks.%d.attention.weight", i), 1, four, {{0}, 0}};
    fv_weights_report r;
    cr_expect(is(!fv_weights_check(ctx, w, wanted, 40, &r)));
    cr_expect(r.missing == 38 && r.misshapen == 1 && r.n_extra == 2);
    fv_buf b = {0};
    fv_diag_render(ctx, &b);
    const char *const parts[] = {
        "of 40 parameters, 38 are missing and 1 have another shape (2 of 4 stored tensors are not used)",
        "the weights under \"model\" were taken",
        "\"stem.bias\" must have shape [5], is stored with [4]",
        "\"norm.running_means\" [4] is missing; the nearest name is \"norm.running_mean\"\n",
        "\"blocks.11.attention.weight\" [4] is missing",
        "28 more are missing"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        cr_expect(strstr(b.text, parts[i]) != NULL, "%s\n%s", parts[i], b.text);
    cr_expect(is(!strstr(b.text, "blocks.12.attention")));
    fv_buf_dispose(&b);
    fv_diag_clear(ctx);
    /* a prefix that only the file has */
    fv_wanted bare[] = {{"weight", 4, kernel, {{0}, 0}}, {"bias", 1, four, {{0}, 0}}};
    cr_expect(is(!fv_weights_check(ctx, w, bare, 2, &r)));
    const char *last = fv_diag_at(ctx, fv_diag_count(ctx) - 1)->text;
    cr_expect(strstr(last, "2 of the 2 missing are stored under the prefix \"stem.\"") != NULL, "%s", last);
    fv_weights_close(w);
}
