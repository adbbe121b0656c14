"""Who sends to the node: a sender that remembers every answer, one that does not give up, and a pulse."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from pydicom import Dataset

from cds_pacs.contexts import EXPLICIT_VR_LITTLE_ENDIAN
from cds_pacs.testing.bare_scu import CT_IMAGE, BareScu, association_request, context, message, store_command
from cds_pacs.testing.instances import encoded, small_data_set

CANARIES = ("Canary", "CNRY7731", "19370219", "1937-02-19")
"""Name, ID and birth date of every patient in these tests: they must turn up nowhere."""
ECHO_SECONDS = 2.0
NO_ANSWER = -1

VERIFICATION = context(1, "1.2.840.10008.1.1", ["1.2.840.10008.1.2"])


@dataclass(frozen=True, slots=True)
class Instance:
    """What is sent."""

    study: str
    uid: str
    sop_class: str
    content: bytes = field(repr=False)


def instance(study: int, number: int, *, sop_class_uid: str = CT_IMAGE, size: int = 0, **changes: object) -> Instance:
    """An image, or another object, of a patient with the canaries; `size` bytes of pixels or so."""
    patient = {"PatientName": "Canary^Yellow", "PatientID": "CNRY7731", "PatientBirthDate": "19370219"}
    pixels = number.to_bytes(4, "little") * 8
    if size:
        changes = {"PixelData": pixels + bytes(size), **changes}
    elif sop_class_uid == CT_IMAGE:
        changes = {"PixelData": pixels, **changes}
    return of(small_data_set(study, number, sop_class_uid=sop_class_uid, **{**patient, **changes}))


def of(ds: Dataset) -> Instance:
    return Instance(str(ds.StudyInstanceUID), str(ds.SOPInstanceUID), str(ds.SOPClassUID), encoded(ds))


def instances(studies: Iterable[int], each: int, *, size: int = 0) -> list[Instance]:
    return [instance(study, number, size=size) for study in studies for number in range(1, each + 1)]


def broken_off(error: BaseException) -> bool:
    """Whether the other side ended the conversation: what a bare SCU raises then."""
    return isinstance(error, OSError | IndexError | AssertionError | KeyError)


class Sent:
    """What was offered, and what of it was answered with success; safe to use from several threads."""

    def __init__(self) -> None:
        self.offered: dict[str, set[bytes]] = defaultdict(set)
        self.accepted: dict[str, list[bytes]] = defaultdict(list)
        self.studies: set[str] = set()
        self._lock = threading.Lock()

    def offer(self, one: Instance) -> None:
        with self._lock:
            self.offered[one.uid].add(one.content)

    def accept(self, one: Instance) -> None:
        with self._lock:
            self.studies.add(one.study)
            if one.content not in self.accepted[one.uid]:
                self.accepted[one.uid].append(one.content)


class Sender:
    """Sends over one association at a time, to one port."""

    def __init__(self, port: int, sent: Sent) -> None:
        self.port = port
        self.sent = sent

    def call(self, *sop_classes: str, seconds: float = 60) -> BareScu:
        """An association for these classes; CT images where none is given."""
        scu = BareScu(self.port, seconds=seconds)
        classes = sop_classes or (CT_IMAGE,)
        contexts = [context(2 * n + 1, uid, [EXPLICIT_VR_LITTLE_ENDIAN]) for n, uid in enumerate(classes)]
        try:
            scu.associate(association_request(*contexts))
        except BaseException:
            scu.sock.close()
            raise
        return scu

    def send(self, files: Sequence[Instance], *, seconds: float = 60) -> list[int]:
        """Send over one association; the status of each, `NO_ANSWER` from where it broke."""
        statuses: list[int] = []
        classes = list(dict.fromkeys(one.sop_class for one in files))
        try:
            with self.call(*classes, seconds=seconds) as scu:
                for one in files:
                    statuses.append(self.store(scu, one, context_id=2 * classes.index(one.sop_class) + 1))
                scu.release()
        except (OSError, IndexError, KeyError, AssertionError):
            statuses += [NO_ANSWER] * (len(files) - len(statuses))
        return statuses

    def store(self, scu: BareScu, one: Instance, *, context_id: int = 1) -> int:
        self.sent.offer(one)
        scu.say(message(store_command(one.uid, one.sop_class), one.content, context_id=context_id))
        status = scu.status()
        if status == 0x0000:
            self.sent.accept(one)
        return status


class Load:
    """Senders that go on until everything was answered with success, as modalities do."""

    def __init__(self, sender: Sender, files: Sequence[Instance], *, at_a_time: int = 2) -> None:
        self._sender = sender
        self._over = threading.Event()
        self.left = 0
        parts = [list(files[n::at_a_time]) for n in range(at_a_time)]
        self._threads = [threading.Thread(target=self._work, args=(part,), daemon=True) for part in parts]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def finish(self, seconds: float = 120) -> None:
        """Wait until everything was taken."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            assert not thread.is_alive(), "the node did not take everything in time"

    def _work(self, files: list[Instance]) -> None:
        while files and not self._over.is_set():
            statuses = self._sender.send(files, seconds=8)
            files = [one for one, status in zip(files, statuses, strict=True) if status != 0x0000]
            if files:
                self._over.wait(0.1)


class Pulse:
    """Asks by C-ECHO, again and again on a new association, whether the node is alive (P5)."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self.answered = 0
        self.missed = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        self._over.set()
        self._thread.join(10)
        if kind is None:
            assert self.answered, "no C-ECHO was answered"
            assert self.missed <= self.answered // 100, f"{self.missed} of {self.missed + self.answered} not answered"

    def wait(self, seconds: float) -> None:
        """Let the fault last for so long."""
        threading.Event().wait(seconds)

    def _beat(self) -> None:
        while not self._over.is_set():
            if echo(self._port):
                self.answered += 1
            else:
                self.missed += 1
            self._over.wait(0.1)


def echo(port: int, seconds: float = ECHO_SECONDS) -> bool:
    """Whether a C-ECHO is answered in time."""
    try:
        with BareScu(port, seconds=seconds) as scu:
            scu.associate(association_request(VERIFICATION))
            answered = scu.echo() == 0x0000
            scu.release()
            return answered
    except (OSError, IndexError, KeyError, AssertionError):
        return False
