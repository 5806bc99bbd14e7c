-- AFFNet: adaptive frequency filter (a mask made from the spectrum multiplies the spectrum) and its block
local function filter(x, name)
  local X = rfft2(x, "h", "w"):split"c = g=8 ci"
  local function complex_linear(Y, i)
    return cmul(Y, param(name .. ".w" .. i, "z=2 g ci co"), "ci"):as"co=ci" + param(name .. ".b" .. i, "z=2 g ci") end
  local M = softshrink(complex_linear(silu(complex_linear(X, 1)), 2), 0.01)
  return irfft2(cmul(M, X):merge"c = g ci", "h", "w", x.w) + x
end

local function conv_bn(x, name) return batch_norm(conv2d(x, name .. ".block.conv"), name .. ".block.norm", 1e-5) end

local function mbconv(x, name)
  local y = silu(conv_bn(silu(conv_bn(x, name .. ".exp_1x1")), name .. ".conv_3x3"))
  return x + conv_bn(y, name .. ".red_1x1")
end

local function block(x, name)
  local y = mbconv(group_norm(x, name .. ".norm1", 1e-5, 1), name .. ".mlp.block")
  return filter(group_norm(y, name .. ".norm2", 1e-5, 1), name .. ".filter") + x
end

local x = input("input", "b c h w")
output("output", config.mlp_ratio and block(x, "") or filter(x, ""), "b c h w")
