/* The safetensors reader against files that lie, the writer, and conversions. */
#define _POSIX_C_SOURCE 200809L
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/safetensors.h"

/* length | header | data bytes 0, 1, 2, ... */
static unsigned char *make(const char *header, size_t data, size_t *size) {
    size_t n = strlen(header);
    unsigned char *file = malloc(8 + n + data + 1);
    for (int i = 0; i < 8; i++) file[i] = (unsigned char)(n >> (8 * i) & 255);
    memcpy(file + 8, header, n);
    for (size_t i = 0; i < data; i++) file[8 + n + i] = (unsigned char)i;
    *size = 8 + n + data;
    return file;
}

static void expect_refused(const char *header, size_t data, const char *part) {
    size_t size;
    unsigned char *file = make(header, data, &size);
    fovea_safetensors *f = NULL;
    fovea_error err = {0};
    fovea_status status = fovea_safetensors_parse(file, size, "w", &f, &err);
    cr_expect(eq(int, status, FOVEA_E_FORMAT), "%s: %s", header, err.text);
    cr_expect(strstr(err.text, part) != NULL, "%s: \"%s\" lacks \"%s\"", header, err.text, part);
    cr_expect(f == NULL);
    free(file);
}

#define T4 "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}"

Test(runtime_safetensors, reads_what_is_legal) {
    const char *header = "{ \"b\" : {\"shape\":[2,3],\"dtype\":\"U8\",\"data_offsets\":[5,11]},\t"
                         "\"__metadata__\":{\"k\":\"v\",\"a\":\"\\u00e9\"},"
                         "\"scalar\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[1,5]},"
                         "\"empty\":{\"dtype\":\"I64\",\"shape\":[3,0],\"data_offsets\":[5,5]},"
                         "\"\\u0061\\\\\\ud83d\\ude00\":{\"dtype\":\"BOOL\","
                         "\"shape\":[1,1],\"data_offsets\":[0,1]} }   ";
    size_t size;
    unsigned char *file = make(header, 11, &size);
    fovea_safetensors *f;
    fovea_error err = {0};
    cr_assert(eq(int, fovea_safetensors_parse(file, size, "w", &f, &err), FOVEA_OK), "%s", err.text);
    cr_assert(eq(int, fovea_safetensors_count(f), 4));
    const char *order[] = {"a\\\xf0\x9f\x98\x80", "scalar", "empty", "b"};
    for (int i = 0; i < 4; i++) cr_expect(eq(str, (char *)fovea_safetensors_at(f, i)->name, (char *)order[i]));
    const fovea_stored *b = fovea_safetensors_find(f, "b"), *s = fovea_safetensors_find(f, "scalar");
    cr_assert(b && s && b->rank == 2 && b->shape[0] == 2 && b->shape[1] == 3 && b->count == 6 && b->bytes == 6);
    cr_expect(eq(int, memcmp(b->data, "\5\6\7\10\11\12", 6), 0));
    cr_expect(s->rank == 0 && s->count == 1 && s->bytes == 4);
    cr_expect(eq(i64, fovea_safetensors_find(f, "empty")->count, 0));
    cr_expect(fovea_safetensors_find(f, "c") == NULL && fovea_safetensors_at(f, 4) == NULL &&
              fovea_safetensors_at(f, -1) == NULL);
    cr_expect(eq(str, (char *)fovea_safetensors_metadata(f, "a"), "\xc3\xa9"));
    cr_expect(fovea_safetensors_metadata(f, "z") == NULL);
    fovea_safetensors_close(f);
    free(file);
    file = make("{}", 0, &size);
    cr_expect(eq(int, fovea_safetensors_parse(file, size, "w", &f, &err), FOVEA_OK));
    cr_expect(eq(int, fovea_safetensors_count(f), 0));
    fovea_safetensors_close(f);
    free(file);
}

