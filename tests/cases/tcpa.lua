-- TCPA: a ViT block whose tokens also see prompts; each token keeps the weights of its own prompts only.    x: b n c
local function spectrum(x)                                        -- real part of the 2-D Fourier transform over p and c
  local function waves(a) return turn(0 - x:index(a) * x:index(a):as(a.."="..a.."'"), x[a]) end
  return cmul(contract(x, waves"c", "c"), waves"p", "p"){ z = 0 }:as"p'=p c'=c"
end
local function pool(kind, layer)                                  -- keys: pool c;  prompts: pool len c
  return function() return param("Pool.Pool_"..kind..".keys", "layer pool c"){ layer = layer } end,
    param("Pool.Pool_"..kind..".prompts", "layer pool len c"){ layer = layer }
end
-- which prompts a token keeps: those of its k nearest keys
local function shown(x, keys, prompts, k)
  local all = lift(1):along(("b=%d pool=%d"):format(x.b, prompts.pool))
  if config.TDVP then
    local eps = config.normalize_eps
    local near = top(contract(unit(x, "c", eps), unit(keys(), "c", eps), "c"), "pool", k)
    all = eq(near, axis("pool", prompts.pool)):any"top"
  end
  return all:along("len="..prompts.len):merge"p = pool len"
end

local function block(x, layer)
  local name = ("backbone.blocks.%d"):format(layer)
  local cls_keys, cls = pool("cls", layer)
  local image_keys, image = pool("image", layer)
  local E = spectrum(concat("p", { cls:merge"p = pool len", image:merge"p = pool len" }))
  -- keep: b n p
  local c = shown(x:slice{ n = {0, 1} }, cls_keys, cls, config.topk_cls)
  local i = shown(x:slice{ n = {1, x.n - 1} }, image_keys, image, config.topk_image)
  c, i = c:along"n=1", i:along("n="..x.n - 1)
  local keep = concat("n", { c:pad{ p = {0, i.p}, border = 0 }, i:pad{ p = {c.p, 0}, border = 0 } })

  local qkv = ("part=3 head=%d d"):format(config.num_heads)
  local q, k, v = linear(layer_norm(x, name..".norm1", config.eps), name..".attn.qkv", qkv):parts"part"
  local _, kp, vp = linear(layer_norm(E, name..".norm1", config.eps), name..".attn.qkv", qkv):parts"part"
  local o = attend{ q = q, dot = "d", { k = k, v = v, over = "n" },
    { k = kp, v = vp, over = "p", weight = function(w) return w * keep end } }
  x = (x + linear(o:merge"c = head d", name..".attn.proj", "c"))
  local z = gelu(linear(layer_norm(x, name..".norm2", config.eps), name..".mlp.fc1", "c"))
  return x + linear(z, name..".mlp.fc2", "c"), keep:pad{ p = {1, x.n - 1}, border = 1 }
end

local function image_prompt(x, name)
  local z = conv2d(x, name..".0")
  return x + conv2d(where(lt(z, 0), z * param(name..".1.weight", "1"), z), name..".2")
end

if config.patch then output("output", image_prompt(input("input", "b c h w"), "Prompter.Prompter"), "b c h w")
else
  local y, mask = block(input("tokens", "b n c"), config.layer)
  output("output", y, "b n c")
  output("mask", mask, "b n p")
end
