-- RISurConv: farthest points, neighbours in angular order, 14 rotation-invariant features, attention among neighbours
-- and among centres
local eps = 1e-7
local function dot(a, b) return (a * b):sum"x" end
local function length(a) return sqrt(dot(a, a)) end
local function unit(a, b) local d = a - b return d / (length(d) + eps) end
-- start: all distances equal, so point 0
local function farthest(xyz, P)
  return (scan{ over = "p=" .. P, init = xyz{ x = 0 } * 0 + 1e10, step = function(far)
    local i = argmax(far, "n")
    local d = xyz - xyz{ n = i }
    return min(far, dot(d, d)), i end}) end
local function neighbours(xyz, centre, k)
  local d = xyz:along(centre) - centre
  return (top(-dot(d, d), "n", k, "m")) end
-- by angle around the normal, from the farthest in the tangent plane
local function in_order(xyz, centre, normal, idx)
  local at = xyz{ n = idx } - centre
  local plane = (at - outer(dot(at, normal), normal))
  local len = length(plane)
  local u = where(eq(len, 0), 0, plane / len)
  local far = argmax(len, "m")
  local ref = u{ m = far }
  local s = where(eq(idx:index"m", 0) | eq(idx:index"m", far), 1, sign(dot(cross(u, ref, "x"), normal)))
  local angle = s * dot(u, ref) - (1 - s)
  return idx{ m = (sort(-angle, "m")) } end
local function features(xyz, nrm, centre, normal, idx)
  local xi, ni, np = (xyz{ n = idx } - centre), nrm{ n = idx }, normal:along(idx)
  local prev, next = roll{ m = 1 }, roll{ m = -1 }
  local x3, n3, x4, n4 = prev(xi), prev(ni), next(xi), next(ni)
  local p, p2, p3, p4, u42 = 0.0, unit(xi, 0.0), unit(x3, 0.0), unit(x4, 0.0), unit(x4, xi)
  local u23 = unit(xi, x3)
  return stack("c", { length(xi), dot(p2, np), -dot(p2, ni), dot(p2, p3), dot(p3, np), -dot(p3, n3), -dot(p3, u23),
    -dot(u23, ni), dot(u23, n3),
    dot(p4, p2), dot(p4, u42), dot(u42, n4), dot(p2, n4), dot(cross(p4, p2, "x"), cross(p3, p2, "x")) }) end

local function cbn(x, conv, bn, out, opt) return batch_norm(linear(x, conv, "c=" .. out, opt), bn, 1e-5) end
-- weights softmax over j, then divided by their sum over `per`; used transposed
local function offset_attention(x, name, over, per)
  local key = over .. "'"
  local q, k = linear(x, name .. "q_conv", "d=" .. x.c // 4, { bias = false }), linear(x, name .. "k_conv",
    "d=" .. x.c // 4, { bias = false })
  local A = softmax(contract(q, k:as(over .. "=" .. key), "d"), key)
  A = (A / (A:sum(per) + 1e-9))
  local r = contract(linear(x, name .. "v_conv", "c=" .. x.c), A, over):as(key .. "=" .. over)
  return (x + relu(cbn((x - r), name .. "trans_conv", name .. "after_norm", x.c))) end
-- x: b p m c, the gathered features; ri: b p m c
local function surface(x, ri, name, out)
  local e = cbn(cbn(ri, name .. "embedding.0", name .. "embedding.1", 32, { bias = false }), name .. "embedding.2",
    name .. "embedding.3", 64, { bias = false })
  e = offset_attention(relu(e), name .. "self_attention_0.", "m", "p")
  local y = relu(cbn(concat("c", { e, x }), name .. "risurconv.0", name .. "risurconv.1", out)):max"m"
  return offset_attention(y, name .. "self_attention_1.", "p", "p") end

if config.neighbours then return output("y", offset_attention(input("x", "b c m p"), "", "m", "p"), "b c m p") end
if config.mlp then
  local c, nc = input("points1", "b p (part=2 x=3)"):parts"part"
  local xyz, nrm = input("points2", "b n (part=2 x=3)"):parts"part"
  local idx = in_order(xyz, c, nc, neighbours(xyz, c, config.nsample))
  local y = surface(input("feature2", "b c n"){ n = idx }, features(xyz, nrm, c, nc, idx), "", config.out_channel)
  y = concat("c", { y, input("feature1", "b c p") })
  for i, out in ipairs(config.mlp) do y = relu(cbn(y, "mlp_convs." .. i - 1, "mlp_bns." .. i - 1, out)) end
  return output("feature", y, "b c p") end
local xyz, nrm = input("points", "b n (part=2 x=3)"):parts"part"
local start = farthest(xyz, config.npoint)
local c, nc = xyz{ n = start }, nrm{ n = start }
local near = neighbours(xyz, c, config.nsample)
local idx = in_order(xyz, c, nc, near)
local ri = features(xyz, nrm, c, nc, idx)
if config.out_channel then
  output("centres", c, "b p x")
  output("feature", surface(input("feature_in", "b c n"){ n = idx }, ri, "", config.out_channel), "b c p")
else output("fps", start, "b p") output("knn", near, "b p m") output("ordered", idx, "b p m") output("features", ri,
  "b p m c") end