Test(runtime_safetensors, refuses_what_lies) {
    expect_refused("", 0, "w: byte 8: the header must begin with '{'");
    expect_refused(" {}", 0, "must begin with '{'");
    expect_refused("{}x", 0, "byte 10: something follows");
    expect_refused("{", 0, "expected the name");
    expect_refused("{\"a\"", 0, "expected ':'");
    expect_refused("{\"a\":" T4, 4, "expected ',' or '}'");
    expect_refused("{\"a\":" T4 ",}", 4, "expected the name");
    expect_refused("{\"a\":" T4 ",\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8,
                   "\"a\" is already at byte 9");
    expect_refused("{\"a\":" T4 "}", 5, "1 bytes belong to no tensor");
    expect_refused("{\"a\":" T4 "}", 3, "the file has only 3 bytes");
    expect_refused("{}", 1, "1 bytes belong to no tensor");
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "a hole after 0");
    expect_refused("{\"a\":" T4 ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}", 6,
                   "inside another tensor");
    expect_refused("{\"a\":" T4 ",\"b\":" T4 "}", 4, "inside another tensor");
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
                   "make 8 bytes, data_offsets 4");
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "end before they begin");
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4,
                   "whole number that is not negative");
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4, "expected a whole number");
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1e0],\"data_offsets\":[0,4]}}", 4, "expected a whole number");
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[01],\"data_offsets\":[0,4]}}", 4, "starts with 0");
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775808],\"data_offsets\":[0,4]}}", 4,
                   "too large");
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}", 4,
                   "beyond 64 bits");
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}",
                   4, "16 dimensions");
    expect_refused("{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype is not known");
    expect_refused("{\"a\":{\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype must be a string");
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4, "expected '['");
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "two numbers");
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}", 4, "two numbers");
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", 4, "has only dtype");
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
                   "appears twice");
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "lacks");
    expect_refused("{\"a\":{}}", 0, "expected \"dtype\"");
    expect_refused("{\"a\":[]}", 0, "must be an object");
    expect_refused("{\"a\":null}", 0, "must be an object");
    expect_refused("{\"__metadata__\":{\"a\":1}}", 0, "are strings");
    expect_refused("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "the key \"a\" of __metadata__ is already");
    expect_refused("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "appears twice");
    expect_refused("{\"__metadata__\":{\"a\":{\"b\":\"c\"}}}", 0, "are strings");
    expect_refused("{\"a\n\":" T4 "}", 4, "control character");
    expect_refused("{\"\\x\":" T4 "}", 4, "unknown escape");
    expect_refused("{\"\\u12g4\":" T4 "}", 4, "four hexadecimal");
    expect_refused("{\"\\u0000\":" T4 "}", 4, "NUL");
    expect_refused("{\"\\ud800\":" T4 "}", 4, "surrogate");
    expect_refused("{\"\\udc00\":" T4 "}", 4, "surrogate");
    expect_refused("{\"\xff\":" T4 "}", 4, "not UTF-8");
    expect_refused("{\"\xc0\xaf\":" T4 "}", 4, "not UTF-8");
    expect_refused("{\"\xed\xa0\x80\":" T4 "}", 4, "not UTF-8");
    expect_refused("{\"a", 0, "does not end");
    expect_refused("{\"a\\", 0, "unknown escape");
}

Test(runtime_safetensors, refuses_lengths_that_lie) {
    unsigned char bytes[32] = {0};
    fovea_safetensors *f;
    fovea_error err;
    for (size_t n = 0; n < 8; n++) cr_expect(eq(int, fovea_safetensors_parse(bytes, n, "w", &f, &err), FOVEA_E_FORMAT));
    bytes[0] = 25;                                                /* one more than there is */
    cr_expect(eq(int, fovea_safetensors_parse(bytes, 32, "w", &f, &err), FOVEA_E_FORMAT));
    cr_expect(strstr(err.text, "does not fit a file of 32") != NULL, "%s", err.text);
    memset(bytes, 255, 8);
    cr_expect(eq(int, fovea_safetensors_parse(bytes, 32, "w", &f, &err), FOVEA_E_FORMAT));
    cr_expect(strstr(err.text, "beyond the limit") != NULL, "%s", err.text);
    cr_expect(eq(int, fovea_safetensors_open("/nowhere/x", &f, &err), FOVEA_E_FILE));
    cr_expect(eq(int, fovea_safetensors_open("/tmp", &f, &err), FOVEA_E_FILE));
    cr_expect(eq(int, fovea_safetensors_open("/dev/null", &f, &err), FOVEA_E_FILE));
    fovea_safetensors_close(NULL);
}

