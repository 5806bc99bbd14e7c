/* Whether two graphs of one spec are the same but for an extent: their texts are compared. */
#include "graph/private.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool part_of_name(char c) { return isalnum((unsigned char)c) || c == '_' || c == '\''; }
/* Behind the number that both stand in, if it is an extent and theirs; else false. */
static bool over_extent(const char *const from[2], const char *at[2], const int64_t extent[2]) {
    const char *behind[2];
    for (int i = 0; i < 2; i++) {
        const char *s = at[i];
        char *end;
        while (s > from[i] && isdigit((unsigned char)s[-1])) s--;
        if (s == from[i] || s[-1] != '=' || !isdigit((unsigned char)*s) || strtoll(s, &end, 10) != extent[i])
            return false;
        behind[i] = end;
    }
    memcpy(at, behind, sizeof behind);
    return true;
}
/* The coordinate of an axis of extent 1 is 0: behind both where one says 0 and the other names such an axis, which
 * stands in the line before it. */
static bool over_coordinate(const char *const from[2], const char *at[2], const int64_t extent[2]) {
    for (int one = 0; one < 2; one++) {
        const char *s[2], *line;
        size_t n[2];
        int other = 1 - one;
        char axis[80];
        if (extent[one] != 1) continue;
        for (int i = 0; i < 2; i++) {
            for (s[i] = at[i]; s[i] > from[i] && part_of_name(s[i][-1]);) s[i]--;
            for (n[i] = 0; part_of_name(s[i][n[i]]);) n[i]++;
        }
        if (n[one] != 1 || *s[one] != '0' || !n[other] || n[other] > 40 || isdigit((unsigned char)*s[other])) continue;
        for (line = s[other]; line > from[other] && line[-1] != '\n';) line--;
        snprintf(axis, sizeof axis, "%.*s=%lld", (int)n[other], s[other], (long long)extent[other]);
        for (const char *f = line; (f = strstr(f, axis)) && f < s[other]; f++) {
            if (f == from[other] || part_of_name(f[-1]) || isdigit((unsigned char)f[strlen(axis)])) continue;
            for (int i = 0; i < 2; i++) at[i] = s[i] + n[i];
            return true;
        }
    }
    return false;
}
const fv_node *fv_graph_differs(const fv_graph *a, const fv_graph *b, int64_t of_a, int64_t of_b) {
    fv_buf text[2] = {{0}, {0}};
    const int64_t extent[2] = {of_a, of_b};
    fv_graph_print(a, &text[0]);
    fv_graph_print(b, &text[1]);
    const char *from[2] = {text[0].text, text[1].text}, *at[2] = {from[0], from[1]};
    const fv_node *node = NULL, *other = b->n_nodes ? b->node[0] : NULL;
    while (*at[0] || *at[1]) {
        if (*at[0] == *at[1]) {
            int id = -1;
            if (at[1][0] == '\n' && !strncmp(at[1] + 1, "  _", 3)) id = atoi(at[1] + 4);
            if (id >= 0 && id < b->n_values) other = b->value[id]->node;
            at[0]++;
            at[1]++;
        } else if (!over_extent(from, at, extent) && !over_coordinate(from, at, extent)) {
            node = other;
            break;
        }
    }
    fv_buf_dispose(&text[0]);
    fv_buf_dispose(&text[1]);
    return node;
}
