/* Inside a safetensors file: shared by its parser, reader and writer. */
#ifndef FOVEA_STORED_H
#define FOVEA_STORED_H
#include "safetensors.h"

typedef struct { const char *key, *value; size_t at; } fovea_pair;
/* at: the byte of its name in the file */
typedef struct { fovea_stored t; int64_t begin, end; size_t at; } fovea_entry;

struct fovea_safetensors {
    const char *label;                   /* starts messages; owned if mapped */
    char *owned_label;
    const unsigned char *bytes;
    size_t size;
    void *map;                           /* NULL: the caller's memory */
    fovea_entry *entries;                /* in the order of the data */
    int32_t n, cap;
    int32_t *by_name;                    /* indices into entries */
    fovea_pair *pairs;                   /* metadata, sorted by key */
    int32_t n_pairs, cap_pairs;
    char *pool;                          /* decoded strings */
};

/* Parses the header into entries, pairs and pool: grammar and each entry by itself. header: its first byte is byte 8
 * of the file. */
fovea_status fovea_header_parse(fovea_safetensors *f, const char *header, size_t n, fovea_error *err);

/* Length of the UTF-8 sequence at s (1..4), 0 if there is no valid one within n bytes. */
size_t fovea_utf8_length(const unsigned char *s, size_t n);
#endif
