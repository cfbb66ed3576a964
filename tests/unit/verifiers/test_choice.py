"""Multiple choice: exactly one committed label counts. The right one is B unless a test says otherwise."""

import pytest

from streams.messages import Question, Status
from workers.verifiers.choice import ChoiceVerifier

CAPITALS = {"A": "London", "B": "Paris", "C": "Rome", "D": "It might be none of these"}


def choose(response, gold="B", **options):
    return ChoiceVerifier().verify(Question(prompt="?", ground_truth=gold, options=options), response)


@pytest.mark.parametrize(
    "response",
    [
        *(
            "B",
            "(B)",
            "B.",
            "B)",
            "[B]",
            "b",
            "(b)",
            "b.",
            "b)",
            " B \n",
            "B!",
            '"B"',
            "`B`",
            "**B**",
            "*B*",
            "__B__",
            "**B.**",
        ),
        *(
            "Ｂ",
            "（Ｂ）",
            "\N{MATHEMATICAL BOLD CAPITAL B}",
            "\N{CIRCLED LATIN CAPITAL LETTER B}",
            "B\u200b",
            "\ufeffB",
        ),
        *(
            "\\boxed{B}",
            "$\\boxed{B}$",
            "\\boxed{\\text{B}}",
            "\\boxed{\\textbf{(B)}}",
            "\\boxed{(B) Paris}",
            "\\boxed{b}",
        ),
        *("<answer>B</answer>", "<answer>\\boxed{B}</answer>", "<ANSWER> (B) </ANSWER>", "\\fbox{B}\\boxed{B}"),
        *(
            "The answer is B",
            "The answer is B.",
            "The answer is (B).",
            "the answer is b",
            "The answer is: B",
            "The answer is **B**.",
        ),
        *(
            "Answer: B",
            "Answer: (B) Paris",
            "ANSWER: b",
            "Answer B",
            "**Answer:** B",
            "**Answer: B**",
            "Answer = B",
            "#### B",
        ),
        *(
            "Final answer: B",
            "Final Answer:\nB",
            "Answer:\n\n(B)",
            "The correct answer is B.",
            "The correct option is B.",
            "Correct: B",
        ),
        *("The correct choice is option B.", "The answer is option B", "The answer is choice (B).", "Answer → B"),
        *(
            "Option B is correct",
            "Option B is the correct answer.",
            "B is correct.",
            "B is right",
            "(B) is the best answer.",
        ),
        *(
            "I choose B",
            "I choose B.",
            "I'd go with B.",
            "I would pick option B.",
            "My answer is B",
            "My final choice is B.",
        ),
        *(
            "I think B",
            "I think B.",
            "I think B, because A is wrong",
            "I think it's B.",
            "I believe the answer is B.",
            "It is B.",
        ),
        *(
            "So B.",
            "Therefore, B.",
            "Therefore the answer is B.",
            "Thus, it is B.",
            "Hence (B)",
            "It must be B.",
            "Definitely B!",
        ),
        *("(B) Paris", "B) Paris", "B. Paris", "B: Paris", "B - Paris", "B — Paris", "B, Paris", "B (Paris)"),
        *(
            "B because A is wrong.",
            "B, because A is wrong.",
            "B, since A and C are too small.",
            "B. A is wrong because it is small.",
        ),
        *(
            "Paris is the capital of France.\n\nB",
            "Paris is the capital.\n(B)",
            "Let me see. B.",
            "It is Paris. Answer: B",
        ),
        *("B\n\nParis is the capital of France.", "B) Paris\nIt has been the capital since 987."),
        "A) London\nB) Paris\nC) Rome\nD) Oslo\n\nAnswer: B",
        "A) London\nB) Paris\nC) Rome\nD) Oslo\n\nB",
        "A is wrong, C is wrong, D is wrong. The answer is B.",
        "A is incorrect. B is correct. C is incorrect. D is incorrect.",
        "Statement A is true. Statement C is true. So both hold. The answer is B.",
        "Not A. The answer is B.",
        "The answer is not A but B.",
        "The answer is not A. The answer is B.",
        "The answer is B, not A.",
        "The answer is B, so A is wrong.",
        "A... no, B",
        "The answer is A. No, wait, the answer is B.",
        "The answer is A. Actually, the answer is B.",
        "The answer is A.\nWait, I made a mistake.\nThe answer is B.",
        "The answer is B. Wait, A is wrong, as I said.",
        "The answer is A. Correction: \\boxed{B}",
        "The answer is B. There is no doubt.",
        "The answer is B, no other option fits.",
        "The answer is B. The answer is (B).",
        "\\boxed{B} and again \\boxed{B}",
        "The answer is B. \\boxed{B}",
        "Some people say the answer is A, but it is B.",
        "Although it might seem like A, the answer is B.",
        "If we substitute 2, the answer is B.",
        "The most likely answer is B.",
        "It could be A, but the answer is B.",
        "I don't think the answer is A. The answer is B.",
        "A dog is an animal. The answer is B.",
        "I am sure that the answer is B.",
        "<think>Is it A? The answer is A.</think>The answer is B.",
        "<think>\\boxed{A}</think>\\boxed{B}",
        *(
            "答案是B。",
            "答案：B",
            "正确答案是 B",
            "Respuesta: B",
            "La respuesta es B.",
            "La réponse est B.",
            "Die Antwort ist B.",
            "Ответ: B",
        ),
        *(
            "The answer is $B$.",
            "The answer is \\text{B}",
            'The answer is "B".',
            "<b>B</b>",
            "Answer:B",
            "B!!!",
            "answer = 'B'",
        ),
        *(
            "Option B",
            "option b",
            "Choice: B",
            "Final: B",
            "It's definitely B.",
            "Let's go with B",
            "We choose B",
            "B it is.",
        ),
        *(
            "I would go with option B as it is the most complete.",
            "B rather than A",
            "B instead of A",
            "B and not A",
            "B, I think",
        ),
        "The answer is B rather than A",
        "The answer, therefore, is B.",
        "A is the answer? No, B is the answer.",
        "A, no B",
        "I first thought A, but the answer is B.",
        "The answer cannot be A, so the answer is B",
        "Between A and B, I choose B.",
        "Final Answer: The final answer is B. I hope it is correct.",
        '{"answer": "B"}',
        "- B",
        "> B",
        "### B",
    ],
)
def test_a_committed_b_is_right(response):
    found = choose(response)
    assert (found.score, found.status) == (1.0, Status.CORRECT), found.why
    assert choose(response, "A").score == 0.0, response
    assert choose(response, "C").score == 0.0


