# SPDX-License-Identifier: MIT
"""What runs at the server: what the run config's mode says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fedlethe.config.learning import LearnerName
from fedlethe.document import construct
from fedlethe.errors import ConfigError, FedletheError
from fedlethe.flower.app.client_app import app_document
from fedlethe.flower.app.mode_audit import audit_mode
from fedlethe.flower.app.mode_erase import erase_mode, retrain_mode
from fedlethe.flower.app.mode_train import train_mode
from fedlethe.flower.app.session import LOG, Options, Session

MODES: dict[str, Callable[[Session], None]] = {
    "train": train_mode,
    "closed-form": train_mode,
    "erase": erase_mode,
    "retrain": retrain_mode,
    "audit": audit_mode,
}


def server_app(config: Path) -> ServerApp:
    """The app of the server.

    Args:
        config: The federation's configuration, a TOML file as for `fedlethe train`, shipped with the app.

    Returns:
        A ServerApp that does what the run config's `mode` says (see `Options`).
    """
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        try:
            options = construct(Options, _underscored(context.run_config), "run config")
            if options.mode not in MODES:
                raise ConfigError(f"run config: no mode '{options.mode}'; there is {', '.join(MODES)}")
            learner: LearnerName | None = "closed-form" if options.mode == "closed-form" else None
            document = app_document(config, context.run_config, learner)
            session = Session(grid=grid, options=options, document=document, flower_run=context.run_id)
            MODES[options.mode](session)
        except FedletheError as error:
            LOG.error("fedlethe: %s", error)
            raise SystemExit(2) from None

    return app


def _underscored(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("-", "_"): value for name, value in values.items()}
