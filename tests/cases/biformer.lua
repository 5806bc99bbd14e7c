-- BiFormer: bi-level routing attention (published weights), the global attention of stage 4, the block.    x: b h w c
local function crop(x, h, w) return x:slice{ h = {0, h}, w = {0, w} } end

local function routed(x, name)
  local S, H, W = config.n_win, x.h, x.w
  local tile, heads = split("h = hb hi, w = wb wi", { hb = S, wb = S }), split("c = head d",
    { head = config.num_heads })
  -- padded tokens are real: q = k = v = bias
  if config.auto_pad then x = x:pad{ h = {0, -H % S}, w = {0, -W % S}, border = 0 } end
  local qi, ki, vi = linear(x, name..".qkv.qkv", "part=3 c"):parts"part"
  local q, k, v = tile(qi), tile(ki), tile(vi)
  local logits = contract(q:mean"hi wi", k:mean"hi wi":as"hb=rh wb=rw", "c")
  local rh, rw = top(logits, "rh rw", config.topk)                                      -- b hb wb top
  rh, rw = rh, rw
  local pick = gather{ hb = rh, wb = rw }
  local near = function(x) return pick(heads(x)):as"hi=ki wi=kj" end
  local o = attend{ q = heads(q), k = near(k), v = near(v), over = "top ki kj", dot = "d", scale = config.qk_scale }
  local y = o:merge"h = hb hi, w = wb wi, c = head d" + conv2d(vi, name..".lepe")
  return crop(linear(y, name..".wo", "c"), H, W), rh * S + rw
end

local function global(x, name)
  local q, k, v = linear(x, name..".qkv", ("part=3 head=%d d"):format(config.num_heads)):parts"part"
  local o = attend{ q = q, k = k, v = v, over = "h w", dot = "d", scale = config.qk_scale }
  return linear((o:merge"c = head d" + conv2d(x, name..".lepe")), name..".proj", "c")
end

local function block(x, name)
  x = (x + conv2d(x, name..".pos_embed"))
  x = (x + routed(layer_norm(x, name..".norm1", config.norm_eps), name..".attn"))
  local z = gelu(linear(layer_norm(x, name..".norm2", config.norm_eps), name..".mlp.0", "c"))
  return x + linear(z, name..".mlp.3", "c")
end

if config.module == "Block" then output("output", block(input("input", "b c h w"), ""), "b c h w")
elseif config.module == "AttentionLePE" then output("output", global(input("input", "b h w c"), ""), "b h w c")
else
  local y, region = routed(input("input", "b h w c"), "")
  output("output", y, "b h w c")
  local _, sorted = sort(region, "top")
  output("routing", sorted, "b (hb wb) top")
end
