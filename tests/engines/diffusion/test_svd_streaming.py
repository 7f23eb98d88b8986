#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Weights of the Stable Video Diffusion engine that come to the GPU a layer at a time: each of them one way only, two
layers' at once, the same clip bit for bit.

Libraries: pytest, torch, diffusers, numpy, Pillow.
"""

import numpy
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('diffusers')

import pretended_gpu  # noqa: E402
from live_tensors import LiveBytes  # noqa: E402
from tiny_svd import animate, loaded, photo, request  # noqa: E402
from torch.overrides import TorchFunctionMode  # noqa: E402

from modules.engines.diffusion import copying, ladder, placing, streaming  # noqa: E402
from modules.engines.diffusion.streaming import LayerStreamer  # noqa: E402
from modules.engines.stable_video import pipeline  # noqa: E402


class Travels(TorchFunctionMode):
    """Notes the bytes that go from one kind of device to another."""

    def __init__(self):
        super().__init__()
        self.bytes = {}

    def __torch_function__(self, func, types, args = (), kwargs = None):
        made = func(*args, **(kwargs or {}))
        if func in (torch.Tensor.copy_, torch.Tensor.to, torch.Tensor.cpu):
            source = args[1] if func is torch.Tensor.copy_ else args[0]
            if made.device != source.device:
                way = source.device.type, made.device.type
                self.bytes[way] = self.bytes.get(way, 0) + made.nbytes
        return made


class Stack(torch.nn.Module):
    """Layers of growing size, called as they are listed."""

    def __init__(self, *numbers):
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(64, 64 * (1 + at % 5)) for at in range(9))
        self.order = numbers or range(9)

    def forward(self, values, order = None):
        for number in order or self.order:
            values = self.layers[number](values)[:, :64]
        return values


class Late(copying.Copier):
    """Copies at the last moment that is allowed, and refuses to copy where something computes."""

    def __init__(self):
        self.waiting = {}
        self.computing = None

    def copy(self, slot, copies):
        assert slot is not self.computing
        slot.memory.fill_(255)
        self.waiting[slot] = copies

    def await_copy(self, slot):
        self.arrive(slot)
        self.computing = slot

    def arrive(self, slot):
        for to, source in self.waiting.pop(slot, ()):
            to.copy_(source)

    def free(self, slot):
        if slot is self.computing:
            self.computing = None

    def finish(self):
        for slot in list(self.waiting):
            self.arrive(slot)


COPIERS = [copying.Copier, Late]


@pytest.fixture
def stack():
    torch.manual_seed(0)
    return Stack()


@pytest.mark.parametrize('copier', COPIERS)
def test_what_comes_a_layer_at_a_time_computes_the_same(stack, copier):
    values = torch.randn(3, 64)
    # every other layer left out, as steps do that compute some layers only; one of them twice
    orders = [None, None, [0, 2, 2, 8], None, [8, 1], None]
    with torch.no_grad():
        expected = [stack(values, order) for order in orders]
        LayerStreamer([stack], 'cpu', copier())
        for order, wanted in zip(orders, expected, strict = True):
            assert torch.equal(stack(values, order), wanted)


def test_no_more_than_two_layers_are_on_the_device_and_none_after_a_clip():
    with pretended_gpu.pretended(), LiveBytes(device = 'cuda') as live:
        stack = Stack()
        largest = max(streaming.Layer(layer).size for layer in stack.layers)
        moved = LayerStreamer([stack], 'cuda:0', copying.Copier())
        values = torch.empty(1, 64, device = 'cuda:0')
        for _ in range(3):
            for layer in stack.layers:
                layer(values)
        assert 2 * largest <= live.peak <= 2 * largest + 4096
        moved.release()
        del values
        assert live.now == 0


def test_nothing_travels_back_and_each_pass_brings_every_layer_once():
    with pretended_gpu.pretended():
        stack = Stack()
        moved = LayerStreamer([stack], 'cuda:0', copying.Copier())
        values = torch.empty(1, 64, device = 'cuda:0')
        whole = sum(streaming.Layer(layer).size for layer in stack.layers)
        with Travels() as travels:
            for passes in range(1, 4):
                for layer in stack.layers:
                    layer(values)
                # from the second pass on, the next one's first layer is on its way
                ahead = streaming.Layer(stack.layers[0]).size * (passes > 1)
                assert travels.bytes == {('cpu', 'cuda'): passes * whole + ahead}
        moved.release()


@pytest.mark.parametrize('copier', COPIERS)
def test_what_breaks_in_a_layer_leaves_all_usable(stack, copier):
    values = torch.randn(3, 64)
    with torch.no_grad():
        expected = stack(values)
        moved = LayerStreamer([stack], 'cpu', copier())
        for wrong in (torch.randn(3, 65), torch.randn(3, 63)):
            stack(values)
            with pytest.raises(RuntimeError):
                stack(wrong)
            assert torch.equal(stack(values), expected)
            moved.release()
        weights = [tensor.untyped_storage().data_ptr() for tensor in stack.parameters()]
        stack(values)
        assert weights == [tensor.untyped_storage().data_ptr() for tensor in stack.parameters()]


def test_who_is_interrupted_in_a_layer_begins_anew(stack):
    """An interrupt runs no hooks."""
    values = torch.randn(3, 64)
    with torch.no_grad():
        expected = stack(values)
        moved = LayerStreamer([stack], 'cpu', copying.Copier())
        usual = stack.layers[4].forward

        def interrupted(_values):
            raise KeyboardInterrupt

        for ends in (moved.release, bool):
            stack.layers[4].forward = interrupted
            with pytest.raises(KeyboardInterrupt):
                stack(values)
            stack.layers[4].forward = usual
            ends()
            assert torch.equal(stack(values), expected)


@pytest.mark.parametrize('copier', COPIERS)
def test_copies_follow_a_change_of_precision(stack, copier):
    """And are the same memory as before when that is taken back."""
    values = torch.randn(3, 64).double()
    with torch.no_grad():
        stack.float()
        moved = LayerStreamer([stack], 'cpu', copier())
        home = [tensor.data_ptr() for tensor in stack.parameters()]
        single = stack(values.float())
        stack.double()
        double = stack(values)
        assert double.dtype == torch.float64 and (double - single).abs().max() < 1e-5
        stack.float()
        assert torch.equal(stack(values.float()), single)
        moved.release()
        assert home == [tensor.data_ptr() for tensor in stack.parameters()]


def test_as_much_is_pinned_as_may_be(stack, monkeypatch):
    monkeypatch.setattr(streaming, 'BLOCK', 2**16)
    taken = []

    def allocate(size, is_pinned):
        taken.append((size, is_pinned))
        return torch.empty(size, dtype = torch.uint8)

    monkeypatch.setattr(copying, 'allocate', allocate)
    layers = [streaming.Layer(layer) for layer in stack.layers]
    whole = sum(layer.size for layer in layers)
    streaming.store_layers(layers, whole // 2)
    pinned = sum(size for size, is_pinned in taken if is_pinned)
    assert whole // 4 < pinned <= whole // 2 < sum(size for size, _ in taken) <= 1.4 * whole


def test_memory_that_cannot_be_pinned_is_taken_as_it_is(caplog):
    """As on a machine without a GPU."""
    if torch.cuda.is_available():
        pytest.skip('here it can be pinned')
    assert copying.allocate(100, True).shape == (100, )
    assert 'Memory cannot be pinned' in caplog.text


def clip(pipe):
    with torch.no_grad():
        return pipe(
            photo().image.resize((32, 32)),
            width = 32,
            height = 32,
            num_frames = 2,
            num_inference_steps = 2,
            decode_chunk_size = 1,
            generator = torch.Generator().manual_seed(1),
            output_type = 'np').frames


def test_a_whole_clip_at_half_precision_is_equal_bit_for_bit(checkpoint):
    """Its VAE encodes in 32 bits and decodes in 16; a processor stands in for the GPU."""
    streamed = ladder.named('cuda', 'streamed')
    plain = pipeline.load_pipeline(pipeline.Source(checkpoint, 'fp16', True))
    expected = clip(plain)
    assert expected.std() > 0
    moved = pipeline.load_pipeline(pipeline.Source(checkpoint, 'fp16', True))
    bringing = placing.place(moved, [moved.unet, moved.vae], 'cpu', streamed)
    for _ in range(2):
        assert numpy.array_equal(clip(moved), expected)
        bringing.release()


@pytest.mark.parametrize('preset', ['quality', 'fast'])
def test_streamed_is_split_bit_for_bit(checkpoint, preset):
    """Where all steps are whole, and where most compute only some layers."""
    options = {'decode_chunk_size': 3, 'inference_steps': 12}
    options |= {'image_prompt_width': 64, 'image_prompt_height': 64, 'output_frames': 3}
    expected = animate(
        loaded(checkpoint, memory = 'split', **options), photo(), request(preset = preset))
    engine = loaded(checkpoint, **options)
    engine.holder.model.take(ladder.named('cuda', 'streamed'))
    for _ in range(2):
        assert numpy.array_equal(animate(engine, photo(), request(preset = preset)), expected)
