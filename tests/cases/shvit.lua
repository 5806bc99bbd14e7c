-- SHViT: single-head attention on the first channels, the rest goes past it.    x: b h w c
local bn_eps = config.bn_eps
local function conv_bn(x, name, opt) return batch_norm(conv2d(x, name..".c", opt), name..".bn", bn_eps) end

local function shsa(x, name)
  local p, d = config.pdim, config.qk_dim
  local y, rest = x:slices("c", p, x.c - p)
  y = layer_norm(y, name.."pre_norm", config.gn_eps, "c h w")                                -- GroupNorm, one group
  local q, k, v = conv_bn(y, name.."qkv"):slices("c", d, d, p)
  local o = attend{ q = q:as"c=d", k = k:as"c=d", v = v, over = "h w", dot = "d" }
  return conv_bn(relu(concat("c", { o, rest })), name.."proj.1")
end

local function block(x, name)
  x = x + conv_bn(x, name.."conv.m")
  x = (x + shsa(x, name.."mixer.m."))
  return x + conv_bn(relu(conv_bn(x, name.."ffn.m.pw1")), name.."ffn.m.pw2")
end

local function patch_merging(x, name)
  x = relu(conv_bn(x, name.."conv1"))
  x = relu(conv_bn(x, name.."conv2", { stride = 2 }))
  local g = relu(linear(x:mean"h w", name.."se.fc1", "c"))
  return conv_bn(x * sigmoid(linear(g, name.."se.fc2", "c")), name.."conv3")
end

local x = input("x", "b c h w")
output("y", (config.out_dim and patch_merging or config.type == "s" and block or shsa)(x, ""), "b c h w")
