/* pack: f64 numbers to the bytes of a tensor type and back. Floats round to nearest, ties to even. */
#include "backends/opencl/opencl.h"

#include <math.h>
#include <string.h>

static uint16_t half_bits(double v) {
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    double a = fabs((double)(float)v);
    if (a != a) return 0x7e00;
    int e = a > 0 ? ilogb(a) : -100;
    if (a < 0x1p-25 || e < -25) return sign;
    /* subnormal; 1024 is the smallest normal number */
    if (e < -14) return (uint16_t)(sign | (uint16_t)nearbyint(scalbn(a, 24)));
    double m = nearbyint(scalbn(a, 10 - e));                                             /* 1024 .. 2048 */
    if (m >= 2048) m = 1024, e++;
    if (e > 15) return sign | 0x7c00;
    return (uint16_t)(sign | (uint16_t)((e + 15) << 10) | ((uint16_t)m & 0x3ff));
}
static double half_value(uint16_t h) {
    int e = h >> 10 & 31, m = h & 0x3ff;
    double v = e == 31 ? (m ? (double)NAN : (double)INFINITY) : e ? scalbn(1024 + m, e - 25) : scalbn(m, -24);
    return h & 0x8000 ? -v : v;
}
static uint16_t bfloat_bits(double v) {
    float f = (float)v;
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    if (f != f) return 0x7fc0;
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
static double bfloat_value(uint16_t h) {
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return (double)f;
}

void fv_opencl_pack(fv_type type, const double *v, int64_t n, void *out) {
    for (int64_t i = 0; i < n; i++) {
        switch (type) {
        case FV_F32: ((float *)out)[i] = (float)v[i]; break;
        case FV_F64: ((double *)out)[i] = v[i]; break;
        case FV_F16: ((uint16_t *)out)[i] = half_bits(v[i]); break;
        case FV_BF16: ((uint16_t *)out)[i] = bfloat_bits(v[i]); break;
        case FV_I32: ((int32_t *)out)[i] = v[i] >= (double)INT32_MIN && v[i] <= (double)INT32_MAX ? (int32_t)v[i] : 0;
        break;
        default: ((uint8_t *)out)[i] = v[i] < 0 || v[i] > 0; break;
        }
    }
}
void fv_opencl_unpack(fv_type type, const void *in, int64_t n, double *v) {
    for (int64_t i = 0; i < n; i++) {
        switch (type) {
        case FV_F32: v[i] = (double)((const float *)in)[i]; break;
        case FV_F64: v[i] = ((const double *)in)[i]; break;
        case FV_F16: v[i] = half_value(((const uint16_t *)in)[i]); break;
        case FV_BF16: v[i] = bfloat_value(((const uint16_t *)in)[i]); break;
        case FV_I32: v[i] = ((const int32_t *)in)[i]; break;
        default: v[i] = ((const uint8_t *)in)[i]; break;
        }
    }
}
