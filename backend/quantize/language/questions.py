"""The prompts that every language model is asked, in each of the studio's languages."""

from dataclasses import dataclass

from backend.contracts import SamplePurpose

ANSWER_TOKENS = 48


@dataclass(frozen=True)
class Question:
    purpose: SamplePurpose
    language: str
    prompt: str


QUESTIONS = (
    Question("explain", "en", "What is quantization of a language model? Answer in two sentences."),
    Question("reckon", "en", "A box holds 12 eggs. How many eggs are in 7 boxes?"),
    Question("code", "en", "Write a Python function that says whether a number is prime."),
    Question("explain", "ko", "언어 모델의 양자화가 무엇인지 두 문장으로 설명해 주세요."),
    Question("reckon", "ko", "한 상자에 사과가 8개 있습니다. 상자 6개에는 모두 몇 개가 있나요?"),
    Question("write", "ko", "비 오는 날 아침을 한 문장으로 묘사해 주세요."),
)