/* Mutations of a legal file: whatever comes out, nothing is read outside it and every accepted tensor lies inside. */
Test(runtime_safetensors, survives_mutations) {
    const char *header = "{\"__metadata__\":{\"k\":\"\\u00e9\"},\"a.b\":" T4
                         ",\"c\":{\"dtype\":\"I64\",\"shape\":[1,2],\"data_offsets\":[4,20]}}";
    size_t size;
    unsigned char *file = make(header, 20, &size);
    uint64_t state = 12345;
    int accepted = 0;
    for (int k = 0; k < 40000; k++) {
        /* exactly this long, so that a sanitizer sees the end */
        unsigned char *copy = malloc(size);
        memcpy(copy, file, size);
        size_t n = size;
        for (int j = 0; j <= k % 3; j++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
            size_t at = (size_t)(state >> 33) % size;
            static const char chars[] = "{}[]\":,\\u0019aF-.";
            if (state >> 61 == 0) n = at;
            else copy[at] = state >> 61 < 5 ? (unsigned char)chars[(state >> 8) % (sizeof chars - 1)]
                : (unsigned char)(state >> 16);
        }
        unsigned char *exact = malloc(n ? n : 1);
        memcpy(exact, copy, n);
        fovea_safetensors *f;
        if (fovea_safetensors_parse(exact, n, "w", &f, NULL) == FOVEA_OK) {
            accepted++;
            for (int32_t i = 0; i < fovea_safetensors_count(f); i++) {
                const fovea_stored *t = fovea_safetensors_at(f, i);
                const unsigned char *p = t->data;
                cr_assert(p >= exact && t->bytes >= 0 && p + t->bytes <= exact + n);
                cr_assert(fovea_safetensors_find(f, t->name) == t);
            }
            fovea_safetensors_close(f);
        }
        free(exact);
        free(copy);
    }
    cr_expect(accepted > 0 && accepted < 40000);
    free(file);
}

Test(runtime_safetensors, writes_and_reads_back) {
    char folder[] = "/tmp/fovea-test-XXXXXX", path[64];
    cr_assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/w.safetensors", folder);
    const float v[] = {1, -0.0f, INFINITY};
    const fovea_stored tensors[] = {
        {.name = "q\"\\\n\xc3\xa9", .storage = FOVEA_ST_F32, .rank = 2, .shape = {3, 1}, .data = v},
        {.name = "none", .storage = FOVEA_ST_F16, .rank = 3, .shape = {2, 0, 5}},
        {.name = "one", .storage = FOVEA_ST_BOOL, .data = "\1"},
    };
    const char *const metadata[] = {"format", "pt", NULL};
    fovea_error err = {0};
    fovea_safetensors *f;
    cr_assert(eq(int, fovea_safetensors_write(path, tensors, 3, metadata, &err), FOVEA_OK), "%s", err.text);
    cr_assert(eq(int, fovea_safetensors_open(path, &f, &err), FOVEA_OK), "%s", err.text);
    cr_assert(eq(int, fovea_safetensors_count(f), 3));
    const fovea_stored *t = fovea_safetensors_find(f, tensors[0].name);
    cr_assert(t && t->storage == FOVEA_ST_F32 && t->rank == 2 && t->shape[0] == 3 && t->shape[1] == 1);
    cr_expect(eq(int, memcmp(t->data, v, sizeof v), 0));
    cr_expect(eq(i64, fovea_safetensors_find(f, "none")->bytes, 0));
    cr_expect(eq(str, (char *)fovea_safetensors_metadata(f, "format"), "pt"));
    fovea_safetensors_close(f);
    /* What cannot be written leaves the old file and nothing beside it. */
    fovea_stored twice[2] = {tensors[2], tensors[2]}, bad = tensors[2];
    cr_expect(eq(int, fovea_safetensors_write(path, twice, 2, NULL, &err), FOVEA_E_ARGUMENT));
    bad.name = "\xff";
    cr_expect(eq(int, fovea_safetensors_write(path, &bad, 1, NULL, &err), FOVEA_E_ARGUMENT));
    cr_expect(eq(int, fovea_safetensors_write("/nowhere/x", tensors, 3, NULL, &err), FOVEA_E_FILE));
    cr_expect(eq(int, fovea_safetensors_write(folder, tensors, 3, NULL, &err), FOVEA_E_FILE));
    cr_assert(eq(int, fovea_safetensors_open(path, &f, &err), FOVEA_OK));
    cr_expect(eq(int, fovea_safetensors_count(f), 3));
    fovea_safetensors_close(f);
    remove(path);
    cr_expect(eq(int, remove(folder), 0), "something was left in the folder");
}

