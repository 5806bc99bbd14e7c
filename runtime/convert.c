/* Elements as they are stored, and as kernels want them. Reading goes by memcpy, since stored data has no alignment.
 * Every conversion rounds once, to nearest even. Little-endian machines only. */
#include <string.h>

#include "safetensors.h"
#include "tensor.h"

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "stored tensors are little-endian; this machine is not"
#endif

/* dtype: -1 = none is the same */
typedef struct { const char *name; int8_t size; bool is_float; int8_t dtype; } storage_row;
static const storage_row storages[FOVEA_ST_COUNT] = {
    [FOVEA_ST_BOOL] = {"BOOL", 1, false, FOVEA_BOOL}, [FOVEA_ST_U8] = {"U8", 1, false, FOVEA_U8},
    [FOVEA_ST_I8] = {"I8", 1, false, -1},             [FOVEA_ST_U16] = {"U16", 2, false, -1},
    [FOVEA_ST_I16] = {"I16", 2, false, -1},           [FOVEA_ST_U32] = {"U32", 4, false, -1},
    [FOVEA_ST_I32] = {"I32", 4, false, FOVEA_I32},    [FOVEA_ST_U64] = {"U64", 8, false, -1},
    [FOVEA_ST_I64] = {"I64", 8, false, FOVEA_I64},    [FOVEA_ST_F8_E5M2] = {"F8_E5M2", 1, true, -1},
    [FOVEA_ST_F8_E4M3] = {"F8_E4M3", 1, true, -1},    [FOVEA_ST_F16] = {"F16", 2, true, FOVEA_F16},
    [FOVEA_ST_BF16] = {"BF16", 2, true, FOVEA_BF16},  [FOVEA_ST_F32] = {"F32", 4, true, FOVEA_F32},
    [FOVEA_ST_F64] = {"F64", 8, true, FOVEA_F64},
};

const char *fovea_storage_name(fovea_storage s) { return (unsigned)s < FOVEA_ST_COUNT ? storages[s].name : "unknown"; }
int64_t fovea_storage_size(fovea_storage s) { return (unsigned)s < FOVEA_ST_COUNT ? storages[s].size : 0; }
bool fovea_storage_parse(const char *name, size_t n, fovea_storage *out) {
    for (int s = 0; s < FOVEA_ST_COUNT; s++)
        if (strlen(storages[s].name) == n && memcmp(storages[s].name, name, n) == 0) {
            *out = (fovea_storage)s;
            return true;
        }
    return false;
}
fovea_storage fovea_storage_of(fovea_dtype dtype) {
    for (int s = 0; s < FOVEA_ST_COUNT; s++)
        if (storages[s].dtype == (int)dtype) return (fovea_storage)s;
    return FOVEA_ST_COUNT;
}

/* -- Small floats: sign, `e` bits of exponent, `m` of mantissa, IEEE 754 rules ---- */
static double widen(uint32_t bits, int e, int m) {
    uint64_t sign = (uint64_t)(bits >> (e + m) & 1) << 63, mantissa = bits & ((1u << m) - 1);
    int bias = (1 << (e - 1)) - 1, exponent = (int)(bits >> m & ((1u << e) - 1));
    /* zero, or m shifted until its leading 1 is implicit */
    if (exponent == 0) {
        if (mantissa == 0) return sign ? -0.0 : 0.0;
        for (exponent = 1; (mantissa >> m & 1) == 0; exponent--) mantissa <<= 1;
        mantissa &= (UINT64_C(1) << m) - 1;
    } else if (exponent == (1 << e) - 1) {
        exponent = 2047 - 1023 + bias;
    }
    uint64_t wide = sign | (uint64_t)(exponent - bias + 1023) << 52 | mantissa << (52 - m);
    double v;
    memcpy(&v, &wide, 8);
    return v;
}

static uint32_t narrow(double v, int e, int m) {
    uint64_t wide;
    memcpy(&wide, &v, 8);
    uint32_t sign = (uint32_t)(wide >> 63) << (e + m), infinity = ((1u << e) - 1) << m;
    int bias = (1 << (e - 1)) - 1, exponent = (int)(wide >> 52 & 2047) - 1023, least = 1 - bias;
    uint64_t mantissa = wide & ((UINT64_C(1) << 52) - 1);
    if (exponent == 1024) return sign | infinity | (mantissa ? 1u << (m - 1) : 0);
    if (exponent > bias) return sign | infinity;
    mantissa |= UINT64_C(1) << 52;
    int shift = 52 - m + (exponent < least ? least - exponent : 0);
    if (shift > 53) return sign;
    uint64_t kept = mantissa >> shift, rest = mantissa & ((UINT64_C(1) << shift) - 1);
    uint64_t half = UINT64_C(1) << (shift - 1);
    if (rest > half || (rest == half && (kept & 1))) kept++;
    uint32_t field = exponent < least ? 0 : (uint32_t)(exponent + bias - 1);
    /* the leading 1, or a carry, raises the exponent by one */
    return sign | ((field << m) + (uint32_t)kept);
}

