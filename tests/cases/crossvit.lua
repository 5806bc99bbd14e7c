-- CrossViT: two branches of different width; the class token of each looks once at the other's patches.    x: b n c
local eps = config.eps
local function block(x, name, heads)
  local y = layer_norm(x, name.."norm1", eps)
  local q, k, v = linear(y, name.."attn.qkv", ("part=3 head=%d d"):format(heads)):parts"part"
  local o = attend{ q = q, k = k, v = v, over = "n", dot = "d" }
  x = (x + linear(o:merge"c = head d", name.."attn.proj", "c"))
  y = gelu(linear(layer_norm(x, name.."norm2", eps), name.."mlp.fc1", "c"))
  return (x + linear(y, name.."mlp.fc2", "c"))
end

local function cross(x, name, heads)                                       -- b n c -> b c: token 0 asks, all answer
  local y = layer_norm(x, name.."norm1", eps)
  local function proj(x, part) return linear(x, name.."attn."..part, ("head=%d d"):format(heads)) end
  local o = attend{ q = proj(y{ n = 0 }, "wq"), k = proj(y, "wk"), v = proj(y, "wv"), over = "n", dot = "d" }
  return (x{ n = 0 } + linear(o:merge"c = head d", name.."attn.proj", "c"))
end

local function change(x, name) return linear(gelu(layer_norm(x, name..".0", eps)), name..".2", "c") end
local function with_class(c, x) return concat("n", { c:along"n=1", x:slice{ n = {1, x.n - 1} } }) end

local function multiscale(x, name)                                         -- x: two branches
  for i = 1, 2 do for j = 1, config.depth[i] do
    x[i] = block(x[i], name..("blocks.%d.%d."):format(i - 1, j - 1), config.num_heads[i]) end end
  local function fuse(i, j)
    local c = change(x[i]{ n = 0 }, name.."projs."..i - 1)
    c = cross(with_class(c, x[j]), name..("fusion.%d."):format(i - 1), config.num_heads[j])
    return with_class(change(c, name.."revert_projs."..i - 1), x[i])
  end
  return fuse(1, 2), fuse(2, 1)
end

if config.patches then
  local small, large = multiscale({ input("small", "b n c"), input("large", "b n c") }, "")
  output("small_out", small, "b n c")
  output("large_out", large, "b n c")
else output("y", cross(input("x", "b n c"), "", config.num_heads), "b 1 c") end
