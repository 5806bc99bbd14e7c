/* Looking at nodes of a pickle's tree. Invariant: nothing here follows a node more than one step. */
#include "io/pickle.h"

#include <string.h>

const char *fv_pv_kind_name(fv_pv_kind kind) {
    switch (kind) {
    case FV_PV_NONE: return "None";
    case FV_PV_BOOL: return "a bool";
    case FV_PV_INT:
    case FV_PV_LONG: return "a whole number";
    case FV_PV_FLOAT: return "a float";
    case FV_PV_TEXT: return "a text";
    case FV_PV_BYTES: return "bytes";
    case FV_PV_TUPLE: return "a tuple";
    case FV_PV_LIST: return "a list";
    case FV_PV_SET: return "a set";
    case FV_PV_DICT: return "a dict";
    case FV_PV_GLOBAL: return "a class or function";
    case FV_PV_CALL: return "an object";
    case FV_PV_STORED: return "a storage";
    }
    return "nothing";
}

bool fv_pv_is_text(const fv_pv *v, const char *text) {
    return v && v->kind == FV_PV_TEXT && v->u.text.n == strlen(text) && memcmp(v->u.text.p, text, v->u.text.n) == 0;
}

const char *fv_pv_callee(const fv_pv *v) {
    return v && v->kind == FV_PV_CALL && v->u.call->callee->kind == FV_PV_GLOBAL ? v->u.call->callee->u.name : "";
}
