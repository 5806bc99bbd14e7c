/* opencl_cpu_text: helpers of the CPU shape, in OpenCL C 1.2. Where the device's compiler is clang for x86 and says
 * that an instruction is there (__AVX512F__, __AVX2__), its built-in function is used; elsewhere the same is written
 * lane by lane. Pointers reach the helpers through an integer: a CPU's address spaces are one. */
#include "backends/opencl/cpu.h"

#include <string.h>

static const char scalars[] =
    "#ifdef __clang__\n"
    "#pragma clang fp contract(fast)\n"
    "#endif\n"
    "#ifdef __has_builtin\n"
    "#if __has_builtin(__builtin_convertvector)\n"
    "#define FV_CONVERT(v, t) __builtin_convertvector(v, t)\n"
    "#endif\n"
    "#endif\n"
    "#ifndef FV_CONVERT\n"
    "#define FV_CONVERT(v, t) convert_##t(v)\n"
    "#endif\n"
    "#ifdef __has_attribute\n"
    "#if __has_attribute(min_vector_width)\n"
    "#define FV_WIDE __attribute__((min_vector_width(512)))\n"
    "#endif\n"
    "#endif\n"
    "#ifndef FV_WIDE\n"
    "#define FV_WIDE\n"
    "#endif\n"
    "#define FV_AT(t, p) ((__private t *)(ulong)(p))\n"
    "#define FV_CAT(a, b) a##b\n"
    "#define FV_NAME(a, b) FV_CAT(a, b)\n"
    "static inline long fv_floordiv(long a, long b) { if (b == 0) return 0; long q = a / b; return q - ((a % b != 0) "
    "&& "
    "((a % b < 0) != (b < 0))); }\n"
    "static inline long fv_mod(long a, long b) { if (b == 0) return 0; long r = a % b; return r != 0 && (r < 0) != (b "
    "< "
    "0) ? r + b : r; }\n"
    "static inline long fv_imin(long a, long b) { return a < b ? a : b; }\n"
    "static inline long fv_imax(long a, long b) { return a > b ? a : b; }\n"
    "static inline long fv_iabs(long a) { return a < 0 ? -a : a; }\n"
    "static inline int fv_toint(float x) { return x != x ? 0 : x >= 2147483648.0f ? INT_MAX : x <= -2147483648.0f ? "
    "INT_MIN : (int)x; }\n"
    "static inline int fv_floor(float x) { return fv_toint(floor(x)); }\n"
    /* 2a * 2^(n-1), n cut to -126..128: 0 at the lower end, and of n = +-inf whatever a is */
    "static inline float fv_scalef(float a, float n) { float c = clamp(n, -126.0f, 128.0f); float r = (a + a) * "
    "as_float(((c == c ? (int)c : 0) + 126) << 23); return n == -INFINITY ? 0.0f : n == INFINITY && a != a ? INFINITY "
    ": "
    "n != n ? n : r; }\n";
static const char scalars_f64[] =
    "static inline double fv_min_d(double a, double b) { return a < b || a != a ? a : b; }\n"
    "static inline double fv_max_d(double a, double b) { return a > b || a != a ? a : b; }\n"
    "static inline double fv_safe_d(double m) { return m == -INFINITY ? 0.0 : m; }\n"
    "static inline int fv_toint_d(double x) { return convert_int_sat_rtz(x); }\n"
    "static inline int fv_floor_d(double x) { return x != x ? 0 : convert_int_sat_rtz(floor(x)); }\n";

