# SPDX-License-Identifier: MIT
"""The small values that the stations hand to each other."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from fedlethe.text import shown, with_article

if TYPE_CHECKING:
    import torch

ClientId: TypeAlias = str
"""One hospital or site that holds data."""

Vector: TypeAlias = "torch.Tensor"
"""A model's whole float state: float32, shape (P,), contiguous, on the CPU. Its order is the Layout's."""


class Need(enum.Enum):
    """What an unlearning method needs: the history keeps, and the method is given, no more than is declared."""

    INITIAL = "the model before round one"
    INFLUENCE = "each client's summed weighted deltas"
    NORMS = "per-layer norms of each client's delta in each round"
    FIRST_DELTAS = "each client's delta in round one"
    DELTAS = "each client's delta in each round"
    GLOBALS = "the global model of each round"
    RETAINED_DATA = "retained clients train again"
    FORGOTTEN_DATA = "forgotten clients train again"
    PUBLIC_DATA = "unlabelled data that no client owns"

    @property
    def of_history(self) -> bool:
        """Whether it is kept in the history (the rest is asked of the clients)."""
        return self not in (Need.RETAINED_DATA, Need.FORGOTTEN_DATA, Need.PUBLIC_DATA)

    @property
    def of_mean(self) -> bool:
        """Whether it tells what a client put into the model only where the model is the weighted mean of all deltas."""
        return self in (Need.INFLUENCE, Need.NORMS, Need.FIRST_DELTAS, Need.DELTAS)


EVERYTHING = frozenset(need for need in Need if need.of_history)
"""All that a history can keep: the paper's full checkpoints."""


START: Final = "the initial model"
CLEAN_ROUND: Final = "the last round before theirs"
RetrainsFrom: TypeAlias = Literal["the initial model", "the last round before theirs"]
"""Models that hold nothing of the forgotten clients, from which a method trains again without them."""


