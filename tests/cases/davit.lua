-- DaViT: window attention without bias, channel attention (and Florence-2's variant), the spatial block.    x: b h w
-- c or b n c
local function qkv(x, name)
  return linear(x, name..".qkv", ("part=3 head=%d d"):format(config.num_heads)):parts"part"
end
local function project(o, name) return linear(o:merge"c = head d", name..".proj", "c") end

local function channel_attention(x, name)                 -- scores of channel pairs: the sum runs over all tokens n
  local q, k, v = qkv(x, name)
  local o = attend{ q = k, k = v, v = q, over = "d", dot = "n", scale = k.d^-0.5 }
  return project(o, name)
end
local function channel_attention_v2(x, name)
  local q, k, v = qkv(x, name)
  return project(attend{ q = q, k = k, v = v, over = "d", dot = "n" }, name)              -- scale n^-0.5 is the default
end

local function window_attention(x, name)
  local H, W, win = x.h, x.w, config.window_size
  -- padded tokens are real: q = k = v = bias
  x = x:pad{ h = {0, -H % win}, w = {0, -W % win}, border = 0 }
  local q, k, v = qkv(x:split("h = hb hi, w = wb wi", { hi = win, wi = win }), name)
  local o = attend{ q = q, k = k, v = v, over = "hi wi", dot = "d" }
  return project(o:merge"h = hb hi, w = wb wi", name):slice{ h = {0, H}, w = {0, W} }
end

local function block(x, name, attention)                  -- a channel block is the same over the merged map
  local function cpe(x, name) return (x + conv2d(x, name..".proj")) end
  x = cpe(x, name..".cpe1")
  x = (x + attention(layer_norm(x, name..".norm1", config.norm_eps), name..".attn"))
  x = cpe(x, name..".cpe2")
  local z = gelu(linear(layer_norm(x, name..".norm2", config.norm_eps), name..".mlp.fc1", "c"))
  return x + linear(z, name..".mlp.fc2", "c")
end

if config.module == "ChannelAttention" then output("output", channel_attention(input("input", "b n c"), ""), "b n c")
elseif config.module == "ChannelAttentionV2" then output("output", channel_attention_v2(input("input", "b n c"), ""),
  "b n c")
else output("output", block(input("input", "b c h w"), "", window_attention), "b c h w") end
