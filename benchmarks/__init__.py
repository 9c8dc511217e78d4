"""How fast the foundry is beside what people use instead: measured in turns, kept as ratios.

    make bench [ONLY="features validation"]     # measures; writes results/<benchmark>.json and docs/benchmarks.md
    make bench-check [ONLY=…]                   # measures the quick rows again; fails where a ratio has fallen

A benchmark is a module of this package, named in `benchmarks.__main__.BENCHMARKS`, with one function:

    def rows(market_data: Path, peers: Path, *, quick: bool) -> Iterator[Row]

market_data: the folder of real prices. peers: the interpreter of the environment that holds what we are compared with.
quick: give only the rows that `make bench-check` compares (`Row.quick`), named as in the whole and measured alike; all those
of a benchmark take a minute or two. A row (`benchmarks.row`) says what was measured, beside what, ours, theirs and their
ratio, theirs over ours, so that more is better, and its bars if it has any.

Contestants take turns (`taking_turns`), ours, theirs, ours, theirs, so that a machine that slows down slows both down, and
the ratio is the median over the pairs. Where a quick row can, it counts seconds of CPU (`cpu_timed`, `Peer.cpu_seconds`),
which other programs on the machine hardly disturb. Peers run in a process of their own, which keeps its data between turns.
What has no peer stands beside work that has to be done anyway: a copy, an import, fewer rows.

The other programs of this folder have bars and no peer; each says how it is run.
"""