@dataclass(frozen=True, slots=True)
class Update:
    """What one client hands back in one round.

    Attributes:
        client: Who trained.
        model: The client's local model after training, shape (P,).
        num_examples: Training images that the client holds: its weight in the mean.
        examples_processed: Images that went through a gradient step (images x epochs).
        steps: Gradient steps taken.
        loss: Mean training loss over those steps, in nats.
        problem: Why there is no model to use, where a client on another machine did not answer, or not as it should;
            the model is then empty. None where there is one.
    """

    client: ClientId
    model: Vector
    num_examples: int
    examples_processed: int
    steps: int
    loss: float
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One round of federated averaging, complete.

    Attributes:
        round: Counted from 1; round 0 is the initial model.
        before: The global model that was sent, w_(t-1), shape (P,).
        after: The aggregated global model, w_t, shape (P,).
        updates: What each client sent and the server accepted, by client id, in the order of the ids.
        weights: p_k,t, by the same clients; they sum to 1 (empty if every update was refused).
        refused: Client to the reason its update was not taken.
        seconds: Wall time of the round.
    """

    round: int
    before: Vector
    after: Vector
    updates: Mapping[ClientId, Update]
    weights: Mapping[ClientId, float]
    refused: Mapping[ClientId, str]
    seconds: float


@dataclass(frozen=True, slots=True)
class Guarantee:
    """What is certain of an unlearned model; without one there is evidence only.

    Attributes:
        kind: 'exact' is for one thing alone: the model equals what retraining without the forgotten clients gives,
            every choice made anew. 'guaranteed' is every other thing that is certain.
        statement: What is certain, in words that can be checked: a text of one line.
    """

    kind: Literal["exact", "guaranteed"]
    statement: str

    def __post_init__(self) -> None:
        # It is entered in a ledger: what could not be read again from there is never made.
        if self.kind not in ("exact", "guaranteed"):
            raise ValueError(f"a guarantee is 'exact' or 'guaranteed', not {self.kind!r}; give None for evidence")
        if not isinstance(self.statement, str):
            raise ValueError(f"a guarantee's statement is {with_article(self.statement)}; give a text of one line")
        if not self.statement.strip() or shown(self.statement) != self.statement:
            raise ValueError(f"a guarantee's statement is '{shown(self.statement)}'; give a text of one line")

    def __str__(self) -> str:
        """Both, as they are printed."""
        return f"{self.kind}: {self.statement}"


@dataclass(frozen=True, slots=True)
class Metrics:
    """How well a model does on some test images.

    Attributes:
        num_examples: How many images.
        accuracy: Share of right answers, in [0, 1].
        balanced_accuracy: Mean over the classes that occur of the share of right answers, in [0, 1].
        auc: Area under the ROC curve (one against the rest, mean over classes, where there are more than two);
            None where the images hold one class only, for which it is not defined.
        auc_interval: The least and the greatest AUC that the images leave likely, 95 % (see `ranking.auc_interval`; of
            more than two classes the means of their bounds); None where there is no AUC.
        calibration: Expected calibration error (Guo et al., ICML 2017), in [0, 1]: how far the model's certainty lies
            from its share of right answers, over ten bins; None where single answers are not at hand.
        confusion: Images of each class (row) by what the model answered (column); without answers that are not finite.
            Empty where it is not known.
    """

    num_examples: int
    accuracy: float
    balanced_accuracy: float
    auc: float | None
    auc_interval: tuple[float, float] | None = None
    calibration: float | None = None
    confusion: tuple[tuple[int, ...], ...] = ()

    @property
    def sensitivity(self) -> float | None:
        """Of two classes, the share of the second one's images that are read rightly; None where it has none."""
        return self._recall(1)

    @property
    def specificity(self) -> float | None:
        """Of two classes, the share of the first one's images that are read rightly; None where it has none."""
        return self._recall(0)

    @property
    def one_class(self) -> bool:
        """Whether all of the images are known to be of one class: then there is no balance between classes."""
        return bool(self.confusion) and sum(1 for row in self.confusion if any(row)) == 1

    @property
    def commonest(self) -> float | None:
        """The accuracy of whoever always answers the class that most images have."""
        return max(map(sum, self.confusion)) / self.num_examples if self.confusion and self.num_examples else None

    def _recall(self, label: int) -> float | None:
        held = sum(self.confusion[label]) if len(self.confusion) == 2 else 0
        return self.confusion[label][label] / held if held else None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model on every client's images: pooled, and client by client.

    Attributes:
        overall: On all of them.
        clients: On each client's.
        retained: On all but the erased clients'; None where nobody is erased.
    """

    overall: Metrics
    clients: Mapping[ClientId, Metrics]
    retained: Metrics | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What was spent, as metered at the Federation (never reported by a method).

    Attributes:
        client_steps: Gradient steps, summed over clients.
        examples: Images that went through a gradient step, summed over clients.
        bytes_moved: Model bytes sent to clients and back.
        seconds: Wall time.
        clients: Who took part.
    """

    client_steps: int = 0
    examples: int = 0
    bytes_moved: int = 0
    seconds: float = 0.0
    clients: tuple[ClientId, ...] = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of an erasure.

    Attributes:
        name: 'before', 'unlearned', 'masked', 'repaired 1', ...
        evaluation: Of the model after it.
        cost: What it took.
    """

    name: str
    evaluation: Evaluation
    cost: Cost


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One draw of the mask in a sweep.

    Attributes:
        client: Who is erased.
        sigma: The standard deviation of the noise on each weight.
        draw: Its number, from 0.
        evaluation: Of the model with this noise.
    """

    client: ClientId
    sigma: float
    draw: int
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class TracePoint:
    """The models of one round in a trace.

    Attributes:
        round: The round; 0 is before the first.
        trained: Evaluation of the global model after it.
        unlearned: The same with the client erased up to this round.
    """

    round: int
    trained: Evaluation
    unlearned: Evaluation


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over several models.

    Attributes:
        mean: The mean.
        least: The least.
        most: The greatest.
    """

    mean: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class TimesNamed:
    """How often an attacker named the erased client.

    Attributes:
        attacker: Which attacker.
        hits: How often it was right ...
        trials: ... and how often it was asked.
        low: The lower end of the interval of its chance to be right.
        high: The upper end.
    """

    attacker: str
    hits: int
    trials: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class HidingPoint:
    """One way of hiding who left, each client erased in turn: what it costs, what is left of the client, who is named.

    Attributes:
        setting: What else was set, such as 'clip 0.5'.
        mask: 'isotropic', 'subspace' or 'shaped', 'isotropic, sigma given', 'decoys', 'no mask' or 'nothing erased'.
        stage: 'unlearned', 'masked', 'repaired 1', ...
        sigma: Standard deviation of the noise; None where there is none.
        epsilon: What it buys at `delta`; None where nothing is guaranteed.
        delta: In (0, 1).
        bound: The best attacker's chance, guaranteed; None where nothing is.
        chance: Of a blind guess.
        models: How many models the figures below are taken over.
        accuracy: On all clients' test images, as the next two.
        balanced_accuracy: Mean over the classes.
        auc: None where it is not defined.
        attack_success: Of the backdoor, where its client is erased; None where there is none.
        membership: How well the erased client's training images are told from unseen ones by the model's confidence
            (AUC); 1/2 is not at all.
        named: Who-left attackers.
    """

    setting: str
    mask: str
    stage: str
    sigma: float | None
    epsilon: float | None
    delta: float
    bound: float | None
    chance: float
    models: int
    accuracy: Spread
    balanced_accuracy: Spread
    auc: Spread | None
    attack_success: Spread | None
    membership: Spread
    named: tuple[TimesNamed, ...]
