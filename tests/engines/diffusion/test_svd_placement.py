#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Where the Stable Video Diffusion engine has its weights, on a GPU that is pretended: what is computed of tensors on
different devices is refused there as on a real one.

Libraries: pytest, torch, diffusers, Pillow.
"""

import pytest

pytest.importorskip('torch')
pytest.importorskip('diffusers')

import pretended_gpu  # noqa: E402
from live_tensors import LiveBytes  # noqa: E402
from PIL import Image  # noqa: E402
from tiny_svd import published, request  # noqa: E402

from modules.configuration import ModelOptions  # noqa: E402
from modules.engines.diffusion import ladder  # noqa: E402
from modules.engines.diffusion.decoding import ClipControl  # noqa: E402

MODEL = ModelOptions(
    image_prompt_width = 128, image_prompt_height = 64, output_frames = 2, decode_chunk_size = 1)

#: bytes of the small model's weights at half precision
WEIGHTS = 5063588


def animate(folder, rung, limit = None):
    """The engine after a clip, the rungs it went down to, and what was counted."""
    notes, live = [], LiveBytes(limit, 'cuda')
    with pretended_gpu.pretended(), live:
        engine = pretended_gpu.engine(pretended_gpu.tiny, rung, published(folder), MODEL, 10**12)
        control = ClipControl(lambda progress: notes.append(progress.note))
        engine.make_frames(Image.new('RGB', (128, 64)), request(), control)
    return engine, [note.values['rung'] for note in notes if note], live


@pytest.mark.parametrize(('rung', 'left'), [('resident', WEIGHTS), ('offload', 0), ('streamed', 0)])
def test_weights_are_where_they_are_computed_with_and_leave_when_their_turn_is_over(
        tmp_path, rung, left):
    _engine, rungs, live = animate(tmp_path, ladder.named('cuda', rung))
    assert not rungs and live.now == left


def test_a_gpu_that_is_too_small_is_walked_down_to_the_rung_that_fits(tmp_path, caplog):
    """Its memory ends while the weights are brought there, and in every clip that is begun after that."""
    engine, rungs, live = animate(tmp_path, ladder.RUNGS[0], 5_060_000)
    assert 'Going on with Memory = offload' in caplog.text
    assert rungs == ['chunked', 'split', 'streamed']
    assert engine.holder.model.rung.name == 'streamed' and 4_500_000 < live.peak < WEIGHTS