Test(runtime_safetensors, halves_are_exact) {
    for (uint32_t b = 0; b < 65536; b++) {
        double v = fovea_f16_to_double((uint16_t)b);
        if (isnan(v)) {
            cr_assert(eq(u32, b & 0x7c00, 0x7c00));
            cr_assert(isnan(fovea_f16_to_double(fovea_f16_from_double(v))));
            continue;
        }
        cr_assert(eq(u32, fovea_f16_from_double(v), b));
        if ((b & 0x7fff) >= 0x7bff) continue;
        double next = fovea_f16_to_double((uint16_t)(b + 1)), middle = (v + next) / 2;
        cr_assert(eq(u32, fovea_f16_from_double(middle), b & 1 ? b + 1 : b));       /* ties go to the even one */
        cr_assert(eq(u32, fovea_f16_from_double(nextafter(middle, next)), b + 1));
        cr_assert(eq(u32, fovea_f16_from_double(nextafter(middle, v)), b));
    }
    cr_expect(eq(u32, fovea_f16_from_double(65519.999), 0x7bff));
    cr_expect(eq(u32, fovea_f16_from_double(65520), 0x7c00));
    cr_expect(eq(u32, fovea_f16_from_double(-1e300), 0xfc00));
    cr_expect(eq(u32, fovea_f16_from_double(4.9e-324), 0));
    cr_expect(eq(dbl, fovea_f16_to_double(0x3555), 0.333251953125));
    cr_expect(eq(dbl, fovea_f16_to_double(1), 0x1p-24));
    cr_expect(eq(u32, fovea_bf16_from_double(1.00390625), 0x3f80));                  /* a tie */
    cr_expect(eq(u32, fovea_bf16_from_double(1.01171875), 0x3f82));
}

static bool convert(fovea_storage from, const void *data, int64_t n, fovea_dtype to, void *out, int64_t *bad) {
    fovea_stored t = {.storage = from, .rank = 1, .shape = {n}, .data = data, .count = n, .bytes = n
                      * fovea_storage_size(from)};
    return fovea_stored_convert(&t, to, out, bad);
}

Test(runtime_safetensors, converts_or_refuses) {
    float f[4];
    double d[4];
    int32_t i[4];
    int64_t wide[] = {-1, 2147483647, 2147483648}, bad;
    char shifted[9] = {0};
    cr_assert(convert(FOVEA_ST_I64, wide, 2, FOVEA_I32, i, &bad));
    cr_expect(i[0] == -1 && i[1] == 2147483647);
    cr_expect(convert(FOVEA_ST_I64, wide, 3, FOVEA_I32, i, &bad) == false && bad == 2);
    cr_expect(convert(FOVEA_ST_F32, (float[]){1}, 1, FOVEA_I32, i, &bad) == false && bad == -1);
    cr_expect(convert(FOVEA_ST_U64, (uint64_t[]){UINT64_MAX}, 1, FOVEA_F32, f, &bad) == false && bad == 0);
    cr_assert(convert(FOVEA_ST_BF16, (uint16_t[]){0x3f80, 0xff80, 0x0001}, 3, FOVEA_F32, f, &bad));
    cr_expect(f[0] == 1 && f[1] == -INFINITY && f[2] == 0x1p-133f);
    cr_assert(convert(FOVEA_ST_F64, (double[]){1.0 / 3, 1e300}, 2, FOVEA_F32, f, &bad));
    cr_expect(f[0] == 1.0f / 3 && f[1] == INFINITY);
    cr_assert(convert(FOVEA_ST_F8_E4M3, "\x7e\xfe\x01\x38", 4, FOVEA_F64, d, &bad));
    cr_expect(d[0] == 448 && d[1] == -448 && d[2] == 0x1p-9 && d[3] == 1);
    cr_assert(convert(FOVEA_ST_F8_E5M2, "\x7b\x7c\x01\x3c", 4, FOVEA_F64, d, &bad));
    cr_expect(d[0] == 57344 && d[1] == INFINITY && d[2] == 0x1p-16 && d[3] == 1);
    cr_assert(convert(FOVEA_ST_BOOL, "\0\1\7", 3, FOVEA_F32, f, &bad));
    cr_expect(f[0] == 0 && f[1] == 1 && f[2] == 1);
    cr_assert(convert(FOVEA_ST_I8, "\xff\x7f", 2, FOVEA_I32, i, &bad));
    cr_expect(i[0] == -1 && i[1] == 127);
    memcpy(shifted + 1, &wide[0], 8);
    cr_assert(convert(FOVEA_ST_I64, shifted + 1, 1, FOVEA_F32, f, &bad));
    cr_expect(f[0] == -1);
}
