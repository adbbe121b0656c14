"""The worker process: the models in a process of their own, watched, and replaced when it dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Final

from cds.errors import CdsError, ConfigError, PluginError, UnusableStudy
from cds.service.analysis import (
    Analyse,
    AnalysisBroken,
    AnalysisCrashed,
    AnalysisInterrupted,
    AnalysisResult,
    defect,
)
from cds.store import Attempt

_SPAWN: Final = multiprocessing.get_context("spawn")
_LOOK_SECONDS: Final = 0.5
"""How often a wait for the worker looks whether the node is stopping."""
_LOADING_SECONDS: Final = 600.0
"""What loading the models may take at most, where the analysis itself is given less."""

Reply = tuple[str, AnalysisResult | str]


class WorkerProcess:
    """Runs analyses in a child process.

    Parameters
    ----------
    make_analyse
        Picklable; called once in the child, where it loads the models.
    timeout_seconds
        An analysis that takes longer, once the models are loaded, is ended and counts as a crash.
    """

    def __init__(self, make_analyse: Callable[[], Analyse], *, timeout_seconds: float = 3600.0) -> None:
        self._make_analyse = make_analyse
        self._timeout_seconds = timeout_seconds
        self._child: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._loading: Connection | None = None
        self._one_at_a_time = threading.Lock()
        self._stop_at: float | None = None

    def start(self) -> None:
        """Start the child, which begins to load the models at once."""
        if self._child is None or not self._child.is_alive():
            ours, theirs = _SPAWN.Pipe()
            loading, loaded = _SPAWN.Pipe(duplex=False)
            self._child = _SPAWN.Process(target=_serve, args=(theirs, loaded, self._make_analyse), daemon=True)
            self._child.start()
            theirs.close()
            loaded.close()
            self._pipe, self._loading = ours, loading

    def refusal(self) -> str:
        """Why the child could not load what the configuration names, once it has tried; else ``""``."""
        loading = self._loading
        try:
            return str(loading.recv()) if loading is not None and loading.poll() else ""
        except (EOFError, OSError):
            self._loading = None
            return ""

    def analyse(self, attempt: Attempt) -> AnalysisResult:
        """Run one analysis in the child.

        Raises
        ------
        UnusableStudy, CdsError
            As the analysis raised it.
        AnalysisInterrupted, AnalysisCrashed, AnalysisBroken
            When the node stops, the child dies or hangs, or the analysis has a defect.
        """
        with self._one_at_a_time:
            if self._stop_at is not None:
                raise AnalysisInterrupted
            self.start()
            return _opened(self._ask(attempt))

    def stop(self, grace_seconds: float) -> None:
        """Let a running analysis finish for `grace_seconds`, then end the child."""
        self._stop_at = time.monotonic() + grace_seconds
        with self._one_at_a_time:
            self._end()

    def _ask(self, attempt: Attempt) -> Reply:
        pipe = self._pipe
        if pipe is None:
            raise AnalysisInterrupted
        is_loading, deadline = True, time.monotonic() + max(_LOADING_SECONDS, self._timeout_seconds)
        try:
            pipe.send(attempt)
            while not pipe.poll(_LOOK_SECONDS):
                if is_loading and self._has_loaded():
                    is_loading, deadline = False, time.monotonic() + self._timeout_seconds
                if self._stop_at is not None and time.monotonic() >= self._stop_at:
                    self._end()
                    raise AnalysisInterrupted
                if time.monotonic() >= deadline:
                    self._end()
                    raise AnalysisCrashed(f"the analysis gave no answer within {self._timeout_seconds:g} s")
            reply: Reply = pipe.recv()
        except (EOFError, OSError):
            self._end()
            raise AnalysisCrashed("the worker process died during the analysis") from None
        return reply

    def _has_loaded(self) -> bool:
        """Whether the child has tried: then it has closed its end, with or without a refusal."""
        loading = self._loading
        return loading is None or loading.poll()

    def _end(self) -> None:
        child, self._child = self._child, None
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()
        if child is not None:
            child.kill()
            child.join()
            child.close()


def _opened(reply: Reply) -> AnalysisResult:
    kind, content = reply
    if isinstance(content, AnalysisResult):
        return content
    if kind == "unusable":
        raise UnusableStudy(content)
    if kind == "refused":
        raise AnalysisInterrupted
    if kind == "error":
        raise CdsError(content)
    raise AnalysisBroken(content)


def _serve(pipe: Connection, loaded: Connection, make_analyse: Callable[[], Analyse]) -> None:
    """Answer until the node is gone. Runs in the child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the node decides when to stop, not the terminal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=die_with_the_node, daemon=True).start()
    analyse: Analyse | None = None
    failed: Reply = ("error", "the models did not load")
    try:
        analyse = make_analyse()
    except (ConfigError, PluginError) as error:
        failed = ("refused", str(error))
        loaded.send(str(error))
    except CdsError as error:
        failed = ("error", str(error))
    except Exception as error:
        failed = ("broken", defect("loading the models", error))
    loaded.close()
    while True:
        try:
            attempt = pipe.recv()
        except EOFError:
            return
        pipe.send(_answer(analyse, attempt) if analyse else failed)


def _answer(analyse: Analyse, attempt: Attempt) -> Reply:
    try:
        result = analyse(attempt)
    except UnusableStudy as error:
        return "unusable", str(error)
    except CdsError as error:
        return "error", str(error)
    except Exception as error:
        return "broken", defect("the analysis", error)
    if not isinstance(result, AnalysisResult):
        return "error", str(PluginError("the analysis gave no AnalysisResult"))
    return "result", result


def die_with_the_node() -> None:
    """End this child process as soon as its parent is gone."""
    node = multiprocessing.parent_process()
    if node is not None:
        wait([node.sentinel])
        os._exit(1)
