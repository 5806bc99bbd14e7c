/* .npy, seeded numbers, JSON and weights. */
#define _POSIX_C_SOURCE 200809L
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/json.h"
#include "io/npy.h"
#include "io/seed.h"
#include "io/sha256.h"
#include "io/weights.h"
#include "tests/unit/files_kit.h"

static const char *write_bytes(const char *name, const void *data, size_t n) {
    const char *path = fv_printf(ctx, "%s/%s", folder, name);
    cr_assert(fv_file_write(ctx, path, data, n));
    return path;
}

/* -- npy ---- */
static const char *npy(int version, const char *dict, const void *data, size_t n) {
    unsigned char file[512];
    size_t length = strlen(dict), at = version == 1 ? 10 : 12;
    memcpy(file, "\x93NUMPY", 6);
    memcpy(file + 6, (unsigned char[]){(unsigned char)version, 0, (unsigned char)length, 0, 0, 0}, 6);
    memcpy(file + at, dict, length);
    if (n) memcpy(file + at + length, data, n);
    return write_bytes("a.npy", file, at + length + n);
}

Test(io_npy, reads_what_numpy_writes, .init = open_all, .fini = close_all) {
    const float v[] = {0, 1, 2, 3, 4, 5};
    fv_npy a;
    cr_assert(fv_npy_read(ctx, npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n", v, sizeof v),
                          &a), "%s", first_error());
    cr_expect(a.t.storage == FOVEA_ST_F32 && a.t.rank == 2 && a.t.shape[0] == 2 && a.t.shape[1] == 3 && a.t.count == 6);
    cr_expect(eq(int, memcmp(a.t.data, v, sizeof v), 0));
    fv_npy_dispose(&a);
    cr_assert(fv_npy_read(ctx, npy(2, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", v, sizeof v), &a),
              "%s", first_error());
    cr_expect(eq(int, memcmp(a.t.data, (float[]){0, 2, 4, 1, 3, 5}, sizeof v), 0));
    fv_npy_dispose(&a);
    uint8_t cube[24];
    for (int i = 0; i < 24; i++) cube[i] = (uint8_t)i;
    cr_assert(fv_npy_read(ctx, npy(3, "{\"shape\":(2,3,4),\"descr\":\"|u1\",\"fortran_order\":True}", cube, 24), &a),
              "%s", first_error());
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 4; k++)
                cr_assert(eq(u8, ((const uint8_t *)a.t.data)[(i * 3 + j) * 4 + k], (uint8_t)(i + 2 * j + 6 * k)));
    fv_npy_dispose(&a);
    const double scalar = 2.5;
    cr_assert(fv_npy_read(ctx, npy(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (), }\n", &scalar, 8), &a),
              "%s", first_error());
    cr_expect(a.t.rank == 0 && a.t.count == 1 && *(const double *)a.t.data == 2.5);
    fv_npy_dispose(&a);
    cr_assert(fv_npy_read(ctx, npy(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (0, 4), }\n", NULL, 0), &a),
              "%s", first_error());
    cr_expect(a.t.count == 0 && a.t.shape[1] == 4);
    fv_npy_dispose(&a);
    cr_assert(fv_npy_read(ctx, npy(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }\n", "\1\0", 2), &a),
              "%s", first_error());
    cr_expect(a.t.storage == FOVEA_ST_BOOL && a.t.rank == 1);
    fv_npy_dispose(&a);
}

Test(io_npy, refuses_what_lies, .init = open_all, .fini = close_all) {
    fv_npy a;
#define REFUSED(dict, n, part) expect_error(!fv_npy_read(ctx, npy(1, dict, "12345678", n), &a), FV_E_FORMAT, part)
    REFUSED("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 7,
            "promises 8 bytes of elements, the file has 7");
    REFUSED("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", 8, "promises 4 bytes");
    REFUSED("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", 8, "big-endian");
    REFUSED("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", 8, "'<c8' are not read");
    REFUSED("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", 8, "'|O' are not read");
    REFUSED("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", 8, "structured");
    REFUSED("{'descr': '<f4', 'fortran_order': 0, 'shape': (2,), }", 8, "True or False");
    REFUSED("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", 8, "expected an extent");
    REFUSED("{'descr': '<f4', 'fortran_order': False, 'shape': (2), }", 8, "expected ','");
    REFUSED("{'descr': '<f4', 'fortran_order': False, 'shape': [2], }", 8, "must be a tuple");
    REFUSED("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", 8, "too large");
    REFUSED("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", 8, "beyond 64 bits");
    REFUSED("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1), }", 4,
            "16 dimensions");
    REFUSED("{'descr': '<f4', 'fortran_order': False, }", 8, "is missing");
    REFUSED("{'descr': '<f4', 'descr': '<f4', 'shape': (2,), }", 8, "once each");
    REFUSED("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", 8, "once each");
    REFUSED("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } junk", 8, "something follows");
    REFUSED("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", 8, "expected ',' or '}'");
    REFUSED("{'descr: <f4", 8, "in quotes");
    expect_error(!fv_npy_read(ctx, npy(4, "{}", NULL, 0), &a), FV_E_FORMAT, "version");
    expect_error(!fv_npy_read(ctx, write_bytes("s.npy", "\x93NUMPY\1\0\xff\xff{", 11), &a), FV_E_FORMAT,
                 "ends inside its header");
    expect_error(!fv_npy_read(ctx, write_bytes("s.npy", "", 0), &a), FV_E_FORMAT, "not an .npy");
    expect_error(!fv_npy_read(ctx, "/nowhere/a.npy", &a), FV_E_FILE, "/nowhere/a.npy");
    expect_error(!fv_npy_read(ctx, folder, &a), FV_E_FILE, "regular");
}

Test(io_npy, writes_and_reads_back, .init = open_all, .fini = close_all) {
    const int16_t v[] = {1, -2, 3, -4, 5, -6};
    const char *path = fv_printf(ctx, "%s/b.npy", folder);
    fovea_stored t = {.storage = FOVEA_ST_I16, .data = v};
    const int32_t ranks[] = {1, 2, 3};
    const int64_t shapes[][3] = {{6}, {2, 3}, {3, 1, 2}};
    for (int k = 0; k < 3; k++) {
        fv_npy a;
        fv_bytes raw;
        t.rank = ranks[k];
        memcpy(t.shape, shapes[k], sizeof shapes[k]);
        cr_assert(fv_npy_write(ctx, path, &t), "%s", first_error());
        cr_assert(fv_npy_read(ctx, path, &a), "%s", first_error());
        cr_expect(a.t.storage == FOVEA_ST_I16 && a.t.rank == t.rank && a.t.count == 6);
        cr_expect(eq(int, memcmp(a.t.shape, shapes[k], (size_t)t.rank * 8), 0));
        cr_expect(eq(int, memcmp(a.t.data, v, sizeof v), 0));
        cr_assert(fv_file_read(ctx, path, 1000, &raw));
        /* elements begin at a multiple of 64, as NumPy has it */
        cr_expect(eq(sz, raw.n, 128 + sizeof v));
        fv_bytes_dispose(&raw);
        fv_npy_dispose(&a);
    }
    t.storage = FOVEA_ST_BF16;
    expect_error(!fv_npy_write(ctx, path, &t), FV_E_FORMAT, "cannot hold BF16");
}

/* -- Seeded numbers: hashes of what tests/oracle's rule makes in Python ---- */
Test(io_seed, makes_the_numbers_of_the_rule, .init = open_all, .fini = close_all) {
    const struct { const char *name; fovea_storage storage; const char *rule; uint64_t seed, hash; } cases[] = {
        {"blocks.0.attn.qkv.weight", FOVEA_ST_F32, "normal:0.02", 7, 0x30f41d5ca0971878},
        {"x", FOVEA_ST_F64, "around:1:0.1", 0, 0x0b2ebfa6abf0bdf6},
        {"b\xc3\xa9", FOVEA_ST_F32, "uniform:-2:3", 123456789, 0x0b8ff6ab892ed816},
        {"ids", FOVEA_ST_I64, "ints:0:1000", 3, 0xca7673394eb9a165},
        {"ids", FOVEA_ST_I32, "ints:-5:5", 3, 0xa25fd0ee6b508325},
        {"h", FOVEA_ST_F16, "normal:1", 1, 0x56b8c1a8e82ef03e},
        {"u", FOVEA_ST_U8, "ints:0:256", 2, 0xf294b65a5a365ec9},
        {"m", FOVEA_ST_BOOL, "ints:0:2", 5, 0xbfbf0b215108d474},
        {"c", FOVEA_ST_F32, "const:0.1", 1, 0xef2d017503b0e815},
    };
    cr_expect(eq(u64, fv_seed_key("blocks.0.attn.qkv.weight", 7), 0xeb6a8c529610f2e3));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char out[8000];
        fv_rule rule;
        cr_assert(fv_rule_parse(ctx, (fv_loc){0}, cases[i].rule, &rule));
        cr_assert(fv_seed_fill(&rule, cases[i].name, cases[i].seed, cases[i].storage, 1000, out));
        uint64_t hash = fv_hash(out, 1000 * (size_t)fovea_storage_size(cases[i].storage), FV_HASH_SEED);
        cr_expect(eq(u64, hash, cases[i].hash), "%s %s", cases[i].name, cases[i].rule);
    }
    float f[2];
    int32_t whole[2];
    fv_rule huge = {FV_RULE_CONST, 1e300, 0};
    cr_expect(fv_seed_fill(&huge, "x", 0, FOVEA_ST_F8_E4M3, 1, f) == false);
    cr_expect(fv_seed_fill(&huge, "x", 0, FOVEA_ST_I32, 2, whole) && whole[1] == INT32_MAX);
    cr_expect(fv_seed_fill(&huge, "x", 0, FOVEA_ST_F32, 2, f) && isinf(f[1]));
    fv_rule rule;
    const char *const bad[] = {"", "normal", "normal:", "normal:x", "normal:1:2", "uniform:1", "sometimes:1",
                               "const:1 ", "const:nan"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_error(!fv_rule_parse(ctx, (fv_loc){0}, bad[i], &rule), FV_E_FORMAT, "is no rule");
}

Test(io_seed, reads_tables, .init = open_all, .fini = close_all) {
    const char *text = "# name\tdtype\tshape\trule\n"
                       "a.weight\tF32\t2,3\tnormal:0.5\n"
                       "scalar\tI64\t\tconst:4\nnone\tF32\t0,7\tconst:1\n";
    fv_seeded s;
    cr_assert(fv_seed_table(ctx, write_bytes("p.tsv", text, strlen(text)), 7, &s), "%s", first_error());
    cr_assert(eq(int, s.n, 3));
    cr_expect(eq(str, (char *)s.tensors[0].name, "a.weight"));
    cr_expect(s.tensors[0].rank == 2 && s.tensors[0].count == 6 && s.tensors[1].rank == 0 && s.tensors[2].count == 0);
    float want[6];
    fv_seed_fill(&(fv_rule){FV_RULE_NORMAL, 0.5, 0}, "a.weight", 7, FOVEA_ST_F32, 6, want);
    cr_expect(eq(int, memcmp(s.tensors[0].data, want, sizeof want), 0));
    cr_expect(eq(i64, *(const int64_t *)s.tensors[1].data, 4));
    fv_seeded_dispose(&s);
    const struct { const char *line, *part; } bad[] = {
        {"a\tF32\t2", "with tabs"}, {"a\tF33\t2\tconst:1", "no dtype"}, {"a\tF32\t2,-1\tconst:1", "no shape"},
        {"a\tF32\t2;3\tconst:1", "no shape"}, {"a\tF32\t4294967296,4294967296\tconst:1", "no shape"},
            {"a\tF32\t2\tx:1", "no rule"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *path = write_bytes("p.tsv", bad[i].line, strlen(bad[i].line));
        bool good = fv_seed_table(ctx, path, 7, &s);
        cr_expect(fv_diag_count(ctx) == 1 && fv_diag_at(ctx, 0)->loc.line == 1);
        expect_error(!good, FV_E_FORMAT, bad[i].part);
    }
}

/* -- JSON ---- */
Test(io_json, reads_trees, .init = open_all, .fini = close_all) {
    const char *text = "{\"n\": 3, \"x\": 2.5, \"ok\": true, \"name\": \"caf\\u00e9\", "
                       "\"mean\": [1, 0.5, -3],\n \"nothing\": null, \"in\": {\"deep\": [[]]}}";
    const fv_json *j = fv_json_read(ctx, write_bytes("c.json", text, strlen(text)));
    cr_assert(j && j->kind == FV_JSON_OBJECT && j->n == 7, "%s", first_error());
    cr_expect(eq(str, (char *)j->keys[3], "name"));
    int64_t n = 0;
    double x = 0, mean[3];
    bool ok = false;
    const char *name = NULL;
    cr_expect(fv_json_get_int(ctx, "c", j, "n", true, &n) && n == 3);
    cr_expect(fv_json_get_real(ctx, "c", j, "x", true, &x) && x == 2.5);
    cr_expect(fv_json_get_real(ctx, "c", j, "n", true, &x) && x == 3);
    cr_expect(fv_json_get_bool(ctx, "c", j, "ok", true, &ok) && ok);
    cr_expect(fv_json_get_text(ctx, "c", j, "name", true, &name) && strcmp(name, "caf\xc3\xa9") == 0);
    cr_expect(fv_json_get_reals(ctx, "c", j, "mean", true, 3, mean) && mean[1] == 0.5 && mean[2] == -3);
    cr_expect(fv_json_get_int(ctx, "c", j, "absent", false, &n) && n == 3);
    cr_expect(fv_json_at(fv_json_get(fv_json_get(j, "in"), "deep"), 0)->kind == FV_JSON_ARRAY);
    cr_expect(fv_json_at(j, 0) == NULL && fv_json_get(fv_json_get(j, "x"), "y") == NULL);
    expect_error(!fv_json_get_int(ctx, "c", j, "absent", true, &n), FV_E_CONFIG, "c: \"absent\" is missing");
    expect_error(!fv_json_get_int(ctx, "c", j, "x", true, &n), FV_E_CONFIG, "must be a whole number, is a number");
    expect_error(!fv_json_get_text(ctx, "c", j, "nothing", false, &name), FV_E_CONFIG, "must be a text, is null");
    expect_error(!fv_json_get_reals(ctx, "c", j, "mean", true, 4, mean), FV_E_CONFIG, "array of 4 numbers");
}

Test(io_json, refuses_with_the_line, .init = open_all, .fini = close_all) {
    const char *const bad[] = {"{\n\"a\": }", "{\n\"a\": 1, \"a\": 2}", "[\nNaN]", "[1,\n2] 3", "[\n1e999]", "\n",
                               "[\n99999999999999999999]", "[\n\"\\u0000\"]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect(fv_json_parse(ctx, "b.json", bad[i], strlen(bad[i])) == NULL, "%s", bad[i]);
        cr_assert(eq(int, fv_diag_count(ctx), 1));
        cr_expect(eq(int, fv_diag_at(ctx, 0)->loc.line, 2), "%s", bad[i]);
        cr_expect(eq(int, fv_diag_at(ctx, 0)->code, FV_E_FORMAT));
        fv_diag_clear(ctx);
    }
    char *deep = malloc(100001);
    memset(deep, '[', 100000);
    cr_expect(fv_json_parse(ctx, "deep", deep, 100000) == NULL);
    free(deep);
    fv_buf b = {0};
    fv_json_quote(&b, "a\"\\\n\xc3\xa9");
    cr_expect(eq(str, b.text, "\"a\\\"\\\\\\u000a\xc3\xa9\""));
    fv_buf_dispose(&b);
}

/* -- Weights ---- */
Test(io_weights, answers_by_name, .init = open_all, .fini = close_all) {
    const uint16_t half[] = {0x3c00, 0xc000};
    const int64_t ids[] = {5, -1}, wide[] = {1, INT64_C(1) << 40};
    const float f[] = {1.5f, 2.5f};
    const fovea_stored stored[] = {
        {.name = "h", .storage = FOVEA_ST_F16, .rank = 1, .shape = {2}, .data = half},
        {.name = "ids", .storage = FOVEA_ST_I64, .rank = 1, .shape = {2}, .data = ids},
        {.name = "wide", .storage = FOVEA_ST_I64, .rank = 1, .shape = {2}, .data = wide},
        {.name = "f", .storage = FOVEA_ST_F32, .rank = 2, .shape = {1, 2}, .data = f},
    };
    const char *path = fv_printf(ctx, "%s/w.safetensors", folder);
    cr_assert(eq(int, fovea_safetensors_write(path, stored, 4, NULL, NULL), FOVEA_OK));
    fv_weights *w = fv_weights_open(ctx, path);
    cr_assert(w != NULL, "%s", first_error());
    cr_expect(eq(int, fv_weights_count(w), 4));
    cr_expect(fv_weights_find(w, "f")->rank == 2 && fv_weights_find(w, "g") == NULL);
    const float *h = fv_weights_f32(ctx, w, "h"), *direct = fv_weights_f32(ctx, w, "f");
    cr_assert(h && h[0] == 1 && h[1] == -2);
    cr_expect(fv_weights_f32(ctx, w, "h") == h);
    cr_expect(direct && direct[1] == 2.5f);
    const int32_t *i = fv_weights_i32(ctx, w, "ids");
    cr_assert(i && i[0] == 5 && i[1] == -1);
    cr_expect(fv_weights_f32(ctx, w, "ids")[0] == 5);
    expect_error(!fv_weights_i32(ctx, w, "wide"), FV_E_WEIGHTS, "element 1 of the I64 stored does not fit i32");
    expect_error(!fv_weights_i32(ctx, w, "f"), FV_E_WEIGHTS, "stored as F32, which does not become i32");
    expect_error(!fv_weights_f32(ctx, w, "g"), FV_E_WEIGHTS, "has no tensor \"g\"");
    fv_weights_close(w);
    expect_error(!fv_weights_open(ctx, write_bytes("x", "12345678{}", 10)), FV_E_FORMAT, "byte 0");
    expect_error(!fv_weights_open(ctx, "/nowhere/x"), FV_E_FILE, "/nowhere/x");
}

Test(io_weights, lists_what_does_not_fit, .init = open_all, .fini = close_all) {
    const float f[] = {1, 2, 3, 4};
    const fovea_stored stored[] = {
        {.name = "head.weight", .storage = FOVEA_ST_F32, .rank = 2, .shape = {2, 2}, .data = f},
        {.name = "blocks.0.norm1.weight", .storage = FOVEA_ST_F32, .rank = 1, .shape = {4}, .data = f},
        {.name = "num_batches_tracked", .storage = FOVEA_ST_F32, .data = f},
    };
    const char *path = fv_printf(ctx, "%s/w.safetensors", folder);
    cr_assert(eq(int, fovea_safetensors_write(path, stored, 3, NULL, NULL), FOVEA_OK));
    fv_weights *w = fv_weights_open(ctx, path);
    cr_assert(w != NULL, "%s", first_error());
    const int64_t two[] = {2, -1}, four[] = {4}, wrong[] = {2, 3};
    fv_wanted wanted[] = {{"head.weight", 2, two, {{0}, 0}}, {"blocks.0.norm1.weight", 1, four, {{0}, 0}}};
    fv_weights_report r;
    cr_expect(fv_weights_check(ctx, w, wanted, 2, &r), "%s", first_error());
    cr_assert(r.n_extra == 1 && strcmp(r.extra[0], "num_batches_tracked") == 0);
    wanted[0].shape = wrong;
    wanted[1].name = "blocks.0.norm.weight";
    cr_expect(fv_weights_check(ctx, w, wanted, 2, &r) == false);
    cr_expect(r.missing == 1 && r.misshapen == 1 && r.n_extra == 2);
    cr_assert(eq(int, fv_diag_count(ctx), 3));
    cr_expect(strstr(fv_diag_at(ctx, 1)->text, "must have shape [2, 3], is stored with [2, 2]") != NULL);
    cr_expect(strstr(fv_diag_at(ctx, 2)->text, "the nearest name is \"blocks.0.norm1.weight\"") != NULL, "%s",
              fv_diag_at(ctx, 2)->text);
    fv_weights_close(w);
    cr_expect(eq(int, fv_edit_distance("kitten", "sitting", 9), 3));
    cr_expect(eq(int, fv_edit_distance("kitten", "sitting", 2), 3));
    cr_expect(eq(int, fv_edit_distance("", "abc", 5), 3));
    const char *const names[] = {"apple", "maple", "orange"};
    cr_expect(eq(str, (char *)fv_nearest_name("aple", names, 3), "apple"));
    cr_expect(fv_nearest_name("zzzz", names, 3) == NULL);
}

/* -- SHA-256: the examples of FIPS 180-4, and every length around a block, in one piece and in a file ---- */
Test(sha256, published_examples) {
    char got[FV_SHA256_TEXT], *million = malloc(1000000);
    fv_sha256("abc", 3, got);
    cr_expect_str_eq(got, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    fv_sha256("", 0, got);
    cr_expect_str_eq(got, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    fv_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, got);
    cr_expect_str_eq(got, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    memset(million, 'a', 1000000);
    fv_sha256(million, 1000000, got);
    cr_expect_str_eq(got, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}
