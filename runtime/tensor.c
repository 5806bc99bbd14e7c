/* Data types and the checks of callers' tensors. Nothing is copied: a tensor that does not fit is refused. */
#include "tensor.h"

#include <inttypes.h>
#include <stdio.h>

#include "error.h"

typedef struct { const char *name; uint8_t size, code; } dtype_row;
static const dtype_row dtypes[] = {
    [FOVEA_F32] = {"f32", 4, kDLFloat}, [FOVEA_F16] = {"f16", 2, kDLFloat}, [FOVEA_BF16] = {"bf16", 2, kDLBfloat},
    [FOVEA_F64] = {"f64", 8, kDLFloat}, [FOVEA_I32] = {"i32", 4, kDLInt},   [FOVEA_I64] = {"i64", 8, kDLInt},
    [FOVEA_U8] = {"u8", 1, kDLUInt},    [FOVEA_BOOL] = {"bool", 1, kDLBool},
};
enum { N_DTYPES = sizeof dtypes / sizeof *dtypes };

int64_t fovea_dtype_size(fovea_dtype dtype) { return (unsigned)dtype < N_DTYPES ? dtypes[dtype].size : 0; }
const char *fovea_dtype_name(fovea_dtype dtype) { return (unsigned)dtype < N_DTYPES ? dtypes[dtype].name : "unknown"; }
/* The name of a DLPack type, into out where no model has it. */
static const char *type_text(char *out, size_t cap, DLDataType d) {
    for (size_t i = 0; i < N_DTYPES && d.lanes == 1; i++)
        if (dtypes[i].code == d.code && dtypes[i].size * 8 == d.bits) return dtypes[i].name;
    snprintf(out, cap, "DLPack's type code %d of %d bits and %d lanes", d.code, d.bits, d.lanes);
    return out;
}
DLDataType fovea_dtype_dlpack(fovea_dtype dtype) {
    if ((unsigned)dtype >= N_DTYPES) return (DLDataType){kDLOpaqueHandle, 0, 0};
    return (DLDataType){dtypes[dtype].code, (uint8_t)(dtypes[dtype].size * 8), 1};
}
DLTensor fovea_tensor(void *data, fovea_dtype dtype, int32_t rank, int64_t *shape) {
    return (DLTensor){.data = data, .device = {kDLCPU, 0}, .ndim = rank, .dtype = fovea_dtype_dlpack(dtype),
                      .shape = shape};
}

int64_t fovea_shape_count(const int64_t *shape, int32_t rank, int64_t element_size) {
    int64_t product = element_size;
    bool empty = false;
    for (int32_t i = 0; i < rank; i++) {
        if (shape[i] < 0) return -1;
        if (shape[i] == 0) empty = true;
        else if (__builtin_mul_overflow(product, shape[i], &product)) return -1;
    }
    return empty || element_size == 0 ? 0 : product / element_size;
}

bool fovea_overlap(const void *a, int64_t n, const void *b, int64_t m) {
    uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
    if (n <= 0 || m <= 0) return false;
    return x < y + (uintptr_t)m && y < x + (uintptr_t)n;
}

static bool is_dense(const DLTensor *t) {
    if (!t->strides) return true;
    for (int32_t i = 0; i < t->ndim; i++)
        if (t->shape[i] == 0) return true;
    int64_t want = 1;
    for (int32_t i = t->ndim - 1; i >= 0; i--) {
        if (t->shape[i] != 1 && t->strides[i] != want) return false;
        want *= t->shape[i];
    }
    return true;
}

static bool same_shape(const DLTensor *t, const fovea_array *array) {
    if (t->ndim != array->rank || (t->ndim > 0 && !t->shape)) return false;
    for (int32_t i = 0; i < t->ndim; i++)
        if (t->shape[i] != array->shape[i]) return false;
    return true;
}

fovea_status fovea_tensor_check(const DLTensor *t, const fovea_array *array, const char *what, fovea_status status,
                                void **data, fovea_error *err) {
    char want[256], got[256];
    const char *name = array->name;
    if (t->device.device_type != kDLCPU)
        return fovea_fail(err, status, "%s \"%s\": must be in CPU memory, is on device type %d", what, name,
                          (int)t->device.device_type);
    DLDataType d = fovea_dtype_dlpack(array->dtype);
    if (t->dtype.code != d.code || t->dtype.bits != d.bits || t->dtype.lanes != 1)
        return fovea_fail(err, status, "%s \"%s\": must be %s, is %s", what, name, fovea_dtype_name(array->dtype),
                          type_text(got, sizeof got, t->dtype));
    if (!same_shape(t, array)) {
        bool readable = t->ndim >= 0 && (t->shape || t->ndim == 0);
        return fovea_fail(err, status, "%s \"%s\": must have shape %s, has %s", what, name,
                          fovea_shape_text(want, sizeof want, array->shape, array->rank),
                          readable ? fovea_shape_text(got, sizeof got, t->shape, t->ndim) : "no shape");
    }
    if (!is_dense(t))
        return fovea_fail(err, status, "%s \"%s\": must be dense row-major, has strides %s for shape %s", what, name,
                          fovea_shape_text(got, sizeof got, t->strides, t->ndim),
                              fovea_shape_text(want, sizeof want, t->shape, t->ndim));
    if (array->bytes > 0 && !t->data) return fovea_fail(err, status, "%s \"%s\": has no data", what, name);
    char *first = t->data ? (char *)t->data + t->byte_offset : NULL;
    if ((uintptr_t)first % (uintptr_t)fovea_dtype_size(array->dtype) != 0)
        return fovea_fail(err, status, "%s \"%s\": data is not aligned to its element of %" PRId64 " bytes", what, name,
                          fovea_dtype_size(array->dtype));
    *data = first;
    return FOVEA_OK;
}

fovea_status fovea_index_check(const fovea_array *array, const void *data, const char *what, fovea_status status,
                               fovea_error *err) {
    if (array->index_bound <= 0 || array->dtype != FOVEA_I32) return FOVEA_OK;
    const int32_t *v = data;
    int64_t n = array->bytes / (int64_t)sizeof *v;
    for (int64_t i = 0; i < n; i++) {
        if (v[i] >= 0 && v[i] < array->index_bound) continue;
        int64_t at[FOVEA_MAX_RANK], rest = i;
        char text[256];
        for (int32_t d = array->rank - 1; d >= 0; d--) {
            at[d] = rest % array->shape[d];
            rest /= array->shape[d];
        }
        return fovea_fail(err, status, "%s \"%s\": element %s is %" PRId32 ", an index must be in 0..%" PRId64, what,
                          array->name, fovea_shape_text(text, sizeof text, at, array->rank), v[i],
                          array->index_bound - 1);
    }
    return FOVEA_OK;
}
