"""Every failure a user can meet: a stable code, a sentence and a hint.

The sentence and the hint are in the language catalogues under `error.<CODE>.message` and
`error.<CODE>.hint`.
"""

from enum import Enum, auto

from pydantic import BaseModel, ConfigDict

from backend.language import Value, say


class Name(str, Enum):
    """An enum of names that reads, formats and compares as its string."""

    __str__ = str.__str__
    __format__ = str.__format__  # type: ignore[assignment]


class Code(Name):
    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[str]) -> str:
        return name

    # what was asked for
    INVALID_REQUEST = auto()
    PROMPT_EMPTY = auto()
    PROMPT_TOO_LONG = auto()
    PROMPT_TOO_MANY_TOKENS = auto()
    NEGATIVE_PROMPT_UNSUPPORTED = auto()
    NEGATIVE_PROMPT_UNGUIDED = auto()
    SIZE_NOT_MULTIPLE = auto()
    SIZE_OUT_OF_RANGE = auto()
    SIZE_OUT_OF_PROFILE = auto()
    STEPS_OUT_OF_RANGE = auto()
    GUIDANCE_OUT_OF_RANGE = auto()
    SEED_OUT_OF_RANGE = auto()
    COUNT_OUT_OF_RANGE = auto()
    MODEL_UNKNOWN = auto()
    VARIANT_UNKNOWN = auto()
    VARIANT_UNAVAILABLE = auto()
    IMAGE_WITHOUT_SETTINGS = auto()
    IMAGE_UNREADABLE = auto()
    # engines
    TENSORRT_MISSING = auto()
    TARGET_UNSUPPORTED = auto()
    ONNX_INVALID = auto()
    ONNX_NOT_FOUND = auto()
    ONNX_NOT_ALLOWED = auto()
    ONNX_NAME_INVALID = auto()
    ONNX_NAME_TAKEN = auto()
    ONNX_UNREADABLE = auto()
    ONNX_DATA_OUTSIDE = auto()
    ONNX_DATA_MISSING = auto()
    ONNX_DATA_TRUNCATED = auto()
    ONNX_DATA_WRONG = auto()
    ONNX_CONVERT_FAILED = auto()
    ONNX_CHANGED = auto()
    INPUTS_INVALID = auto()
    NETWORK_RUN_FAILED = auto()
    ENGINE_NOT_RUNNABLE = auto()
    LANGUAGE_MODEL_UNSUPPORTED = auto()
    PROFILE_INVALID = auto()
    ENGINE_BUILD_FAILED = auto()
    ENGINE_NOT_FOUND = auto()
    ENGINE_BROKEN = auto()
    EXPORT_DIFFERS = auto()
    PREEXPORTED_MISSING = auto()
    ONNX_UNEXPECTED = auto()
    ENGINE_DISK_SPACE_LOW = auto()
    CALIBRATION_OUT_OF_MEMORY = auto()
    EXPORT_OUT_OF_MEMORY = auto()
    BUILD_OUT_OF_MEMORY = auto()
    BUILD_MEMORY_LOW = auto()
    PREPARATION_FAILED = auto()
    ENGINE_NOT_REBUILDABLE = auto()
    # quantisation
    QUANTIZE_RECIPE_UNKNOWN = auto()
    QUANTIZE_RECIPE_UNAVAILABLE = auto()
    QUANTIZE_MODEL_UNSUPPORTED = auto()
    QUANTIZE_WEIGHTS_MISSING = auto()
    QUANTIZE_WEIGHTS_PICKLED = auto()
    QUANTIZE_ALREADY_QUANTIZED = auto()
    QUANTIZE_NOTHING_LEFT = auto()
    QUANTIZE_OUT_OF_MEMORY = auto()
    PICTURES_OUT_OF_MEMORY = auto()
    PICTURE_PROMPTS_MISSING = auto()
    QUANTIZE_DISK_LOW = auto()
    QUANTIZE_NOT_ALLOWED = auto()
    CALIBRATION_TEXT_UNREADABLE = auto()
    CALIBRATION_TEXT_SHORT = auto()
    EVALUATION_OVERLAPS = auto()
    CHECKPOINT_EXISTS = auto()
    CHECKPOINT_CHECK_FAILED = auto()
    CHECKPOINT_NOT_FOUND = auto()
    CHECKPOINT_MANIFEST_BROKEN = auto()
    CHECKPOINT_NOT_YOURS = auto()
    CHECKPOINT_KEPT = auto()
    CHECKPOINT_OUTSIDE = auto()
    AGREEMENT_SERVER_MISSING = auto()
    PUSH_NAME_INVALID = auto()
    PUSH_REPO_EXISTS = auto()
    PUSH_NOT_ALLOWED = auto()
    PUSH_TOKEN_MISSING = auto()
    PUSH_OFFLINE = auto()
    DATASETS_MISSING = auto()
    DATASET_UNREADABLE = auto()
    QUANTIZATION_LEVEL_UNKNOWN = auto()
    RECIPE_INVALID = auto()
    CALIBRATION_FAILED = auto()
    CALIBRATION_UNREADABLE = auto()
    PROMPTS_UNREADABLE = auto()
    GPU_NEEDED = auto()
    # comparisons
    COMPARISON_NOT_FOUND = auto()
    COMPARE_VARIANTS_COUNT = auto()
    COMPARE_TOO_MANY_PICTURES = auto()
    COMPARE_PROMPTS_EMPTY = auto()
    REPORT_UNREADABLE = auto()
    REPORT_NEWER = auto()
    PICTURES_UNEQUAL = auto()
    COMPARE_QUESTIONS_EMPTY = auto()
    COMPARE_TOO_MANY_ANSWERS = auto()
    COMPARE_MEMORY_SHORT = auto()
    # jobs
    JOB_NOT_FOUND = auto()
    JOB_NOT_CANCELLABLE = auto()
    JOB_NOT_RETRYABLE = auto()
    JOB_KEEPS_CRASHING = auto()
    JOB_STILL_RUNNING = auto()
    JOB_STOPPED = auto()
    TOO_MANY_WAITING = auto()
    WORKER_DIED = auto()
    WORKER_MISSING = auto()
    # the Hugging Face hub
    HUB_TOKEN_MISSING = auto()
    HUB_TOKEN_INVALID = auto()
    HUB_ACCESS_DENIED = auto()
    HUB_REPO_NOT_FOUND = auto()
    HUB_REVISION_NOT_FOUND = auto()
    HUB_FILES_NOT_FOUND = auto()
    HUB_UNREACHABLE = auto()
    HUB_OFFLINE_INCOMPLETE = auto()
    DOWNLOAD_INTERRUPTED = auto()
    NOTHING_TO_FETCH = auto()
    # chat
    CHAT_MODEL_NOT_FOUND = auto()
    ARCHITECTURE_UNSUPPORTED = auto()
    CHAT_TEMPLATE_MISSING = auto()
    CHECKPOINT_NOT_READABLE = auto()
    SERVER_NOT_FOUND = auto()
    SERVER_UNSUITABLE = auto()
    SERVER_RUNNING_ALREADY = auto()
    SERVER_UNKNOWN = auto()
    SERVER_START_FAILED = auto()
    SERVER_OUT_OF_MEMORY = auto()
    SERVER_PORT_TAKEN = auto()
    SERVER_DRIVER_MISMATCH = auto()
    SERVER_TOO_SLOW_TO_START = auto()
    SERVER_DIED = auto()
    SERVER_NOT_READY = auto()
    SERVER_UNREACHABLE = auto()
    SERVER_KEY_REFUSED = auto()
    SERVER_ERROR = auto()
    NOT_A_SERVER = auto()
    SERVED_MODEL_UNKNOWN = auto()
    CHAT_FIELD_UNSUPPORTED = auto()
    CHAT_FIELD_REFUSED = auto()
    CHAT_REQUEST_REFUSED = auto()
    CONTEXT_EXCEEDED = auto()
    MESSAGE_EMPTY = auto()
    MESSAGE_TOO_LONG = auto()
    MESSAGE_IMAGE_INVALID = auto()
    SAMPLING_OUT_OF_RANGE = auto()
    CONVERSATION_NOT_FOUND = auto()
    CONVERSATION_FILE_INVALID = auto()
    CONVERSATION_FILE_NEWER = auto()
    CONVERSATION_FILE_TOO_LARGE = auto()
    TURN_NOT_FOUND = auto()
    ANSWER_BEING_WRITTEN = auto()
    SERVER_NOT_CHOSEN = auto()
    SERVER_NOT_RUNNING = auto()
    SERVER_WITHOUT_STUDIO = auto()
    CHAT_IMAGE_REFUSED = auto()
    # blind votes
    POLL_NOT_FOUND = auto()
    POLL_VARIANTS_INVALID = auto()
    POLL_EMPTY = auto()
    POLL_FULL = auto()
    VOTE_INVALID = auto()
    VOTES_TOO_FAST = auto()
    VOTING_CLOSED = auto()
    # the machine
    OUT_OF_MEMORY = auto()
    MODEL_TOO_LARGE = auto()
    MODEL_FILES_CORRUPTED = auto()
    MODEL_IN_USE = auto()
    DISK_FULL = auto()
    DISK_SPACE_LOW = auto()
    HOME_NOT_WRITABLE = auto()
    FOLDER_NOT_WRITABLE = auto()
    DATABASE_UNREACHABLE = auto()
    DATABASE_NEWER = auto()
    PORT_TAKEN = auto()
    ADDRESS_NOT_LOCAL = auto()
    SETTING_UNKNOWN = auto()
    SETTING_INVALID = auto()
    ACCESS_DENIED = auto()
    VISITORS_LOCKED = auto()
    INTERNAL = auto()


class ErrorInfo(BaseModel):
    """A failure as data, to be stored with a job and shown in any language."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Code
    values: dict[str, Value] = {}
    detail: str = ""
    """Everything known, for the reader who unfolds it: a traceback, a log's tail."""

    def message(self, language: str = "en") -> str:
        return say(f"error.{self.code}.message", language, **self.values)

    def hint(self, language: str = "en") -> str:
        return say(f"error.{self.code}.hint", language, **self.values)


class StudioError(Exception):
    """A failure with a code; its text is meant for the user."""

    def __init__(self, code: Code, detail: str = "", /, **values: Value) -> None:
        self.info = ErrorInfo(code=code, values=values, detail=detail)
        super().__init__(self.info.message())

    @property
    def code(self) -> Code:
        return self.info.code
