from __future__ import annotations

import zlib
from datetime import date
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from cds.dicom import elements, text
from cds.dicom.header import Header, parse_header
from cds.errors import MalformedInstance

NATIVE = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
STUDY = "1.2.826.0.1.3680043.8.498.1"


def slice_of_a_study(**changes: object) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = f"{STUDY}.2.1"
    ds.Modality = "CT"
    ds.SeriesDescription = "Thorax"
    ds.ManufacturerModelName = "Phantom"
    ds.PatientName = "Nobody^At All"
    ds.PatientID = "张-7"
    ds.IssuerOfPatientID = "TEST"
    ds.PatientBirthDate = "19700102"
    ds.PatientSex = "F"
    ds.StudyInstanceUID = STUDY
    ds.SeriesInstanceUID = f"{STUDY}.2"
    ds.InstanceNumber = 7
    item = Dataset()
    item.ScheduledProcedureStepID = "1"
    ds.RequestAttributesSequence = Sequence([item])
    ds.Rows, ds.Columns, ds.BitsAllocated = 4, 8, 16
    ds.PixelData = bytes(64)
    ds["PixelData"].VR = "OW"
    for keyword, value in changes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def encoded(ds: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> bytes:
    stream = DicomBytesIO()
    stream.is_implicit_VR = transfer_syntax == ImplicitVRLittleEndian
    stream.is_little_endian = transfer_syntax != ExplicitVRBigEndian
    write_dataset(stream, ds)
    return stream.getvalue()


def ends_of_elements_before_rows(transfer_syntax: str) -> set[int]:
    """Where a cut leaves a whole data set that is no image: only the transfer itself can tell that it was cut."""
    ds = slice_of_a_study()
    kept = [element.tag for element in ds if 0x0020000E <= element.tag < 0x00280011]
    ends = set()
    for last in kept:
        part = Dataset()
        part.update({element.tag: element for element in ds if element.tag <= last})
        ends.add(len(encoded(part, transfer_syntax)))
    return ends


NO_IMAGE_YET = {transfer_syntax: ends_of_elements_before_rows(transfer_syntax) for transfer_syntax in NATIVE}


@pytest.mark.parametrize("transfer_syntax", NATIVE)
def test_a_header_reads_the_same_in_every_native_encoding(transfer_syntax: str) -> None:
    header = parse_header(encoded(slice_of_a_study(), transfer_syntax), transfer_syntax)
    assert header == Header(
        sop_class_uid=CTImageStorage,
        sop_instance_uid=f"{STUDY}.2.1",
        study_instance_uid=STUDY,
        series_instance_uid=f"{STUDY}.2",
        modality="CT",
        patient_id="张-7",
        issuer_of_patient_id="TEST",
        birth_date=date(1970, 1, 2),
        sex="F",
        instance_number=7,
        manufacturer_model_name="Phantom",
        series_description="Thorax",
        rows=4,
        columns=8,
    )


def test_a_header_never_prints_the_patient() -> None:
    shown = repr(parse_header(encoded(slice_of_a_study()), ExplicitVRLittleEndian))
    assert "张" not in shown and "1970" not in shown and "TEST" not in shown


@pytest.mark.parametrize("transfer_syntax", NATIVE)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_cut_data_set_is_malformed_wherever_it_was_cut(transfer_syntax: str, data: st.DataObject) -> None:
    whole = encoded(slice_of_a_study(), transfer_syntax)
    cut = data.draw(st.integers(0, len(whole) - 1).filter(lambda cut: cut not in NO_IMAGE_YET[transfer_syntax]))
    with pytest.raises(MalformedInstance):
        parse_header(whole[:cut], transfer_syntax)


@settings(max_examples=300, deadline=None)
@given(garbage=st.binary(max_size=400), transfer_syntax=st.sampled_from([*NATIVE, DeflatedExplicitVRLittleEndian]))
def test_random_bytes_are_malformed(garbage: bytes, transfer_syntax: str) -> None:
    with pytest.raises(MalformedInstance):
        parse_header(garbage, transfer_syntax)


@settings(max_examples=300, deadline=None)
@given(position=st.integers(0, 10_000), value=st.integers(0, 255), transfer_syntax=st.sampled_from(NATIVE))
def test_a_flipped_byte_gives_a_header_or_malformed_and_nothing_else(
    position: int, value: int, transfer_syntax: str
) -> None:
    data = bytearray(encoded(slice_of_a_study(), transfer_syntax))
    data[position % len(data)] = value
    try:
        parse_header(bytes(data), transfer_syntax)
    except MalformedInstance as error:
        assert "张" not in str(error) and "Nobody" not in str(error)


@pytest.mark.parametrize("transfer_syntax", [*NATIVE, DeflatedExplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize("data", [b"", bytes(1), bytes(20_000), b"\xff" * 5_000], ids=["empty", "zero", "zeros", "ff"])
def test_emptiness_is_malformed(data: bytes, transfer_syntax: str) -> None:
    with pytest.raises(MalformedInstance):
        parse_header(data, transfer_syntax)


def test_bytes_behind_the_data_set_are_malformed() -> None:
    with pytest.raises(MalformedInstance):
        parse_header(encoded(slice_of_a_study()) + b"\0\0", ExplicitVRLittleEndian)


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_each_of_the_four_uids_must_be_there(keyword: str) -> None:
    with pytest.raises(MalformedInstance, match="UID is missing"):
        parse_header(encoded(slice_of_a_study(**{keyword: None})), ExplicitVRLittleEndian)


@pytest.mark.parametrize(
    "uid", ["../../x", "/etc/passwd", "", "1", "1.02.3", "1..2", ".1.2", "1.2.", "1.2.x", "1.2 .3", "1." + "2" * 63]
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_invalid_uid_is_malformed(uid: str) -> None:
    whole = encoded(slice_of_a_study())
    ds = slice_of_a_study()
    ds.SOPInstanceUID = uid
    data = encoded(ds)
    assert data != whole
    with pytest.raises(MalformedInstance, match="SOP Instance UID is no valid UID"):
        parse_header(data, ExplicitVRLittleEndian)


def test_the_longest_valid_uid_is_taken() -> None:
    uid = "1." + "2" * 62
    assert parse_header(encoded(slice_of_a_study(SOPInstanceUID=uid)), ExplicitVRLittleEndian).sop_instance_uid == uid


def test_an_image_without_its_pixels_is_malformed() -> None:
    with pytest.raises(MalformedInstance, match="before its Pixel Data"):
        parse_header(encoded(slice_of_a_study(PixelData=None)), ExplicitVRLittleEndian)


def test_an_object_that_is_no_image_needs_no_pixels() -> None:
    ds = slice_of_a_study(PixelData=None, Rows=None, Columns=None)
    assert parse_header(encoded(ds), ExplicitVRLittleEndian).rows is None


def deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def test_a_deflated_data_set_is_read_and_a_cut_one_is_malformed() -> None:
    data = deflated(encoded(slice_of_a_study()))
    assert parse_header(data, DeflatedExplicitVRLittleEndian).study_instance_uid == STUDY
    for cut in (1, len(data) // 2, len(data) - 1):
        with pytest.raises(MalformedInstance):
            parse_header(data[:cut], DeflatedExplicitVRLittleEndian)


def test_inflating_stops_at_the_cap() -> None:
    with pytest.raises(MalformedInstance, match="more than 1000 bytes"):
        elements.inflate(deflated(bytes(100_000)), max_bytes=1000)


@pytest.mark.parametrize("size", [100, 20 << 20])
def test_what_was_inflated_is_the_same_in_memory_and_in_a_file(size: int) -> None:
    content = bytes(range(256)) * (size // 256)
    with elements.inflated(deflated(content)) as whole:
        assert bytes(whole[:]) == content


def test_a_date_that_is_none_is_not_guessed() -> None:
    assert [text.day(value) for value in (b"20200229", b"2020.02.29", b"20210229", b"2020021", b"2020 2 1", b"")] == [
        date(2020, 2, 29),
        date(2020, 2, 29),
        None,
        None,
        None,
        None,
    ]


def encapsulated(fragments: bytes) -> bytes:
    element = bytes.fromhex("e07f1000") + b"OB\0\0\xff\xff\xff\xff"
    return encoded(slice_of_a_study(PixelData=None)) + element + fragments


def item(content: bytes, tag: str = "feff00e0") -> bytes:
    return bytes.fromhex(tag) + len(content).to_bytes(4, "little") + content


END = bytes.fromhex("feffdde000000000")


def test_encapsulated_pixels_are_whole_only_with_their_delimiter() -> None:
    fragments = item(b"") + item(b"12345678")
    assert parse_header(encapsulated(fragments + END), RLELossless).rows == 4
    for broken in (fragments, fragments[:-3], fragments + item(b"", tag="feff0de0"), b"12345678" + END):
        with pytest.raises(MalformedInstance):
            parse_header(encapsulated(broken), RLELossless)


def nested(depth: int) -> bytes:
    """Sequences of undefined length inside one another, in (0008,1140)."""
    opening = bytes.fromhex("08004011") + b"SQ\0\0\xff\xff\xff\xff" + bytes.fromhex("feff00e0ffffffff")
    return opening * depth + (bytes.fromhex("feff0de000000000") + END) * depth


def test_nesting_has_a_limit_far_below_the_stack() -> None:
    assert elements.values(nested(elements.MAX_DEPTH), ExplicitVRLittleEndian, ()) == {}
    for depth in (elements.MAX_DEPTH + 1, 50_000):
        with pytest.raises(MalformedInstance, match="nested"):
            elements.values(nested(depth), ExplicitVRLittleEndian, ())


def test_a_data_set_that_pydicom_wrote_is_walked_to_the_end_as_pydicom_reads_it() -> None:
    import pydicom
    from pydicom.data import get_testdata_file

    path = get_testdata_file("JPEG2000.dcm")
    ds = pydicom.dcmread(path)
    stream = BytesIO()
    ds.save_as(stream)
    data = stream.getvalue()
    start = 132 + 12 + ds.file_meta.FileMetaInformationGroupLength
    header = parse_header(data[start:], ds.file_meta.TransferSyntaxUID)
    assert (header.sop_instance_uid, header.rows, header.columns) == (ds.SOPInstanceUID, ds.Rows, ds.Columns)