@pytest.mark.parametrize(
    "response",
    [
        *("", "   ", "\n", "?", ".", "...", "\u200b", "<think>B</think>", "<think>The answer is B", "B<think>"),
        *(
            "A or B",
            "A and B",
            "B or A",
            "B and C",
            "A/B",
            "A, B",
            "B, C",
            "A & B",
            "B + C",
            "A B C D",
            "ABCD",
            "AB",
            "BB",
            "A B",
        ),
        *(
            "(A) (B)",
            "A. B. C. D.",
            "A; B",
            "A\nB",
            "A\nB\nC\nD",
            "B\nC",
            "both A and B",
            "either A or B",
            "neither A nor B",
        ),
        *(
            "The answer is A or B",
            "The answer is B or C.",
            "The answer is either A or B.",
            "The answer is A and B.",
            "Answer: A, B",
        ),
        *(
            "\\boxed{A or B}",
            "\\boxed{A, B}",
            "\\boxed{A}\\boxed{B}",
            "\\boxed{B}\\boxed{A}",
            "<answer>A</answer><answer>B</answer>",
        ),
        *("\\boxed{}", "\\boxed{B", "\\boxed{42}", "<answer>B", "<answer></answer>", "\\boxed{A} The answer is B."),
        "The answer is B. \\boxed{A}",
        "The answer is A. \\boxed{B}",
        "The answer is A. <answer>B</answer>",
        *(
            "The answer is A. The answer is B.",
            "The answer is B. The answer is A.",
            "Answer: A\nAnswer: B",
            "Answer: B\nA",
        ),
        *(
            "not A",
            "not B",
            "The answer is not B",
            "The answer isn't B.",
            "B is not correct.",
            "B is wrong",
            "It is not B.",
            "not B.",
        ),
        *(
            "It could be B",
            "It might be B.",
            "B maybe",
            "maybe B",
            "Maybe B.",
            "probably B",
            "Probably B.",
            "Perhaps B",
            "B?",
            "(B)?",
        ),
        *(
            "The answer is probably B.",
            "The answer is maybe B",
            "The answer might be B.",
            "The answer may be B",
            "Possibly (B).",
        ),
        *(
            "The answer is B, maybe.",
            "The answer is B, but I am not sure.",
            "The answer is B?",
            "I guess the answer is B.",
            "I guess B",
        ),
        *(
            "Maybe \\boxed{B}",
            "\\boxed{B} but I'm not sure.",
            "The answer is B. I am not sure.",
            "It is B, I guess?",
            "B or not",
        ),
        *(
            "I don't know.",
            "I don't think the answer is B.",
            "If the answer is B, then A is wrong.",
            "Is it B?",
            "Why B?",
        ),
        *(
            "Some people say the answer is B.",
            "It would be wrong to say the answer is B.",
            "Vitamin B is healthy.",
            "Plan B",
        ),
        *(
            "B-tree",
            "Hepatitis B",
            "B.Sc. in physics",
            "a",
            "A dog is an animal.",
            "Because",
            "Bob",
            "boxed B",
            "b is a letter",
        ),
        *("E", "The answer is E.", "\\boxed{E}", "Answer: Z", "Paris", "42", "2", "в", "В", "б", "β", "Β", "ב"),
        *(
            "A) London\nB) Paris\nC) Rome\nD) Oslo",
            "A) London\nB) Paris",
            "Options: A, B, C, D",
            "The options are A, B, C and D.",
        ),
        *(
            "B) Paris\nC) Rome",
            "Choose A, B, C or D.",
            "All of A, B, C and D",
            "All of them",
            "None",
            "none of the above",
        ),
        *(
            "Answer:",
            "The answer is",
            "The answer is clear.",
            "The answer is a letter",
            "Answer: letter",
            "the answer is b c",
        ),
        *(
            "The answer is B. Alternatively, A.",
            "The answer is B. A is also plausible.",
            "B (or A)",
            "B, or C",
            "Answer: B. Or C.",
        ),
        *("The answer is B or maybe C", "Answer: A (B)", "Answer: B / A", "Answer: A → B", "Both A and B are correct."),
        *("The answer can't be B", "Could be B. Could be A.", "A is correct and B is correct", "Not A, but not B"),
        "The answer is B. No, wait, the answer is A.",
        "B... no, C",
        "A... no, B... no, C",
        "I choose B. I choose A.",
        "A is correct. B is correct.",
        "The answer is B " * 3 + "A" + " or B",
        "B" * 200_000,
    ],
)
def test_anything_else_is_no_b(response):
    found = choose(response)
    assert found.score == 0.0, (response[:80], found.why)
    assert found.status in {Status.WRONG, Status.UNPARSEABLE}


