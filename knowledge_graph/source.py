"""The door ``cds.knowledge``: differential, next examinations, contradictions and guideline rows for a case."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from cds.domain.evidence import Algorithm, Evidence
from cds.domain.finding import Finding, Knowledge, PathStep, Statement, StatementKind
from cds.domain.report import Case
from knowledge_graph.guidelines import recommend
from knowledge_graph.model import Edge, Relation
from knowledge_graph.observations import Seen, contradictions, seen
from knowledge_graph.opening import open_network
from knowledge_graph.query import Candidate, Differential
from knowledge_graph.separating import missing
from knowledge_graph.wording import differential_text, follow_up_text

NAME: Final = "thorax-graph"
VERSION: Final = "1.2.0"
CARD: Final = "docs/knowledge-graph.md"
EXAMINED: Final = 3
"""For so many of the likeliest diseases the next examinations are named, and what is not known yet."""


class ThoraxGraph:
    """Consults the thoracic knowledge graph; the same case gives the same statements in the same order."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        """How the graph is found and how much of it is said.

        Attributes
        ----------
        path
            A folder of graph files or of arrays (``cds kg pack``), or the URL of a database that
            ``cds kg build`` wrote; empty: the files that come with the software.
        data_dir
            Filled by the host; not used.
        max_statements
            At most so many statements of each kind.
        screening_descriptions
            Study descriptions (0008,1030) by which the site names its lung cancer screening CT; case does not count.
        imported
            Sources of the database (``cds kg import``) that take part in the reasoning; no other does.
        """

        path: str = ""
        data_dir: str = ""
        max_statements: int = 8
        screening_descriptions: tuple[str, ...] = ()
        imported: tuple[str, ...] = ()

    def __init__(self, settings: Settings):
        self._most = settings.max_statements
        self._screening = settings.screening_descriptions
        self._network = open_network(settings.path, settings.imported)
        self._differential = Differential(self._network)
        self._algorithm = Algorithm(name=NAME, version=VERSION, sha256=self._network.sha256, card=CARD)

    def consult(self, case: Case, evidence: Sequence[Evidence], findings: Sequence[Finding]) -> Knowledge:
        """Statements with paths and citations, and guideline recommendations; see `cds.ports.KnowledgeSource`."""
        observed = seen(self._network, case, evidence, findings)
        ranked = self._differential.rank(observed.present, observed.absent)
        likely = [candidate for candidate in ranked if candidate.score > 0.0]
        open_to_doubt = [candidate for candidate in likely if candidate.disease not in observed.concluded]
        statements = (
            *(
                self._statement(candidate, observed, candidate in likely[:EXAMINED])
                for candidate in open_to_doubt[: self._most]
            ),
            *self._follow_ups(likely[:EXAMINED], observed),
            *contradictions(self._network, evidence)[: self._most],
        )
        return Knowledge(
            algorithm=self._algorithm,
            statements=statements,
            recommendations=recommend(case, evidence, findings, self._screening),
        )

    def _statement(self, candidate: Candidate, observed: Seen, likely: bool) -> Statement:
        """One disease of the differential; the path holds every edge for and against it, the strongest first."""
        reasons = (*candidate.supporting, *candidate.contradicting)
        strongest = candidate.supporting[0]
        edges = tuple(dict.fromkeys(edge for reason in reasons for edge in reason.path))
        known = observed.present.keys() | observed.absent.keys()
        unknown = missing(self._differential, candidate, known) if likely else ()
        return Statement(
            kind=StatementKind.DIFFERENTIAL,
            subject=self._network.nodes[strongest.observed].code,
            relation=Relation.SUGGESTS.value,
            object=self._network.nodes[candidate.disease].code,
            citation=strongest.path[-1].citation,
            path=self._steps(edges),
            text=differential_text(self._network, candidate, observed.doubtful, unknown),
            because=_because(observed, (reason.observed for reason in reasons)),
            score=round(candidate.score, 3),
        )

    def _follow_ups(self, likely: Sequence[Candidate], observed: Seen) -> Iterable[Statement]:
        """What confirms or excludes the likeliest diseases, then what findings are followed with."""
        found: dict[str, Statement] = {}
        for candidate in likely:
            keys = [reason.observed for reason in candidate.supporting]
            for general in self._network.ascent(candidate.disease):
                for edge in self._network.outgoing(general, Relation.INVESTIGATED_BY):
                    found.setdefault(edge.object, self._follow_up(edge, candidate.score, _because(observed, keys)))
        for key in observed.present:
            for edge in self._network.outgoing(key, Relation.FOLLOWED_BY):
                found.setdefault(edge.object, self._follow_up(edge, 0.0, _because(observed, (key,))))
        return list(found.values())[: self._most]

    def _follow_up(self, edge: Edge, score: float, because: tuple[str, ...]) -> Statement:
        subject, examination = self._network.nodes[edge.subject].code, self._network.nodes[edge.object].code
        return Statement(
            kind=StatementKind.FOLLOW_UP,
            subject=subject,
            relation=edge.relation.value,
            object=examination,
            citation=edge.citation,
            path=self._steps((edge,)),
            text=follow_up_text(subject, examination, later=edge.relation is Relation.FOLLOWED_BY),
            because=because,
            score=round(score, 3),
        )

    def _steps(self, edges: Sequence[Edge]) -> tuple[PathStep, ...]:
        nodes = self._network.nodes
        return tuple(
            PathStep(
                subject=nodes[edge.subject].code,
                relation=edge.relation.value,
                object=nodes[edge.object].code,
                citation=edge.citation,
            )
            for edge in edges
        )


def _because(observed: Seen, keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(id_ for key in keys for id_ in observed.because.get(key, ())))
