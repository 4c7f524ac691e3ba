# SPDX-License-Identifier: MIT
"""The files that MedMNIST's authors publish: channels, checksums and class names of each; and how one is fetched.

References:
    Yang et al., 'MedMNIST v2', Scientific Data 10, 2023. Class names, channels and MD5 sums are those that the
    authors publish with version 3 (https://zenodo.org/records/10519652).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fedlethe.errors import DataError

ZENODO = "https://zenodo.org/records/10519652/files"

SIZES = (28, 64, 128, 224)


@dataclass(frozen=True, slots=True)
class Archive:
    """What the authors publish about one data set.

    Attributes:
        channels: 1 for gray, 3 for colour.
        md5: Of the file for each of `SIZES`, in hexadecimal.
        classes: The class names, by label. The graded set (retinamnist) is taken as classes, too.
    """

    channels: int
    md5: tuple[str, str, str, str]
    classes: tuple[str, ...]


ORGANS = (
    *("bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right"),
    *("liver", "lung-left", "lung-right", "pancreas", "spleen"),
)

ARCHIVES = {
    "pathmnist": Archive(
        3,
        (
            "a8b06965200029087d5bd730944a56c1",
            "55aa9c1e0525abe5a6b9d8343a507616",
            "ac42d08fb904d92c244187169d1fd1d9",
            "2c51a510bcdc9cf8ddb2af93af1eadec",
        ),
        (
            *("adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle", "normal colon mucosa"),
            *("cancer-associated stroma", "colorectal adenocarcinoma epithelium"),
        ),
    ),
    "dermamnist": Archive(
        3,
        (
            "0744692d530f8e62ec473284d019b0c7",
            "b70a2f5635c6199aeaa28c31d7202e1f",
            "2defd784463fa5243564e855ed717de1",
            "8974907d8e169bef5f5b96bc506ae45d",
        ),
        (
            *("actinic keratoses and intraepithelial carcinoma", "basal cell carcinoma"),
            *("benign keratosis-like lesions", "dermatofibroma", "melanoma", "melanocytic nevi", "vascular lesions"),
        ),
    ),
    "octmnist": Archive(
        1,
        (
            "c68d92d5b585d8d81f7112f81e2d0842",
            "e229e9440236b774d9f0dfef9d07bdaf",
            "0a97e76651ace45c5d943ee3f65b63ae",
            "abc493b6d529d5de7569faaef2773ba3",
        ),
        ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
    ),
    "pneumoniamnist": Archive(
        1,
        (
            "28209eda62fecd6e6a2d98b1501bb15f",
            "8f4eceb4ccffa70c672198ea285246c6",
            "05b46931834c231683c68f40c47b2971",
            "d6a3c71de1b945ea11211b03746c1fe1",
        ),
        ("normal", "pneumonia"),
    ),
    "retinamnist": Archive(
        3,
        (
            "bd4c0672f1bba3e3a89f0e4e876791e4",
            "afda852cc34dcda56f86ad2b2457dbcc",
            "e48e916a24454daf90583d4e6efb1a18",
            "eae7e3b6f3fcbda4ae613ebdcbe35348",
        ),
        ("0", "1", "2", "3", "4"),
    ),
    "breastmnist": Archive(
        1,
        (
            "750601b1f35ba3300ea97c75c52ff8f6",
            "742edef2a1fd1524b2efff4bd7ba9364",
            "363e4b3f8d712e9b5de15470a2aaadf1",
            "b56378a6eefa9fed602bb16d192d4c8b",
        ),
        ("malignant", "normal, benign"),
    ),
    "bloodmnist": Archive(
        3,
        (
            "7053d0359d879ad8a5505303e11de1dc",
            "2b94928a2ae4916078ca51e05b6b800b",
            "adace1e0ed228fccda1f39692059dd4c",
            "b718ff6835fcbdb22ba9eacccd7b2601",
        ),
        (
            *("basophil", "eosinophil", "erythroblast", "immature granulocytes", "lymphocyte"),
            *("monocyte", "neutrophil", "platelet"),
        ),
    ),
    "tissuemnist": Archive(
        1,
        (
            "ebe78ee8b05294063de985d821c1c34b",
            "123ece2eba09d0aa5d698fda57103344",
            "61b955355d7425a89687b06cca3ce0c2",
            "b077128c4a949f0a4eb01517f9037b9c",
        ),
        (
            *("Collecting Duct, Connecting Tubule", "Distal Convoluted Tubule", "Glomerular endothelial cells"),
            *("Interstitial endothelial cells", "Leukocytes", "Podocytes", "Proximal Tubule Segments"),
            "Thick Ascending Limb",
        ),
    ),
    "organamnist": Archive(
        1,
        (
            "68e3f8846a6bd62f0c9bf841c0d9eacc",
            "2dcccc29b88e6da5a01161ef20cda288",
            "eeae80d0a227a8d099027e1b3cfd3b60",
            "50747347e05c87dd3aaf92c49f9f3170",
        ),
        ORGANS,
    ),
    "organcmnist": Archive(
        1,
        (
            "b9ceb9546e10131b32923c5bbeaea2b1",
            "3ce34a8724ea6f548e6db4744d03b6a9",
            "773c1f009daa3fe5d9a2a201b2a7ed94",
            "050f5e875dc056f6768abf94ec9995d1",
        ),
        ORGANS,
    ),
    "organsmnist": Archive(
        1,
        (
            "9ab87b696fb54e2a387ebe992d6ed5f1",
            "53a6d115339d874c25e309a994ff46d3",
            "ded0c5fa01a95dc4978b956f613e9b8e",
            "b354719e553fbbb2513d5533f52a4cb1",
        ),
        ORGANS,
    ),
}


def by_closeness(size: int) -> list[int]:
    """The published sizes, best first: the smallest that is large enough, then larger ones, then the largest left."""
    return sorted(SIZES, key=lambda published: (published < size, abs(published - size)))


def file_name(flag: str, size: int) -> str:
    """What the authors call the file of a data set in a size, in pixels."""
    return f"{flag}.npz" if size == SIZES[0] else f"{flag}_{size}.npz"


def fetched(flag: str, size: int, folder: Path) -> Path:
    """Fetch a file into a folder, unless it is there with the published MD5.

    Raises:
        FedletheError: It cannot be fetched, or is another file.
    """
    import pooch

    name = file_name(flag, size)
    md5 = ARCHIVES[flag].md5[SIZES.index(size)]
    try:
        return Path(pooch.retrieve(f"{ZENODO}/{name}?download=1", f"md5:{md5}", fname=name, path=folder))
    except Exception as error:  # of requests, of pooch, of the disk: there is no common base
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{name}: cannot be fetched ({reason}); fetch it by hand from {ZENODO}") from error
