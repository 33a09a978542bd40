"""Node Input/Output Modifications that should be invisible: the same network in another memory layout."""

from __future__ import annotations

import tvm
import tvm_ffi
from tvm import relax

from tvm_mutate.mutant import Category, Example, FunctionRule, Operator, Parameter, Parameters, Slot

_CONV2D_LAYOUTS: dict[str, list[str]] = {"NHWC": ["NHWC", "OHWI"]}


def _convert(module: tvm.IRModule, name: str, parameters: Parameters) -> tvm.IRModule | None:
    layouts = {"relax.nn.conv2d": _CONV2D_LAYOUTS[str(parameters["layout"])]}
    # The pass converts every function of a module, the rule is for one.
    converted = relax.transform.ConvertLayout(layouts)(module)[name]
    if tvm_ffi.structural_equal(converted, module[name]):
        return None
    return tvm.IRModule(
        {**module.functions, module.get_global_var(name): converted},
        attrs=module.attrs,
        global_infos=module.global_infos,
    )


CONVERT_LAYOUT = Operator(
    name="graph.convert-layout",
    fault="data that is read in another layout than it was written in (layout problems, Shen et al. 2021)",
    paper=True,
    slots=(Slot.GRAPH,),
    category=Category.NODE_INPUT_OUTPUT,
    description="computes all 2-d convolutions of a function in another layout, which should change roundings only",
    rule=FunctionRule(_convert),
    parameters=(Parameter("layout", "the layout of the convolutions' data", "NHWC", tuple(_CONV2D_LAYOUTS)),),
    examples=(
        Example(
            before="""
@I.ir_module
class Module:
    @R.function
    def main(
        x: R.Tensor((1, 2, 8, 8), "float32"), w: R.Tensor((4, 2, 3, 3), "float32")
    ) -> R.Tensor((1, 4, 6, 6), "float32"):
        with R.dataflow():
            gv: R.Tensor((1, 4, 6, 6), "float32") = R.nn.conv2d(x, w)
            R.output(gv)
        return gv
""",
            after="""
@I.ir_module
class Module:
    @R.function
    def main(
        x: R.Tensor((1, 2, 8, 8), "float32"), w: R.Tensor((4, 2, 3, 3), "float32")
    ) -> R.Tensor((1, 4, 6, 6), "float32"):
        with R.dataflow():
            lv: R.Tensor((1, 8, 8, 2), "float32") = R.permute_dims(x, axes=[0, 2, 3, 1])
            lv1: R.Tensor((4, 3, 3, 2), "float32") = R.permute_dims(w, axes=[0, 2, 3, 1])
            lv2: R.Tensor((1, 6, 6, 4), "float32") = R.nn.conv2d(
                lv, lv1, data_layout="NHWC", kernel_layout="OHWI", out_layout="NHWC"
            )
            gv: R.Tensor((1, 4, 6, 6), "float32") = R.permute_dims(lv2, axes=[0, 3, 1, 2])
            R.output(gv)
        return gv
""",
        ),
    ),
)

OPERATORS = (CONVERT_LAYOUT,)
