-- LSNet: large-kernel perception makes the weights of a small-kernel aggregation; attention; the block around them
-- (x: b h w c)
local function conv_bn(x, name) return batch_norm(conv2d(x, name .. ".c"), name .. ".bn", 1e-5) end

local function ls_conv(x, name)
  local G = x.c // 8                                                 -- weight maps; channel c uses map c mod G
  local w = relu(conv_bn(x, name .. ".lkp.cv1"))
  w = relu(conv_bn(conv_bn(w, name .. ".lkp.cv2"), name .. ".lkp.cv3"))
  w = group_norm(linear(w, name .. ".lkp.cv4", "c"), name .. ".lkp.norm", 1e-5, G):split"c = g u=3 v=3"
  local near = window{ h = "u=3", w = "v=3", border = 0 }
  local y = contract(near(x:split("c = r g", { g = G })), w, "u v"):merge"c = r g"
  return batch_norm(y, name .. ".bn", 1e-5) + x
end

local function attention(x, name, heads, d, d_v)
  local qkv, by_head = conv_bn(x, name .. ".qkv"), split("c = head d", { head = heads })
  local q = by_head(conv_bn(qkv:slice{ c = {0, heads * d} }, name .. ".dw"))
  local k, v = by_head(qkv:slice{ c = {heads * d, heads * d} }), by_head(qkv:slice{ c = {2 * heads * d, heads * d_v} })
  local bias = param(name .. ".attention_biases", "head (y x)", { x = x.w })            -- by |dy|, |dx|
  local h, m = x:pair"h"
  local w, n = x:pair"w"
  local o = attend{ q = q, k = k, v = v, over = "h w", dot = "d",
    score = function(s) return s * d^-0.5 + bias{ y = abs(h - m), x = abs(w - n) } end }
  return conv_bn(relu(o:merge"c = head d"), name .. ".proj.1")
end

local function squeeze_excite(x, name)
  return x * sigmoid(linear(relu(linear(x:mean"h w", name .. ".fc1", "c")), name .. ".fc2", "c")) end

local function block(x, name, even, last, a)
  if even then x = squeeze_excite((conv_bn(x, name .. ".mixer.conv") + conv_bn(x, name .. ".mixer.conv1") + x),
    name .. ".se")
  elseif last then x = x + attention(x, name .. ".mixer.m", a.heads, a.d, a.d_v)
  else x = ls_conv(x, name .. ".mixer") end
  x = x
  return x + conv_bn(relu(conv_bn(x, name .. ".ffn.m.pw1")), name .. ".ffn.m.pw2")
end

local c, x = config, input("input", "b c h w")
local y = c.lks and ls_conv(x, "") or c.key_dim and attention(x, "", c.num_heads, c.key_dim, c.d_v)
  or block(x, "", c.depth_index % 2 == 0, c.stage == 3)
output("output", y, "b c h w")
