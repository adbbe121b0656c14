"""The composition root: Settings -> a pipeline, its writers, its records; and a running node."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from cds import __version__, logs, ports
from cds.config import Settings, Tables
from cds.discovery import build, installed, named
from cds.domain.evidence import Algorithm
from cds.errors import CdsError, ConfigError
from cds.pipeline import Pipeline
from cds.reading import Analysis, Reading
from cds.report.wording import impression
from cds.service import (
    AnalysisResult,
    CommitmentPolicy,
    IntakePlan,
    LatePlan,
    ListenerPlan,
    Node,
    NodePlan,
    PriorsPlan,
    RetryPolicy,
    WorkerProcess,
)
from cds.store import Attempt, Ledger

Door = TypeVar("Door")

_LOG = logging.getLogger(__name__)
SOFTWARE = Algorithm(name="cds-pacs", version=__version__)


def analysis(settings: Settings, *, records: Sequence[ports.RecordsSource] | None = None) -> Analysis:
    """Build what the configuration names.

    Parameters
    ----------
    records
        Sources to use instead of the configured ones (`cds analyze --labs`).

    Raises
    ------
    ConfigError, PluginError
        When a plugin is unknown, broken, or its table is wrong.
    """
    models = settings.models
    classes = tuple(dict.fromkeys(peer.sr_class for peer in settings.peers if peer.send_results))
    common: dict[str, object] = {"device": models.device, "data_dir": str(settings.data_dir)}
    common |= {"sr_classes": classes} if classes else {}
    _refuse_stray_tables(settings)

    def several(group: str, names: Iterable[str], door: type[Door], tables: Tables) -> tuple[Door, ...]:
        return tuple(build(group, name, door, tables.get(name, {}), common) for name in names)

    if records is None:
        records = records_sources(settings)
    pipeline = Pipeline(
        software=SOFTWARE,
        extractors=several(ports.EXTRACTORS, models.extractors, ports.Extractor, models.tables),  # type: ignore[type-abstract]
        fusion=several(ports.FUSION, [models.fusion], ports.FusionModel, models.tables)[0],  # type: ignore[type-abstract]
        knowledge=several(ports.KNOWLEDGE, models.knowledge, ports.KnowledgeSource, models.tables),  # type: ignore[type-abstract]
        impression=impression,
    )
    writers = several(ports.WRITERS, settings.report.writers, ports.Writer, settings.report.tables)  # type: ignore[type-abstract]
    written_by = dict(zip(settings.report.writers, writers, strict=True))
    return Analysis(pipeline=pipeline, records=tuple(records), writers=written_by)


def records_sources(settings: Settings) -> tuple[ports.RecordsSource, ...]:
    """Build the configured sources of labs and reports; errors as in `analysis`."""
    source: type[ports.RecordsSource] = ports.RecordsSource  # type: ignore[type-abstract]
    tables, common = settings.records.tables, {"data_dir": str(settings.data_dir)}
    return tuple(build(ports.RECORDS, name, source, tables.get(name, {}), common) for name in settings.records.sources)


def _watched(settings: Settings) -> Mapping[str, ports.Watched]:
    """The sources that say whose records came, by name."""
    sources = zip(settings.records.sources, records_sources(settings), strict=True)
    return {name: source for name, source in sources if isinstance(source, ports.Watched)}


def _refuse_stray_tables(settings: Settings) -> None:
    _known_tables("records", settings.records.tables, (ports.RECORDS,))
    _known_tables("models", settings.models.tables, (ports.EXTRACTORS, ports.FUSION, ports.KNOWLEDGE))
    _known_tables("report", settings.report.tables, (ports.WRITERS, ports.SENDERS))
    _known_tables("node", settings.node.tables, (ports.LISTENERS,))
    _known_tables("archives", settings.archives.tables, (ports.ARCHIVES,))


def _known_tables(section: str, tables: Tables, groups: Sequence[str]) -> None:
    """Refuse a table that belongs to no installed plugin."""
    known = [name for group in groups for name in installed(group)]
    for name in tables:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.3)
            nearest = f" (nearest known: {close[0]!r})" if close else ""
            raise ConfigError(f"unknown key '{section}.{name}'{nearest}; plugins there: {', '.join(known)}")


def plugins(settings: Settings) -> Mapping[str, Mapping[str, Mapping[str, object]]]:
    """Every door with what is installed there and what the configuration chose; imports none of them.

    Raises
    ------
    ConfigError
        When the configuration chose a name that is not installed.
    """
    _refuse_unknown_names(settings)
    return {
        group: {
            name: {
                "object": point.value,
                "package": point.dist.name if point.dist else "",
                "version": point.dist.version if point.dist else "",
                "chosen": name in names,
            }
            for name, point in installed(group).items()
        }
        for group, names in _chosen(settings).items()
    }


def _refuse_unknown_names(settings: Settings) -> None:
    for group, names in _chosen(settings).items():
        for name in names:
            named(group, name)


def _chosen(settings: Settings) -> Mapping[str, Sequence[str]]:
    return {
        ports.LISTENERS: settings.node.listeners,
        ports.RECORDS: settings.records.sources,
        ports.EXTRACTORS: settings.models.extractors,
        ports.FUSION: (settings.models.fusion,),
        ports.KNOWLEDGE: settings.models.knowledge,
        ports.WRITERS: settings.report.writers,
        ports.SENDERS: _vias(settings, "send_results"),
        ports.ARCHIVES: _vias(settings, "counts", "priors"),
    }


def _vias(settings: Settings, *uses: str) -> tuple[str, ...]:
    """By which plugins the peers are spoken with that are used for one of `uses`."""
    return tuple(dict.fromkeys(peer.via for peer in settings.peers if any(getattr(peer, use) for use in uses)))


def node(settings: Settings) -> Node:
    """Put the running node together; nothing has started yet.

    The models are loaded in the worker process alone: what cannot be loaded stops the node from there.

    Raises
    ------
    ConfigError, PluginError
        When the listener or the sender is unknown or broken, or a table belongs to no plugin.
    """
    _refuse_stray_tables(settings)
    _refuse_unknown_names(settings)
    if not any(peer.send_results for peer in settings.peers):
        _LOG.error("no peer has send_results = true: no report can be delivered, every study will be FAILED")
    peers = tuple(peer.peer() for peer in settings.peers)
    sender: type[ports.Sender] = ports.Sender  # type: ignore[type-abstract]
    tables = settings.report.tables
    return Node(
        Ledger(settings.data_dir, settings.database.url, check=True),
        _plan(settings, peers),
        senders={
            name: build(ports.SENDERS, name, sender, tables.get(name, {}), {"tls": settings.tls})
            for name in dict.fromkeys(peer.via for peer in peers)
            if name in installed(ports.SENDERS)
        },
        archives=_archives(settings),
        watched=_watched(settings),
        analyst=WorkerProcess(partial(_analyse_with, settings)),
    )


def _plan(settings: Settings, peers: tuple[ports.Peer, ...]) -> NodePlan:
    """What the node is to be, as the configuration says it."""
    return NodePlan(
        intake=IntakePlan(
            data_dir=settings.data_dir,
            durable=settings.node.durable,
            journal_bytes=settings.node.journal_mb << 20,
            reserve_bytes=settings.node.reserve_mb << 20,
        ),
        listeners=tuple(_listener(settings, name, peers) for name in settings.node.listeners),
        ahead=True,
        study_quiet_seconds=settings.node.study_quiet_seconds,
        study_longest_seconds=settings.node.study_longest_seconds,
        priors=PriorsPlan(at_most=settings.archives.priors, years=settings.archives.priors_years),
        retry=RetryPolicy(first_seconds=settings.node.retry_seconds, give_up_hours=settings.node.retry_hours),
        commitment=CommitmentPolicy(answer_seconds=settings.node.commitment_seconds),
        late=LatePlan(
            poll_seconds=settings.records.poll_seconds,
            days=settings.records.late_days,
            quiet_seconds=settings.records.late_quiet_seconds,
        ),
    )


def _listener(settings: Settings, name: str, peers: tuple[ports.Peer, ...]) -> ListenerPlan:
    """One listener: at the ``port`` of its own table, or the first one where ``[node]`` says."""
    node = settings.node
    table = dict(node.tables.get(name, {}))
    try:
        port = int(str(table.pop("port", node.port if name == node.listeners[0] else "")))
    except ValueError:
        raise ConfigError(f"node.{name}: a second listener needs a port of its own, e.g. port = 8104") from None
    address = ports.ListenerAddress(
        ae_title=node.ae_title,
        host=node.host,
        port=port,
        max_associations=node.max_associations,
        accept_unknown=node.accept_unknown,
        peers=peers,
        tls=settings.tls,
    )
    return ListenerPlan(name=name, address=address, table=table, processes=node.processes)


def _archives(settings: Settings) -> Mapping[str, ports.Archive]:
    """The archives by which the peers are asked, by the name that a peer's `via` has."""
    archive: type[ports.Archive] = ports.Archive  # type: ignore[type-abstract]
    tables, common = settings.archives.tables, {"tls": settings.tls}
    return {
        name: build(ports.ARCHIVES, name, archive, tables.get(name, {}), common)
        for name in _vias(settings, "counts", "priors")
    }


def _analyse_with(settings: Settings) -> Callable[[Attempt], AnalysisResult]:
    """Load the models; called once, in the worker process.

    What cannot be loaded stops the node, with the reason: no study could be read. A records source
    that is not usable is told in the log and on every report, and stops nothing: images are worth a
    report without labs.
    """
    logs.configure()
    try:
        work = analysis(settings)
        for extractor in work.pipeline.extractors:
            if isinstance(extractor, ports.Checkable):
                extractor.check()
    except CdsError as error:
        raise ConfigError(str(error)) from None
    for source in work.records:
        try:
            if isinstance(source, ports.Checkable):
                source.check()
        except ConfigError as error:
            _LOG.error("records of one source may be missing from reports: %s", error)
    return Reading(work)
