/* How a body reads: factors of a product, and where each kernel axis stands in each address. Strategies choose lanes
 * and rows from this alone. */
#ifndef FV_LOWER_OPERANDS_H
#define FV_LOWER_OPERANDS_H
#include "lower/internal.h"

enum { LOWER_MAX_FACTORS = 8 };
typedef struct {
    int n;
    const fv_expr *factor[LOWER_MAX_FACTORS];
    const fv_expr *where; /* what the factors' zero fills and selections demand; NULL: nothing */
} lower_product;
/* Splits a product into factors. Reads filled with 0 and where(p, x, 0) move their condition into `where`: an excluded
 * point contributes nothing to a sum. */
lower_product lower_factors(lower *l, const fv_facts *f, const fv_expr *body);
/* e with a fill of 0 at every READ that may leave its value: safe where the condition that lower_factors took out does
 * not hold. */
const fv_expr *lower_filled(lower *l, const fv_facts *f, const fv_expr *e);

/* Coefficient of axis `a` in the addresses of all READs of placed values in e: 0 where it does not occur, the
 * coefficient where all that have it agree and are affine in it, LOWER_IRREGULAR otherwise. Reads of prepared values
 * can be packed: they count as LOWER_PACKABLE instead of any coefficient other than 0 or 1. */
enum { LOWER_IRREGULAR = -1000001, LOWER_PACKABLE = -1000002 };
int64_t lower_coefficient(lower *l, const fv_expr *e, fv_str axis);

/* Chooses the lane axis among candidates: the axis along which most reads and the result are contiguous, absent or
 * packable, and vectors are full. reduce_from: candidates from this index on are reduced axes (a horizontal sum at the
 * end). Returns its index; -1 if none has extent > 1. */
int lower_choose_lane(lower *l, const fv_expr *const *read, int n_reads, const fv_expr *out_address,
                      const fv_axis *candidate, int n, int reduce_from);
int lower_vectors(const lower *l,
                  int64_t extent); /* vectors of a lane tile: the count that wastes least, 3 or 4 before fewer */

/* -- turn.c */
/* Copies small run-time factors of a product over `points` into the lane order of one of the free axes, where that makes
 * every address of the product run along it. */
void lower_turn_operands(lower *l, const fv_facts *f, lower_product *p, const fv_expr *out_address,
                         const fv_axis *free, int n_free, double points, fv_loc loc);
#endif