@pytest.mark.parametrize(
    ("gold", "response", "score"),
    [
        ("A", "A", 1.0),
        ("A", "a", 1.0),
        ("A", "The answer is A.", 1.0),
        ("A", "The answer is a dog.", 0.0),
        ("A", "The answer is A dog.", 0.0),
        ("A", "A dog is a mammal.", 0.0),
        ("A", "I think a dog.", 0.0),
        ("A", "It's a trap", 0.0),
        ("A", "It is a.", 0.0),
        ("A", "A. A dog is a mammal.", 1.0),
        ("A", "Option A is correct.", 1.0),
        ("A", "A is the correct answer.", 1.0),
        ("A", "A because dogs are mammals", 1.0),
        ("A", "A major chord", 0.0),
        ("A", "So a dog it is.", 0.0),
        ("(A)", "A", 1.0),
        ("a.", "A", 1.0),
        ("A) London", "A", 1.0),
    ],
)
def test_the_article_is_no_answer(gold, response, score):
    assert choose(response, gold).score == score


@pytest.mark.parametrize(
    ("gold", "response", "score"),
    [
        ("I", "I", 1.0),
        ("I", "(I)", 1.0),
        ("I", "The answer is I.", 1.0),
        ("I", "The answer is I think unclear.", 0.0),
        ("I", "I think so", 0.0),
        ("I", "I am sure.", 0.0),
        ("I", "I, for one, agree", 0.0),
        ("I", "I. Copper", 1.0),
        ("B", "I think B.", 1.0),
        ("B", "I choose B", 1.0),
        ("B", "I am sure: the answer is B", 1.0),
        ("B", "I'd say B", 1.0),
        ("J", "\\boxed{J}", 1.0),
    ],
)
def test_the_pronoun_is_no_answer(gold, response, score):
    assert choose(response, gold, choices="ABCDEFGHIJ").score == score