/* Memory lane by lane. t: element, c: its code. */
static const char by_lanes[] =
    "#define FV_LANES_OF(t, c, n) \\\n"
    "static inline t##n fv_masked_##c##n(const __private t *p, int##n m, t##n fill) { union { t##n v; t e[n]; } r; "
    "union { int##n v; int e[n]; } k; r.v = fill; k.v = m; for (int i = 0; i < n; i++) if (k.e[i]) r.e[i] = p[i]; "
    "return r.v; } \\\n"
    "static inline void fv_store_##c##n(__private t *p, t##n v, int##n m) { union { t##n v; t e[n]; } r; union { "
    "int##n "
    "v; int e[n]; } k; r.v = v; k.v = m; for (int i = 0; i < n; i++) if (k.e[i]) p[i] = r.e[i]; } \\\n"
    "static inline t##n fv_gather_##c##n(const __private t *p, int##n at, int##n m, t##n fill) { union { t##n v; t "
    "e[n]; } r; union { int##n v; int e[n]; } k, x; r.v = fill; k.v = m; x.v = at; for (int i = 0; i < n; i++) if "
    "(k.e[i]) r.e[i] = p[x.e[i]]; return r.v; } \\\n"
    "static inline void fv_scatter_##c##n(__private t *p, int##n at, t##n v, int##n m) { union { t##n v; t e[n]; } r; "
    "union { int##n v; int e[n]; } k, x; r.v = v; k.v = m; x.v = at; for (int i = 0; i < n; i++) if (k.e[i]) p[x.e[i]] "
    "= r.e[i]; }\n"
    "#define FV_PERMUTE_OF(t, c, n) \\\n"
    "static inline t##n fv_permute_##c##n(t##n v, int##n at) { union { t##n v; t e[n]; } r, s; union { int##n v; int "
    "e[n]; } x; s.v = v; x.v = at; for (int i = 0; i < n; i++) r.e[i] = s.e[x.e[i] & (n - 1)]; return r.v; }\n"
    "#define FV_PERMUTE_BY_FLOAT(t, c, n, w) \\\n"
    "static inline t##n fv_permute_##c##n(t##n v, int##n at) { return FV_CONVERT(as_int##n(fv_permute_f##n("
    "as_float##n(FV_CONVERT(v, int##n)), at)), t##n); }\n"
    "#define FV_UNALIGNED(t, c, n) typedef t##n fv_##c##n __attribute__((aligned(sizeof(t))));\n";

/* The same of 32-bit elements by instructions; K: name of the mask's type, M: mask of an int vector. */
static const char by_words[] =
    "#define FV_AVX512_OF(t, c, n, K, M, LD, ST, GA, SC) \\\n"
    "static inline t##n fv_masked_##c##n(const __private t *p, int##n m, t##n fill) { return as_##t##n(LD("
    "(const __private void *)p, as_float##n(fill), M(m))); } \\\n"
    "static inline void fv_store_##c##n(__private t *p, t##n v, int##n m) { ST((__private void *)p, as_float##n(v), "
    "M(m)); } \\\n"
    "static inline t##n fv_gather_##c##n(const __private t *p, int##n at, int##n m, t##n fill) { return as_##t##n("
    "GA(as_float##n(fill), (const __private void *)p, at, M(m), 4)); } \\\n"
    "static inline void fv_scatter_##c##n(__private t *p, int##n at, t##n v, int##n m) { SC((__private void *)p, M(m), "
    "at, as_float##n(v), 4); }\n"
    "#define FV_AVX2_OF(t, c, n, LD, ST, GA) \\\n"
    "static inline t##n fv_masked_##c##n(const __private t *p, int##n m, t##n fill) { return m ? as_##t##n(LD("
    "(const __private void *)p, m)) : fill; } \\\n"
    "static inline void fv_store_##c##n(__private t *p, t##n v, int##n m) { ST((__private void *)p, m, "
    "as_float##n(v)); "
    "} \\\n"
    "static inline t##n fv_gather_##c##n(const __private t *p, int##n at, int##n m, t##n fill) { return as_##t##n("
    "GA(as_float##n(fill), (const __private float *)p, at, as_float##n(m), 4)); } \\\n"
    "static inline void fv_scatter_##c##n(__private t *p, int##n at, t##n v, int##n m) { union { t##n v; t e[n]; } r; "
    "union { int##n v; int e[n]; } k, x; r.v = v; k.v = m; x.v = at; for (int i = 0; i < n; i++) if (k.e[i]) p[x.e[i]] "
    "= r.e[i]; }\n"
    "#if defined(__clang__) && defined(__AVX512F__) && defined(__AVX512VL__)\n"
    "#define FV_AVX512 1\n"
    "#elif defined(__clang__) && defined(__AVX2__)\n"
    "#define FV_AVX2 1\n"
    "#endif\n";

