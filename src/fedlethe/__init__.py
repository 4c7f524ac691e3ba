# SPDX-License-Identifier: MIT
"""fedlethe: train one medical-imaging model across hospitals, and take a hospital back out of it.

What is named here is the public face, and stays; everything else may change at any time. Names are imported when they
are asked for; so are `fedlethe.results`, which lists what its functions return, and `fedlethe.testing`, for who writes
a method, a model or an audit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedlethe import results as results
    from fedlethe import testing as testing
    from fedlethe.audit import AUDITS as AUDITS
    from fedlethe.data import DATASETS as DATASETS
    from fedlethe.erasing.plan import ErasurePlan as ErasurePlan
    from fedlethe.errors import ConfigError as ConfigError
    from fedlethe.errors import DataError as DataError
    from fedlethe.errors import FedletheError as FedletheError
    from fedlethe.errors import HistoryError as HistoryError
    from fedlethe.errors import IntegrityError as IntegrityError
    from fedlethe.errors import NodeError as NodeError
    from fedlethe.errors import RequestError as RequestError
    from fedlethe.federation.aggregator import AGGREGATORS as AGGREGATORS
    from fedlethe.models import MODELS as MODELS
    from fedlethe.public.data_functions import cache_content as cache_content
    from fedlethe.public.data_functions import clear_cache as clear_cache
    from fedlethe.public.data_functions import inspect_data as inspect_data
    from fedlethe.public.functions import compare as compare
    from fedlethe.public.functions import new_key as new_key
    from fedlethe.public.functions import open_run as open_run
    from fedlethe.public.functions import train as train
    from fedlethe.public.functions import verify as verify
    from fedlethe.public.run_handle import Run as Run
    from fedlethe.unlearning import METHODS as METHODS
    from fedlethe.version import __version__ as __version__

_PLACES = {
    "AGGREGATORS": "federation.aggregator",
    "AUDITS": "audit",
    "ConfigError": "errors",
    "DATASETS": "data",
    "DataError": "errors",
    "ErasurePlan": "erasing.plan",
    "FedletheError": "errors",
    "HistoryError": "errors",
    "IntegrityError": "errors",
    "METHODS": "unlearning",
    "MODELS": "models",
    "NodeError": "errors",
    "RequestError": "errors",
    "Run": "public.run_handle",
    "cache_content": "public.data_functions",
    "clear_cache": "public.data_functions",
    "compare": "public.functions",
    "inspect_data": "public.data_functions",
    "new_key": "public.functions",
    "open_run": "public.functions",
    "train": "public.functions",
    "verify": "public.functions",
}

__all__ = [*_PLACES]


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name in ("results", "testing"):
        from importlib import import_module

        return import_module(f"fedlethe.{name}")
    # Here, and not above: nothing of fedlethe is imported before `__main__` listens to Ctrl-C.
    from fedlethe.later import names_from

    return names_from(__name__, {**_PLACES, "__version__": "version"})(name)


def __dir__() -> list[str]:
    """The public face."""
    return [*_PLACES, "__version__"]
