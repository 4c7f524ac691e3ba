# SPDX-License-Identifier: MIT
from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from fedlethe.seeding import derive, numpy_generator, torch_generator

keys = st.lists(st.one_of(st.integers(), st.text(max_size=5)), max_size=4).map(tuple)


@given(one=keys, other=keys, seed=st.integers(0, 2**63))
def test_different_purposes_have_different_seeds(
    one: tuple[int | str, ...], other: tuple[int | str, ...], seed: int
) -> None:
    assert (derive(seed, *one) == derive(seed, *other)) == (repr(one) == repr(other))
    assert 0 <= derive(seed, *one) < 2**63


def test_a_draw_does_not_depend_on_global_state_nor_change_it() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = torch.randn(3, generator=torch_generator(0, "mask"))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(first, torch.randn(3, generator=torch_generator(0, "mask")))
    assert numpy_generator(0, "a").integers(1 << 30) != numpy_generator(0, "b").integers(1 << 30)