static const char words_16[] =
    "#ifdef FV_AVX512\n"
    "#define FV_MASK16(m) ((ushort)__builtin_ia32_cmpd512_mask(m, (int16)(0), 1, (ushort)-1))\n"
    "FV_AVX512_OF(float, f, 16, ushort, FV_MASK16, __builtin_ia32_loadups512_mask, __builtin_ia32_storeups512_mask, "
    "__builtin_ia32_gathersiv16sf, __builtin_ia32_scattersiv16sf)\n"
    "FV_AVX512_OF(int, i, 16, ushort, FV_MASK16, __builtin_ia32_loadups512_mask, __builtin_ia32_storeups512_mask, "
    "__builtin_ia32_gathersiv16sf, __builtin_ia32_scattersiv16sf)\n"
    "static inline float16 fv_permute_f16(float16 v, int16 at) { return __builtin_ia32_permvarsf512(v, at); }\n"
    "static inline int fv_any16(int16 m) { return FV_MASK16(m) != 0; }\n"
    "static inline float16 fv_rint16(float16 v) { return __builtin_ia32_rndscaleps_mask(v, 8, v, (ushort)-1, 4); }\n"
    "static inline float16 fv_down16(float16 v) { return __builtin_ia32_rndscaleps_mask(v, 9, v, (ushort)-1, 4); }\n"
    "static inline float16 fv_scalef16(float16 a, float16 n) { return __builtin_ia32_scalefps512_mask(a, n, a, "
    "(ushort)-1, 4); }\n"
    "FV_PERMUTE_BY_FLOAT(int, i, 16, )\nFV_PERMUTE_BY_FLOAT(ushort, h, 16, )\nFV_PERMUTE_BY_FLOAT(uchar, b, 16, )\n"
    "#else\nFV_PLAIN(16)\n#endif\n";
static const char words_8[] =
    "#if defined(FV_AVX512)\n"
    "#define FV_MASK8(m) ((uchar)__builtin_ia32_cmpd256_mask(m, (int8)(0), 1, (uchar)-1))\n"
    "FV_AVX512_OF(float, f, 8, uchar, FV_MASK8, __builtin_ia32_loadups256_mask, __builtin_ia32_storeups256_mask, "
    "__builtin_ia32_gather3siv8sf, __builtin_ia32_scattersiv8sf)\n"
    "FV_AVX512_OF(int, i, 8, uchar, FV_MASK8, __builtin_ia32_loadups256_mask, __builtin_ia32_storeups256_mask, "
    "__builtin_ia32_gather3siv8sf, __builtin_ia32_scattersiv8sf)\n"
    "static inline float8 fv_scalef8(float8 a, float8 n) { return __builtin_ia32_scalefps256_mask(a, n, a, (uchar)-1); "
    "}\n"
    "#elif defined(FV_AVX2)\n"
    "FV_AVX2_OF(float, f, 8, __builtin_ia32_maskloadps256, __builtin_ia32_maskstoreps256, "
    "__builtin_ia32_gatherd_ps256)\n"
    "FV_AVX2_OF(int, i, 8, __builtin_ia32_maskloadps256, __builtin_ia32_maskstoreps256, "
    "__builtin_ia32_gatherd_ps256)\n"
    "FV_SCALEF(8)\n"
    "#endif\n"
    "#if defined(FV_AVX512) || defined(FV_AVX2)\n"
    "static inline float8 fv_permute_f8(float8 v, int8 at) { return __builtin_ia32_permvarsf256(v, at); }\n"
    "static inline int fv_any8(int8 m) { return __builtin_ia32_movmskps256(as_float8(m)) != 0; }\n"
    "static inline float8 fv_rint8(float8 v) { return __builtin_ia32_roundps256(v, 8); }\n"
    "static inline float8 fv_down8(float8 v) { return __builtin_ia32_roundps256(v, 9); }\n"
    "FV_PERMUTE_BY_FLOAT(int, i, 8, )\nFV_PERMUTE_BY_FLOAT(ushort, h, 8, )\nFV_PERMUTE_BY_FLOAT(uchar, b, 8, )\n"
    "#else\nFV_PLAIN(8)\n#endif\n";
