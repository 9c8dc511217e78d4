"""Foundry's speed compared with its peers: measured in turns, stored as ratios.

    make bench [ONLY="features validation"]     # measures; writes results/<benchmark>.json and docs/benchmarks.md
    make bench-check [ONLY=…]                   # measures the quick rows again; fails if a ratio has fallen

A benchmark is a module of this package, named in `benchmarks.__main__.BENCHMARKS`, with one function:

    def rows(market_data: Path, peers: Path, *, quick: bool) -> Iterator[Row]

market_data: folder of real prices. peers: Python interpreter of the peers' environment. quick: yield only the rows that
`make bench-check` compares (`Row.quick`), with equal names and methods; all quick rows of a benchmark take a minute or two.
A row (`benchmarks.row`) has the name of the measurement, the peer, ours, theirs, the ratio theirs / ours (more is better),
and its bars, if any.

Both sides take turns (`taking_turns`), ours, theirs, ours, theirs, so that a slower machine slows both. The ratio is the
median over the pairs. Quick rows count CPU seconds if possible (`cpu_timed`, `Peer.cpu_seconds`), since other programs
hardly disturb them. Peers run in a separate process that keeps its data between turns. A measurement without a peer is
compared with work that is needed anyway: a copy, an import, fewer rows.

The other programs of this folder have bars but no peer. Each docstring shows the command.
"""
