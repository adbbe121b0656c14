"""Computed chests: CT series and radiographs of patients who do not exist, with known truth."""

from cds.testing.phantoms.ct import CtPhantom, ct_thorax_phantom
from cds.testing.phantoms.nodules import Nodule, place
from cds.testing.phantoms.patient import ADULT, CHILD, PhantomPatient, PhantomStudy
from cds.testing.phantoms.thorax import Thorax
from cds.testing.phantoms.xray import PNEUMONIA, Opacity, XrayPhantom, chest_xray_phantom

__all__ = [
    "ADULT",
    "CHILD",
    "PNEUMONIA",
    "CtPhantom",
    "Nodule",
    "Opacity",
    "PhantomPatient",
    "PhantomStudy",
    "Thorax",
    "XrayPhantom",
    "chest_xray_phantom",
    "ct_thorax_phantom",
    "place",
]
