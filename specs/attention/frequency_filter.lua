-- Adaptive frequency filter (AFFNet, Huang et al., arXiv:2307.14008): a mask made from the spectrum multiplies it.
-- As a spec: input: b c h w; config: num_blocks (8), sparsity_threshold (0.01)
-- require "attention/frequency_filter": the function
-- Two block-diagonal complex products make the mask, SiLU and a soft threshold act on real and imaginary parts apart.
local function filter(x, name, o) -- o: blocks (8), threshold (0.01)
  local n = o.blocks or 8
  local X = rfft2(x, "h", "w"):split("c = g ci", { g = n })
  local size = { g = n, ci = X.ci, co = X.ci }
  local function complex_linear(y, i)
    y = cmul(y, param(name .. ".w" .. i, "z=2 g ci co", size), "ci"):as"co=ci"
    return y + param(name .. ".b" .. i, "z=2 g ci", size)
  end
  local mask = softshrink(complex_linear(silu(complex_linear(X, 1)), 2), o.threshold or 0.01)
  return irfft2(cmul(mask, X):merge"c = g ci", "h", "w", x.w) + x
end

if ... then return filter end
output("output", filter(input("input", "b c h w"), "", { blocks = config.num_blocks,
  threshold = config.sparsity_threshold }), "b c h w")
