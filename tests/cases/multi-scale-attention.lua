-- Multi-scale self-guided attention: position attention, channel attention, semantic guidance
local function pam(x, name)
  local q, k = linear(x, name .. "query_conv", "d=" .. x.c // 8), linear(x, name .. "key_conv", "d=" .. x.c // 8)
  local o = attend{ q = q, k = k, v = linear(x, name .. "value_conv", "c=" .. x.c), over = "h w", dot = "d", scale = 1 }
  return param(name .. "gamma", "1") * o + x
end
-- softmax(-x x'): the least similar channels win
local function cam(x, name)
  local o = attend{ q = x, k = x, v = x, over = "c", dot = "h w", score = function(s) return -s end }
  return param(name .. "gamma", "1") * o + x
end
local function semantic(x, name)
  local c = config.channels
  local function two(x, name)
    for i = 0, 3, 3 do x = relu(batch_norm(conv2d(x, name .. i), name .. i + 1, config.bn_eps)) end
    return x end
  local e1 = max_pool(two(x, name .. "enc1.encode."), 2, 2)
  local e2 = max_pool(two(e1, name .. "enc2.encode."), 2, 2)
  local d2 = deconv2(two(e2, name .. "dec2.decode."), name .. "dec2.decode.6")
  d2 = resize(d2, ("h=%d w=%d"):format(e1.h, e1.w))
  return deconv2(two(d2, name .. "dec1.decode."), name .. "dec1.decode.6")
end
local x = input("x", "b c h w")
output("y", (config.channels and semantic or config.qk_dim and pam or cam)(x, ""), "b c h w")
