"""Training speed of the deep models in sequences per second, by precision, with and without XLA, on this machine.

    KERAS_BACKEND=tensorflow python benchmarks/deep_training.py [--batch 512] [--steps 60] [--inputs 64] [--width 64] [--blocks 4]

A training step is forward, backward and update on one fixed batch. Each line of the table runs in a new process, so that its
memory is measured alone. `--peer` names the interpreter of an environment with the packages `xlstm` and `torch`; it adds
NX-AI's xLSTM with equal width, blocks, heads and steps, on its plain PyTorch kernels. The table is written to
benchmarks/deep_training.md, one section per device and backend.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

NETWORKS = ("lstm_transformer", "xlstm_ts")
PEER = "NX-AI xlstm"
PRECISIONS = ("float32", "bfloat16", "float16")
TABLE = Path(__file__).with_suffix(".md")
HEAD = ("network", "precision", "XLA", "sequences a second", "step, ms", "peak memory, MB")


def main() -> None:
    """Measure every line; print and store the table."""
    options = _options()
    if options.line:
        print(json.dumps(_measure(options, *options.line.split(","))))
        return
    lines = [(name, precision, xla) for name in NETWORKS for precision in PRECISIONS for xla in _xla(name)]
    if options.peer:
        lines += [(PEER, precision, "no") for precision in PRECISIONS[:2]]
    rows, device = [], ""
    for line in lines:
        found = _in_its_own_process(line, options.peer if line[0] == PEER else sys.executable)
        device = found.pop("device", device)
        rows.append([*line, *found.values()])
        print(" · ".join(map(str, rows[-1])), flush=True)
    size = f"{options.batch} × {options.steps} steps × {options.inputs} inputs"
    shape = f"batch {size}, width {options.width}, {options.blocks} blocks"
    title = f"## {device}, {os.environ.get('KERAS_BACKEND', 'tensorflow')}"
    _keep(title, "\n".join([title, "", shape, "", _markdown(rows)]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("batch", 512), ("steps", 60), ("inputs", 64), ("width", 64), ("blocks", 4), ("seconds", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--peer", help="interpreter of an environment with torch and xlstm")
    parser.add_argument("--line", help="measure this one alone: network,precision,XLA")
    return parser.parse_args()


def _xla(network: str) -> tuple[str, ...]:
    """Settings of XLA: JAX always compiles; TensorFlow can, except for Keras' LSTM."""
    if os.environ.get("KERAS_BACKEND") == "jax":
        return ("yes",)
    return ("no",) if network == "lstm_transformer" else ("no", "yes")


def _in_its_own_process(line: tuple[str, str, str], python: str) -> dict[str, Any]:
    command = [python, *sys.argv, "--line", ",".join(line)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - this program
    if ended.returncode:
        why = [line for line in ended.stderr.splitlines() if re.match(r"\w*Error: ", line)]
        return {"sequences": "failed", "step": why[-1] if why else f"exit code {ended.returncode}", "memory": "–"}
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def _measure(options: argparse.Namespace, network: str, precision: str, xla: str) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415 - the parent process does not need it

    rng = np.random.default_rng(0)
    windows = rng.normal(size=(options.batch, options.steps, options.inputs)).astype(np.float32)
    target = np.stack([rng.integers(0, 2, options.batch), np.zeros(options.batch)], axis=1).astype(np.float32)
    if network == PEER:
        step, device, peak = _peer_step(options, precision, windows, target[:, :1])
    else:
        step, device, peak = _keras_step(options, network, precision, windows, target, jit=xla == "yes")
    step()
    step()
    steps, started = 0, time.perf_counter()
    while time.perf_counter() - started < options.seconds or steps < 3:
        step()
        steps += 1
    seconds = (time.perf_counter() - started) / steps
    return {
        "device": device,
        "sequences": round(options.batch / seconds),
        "step": round(1000 * seconds, 1),
        "memory": round(peak() / 2**20),
    }


def _keras_step(
    options: argparse.Namespace, network: str, precision: str, windows: Any, target: Any, *, jit: bool
) -> Any:
    import foundry_tasks.models.deep.keras_backend  # noqa: F401, PLC0415 - before Keras

    # isort: split
    import keras  # noqa: PLC0415

    from foundry_tasks.models.deep.deep_classifier import NETWORKS as BUILT  # noqa: PLC0415
    from foundry_tasks.models.deep.losses import loss_named  # noqa: PLC0415

    if precision != "float32":
        keras.config.set_dtype_policy(f"mixed_{precision}")
    shape = {"steps": options.steps, "inputs": options.inputs, "width": options.width, "blocks": options.blocks}
    model = BUILT[network].build(**shape)
    model.compile(
        keras.optimizers.AdamW(1e-3, global_clipnorm=1.0), {"sign": loss_named("cross_entropy")}, jit_compile=jit
    )
    device, peak = _device()
    return lambda: float(model.train_on_batch(windows, {"sign": target})), device, peak


def _device() -> Any:
    """Name of the device, and a function for the peak memory: of the GPU, else of this process."""
    import keras  # noqa: PLC0415

    from foundry_tasks.models.deep.training import gpus  # noqa: PLC0415

    if not gpus():
        return f"CPU, {os.cpu_count()} cores", _resident
    if keras.backend.backend() == "jax":
        import jax  # noqa: PLC0415

        one = jax.devices()[0]
        return one.device_kind, lambda: one.memory_stats()["peak_bytes_in_use"]
    import tensorflow as tf  # noqa: PLC0415

    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    return details["device_name"], lambda: tf.config.experimental.get_memory_info("GPU:0")["peak"]


def _resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _peer_step(options: argparse.Namespace, precision: str, windows: Any, target: Any) -> Any:
    """A training step of NX-AI's block stack between two linear layers; its second block is an sLSTM."""
    import torch  # noqa: PLC0415
    import xlstm  # noqa: PLC0415

    device = "cuda" if torch.cuda.is_available() else "cpu"
    stack = xlstm.xLSTMBlockStack(
        xlstm.xLSTMBlockStackConfig(
            mlstm_block=xlstm.mLSTMBlockConfig(mlstm=xlstm.mLSTMLayerConfig(num_heads=2)),
            slstm_block=xlstm.sLSTMBlockConfig(slstm=xlstm.sLSTMLayerConfig(backend="vanilla", num_heads=2)),
            context_length=options.steps, num_blocks=options.blocks, embedding_dim=options.width, slstm_at=[1],
        )
    )  # fmt: skip
    into, head = torch.nn.Linear(options.inputs, options.width), torch.nn.Linear(options.width, 1)
    model = torch.nn.ModuleList([into, stack, head]).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    x, y = torch.as_tensor(windows, device=device), torch.as_tensor(target, device=device)

    def step() -> float:
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            logits = head(stack(into(x))[:, -1])
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return float(loss.item())

    if device == "cuda":
        return step, torch.cuda.get_device_name(), torch.cuda.max_memory_allocated
    return step, f"CPU, {os.cpu_count()} cores", _resident


def _markdown(rows: list[list[Any]]) -> str:
    lines = [HEAD, ["---"] * len(HEAD), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _keep(title: str, section: str) -> None:
    """Write the section; replaces an earlier one of the same device and backend."""
    sections = TABLE.read_text().split("\n\n## ") if TABLE.exists() else ["# What the deep models learn in a second"]
    kept = [sections[0], *(f"## {one}" for one in sections[1:] if not f"## {one}".startswith(title))]
    TABLE.write_text("\n\n".join(part.strip() for part in [*kept, section]) + "\n")


if __name__ == "__main__":
    main()