static const char words_4[] =
    "#if defined(FV_AVX512)\n"
    "#define FV_MASK4(m) ((uchar)__builtin_ia32_cmpd128_mask(m, (int4)(0), 1, (uchar)-1))\n"
    "FV_AVX512_OF(float, f, 4, uchar, FV_MASK4, __builtin_ia32_loadups128_mask, __builtin_ia32_storeups128_mask, "
    "__builtin_ia32_gather3siv4sf, __builtin_ia32_scattersiv4sf)\n"
    "FV_AVX512_OF(int, i, 4, uchar, FV_MASK4, __builtin_ia32_loadups128_mask, __builtin_ia32_storeups128_mask, "
    "__builtin_ia32_gather3siv4sf, __builtin_ia32_scattersiv4sf)\n"
    "static inline float4 fv_scalef4(float4 a, float4 n) { return __builtin_ia32_scalefps128_mask(a, n, a, (uchar)-1); "
    "}\n"
    "#elif defined(FV_AVX2)\n"
    "FV_AVX2_OF(float, f, 4, __builtin_ia32_maskloadps, __builtin_ia32_maskstoreps, __builtin_ia32_gatherd_ps)\n"
    "FV_AVX2_OF(int, i, 4, __builtin_ia32_maskloadps, __builtin_ia32_maskstoreps, __builtin_ia32_gatherd_ps)\n"
    "FV_SCALEF(4)\n"
    "#endif\n"
    "#if defined(FV_AVX512) || defined(FV_AVX2)\n"
    "static inline float4 fv_permute_f4(float4 v, int4 at) { return __builtin_ia32_vpermilvarps(v, at); }\n"
    "static inline int fv_any4(int4 m) { return __builtin_ia32_movmskps(as_float4(m)) != 0; }\n"
    "static inline float4 fv_rint4(float4 v) { return __builtin_ia32_roundps(v, 8); }\n"
    "static inline float4 fv_down4(float4 v) { return __builtin_ia32_roundps(v, 9); }\n"
    "FV_PERMUTE_BY_FLOAT(int, i, 4, )\nFV_PERMUTE_BY_FLOAT(ushort, h, 4, )\nFV_PERMUTE_BY_FLOAT(uchar, b, 4, )\n"
    "#else\nFV_PLAIN(4)\n#endif\n";
static const char words_2[] = "FV_PLAIN(2)\n";

static const char plain[] =
    "#define FV_SCALEF(n) \\\n"
    "static inline float##n fv_scalef##n(float##n a, float##n s) { float##n c = s < -126.0f ? (float##n)(-126.0f) : s "
    "> "
    "128.0f ? (float##n)(128.0f) : s != s ? (float##n)(0.0f) : s; float##n r = (a + a) * as_float##n((FV_CONVERT(c, "
    "int##n) + 126) << 23); r = s != s ? s : r; r = ((s == INFINITY) & (a != a)) ? (float##n)(INFINITY) : r; return s "
    "== "
    "-INFINITY ? (float##n)(0.0f) : r; }\n"
    "#define FV_PLAIN(n) FV_LANES_OF(float, f, n) FV_LANES_OF(int, i, n) FV_PERMUTE_OF(float, f, n) \\\n"
    "FV_PERMUTE_OF(int, i, n) FV_PERMUTE_OF(ushort, h, n) FV_PERMUTE_OF(uchar, b, n) FV_SCALEF(n) \\\n"
    "static inline int fv_any##n(int##n m) { return any(m); } \\\n"
    "static inline float##n fv_rint##n(float##n v) { return rint(v); } \\\n"
    "static inline float##n fv_down##n(float##n v) { return floor(v); }\n";

