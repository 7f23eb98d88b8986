#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Randomly initialised checkpoints of Depth Anything, made of the real classes, and as ONNX files: the published one has
all that they have, and other numbers. Not a test itself.

Libraries: torch, transformers, onnx.
"""

import json
import warnings
from pathlib import Path

import onnx
import torch
import transformers

#: how the published model wants its pictures
PICTURES = {
    'image_processor_type': 'DPTImageProcessor',
    'do_resize': True,
    'size': {
        'height': 518,
        'width': 518
    },
    'keep_aspect_ratio': True,
    'ensure_multiple_of': 14,
    'resample': 3,
    'do_rescale': True,
    'rescale_factor': 1 / 255,
    'do_normalize': True,
    'image_mean': [0.485, 0.456, 0.406],
    'image_std': [0.229, 0.224, 0.225],
    'do_pad': False
}

#: the sizes of the published model, which looks at 518 pixels of the shorter side
SMALL = {
    'hidden': 384,
    'layers': 12,
    'heads': 6,
    'neck': (48, 96, 192, 384),
    'fusion': 64,
    'head': 32,
    'side': 518
}


def make(folder: Path,
         *,
         hidden: int = 16,
         layers: int = 4,
         heads: int = 2,
         neck: tuple[int, ...] = (4, 4, 8, 8),
         fusion: int = 4,
         head: int = 4,
         side: int = 70,
         **configured: object) -> Path:
    """
    Save a checkpoint.

    :param folder: where to
    :type folder: Path
    :param hidden: channels of the backbone
    :type hidden: int
    :param layers: its layers, a multiple of four
    :type layers: int
    :param heads: its attention heads
    :type heads: int
    :param neck: channels of the four stages
    :type neck: tuple[int, ...]
    :param fusion: channels where they are put together
    :type fusion: int
    :param head: channels of the last layers
    :type head: int
    :param side: pixels of the shorter side that is looked at, a multiple of 14
    :type side: int
    :param configured: more of the configuration
    :type configured: object
    :return: the folder
    :rtype: Path
    """
    torch.manual_seed(0)
    transformers.utils.logging.disable_progress_bar()
    backbone = transformers.Dinov2Config(
        hidden_size = hidden,
        num_hidden_layers = layers,
        num_attention_heads = heads,
        image_size = 518,
        patch_size = 14,
        out_indices = [layers * part // 4 for part in (1, 2, 3, 4)],
        reshape_hidden_states = False)
    model = transformers.DepthAnythingForDepthEstimation(
        transformers.DepthAnythingConfig(
            backbone_config = backbone,
            reassemble_hidden_size = hidden,
            neck_hidden_sizes = list(neck),
            fusion_hidden_size = fusion,
            head_hidden_size = head,
            **configured))
    # as initialised it gives hardly anything but zeros
    for weight in model.parameters():
        if weight.dim() > 1:
            torch.nn.init.kaiming_normal_(weight)
    torch.nn.init.constant_(model.head.conv3.bias, 1.0)
    model.save_pretrained(folder)
    pictures = {**PICTURES, 'size': {'height': side, 'width': side}}
    (folder / 'preprocessor_config.json').write_text(json.dumps(pictures), encoding = 'utf-8')
    return folder


class _Exportable(torch.nn.Module):
    """
    The model, its sizes computed by operators: the exporter would write its ``int(…)`` as the numbers of one picture.

    :param model: the model
    :type model: transformers.DepthAnythingForDepthEstimation
    """

    def __init__(self, model: transformers.DepthAnythingForDepthEstimation):
        super().__init__()
        self.model = model
        model.head.forward = self._head

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.model(pixel_values).predicted_depth

    def _head(self, states: list[torch.Tensor], height: int, width: int) -> torch.Tensor:
        head = self.model.head
        size = height * head.patch_size, width * head.patch_size
        found = torch.nn.functional.interpolate(
            head.conv1(states[head.head_in_index]), size, mode = 'bilinear', align_corners = True)
        found = head.activation2(head.conv3(head.activation1(head.conv2(found))))
        return (found * head.max_depth).squeeze(1)


def export(checkpoint: Path, folder: Path) -> Path:
    """
    Write a checkpoint as the published model is kept for onnxruntime.

    :param checkpoint: what :func:`make` returned
    :type checkpoint: Path
    :param folder: where to
    :type folder: Path
    :return: the folder, with ``onnx/model.onnx`` and the description of its pictures
    :rtype: Path
    """
    model = transformers.DepthAnythingForDepthEstimation.from_pretrained(
        checkpoint, attn_implementation = 'eager').eval()
    path = folder / 'onnx' / 'model.onnx'
    path.parent.mkdir(parents = True, exist_ok = True)
    taken, given = 'pixel_values', 'predicted_depth'
    with torch.no_grad(), warnings.catch_warnings():
        # of a way to export that takes one library less
        warnings.simplefilter('ignore')
        torch.onnx.export(
            _Exportable(model), (torch.rand(1, 3, 70, 98), ),
            str(path),
            input_names = [taken],
            output_names = [given],
            dynamic_axes = {
                taken: {
                    0: 'batch_size',
                    2: 'height',
                    3: 'width'
                },
                given: {
                    0: 'batch_size',
                    1: 'height',
                    2: 'width'
                }
            },
            opset_version = 17,
            dynamo = False)
    name = 'preprocessor_config.json'
    (folder / name).write_bytes((checkpoint / name).read_bytes())
    return folder


def draw(path: Path,
         answer: str = 'mean',
         taken: str = 'pixel_values',
         given: str = 'predicted_depth',
         half: bool = False) -> Path:
    """
    Write an ONNX file that takes and gives what the model does, and is cheap to make and to ask.

    :param path: where to
    :type path: Path
    :param answer: ``mean`` of the colours, ``constant`` or ``nan``
    :type answer: str
    :param taken: the name of its input
    :type taken: str
    :param given: the name of its output
    :type given: str
    :param half: whether it computes at half precision
    :type half: bool
    :return: the path
    :rtype: Path
    """
    helper = onnx.helper
    real = onnx.TensorProto.FLOAT16 if half else onnx.TensorProto.FLOAT
    axes = helper.make_tensor('axes', onnx.TensorProto.INT64, [1], [1])
    factor = {'constant': 0.0, 'nan': float('nan')}.get(answer, 1.0)
    nodes = [
        helper.make_node('ReduceMean', [taken, 'axes'], ['means'], keepdims = 0),
        helper.make_node('Mul', ['means', 'factor'], ['scaled']),
        helper.make_node('Add', ['scaled', 'summand'], [given])
    ]
    graph = helper.make_graph(
        nodes, 'depth',
        [helper.make_tensor_value_info(taken, real, ['batch_size', 3, 'height', 'width'])],
        [helper.make_tensor_value_info(given, real, ['batch_size', 'a', 'b'])], [
            axes,
            helper.make_tensor('factor', real, [], [factor]),
            helper.make_tensor('summand', real, [], [4.0])
        ])
    path.parent.mkdir(parents = True, exist_ok = True)
    model = helper.make_model(graph, opset_imports = [helper.make_opsetid('', 18)], ir_version = 9)
    onnx.save(model, path)
    return path