double fovea_f16_to_double(uint16_t bits) { return widen(bits, 5, 10); }
uint16_t fovea_f16_from_double(double v) { return (uint16_t)narrow(v, 5, 10); }
uint16_t fovea_bf16_from_double(double v) { return (uint16_t)narrow(v, 8, 7); }

/* E4M3 as used in tensors has no infinity: the exponent 15 is a number unless the mantissa is 7. */
static double widen_e4m3(uint8_t b) {
    if ((b & 0x78) != 0x78 || (b & 7) == 7) return widen(b, 4, 3);
    double v = 256.0 * (1.0 + (b & 7) / 8.0);
    return b & 0x80 ? -v : v;
}

/* -- One element ---- */
#define LOADER(T) static T load_##T(const unsigned char *p) { T v; memcpy(&v, p, sizeof v); return v; }
LOADER(int16_t)
LOADER(uint16_t)
LOADER(int32_t)
LOADER(uint32_t)
LOADER(int64_t)
LOADER(uint64_t)
LOADER(float)
LOADER(double)
#undef LOADER

static double load_real(fovea_storage s, const unsigned char *p) {
    switch (s) {
    case FOVEA_ST_F64: return load_double(p);
    case FOVEA_ST_F32: return (double)load_float(p);
    case FOVEA_ST_F16: return widen(load_uint16_t(p), 5, 10);
    case FOVEA_ST_BF16: return widen(load_uint16_t(p), 8, 7);
    case FOVEA_ST_F8_E5M2: return widen(*p, 5, 2);
    default: return widen_e4m3(*p);
    }
}

static bool load_whole(fovea_storage s, const unsigned char *p, int64_t *v) {     /* false: above INT64_MAX */
    switch (s) {
    case FOVEA_ST_I64: *v = load_int64_t(p); return true;
    case FOVEA_ST_U64: *v = (int64_t)load_uint64_t(p); return *v >= 0;
    case FOVEA_ST_I32: *v = load_int32_t(p); return true;
    case FOVEA_ST_U32: *v = load_uint32_t(p); return true;
    case FOVEA_ST_I16: *v = load_int16_t(p); return true;
    case FOVEA_ST_U16: *v = load_uint16_t(p); return true;
    case FOVEA_ST_I8: *v = *p < 128 ? *p : *p - 256; return true;
    case FOVEA_ST_BOOL: *v = *p != 0; return true;
    default: *v = *p; return true;
    }
}

static void store_real(fovea_dtype to, double v, unsigned char *out) {
    float f = (float)v;
    uint16_t h = to == FOVEA_F16 ? fovea_f16_from_double(v) : fovea_bf16_from_double(v);
    if (to == FOVEA_F64) memcpy(out, &v, 8);
    else if (to == FOVEA_F32) memcpy(out, &f, 4);
    else memcpy(out, &h, 2);
}

static bool store_whole(fovea_dtype to, int64_t v, unsigned char *out) {
    float f = (float)v;
    int32_t i = (int32_t)v;
    switch (to) {
    case FOVEA_F32: memcpy(out, &f, 4); return true;
    case FOVEA_I64: memcpy(out, &v, 8); return true;
    case FOVEA_I32: memcpy(out, &i, 4); return i == v;
    case FOVEA_U8: *out = (unsigned char)v; return v >= 0 && v <= 255;
    case FOVEA_BOOL: *out = (unsigned char)v; return v == 0 || v == 1;
    default: store_real(to, (double)v, out); return true;         /* f64, and halves: exact or beyond their precision */
    }
}

static bool is_float(fovea_dtype d) { return d == FOVEA_F32 || d == FOVEA_F16 || d == FOVEA_BF16 || d == FOVEA_F64; }

bool fovea_stored_convert(const fovea_stored *t, fovea_dtype to, void *out, int64_t *bad) {
    int64_t size = fovea_dtype_size(to), step = fovea_storage_size(t->storage);
    const unsigned char *p = t->data;
    unsigned char *q = out;
    if (bad) *bad = -1;
    if (size == 0 || step == 0) return false;
    if (t->count == 0) return true;
    if (t->storage == fovea_storage_of(to) && to != FOVEA_BOOL) {
        memcpy(out, t->data, (size_t)t->bytes);
        return true;
    }
    bool real = storages[t->storage].is_float;
    if (real && !is_float(to)) return false;
    for (int64_t i = 0; i < t->count; i++, p += step, q += size) {
        int64_t v;
        if (real) {
            store_real(to, load_real(t->storage, p), q);
        } else if (!load_whole(t->storage, p, &v) || !store_whole(to, v, q)) {
            if (bad) *bad = i;
            return false;
        }
    }
    return true;
}