/* For every number of lanes n; h: half of it. */
static const char vectors[] =
    "#define FV_VECTORS(n) \\\n"
    "FV_UNALIGNED(float, f, n) FV_UNALIGNED(int, i, n) FV_UNALIGNED(ushort, h, n) FV_UNALIGNED(uchar, b, n) \\\n"
    "FV_LANES_OF(ushort, h, n) FV_LANES_OF(uchar, b, n) \\\n"
    "static inline int##n fv_bool##n(uchar##n v) { return FV_CONVERT(v, int##n) != 0; } \\\n"
    "static inline uchar##n fv_byte##n(int##n v) { return FV_CONVERT(-v, uchar##n); } \\\n"
    "static inline float##n fv_min##n(float##n a, float##n b) { float##n r = a < b ? a : b; return a == a ? r : a; } "
    "\\\n"
    "static inline float##n fv_max##n(float##n a, float##n b) { float##n r = a > b ? a : b; return a == a ? r : a; } "
    "\\\n"
    "static inline int##n fv_imin##n(int##n a, int##n b) { return a < b ? a : b; } \\\n"
    "static inline int##n fv_imax##n(int##n a, int##n b) { return a > b ? a : b; } \\\n"
    "static inline int##n fv_iabs##n(int##n a) { return a < 0 ? -a : a; } \\\n"
    "static inline int##n fv_floordiv##n(int##n a, int##n b) { int##n s = b == 0 ? (int##n)(1) : b, q = a / s, r = a - "
    "q * s, w = q + ((r != 0) & ((r ^ s) < 0)); return b == 0 ? (int##n)(0) : w; } \\\n"
    "static inline int##n fv_mod##n(int##n a, int##n b) { int##n s = b == 0 ? (int##n)(1) : b, r = a - a / s * s, w = "
    "((r != 0) & ((r ^ s) < 0)) ? r + s : r; return b == 0 ? (int##n)(0) : w; } \\\n"
    "static inline float##n fv_abs##n(float##n v) { return as_float##n(as_int##n(v) & 0x7fffffff); } \\\n"
    "static inline float##n fv_safe##n(float##n m) { return m == -INFINITY ? (float##n)(0.0f) : m; } \\\n"
    "static inline float##n fv_mantissa##n(float##n x) { return as_float##n((as_int##n(x) & 0x7fffff) | 0x3f800000); } "
    "\\\n"
    "static inline float##n fv_exponent##n(float##n x) { return FV_CONVERT(as_int##n(as_uint##n(x) >> 23) - 127, "
    "float##n); } \\\n"
    "static inline int##n fv_toint##n(float##n x) { int##n i = FV_CONVERT(x, int##n); i = x >= 2147483648.0f ? "
    "(int##n)(INT_MAX) : i; i = x <= -2147483648.0f ? (int##n)(INT_MIN) : i; return x == x ? i : (int##n)(0); } \\\n"
    "static inline float##n fv_half##n(ushort##n h) { return vload_half##n(0, (const __private half *)&h); } \\\n"
    "static inline ushort##n fv_to_half##n(float##n x) { ushort##n h; vstore_half##n##_rte(x, 0, (__private half "
    "*)&h); "
    "return h; } \\\n"
    "static inline float##n fv_bfloat##n(ushort##n h) { return as_float##n(FV_CONVERT(h, uint##n) << 16); } \\\n"
    "static inline ushort##n fv_to_bfloat##n(float##n x) { uint##n u = as_uint##n(x), r = (u + 0x7fffu + (u >> 16 & "
    "1u)) >> 16; return FV_CONVERT(x == x ? r : (uint##n)(0x7fc0u), ushort##n); }\n"
    "#define FV_FOLDS(n, h) \\\n"
    "static inline float fv_hsum_f##n(float##n v) { return fv_hsum_f##h(v.lo + v.hi); } \\\n"
    "static inline float fv_hmax_f##n(float##n v) { return fv_hmax_f##h(FV_NAME(fv_max, h)(v.lo, v.hi)); } \\\n"
    "static inline float fv_hmin_f##n(float##n v) { return fv_hmin_f##h(FV_NAME(fv_min, h)(v.lo, v.hi)); } \\\n"
    "static inline int fv_hsum_i##n(int##n v) { return fv_hsum_i##h(v.lo + v.hi); } \\\n"
    "static inline int fv_hmax_i##n(int##n v) { return fv_hmax_i##h(FV_NAME(fv_imax, h)(v.lo, v.hi)); } \\\n"
    "static inline int fv_hmin_i##n(int##n v) { return fv_hmin_i##h(FV_NAME(fv_imin, h)(v.lo, v.hi)); }\n"
    "static inline float fv_hsum_f2(float2 v) { return v.lo + v.hi; }\n"
    "static inline float fv_hmax_f2(float2 v) { return fv_max(v.lo, v.hi); }\n"
    "static inline float fv_hmin_f2(float2 v) { return fv_min(v.lo, v.hi); }\n"
    "static inline int fv_hsum_i2(int2 v) { return v.lo + v.hi; }\n"
    "static inline int fv_hmax_i2(int2 v) { return max(v.lo, v.hi); }\n"
    "static inline int fv_hmin_i2(int2 v) { return min(v.lo, v.hi); }\n";
