-- HorNet: recursive gated convolution of order n, with a 7x7 depthwise convolution or the global-local filter
output("output", require "attention/recursive_gate"(input("input", "b c h w"), "", { order = config.order,
  kernel = config.kernel, filter = config.gflayer and { config.h, config.w } }), "b c h w")
