"""A small cohort with a known X-ray token, and untrained weights of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cds.fusion.network import Ensemble
from cds.fusion.spec import FORMAT, FusionSpec, NetworkSpec, TargetSpec, XraySpec
from cds.fusion.weights import FusionWeights, XrayToken
from cds.training.cohort import TARGETS, Cohort, load_cohort

EMBEDDING_SIZE, TOKEN_SIZE = 5, 3


@pytest.fixture(scope="session")
def xray_token() -> XrayToken:
    """The first three numbers of the embedding; pneumonia lies 2 SD away on the first."""
    covariance = np.array([[1.0, 0.3, 0.0], [0.3, 1.0, 0.0], [0.0, 0.0, 1.0]])
    return XrayToken(
        mean=np.zeros(EMBEDDING_SIZE),
        projection=np.eye(EMBEDDING_SIZE)[:TOKEN_SIZE],
        class_mean=np.array([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]),
        class_covariance=np.array([covariance, covariance * 1.5]),
    )


@pytest.fixture(scope="session")
def cohort(xray_token: XrayToken) -> Cohort:
    return load_cohort(xray_token)


@pytest.fixture(scope="session")
def spec(cohort: Cohort) -> FusionSpec:
    return FusionSpec(
        format=FORMAT,
        name="test-fusion",
        version="0",
        card="",
        calibrated_on="nothing: untrained",
        targets=tuple(TargetSpec(id=name, absent_below=0.2, present_from=0.6, band_source="test") for name in TARGETS),
        analytes=tuple(analyte.spec for analyte in cohort.analytes),
        mentions=tuple(mention.spec for mention in cohort.mentions),
        xray=XraySpec(
            algorithm="chest_xray",
            version="1",
            sha256="aa" * 32,
            embedding_size=EMBEDDING_SIZE,
            token_size=TOKEN_SIZE,
            target="pneumonia",
        ),
        nodule=cohort.nodules.spec,
        network=NetworkSpec(members=2, layers=1, width=8, heads=2),
    )


@pytest.fixture
def weights(spec: FusionSpec, xray_token: XrayToken) -> FusionWeights:
    """Untrained, but with heads that are not zero, so that every token moves the result."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        ensemble = Ensemble(spec).eval()
        for member in ensemble.members:
            torch.nn.init.normal_(member.heads)
    return FusionWeights(spec, ensemble, xray_token)
