/* Dense attention of 70 queries over 400 keys, as the text of a graph's first five nodes: _4 is its result. */
#ifndef FV_TEST_DENSE_GRAPH_H
#define FV_TEST_DENSE_GRAPH_H
#define DENSE_ATTEND                                                                                                   \
    "graph \"dense\" {\n"                                                                                              \
    "  _0 : f32[m=70 d=8] = input \"q\" stored \"m d\"\n"                                                              \
    "  _1 : f32[n=400 d=8] = input \"k\" stored \"n d\"\n"                                                             \
    "  _2 : f32[n=400 e=20] = input \"v\" stored \"n e\"\n"                                                            \
    "  _3 : f32[m=70 n=400] = placeholder \"raw\"\n"                                                                   \
    "  _4 : f32[m=70 e=20] = attend q _0 dot [d=8] {\n"                                                                \
    "    set over [n=400] k _1 v _2 raw _3 score _3\n"                                                                 \
    "    softmax\n"                                                                                                    \
    "  }\n"
#endif
