"""The Images tab: a prompt and its settings on the left, the pictures on the stage."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from backend.errors import StudioError
from backend.studio import random_seed
from ui.access import http_request, owner_of
from ui.document import theme_of
from ui.i18n import language_of, t
from ui.live import Viewer, live_state
from ui.parts.error_card import error_card
from ui.tabs.image_controls import image_controls
from ui.tabs.image_form import default_settings, form_of, read_request

if TYPE_CHECKING:
    from backend.studio import Studio

FIRST_NEWS_S = 0.15
STAGE = '<div id="notice" class="s-notice"></div><div id="stage" class="s-stage-frame"></div>'


def images_tab(studio: "Studio") -> None:
    """Build the tab inside the current Blocks."""
    with gr.Row(elem_id="images"):
        with gr.Column(elem_id="images-controls", min_width=300):
            controls = image_controls(studio.models.all())
        stage = gr.HTML(
            None,
            html_template=STAGE,
            js_on_load="window.studio.mountStage({ element, trigger, props, watch })",
            elem_id="images-stage",
            apply_default_css=False,
        )

    def submit(
        prompt: str,
        variant: str,
        width: int | None,
        height: int | None,
        steps: float | None,
        guidance: float | None,
        negative_prompt: str,
        seed: float | None,
        keep_seed: bool,
        count: float | None,
        request: gr.Request,
        event: gr.EventData,
    ) -> tuple[Any, dict[str, Any]]:
        """Queue the pictures and come back with the first news of them."""
        http = http_request(request)
        language, theme = language_of(http), theme_of(http)
        owner = owner_of(request)
        chosen = seed if keep_seed else random_seed()
        numbers = {
            "width": width,
            "height": height,
            "steps": steps,
            "guidance": guidance,
            "seed": chosen,
            "count": count,
        }
        try:
            asked = read_request(prompt, negative_prompt, variant, numbers)
            pressed = event.target._id if event.target else None
            pictures = studio.pictures
            build = pressed == controls.build._id
            submitted = pictures.prepare_then_generate if build else pictures.generate
            job_id = submitted(asked, owner)
        except StudioError as error:
            card = error_card(error.info, language, title=t("page.error.request", language))
            return gr.skip(), {"error": card, "code": error.code}
        studio.jobs.wait(
            job_id, owner, FIRST_NEWS_S, until=lambda job: job.first_event_at is not None
        )
        news = live_state(studio, owner, language, theme, Viewer(last=job_id))
        return chosen, {"job": job_id, "news": news}

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    gr.on(
        [controls.generate.click, controls.enqueue.click, controls.build.click],
        submit,
        inputs=controls.inputs,
        outputs=[controls.seed, stage],
        queue=False,
        trigger_mode="multiple",
        **quiet,
    )

    def fill(event: gr.EventData) -> list[Any]:
        return form_of(event._data["settings"], studio.models.all())

    def change_model(variant: str) -> list[Any]:
        """The variant itself stays: by the time of the answer another one may be chosen."""
        models = studio.models.all()
        prompt, _, *rest = form_of(default_settings(variant, models), models)
        return [prompt, gr.skip(), *rest]

    stage.select(fill, None, controls.form, queue=False, **quiet)
    controls.variant.change(change_model, controls.variant, controls.form, queue=False, **quiet)
    controls.stop.click(None, js="() => { window.studio.stop() }", **quiet)
