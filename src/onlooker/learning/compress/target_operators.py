"""What engines that are not here are documented to take: operators, opsets, types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["LISTS", "Known"]


@dataclass(frozen=True, slots=True)
class Known:
    """What an engine takes.

    Args:
        source: where that is said.
        operators: of ONNX, by name.
        opset: up to which.
        types: of tensors, as ONNX calls them in small letters.
        limits: by operator, what else must hold and is not checked here.
        zero_points: whether int8 may lie around another number than 0.
    """

    source: str
    operators: frozenset[str]
    opset: int
    types: frozenset[str]
    limits: Mapping[str, str] = field(default_factory=dict[str, str])
    zero_points: bool = True


_TENSORRT = """
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast CastLike Ceil
    Celu Clip Concat Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DeformConv DepthToSpace
    DequantizeLinear Div Dropout Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements
    GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample
    GroupNormalization HardSigmoid HardSwish Hardmax Identity If ImageScaler InstanceNormalization IsInf IsNaN
    LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax Loop LpNormalization LpPool MatMul Max
    MaxPool Mean MeanVarianceNormalization Min Mish Mod Mul Neg NonMaxSuppression NonZero Not OneHot Or PRelu
    Pad ParametricSoftplus Pow QuantizeLinear RNN RandomNormal RandomNormalLike RandomUniform RandomUniformLike
    Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
    ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign Round ScaledTanh Scan Scatter
    ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign
    SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze
    Upsample Where Xor
"""

_COREML = """
    Add And ArgMax AveragePool Cast Ceil Clip Concat Conv ConvTranspose Cos DepthToSpace Div Elu Erf Exp
    GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool GridSample GroupNormalization HardSigmoid Identity
    InstanceNormalization LayerNormalization LeakyRelu MatMul Max MaxPool Mul PRelu Pow Reciprocal ReduceMax
    ReduceMean ReduceSum Relu Reshape Resize Round Shape Sigmoid Sin Slice Softmax Softplus Split Sqrt Squeeze
    Sub Tanh Tile Transpose Unsqueeze Where
"""

LISTS: Mapping[str, Known] = {
    "tensorrt": Known(
        source="docs/operators.md of github.com/onnx/onnx-tensorrt, release 10.1 (96e7811, 2024-06-17)",
        operators=frozenset(_TENSORRT.split()),
        opset=20,
        types=frozenset(("float", "float16", "bfloat16", "int32", "int64", "int8", "bool")),
        limits={
            "LSTM": "input_forget and layout must be 0",
            "GRU": "both directions must have the same activations",
            "AveragePool": "pools of two or three axes alone",
            "MaxPool": "pools of two or three axes alone, without places",
            "LayerNormalization": "its first output alone",
            "TopK": "less than 3840",
        },
        zero_points=False,
    ),
    "coreml": Known(
        source="coreml_supported_mlprogram_ops.md of onnxruntime 1.32, for its Core ML execution provider (ML Program)",
        operators=frozenset(_COREML.split()),
        opset=22,
        types=frozenset(("float", "float16", "int32", "int64", "bool")),
        limits={
            "Conv": "of one or two axes alone",
            "AveragePool": "pools of two axes alone",
            "GlobalAveragePool": "pools of two axes alone",
            "MaxPool": "pools of two axes alone",
            "Slice": "its places must be constants",
            "Split": "its sizes must be constants",
        },
    ),
}
"""By target."""
