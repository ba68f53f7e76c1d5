"""The form of the Images tab."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.contracts import Model
from ui.i18n import label
from ui.parts.sizes import ASPECTS
from ui.parts.variant_picker import default_variant
from ui.tabs.image_form import negative_prompt_visible

PICKER = (
    '<div id="offer"></div>'
    '<details class="s-picker" id="picker"><summary class="s-field" id="picker-current"></summary>'
    '<div id="picker-list" role="radiogroup"></div></details>'
)
TOOLS = '<div id="tools" class="s-row"></div>'


@dataclass(frozen=True)
class Controls:
    prompt: gr.Textbox
    variant: gr.HTML
    aspect: gr.Radio
    width: gr.Number
    height: gr.Number
    steps: gr.Slider
    guidance: gr.Slider
    negative_prompt: gr.Textbox
    seed: gr.Number
    keep_seed: gr.Checkbox
    count: gr.Slider
    generate: gr.Button
    enqueue: gr.Button
    build: gr.Button
    """Pressed by the offer that is shown for a variant without engines."""
    stop: gr.Button

    @property
    def inputs(self) -> list[Component]:
        """What a request is made of, in the order of the handler's arguments."""
        return [
            self.prompt,
            self.variant,
            self.width,
            self.height,
            self.steps,
            self.guidance,
            self.negative_prompt,
            self.seed,
            self.keep_seed,
            self.count,
        ]

    @property
    def form(self) -> list[Component]:
        """Everything that taking over settings may change."""
        return [*self.inputs, self.aspect]


def image_controls(models: tuple[Model, ...]) -> Controls:
    """Build the form inside the current column, for the model that is chosen first."""
    chosen = default_variant(models)
    limits = next(model.limits for model in models if model.id == chosen.split("/")[0])
    prompt = gr.Textbox(
        label=label("prompt"),
        placeholder=label("prompt_placeholder"),
        lines=4,
        max_lines=12,
        elem_id="prompt",
        autofocus=True,
    )
    gr.HTML(TOOLS, elem_id="prompt-tools", apply_default_css=False, js_on_load=None)
    with gr.Row(elem_id="go"):
        generate = gr.Button(label("generate"), variant="primary", elem_id="generate")
        stop = gr.Button(label("stop"), variant="stop", elem_id="stop")
        enqueue = gr.Button(label("enqueue"), elem_id="enqueue")
        build = gr.Button(label("build_generate"), elem_id="build-generate")
    variant = gr.HTML(
        chosen,
        html_template=PICKER,
        js_on_load="window.studio.mountPicker({ element, trigger, props, watch })",
        elem_id="variant",
        apply_default_css=False,
    )
    aspect = gr.Radio(list(ASPECTS), value="1:1", label=label("aspect"), elem_id="aspect")
    with gr.Row(elem_id="size"):
        width = gr.Number(limits.native_width, label=label("width"), elem_id="width")
        height = gr.Number(limits.native_height, label=label("height"), elem_id="height")
    steps = _slider("steps", 1, limits.max_steps, limits.default_steps, 1)
    guidance = _slider("guidance", 0, limits.max_guidance, limits.default_guidance, 0.1)
    negative_prompt = gr.Textbox(
        label=label("negative_prompt"),
        placeholder=label("negative_prompt_placeholder"),
        lines=1,
        max_lines=6,
        elem_id="negative-prompt",
        visible=negative_prompt_visible(limits),
    )
    with gr.Row(elem_id="chance"):
        seed = gr.Number(0, label=label("seed"), elem_id="seed")
        dice = gr.Button(label("dice"), elem_id="dice", min_width=0)
        keep_seed = gr.Checkbox(False, label=label("keep_seed"), elem_id="keep-seed")
    count = _slider("count", 1, limits.max_count, 1, 1)
    _wire_locally(aspect, width, height, seed, dice, keep_seed)
    return Controls(
        prompt=prompt,
        variant=variant,
        aspect=aspect,
        width=width,
        height=height,
        steps=steps,
        guidance=guidance,
        negative_prompt=negative_prompt,
        seed=seed,
        keep_seed=keep_seed,
        count=count,
        generate=generate,
        enqueue=enqueue,
        build=build,
        stop=stop,
    )


def _slider(name: str, minimum: float, maximum: float, value: float, step: float) -> gr.Slider:
    """A slider whose range the browser keeps, and may have been changed with the model since."""
    slider = gr.Slider(
        minimum, maximum, value=value, step=step, label=label(name), elem_id=name, buttons=[]
    )
    slider.preprocess = lambda payload: payload  # type: ignore[method-assign]
    return slider


def _wire_locally(
    aspect: gr.Radio,
    width: gr.Number,
    height: gr.Number,
    seed: gr.Number,
    dice: gr.Button,
    keep_seed: gr.Checkbox,
) -> None:
    """What the form does by itself, in the browser."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    sizes: list[Component] = [width, height]
    aspect.input(None, aspect, sizes, js="(aspect) => window.studio.sizeOf(aspect)", **quiet)
    for side in sizes:
        side.input(  # type: ignore[attr-defined]
            None, sizes, aspect, js="(w, h) => window.studio.aspectOf(w, h)", **quiet
        )
    dice.click(None, None, [seed, keep_seed], js="() => [window.studio.roll(), true]", **quiet)
