"""Every command, in the order of `foundry --help`. Each module loads what is heavy only when its command runs."""

from foundry_tasks.cli import champion, check, conf_options, gc, ledger, run, stages, summary, trials, verify
from foundry_tasks.cli.command import Command

COMMANDS: tuple[Command, ...] = (
    *run.COMMANDS,
    *check.COMMANDS,
    *conf_options.COMMANDS,
    *summary.COMMANDS,
    *ledger.COMMANDS,
    *trials.COMMANDS,
    *gc.COMMANDS,
    *verify.COMMANDS,
    *champion.COMMANDS,
    *stages.COMMANDS,
)
