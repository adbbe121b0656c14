from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, Sequence
from pydicom.data import get_testdata_file
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from cds.errors import MalformedInstance
from cds_dicomweb.part10 import MAX_META_BYTES, file_meta, is_uid, study_instance_uid
from cds_pacs.testing.instances import encoded, part10, small_data_set

WHOLE = part10(small_data_set())


def test_the_file_meta_of_a_file_names_what_pydicom_wrote() -> None:
    meta = file_meta(WHOLE, is_whole=True)
    assert meta is not None
    assert (meta.sop_class_uid, meta.sop_instance_uid) == ("1.2.840.10008.5.1.4.1.1.2", "2.25.1.1")
    assert meta.transfer_syntax_uid == ExplicitVRLittleEndian
    assert WHOLE[meta.data_set_at :] == encoded(small_data_set())


@given(st.integers(0, len(WHOLE)))
def test_a_head_gives_the_same_as_the_whole_file_or_asks_for_more(length: int) -> None:
    found = file_meta(WHOLE[:length], is_whole=False)
    assert found in (None, file_meta(WHOLE, is_whole=True))


@given(st.integers(0, len(WHOLE) - len(encoded(small_data_set())) + 1))
def test_a_file_that_ends_inside_its_meta_is_malformed(length: int) -> None:
    with pytest.raises(MalformedInstance):
        file_meta(WHOLE[:length], is_whole=True)


@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_are_malformed_or_too_few(content: bytes, is_whole: bool) -> None:
    try:
        assert file_meta(bytes(128) + b"DICM" + content, is_whole=is_whole) is None
    except MalformedInstance:
        return


def test_a_meta_without_end_is_malformed_before_it_is_long() -> None:
    endless = bytes(128) + b"DICM" + b"\x02\x00\x00\x01OB\x00\x00\xff\xff\xff\xff"
    with pytest.raises(MalformedInstance):
        file_meta(endless + bytes(MAX_META_BYTES), is_whole=False)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_the_study_is_found_behind_sequences_in_every_encoding(syntax: str) -> None:
    inner = Dataset()
    inner.StudyInstanceUID = "2.25.999"
    outer = small_data_set(study=7)
    outer.ReferencedStudySequence = Sequence([inner])
    outer["ReferencedStudySequence"].is_undefined_length = True
    assert study_instance_uid(encoded(outer, syntax), syntax) == "2.25.7"


def test_the_study_is_found_in_a_deflated_data_set_without_inflating_it_all() -> None:
    large = small_data_set(study=7, PixelData=bytes(50_000_000))
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(encoded(large)) + packer.flush()
    assert len(packed) < 100_000
    assert study_instance_uid(packed, DeflatedExplicitVRLittleEndian) == "2.25.7"


def test_the_study_is_found_in_a_file_of_pydicom_s_own() -> None:
    with open(str(get_testdata_file("CT_small.dcm")), "rb") as stream:
        content = stream.read()
    meta = file_meta(content, is_whole=True)
    assert meta is not None
    found = study_instance_uid(content[meta.data_set_at :], meta.transfer_syntax_uid)
    assert found == "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"


@given(
    st.binary(max_size=300),
    st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, "1.2.3"]),
)
def test_any_bytes_have_a_study_or_none_and_never_raise(content: bytes, syntax: str) -> None:
    found = study_instance_uid(content, syntax)
    assert found == "" or is_uid(found)


def test_sequences_nested_beyond_reason_have_no_study() -> None:
    deep = b"\x08\x00\x15\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 20_000
    assert study_instance_uid(deep, ExplicitVRLittleEndian) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.2.840.0.5", True),
        ("0.1", True),
        ("", False),
        ("1..2", False),
        ("1.02", False),
        ("1.2.", False),
        ("../1", False),
        ("1." + "1" * 63, False),
        ("1.2\n", False),
    ],
)
def test_what_a_uid_is(text: str, expected: bool) -> None:
    assert is_uid(text) is expected