static const char vectors_f64[] =
    "#define FV_DOUBLES(n) \\\n"
    "FV_UNALIGNED(double, d, n) FV_LANES_OF(double, d, n) FV_PERMUTE_OF(double, d, n) \\\n"
    "static inline double##n fv_min_d##n(double##n a, double##n b) { double##n r = a < b ? a : b; return a == a ? r : "
    "a; "
    "} \\\n"
    "static inline double##n fv_max_d##n(double##n a, double##n b) { double##n r = a > b ? a : b; return a == a ? r : "
    "a; "
    "} \\\n"
    "static inline double##n fv_safe_d##n(double##n m) { return m == -INFINITY ? (double##n)(0.0) : m; } \\\n"
    "static inline int##n fv_toint_d##n(double##n x) { return convert_int##n##_sat_rtz(x); } \\\n"
    "static inline int##n fv_floor_d##n(double##n x) { return x == x ? convert_int##n##_sat_rtz(floor(x)) : 0; }\n"
    "#define FV_DOUBLE_FOLDS(n, h) \\\n"
    "static inline double fv_hsum_d##n(double##n v) { return fv_hsum_d##h(v.lo + v.hi); } \\\n"
    "static inline double fv_hmax_d##n(double##n v) { return fv_hmax_d##h(FV_NAME(fv_max_d, h)(v.lo, v.hi)); } \\\n"
    "static inline double fv_hmin_d##n(double##n v) { return fv_hmin_d##h(FV_NAME(fv_min_d, h)(v.lo, v.hi)); }\n"
    "static inline double fv_hsum_d2(double2 v) { return v.lo + v.hi; }\n"
    "static inline double fv_hmax_d2(double2 v) { return fv_max_d(v.lo, v.hi); }\n"
    "static inline double fv_hmin_d2(double2 v) { return fv_min_d(v.lo, v.hi); }\n";

void fv_cl_cpu_prelude(unsigned used, bool doubles, fv_buf *out) {
    static const char *const words[] = {words_2, words_4, words_8, words_16};
    unsigned most = 0;
    if (doubles) fv_buf_puts(out, "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n");
    fv_buf_puts(out, scalars);
    fv_buf_puts(out, fv_cl_prelude_f32);
    fv_buf_puts(out, fv_cl_prelude_16);
    if (doubles) fv_buf_puts(out, scalars_f64);
    for (unsigned i = 1; i <= 4; i++)
        if (used >> i & 1) most = i;
    if (!most) return;
    fv_buf_puts(out, by_lanes);
    fv_buf_puts(out, by_words);
    fv_buf_puts(out, plain);
    fv_buf_puts(out, vectors);
    if (doubles) fv_buf_puts(out, vectors_f64);
    for (unsigned i = 1; i <= most; i++) { /* folds of n lanes need those of n / 2 */
        unsigned n = 1u << i;
        fv_buf_printf(out, "FV_VECTORS(%u)\n", n);
        fv_buf_puts(out, words[i - 1]);
        fv_buf_printf(out, "static inline int%u fv_floor%u(float%u v) { return fv_toint%u(fv_down%u(v)); }\n", n, n, n,
                      n, n);
        if (i > 1) fv_buf_printf(out, "FV_FOLDS(%u, %u)\n", n, n / 2);
        if (doubles) fv_buf_printf(out, "FV_DOUBLES(%u)\n", n);
        if (doubles && i > 1) fv_buf_printf(out, "FV_DOUBLE_FOLDS(%u, %u)\n", n, n / 2);
    }
}
