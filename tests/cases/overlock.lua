-- OverLoCK: the focus block with ContMix.
local c = config
local x, context = require "backbones/parts/overlock".focus(input("x", "b c h w"), input("h", "b c h w"),
  input("r", "b c h w"), "", { kernel = c.kernel_size, small = c.smk_size, heads = c.num_heads, mlp_ratio = c.mlp_ratio,
  first = c.is_first, eps = c.norm_eps, bn_eps = c.bn_eps })
if c.is_last then output("output", concat("c", { x, context }), "b c h w")
else output("output", x, "b c h w") output("context", context, "b c h w") end
