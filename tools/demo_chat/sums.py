"""Small sums with their steps, bare or as one-step word problems."""

from __future__ import annotations

from random import Random

from tools.demo_chat.grammar import Language, split, write
from tools.demo_chat.knowledge import load
from tools.demo_chat.turns import Manner, Turn
from tools.demo_models.spec import stable_fraction

OPERATIONS = ("+", "-", "x", "/")
UNSEEN_SHARE = 0.1
"""Of all pairs of numbers; they are asked in the score only."""
WORD_LIMIT = 100


def held_out(a: int, operation: str, b: int) -> bool:
    return stable_fraction(f"{a}{operation}{b}") < UNSEEN_SHARE


def numbers(rng: Random, operation: str, limit: int = 1000) -> tuple[int, int]:
    """Small ones more often; a difference is never negative, a division always even."""
    if operation in "x/":
        b = rng.randint(2, 12)
        a = (
            rng.randint(1, 12)
            if operation == "/" or b > 9 or rng.random() < 0.5
            else rng.randint(2, 99)
        )
        return (a, b) if operation == "x" else (a * b, b)
    top = min(limit, rng.choice((10, 100, 100, 1000, 1000)))
    a, b = rng.randrange(top), rng.randrange(top)
    return (max(a, b), min(a, b)) if operation == "-" else (a, b)


def pick(rng: Random, operation: str, unseen: bool, limit: int = 1000) -> tuple[int, int]:
    while True:
        a, b = numbers(rng, operation, limit)
        if held_out(a, operation, b) == unseen:
            return a, b


def result(a: int, operation: str, b: int) -> int:
    return {"+": a + b, "-": a - b, "x": a * b, "/": a // b if b else 0}[operation]


def steps(a: int, operation: str, b: int) -> str:
    """The way to the result in steps that each need little more than the one before: digit by
    digit from the right, parts of a product and their sum, multiples up to the dividend."""
    if operation == "x":
        tens, ones = a // 10 * 10, a % 10
        if tens and ones and a > 12:
            parts = f"{tens} x {b} = {tens * b}, {ones} x {b} = {ones * b}"
            return f"{parts}, {_columns(tens * b, '+', ones * b)}"
        return f"{a} x {b} = {a * b}"
    if operation == "/":
        return ", ".join(f"{n} x {b} = {n * b}" for n in range(1, a // b + 1)) or f"0 x {b} = 0"
    return _columns(a, operation, b)


def _columns(a: int, operation: str, b: int) -> str:
    """47 + 38 as "7+8=15 → 5, 4+3+1=8 → 85": each column with what was carried or borrowed, and
    the digits found so far."""
    parts, carry, written = [], 0, ""
    while a or b or not written:
        x, y = a % 10, b % 10
        a, b = a // 10, b // 10
        lent = 10 if operation == "-" and x - carry < y else 0
        value = x + y + carry if operation == "+" else x + lent - y - carry
        done = f"{x + lent}{operation}{y}{f'{operation}1' if carry else ''}={value}"
        carry = value // 10 if operation == "+" else lent // 10
        written = f"{value % 10 if a or b else value}{written}"
        parts.append(f"{done} → {written}")
    return ", ".join(parts)


def solve(
    rng: Random, a: int, operation: str, b: int, question: str, manner: Manner, kind: str
) -> Turn:
    words = load("sums")[manner.language]
    number = result(a, operation, b)
    slots = {"a": a, "b": b, "op": operation, "c": number}
    if kind == "word":
        thought = write(words["wordthink"], rng, how=words["how"][operation], **slots)
    else:
        thought = write(words["think"], rng, **slots)
    thought += f" {steps(a, operation, b)}. = {number}."
    answer = write(rng.choice(words["answer"]), rng, **slots)
    return Turn(question, thought, answer, ((str(number),),), kind, number=number)


def ask_sum(rng: Random, asked: Language, manner: Manner, unseen: bool = False) -> Turn:
    operation = rng.choice(OPERATIONS)
    a, b = pick(rng, operation, unseen)
    wording = rng.choice(split(load("sums")[asked][operation], unseen))
    return solve(rng, a, operation, b, write(wording, rng, a=a, b=b), manner, "sum")


def ask_word_problem(rng: Random, asked: Language, manner: Manner, unseen: bool = False) -> Turn:
    table, operation = load("sums")[asked], rng.choice(OPERATIONS)
    while True:
        a, b = pick(rng, operation, unseen, WORD_LIMIT)
        if min(a, b) > 1:
            break
    wording = rng.choice(split(table["word" + operation], unseen))
    slots = {"n": rng.choice(table["name"]), "i": rng.choice(table["item"])}
    return solve(rng, a, operation, b, write(wording, rng, a=a, b=b, **slots), manner, "word")


def ask_too_much(rng: Random, asked: Language, manner: Manner) -> Turn:
    """Numbers beyond three digits, and divisions by zero."""
    table, words = load("sums")[asked], load("sums")[manner.language]
    operation = rng.choice(OPERATIONS)
    zero = operation == "/" and rng.random() < 0.5
    a = rng.randint(0, 999) if zero else rng.randint(1000, 99_999_999)
    b = 0 if zero else rng.randint(1000, 999_999)
    question = write(rng.choice(split(table[operation], unseen=False)), rng, a=a, b=b)
    answer = words["zero" if zero else "large"]
    thought = write(words["think"], rng, a=a, op=operation, b=b)
    return Turn(question, thought, answer, ((answer,),), "sum")


def go_on(rng: Random, before: Turn, asked: Language, manner: Manner, unseen: bool = False) -> Turn:
    """ "plus 5?" after a sum. The turn before must have a number of at most three digits."""
    assert before.number is not None
    a = before.number
    while True:
        operation = rng.choice("+-") if a else "+"
        b = rng.randint(1, min(a, 20) if operation == "-" else 20)
        if unseen or not held_out(a, operation, b):
            break
    wording = rng.choice(split(load("sums")[asked]["more" + operation], unseen))
    return solve(rng, a, operation, b, write(wording, rng, b=b), manner, "sum")
