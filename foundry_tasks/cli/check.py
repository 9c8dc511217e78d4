"""`foundry check`: how a price file is read and judged; nothing but the page is written."""

import argparse
import sys
from pathlib import Path

from foundry_tasks.cli.command import Command
from foundry_tasks.cli.conf_options import add_conf, conf_of
from foundry_tasks.cli.wiring import run_context
from foundry_tasks.contract.environment_variables import REPOSITORY, Settings
from foundry_tasks.contract.errors import ConfigError, DataRejectedError


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prices", metavar="PRICES", help="a file, a folder or an s3:// URI of daily prices")
    parser.add_argument(
        "--page",
        type=Path,
        default=REPOSITORY / ".foundry" / "check.html",
        help="where the page goes; default: %(default)s",
    )
    add_conf(parser, ("prices",))


def _run(options: argparse.Namespace) -> int:
    from foundry_tasks.report.price_check import as_text  # noqa: PLC0415 - as above
    from foundry_tasks.runtime.check_prices import check_prices, write_page  # noqa: PLC0415 - only who checks a file loads it

    if options.page.suffix.lower() not in {".html", ".htm"}:
        raise ConfigError(f"--page {options.page}: the page is HTML. Give a name that ends with .html.")
    settings = Settings.from_environment()
    found = check_prices(
        options.prices,
        conf_of(options),
        options.as_of,
        lambda folder: run_context(settings.model_copy(update={"store": folder})),
    )
    sys.stdout.write(as_text(found))
    try:
        sys.stdout.write(f"\npage: {write_page(found, options.page)}\n")
    except ConfigError as error:
        if found.refusal:
            raise DataRejectedError(f"{found.refusal} {error}") from error
        raise
    if found.refusal:
        raise DataRejectedError(found.refusal)
    return 0


COMMANDS = (Command("check", "say how a price file is read and judged, and run nothing", _add_arguments, _run),)