@pytest.mark.parametrize(
    ("response", "score"),
    [
        ("Paris", 1.0),
        ("paris.", 1.0),
        ("The answer is Paris.", 1.0),
        ("The answer is Paris, of course.", 1.0),
        ("\\boxed{Paris}", 1.0),
        ("\\boxed{\\text{Paris}}", 1.0),
        ("B) Paris", 1.0),
        ("The answer is B) Paris", 1.0),
        ("B", 1.0),
        ("A) London\nB) Paris\nC) Rome\nAnswer: Paris", 1.0),
        ("B) London", 0.0),
        ("The answer is (A) Paris", 0.0),
        ("\\boxed{London}", 0.0),
        ("Paris or London", 0.0),
        ("Paris\nLondon", 0.0),
        ("The answer is Paris. \\boxed{A}", 0.0),
        ("not Paris", 0.0),
        ("maybe Paris", 0.0),
        ("Rome", 0.0),
    ],
)
def test_texts_answer_too(response, score):
    found = choose(response, texts=CAPITALS)
    assert found.score == score, found.why
    assert choose(response, choices=CAPITALS).score == score
    assert choose(response, texts=list(CAPITALS.values())).score == score


def test_doubt_within_a_choice_is_no_doubt():
    assert choose("D) It might be none of these", "D", texts=CAPITALS).score == 1.0
    assert choose("The answer is D) It might be none of these", "D").score == 1.0
    assert choose("(B) Paris or its suburbs").score == 1.0
    assert choose("The answer is (B) C").score == 1.0


@pytest.mark.parametrize(
    ("choices", "gold", "response", "score"),
    [
        ("1234", "2", "2", 1.0),
        ("1234", "2", "(2)", 1.0),
        ("1234", "2", "The answer is 2.", 1.0),
        ("1234", "2", "2) Paris", 1.0),
        ("1234", "2", "2.5", 0.0),
        ("1234", "2", "0.2", 0.0),
        ("1234", "2", "12", 0.0),
        ("1234", "2", "The answer is 2 or 3", 0.0),
        ("1234", "2", "The answer is 5.", 0.0),
        (["A", "B"], "B", "B", 1.0),
        (["1", "2", "10"], "10", "The answer is 10.", 1.0),
        (["1", "2", "10"], "1", "The answer is 10.", 0.0),
        (["true", "false"], "true", "True", 1.0),
        (["true", "false"], "true", "The answer is true.", 1.0),
        (["true", "false"], "true", "true or false", 0.0),
        (["true", "false"], "true", "untrue", 0.0),
        (["yes", "no"], "no", "No, because it is heavy.", 1.0),
        (["yes", "no"], "no", "No", 1.0),
        (["yes", "no"], "no", "Yes", 0.0),
        (["yes", "no"], "yes", "Yes.", 1.0),
        ("АБВГ", "Б", "Б", 1.0),
        ("АБВГ", "Б", "Ответ: Б", 1.0),
        ("αβγδ", "β", "β", 1.0),
        ("甲乙丙丁", "乙", "答案是乙。", 1.0),
        ("abcd", "b", "B", 1.0),
        ("AB", "B", "C", 0.0),
    ],
)
def test_other_labels(choices, gold, response, score):
    found = choose(response, gold, choices=choices)
    assert found.score == score, found.why


@pytest.mark.parametrize(
    ("gold", "options"),
    [
        (None, {}),
        ("", {}),
        ("E", {}),
        ("A or B", {}),
        ("B", {"choices": ""}),
        ("B", {"choices": "B"}),
        ("B", {"choices": "BB"}),
        ("B", {"choices": 5}),
        ("B", {"choices": ["A", ""]}),
        ("B", {"texts": {"Z": "Paris"}}),
        ("B", {"texts": ["Paris"]}),
        ("B", {"texts": 7}),
        ("B", {"choices": [str(number) for number in range(1000)]}),
    ],
)
def test_a_wrong_prompt_is_no_reward(gold, options):
    found = choose("B", gold, **options)
    assert (found.score, found.status) == (None, Status.INFRA_ERROR)
    assert "correct the prompt" in found.why
