"""Prompt templates: the shipped ones, what a row makes of them, and what neither data nor template can do."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import templates
from engine.errors import UserError
from engine.templates import Template, TemplateFailed, fill, load
from tests.conftest import CASES

SHIPPED = templates.names()
ANSWERING = load("question-answer")

ODD_NAMES = [
    "Review Text", "a.b", "评论", "for", "{{x}}", "[red]col[/red]", "items", "keys", "self", "range", "loop",
    "", "'", "__class__", "(work)", 'quote"d',
]  # fmt: skip


def made(
    prompt: str, answer: str = "{{ b }}", columns: tuple[str, ...] = ("a", "b"), **more: Any
) -> Template:
    document = {
        "name": "mine", "task": "t", "language": "en", "metric": "exact", "description": "d",
        "columns": dict.fromkeys(columns, "a cell"), "wordings": [{"prompt": prompt, "answer": answer}],
        **more,
    }  # fmt: skip
    return templates.parse(document, "mine.toml")


def prompt_of(prompt: str, a: Any = "A") -> str:
    return fill(made(prompt), {"a": a, "b": "B"}).prompt


def failure(prompt: str, a: Any = "A") -> str:
    with pytest.raises(TemplateFailed) as failed:
        prompt_of(prompt, a)
    return failed.value.reason


def refusal(document: str) -> str:
    with pytest.raises(UserError) as refused:
        templates.parse(tomllib.loads(document), "mine.toml", document)
    return str(refused.value)


# The shipped library


def test_the_library_has_each_task_in_both_languages() -> None:
    tasks = {"en": set(), "zh": set()}
    for name in SHIPPED:
        template = load(name)
        tasks[template.language].add(template.task)
        assert name.endswith("-zh") == (template.language == "zh")
    assert tasks["en"] == tasks["zh"] and len(tasks["en"]) == 20


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_template_works_on_its_sample(name: str) -> None:
    template = load(name)
    filled = [fill(template, template.sample, {}, wording) for wording in range(len(template.wordings))]
    assert len(filled) >= 3
    assert len({one.prompt for one in filled}) == len(filled)
    assert len({one.answer for one in filled}) == 1
    assert not any(one.notes for one in filled)
    assert set(template.sample) == set(template.columns) == set(template.says)
    assert all(template.says[column] for column in template.columns)
    for wording in template.wordings:
        read = templates.columns_read(wording.prompt, wording.answer) - {"choice", "choices"}
        assert read | ({template.label} if template.label else set()) == set(template.columns)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_prompt_does_not_tell_the_answer(name: str) -> None:
    template = load(name)
    for wording in template.wordings:
        if wording.answer == "{{ choice }}":
            rows = [template.sample | {template.label: choice} for choice in template.choices]
            one = Template(**{**vars(template), "wordings": (wording,)})
            assert len({fill(one, row).prompt for row in rows}) == 1
            assert [fill(one, row).answer for row in rows] == list(template.choices)
        elif "choice" not in wording.prompt:
            changed = dict.fromkeys(templates.columns_read(wording.answer), "QQ #### QQ")
            only_asked = templates.columns_read(wording.prompt)
            row = template.sample | {key: text for key, text in changed.items() if key not in only_asked}
            assert "QQ" not in fill(Template(**{**vars(template), "wordings": (wording,)}), row).prompt


@pytest.mark.parametrize("name", SHIPPED)
def test_a_template_survives_being_written(name: str) -> None:
    template = load(name)
    assert templates.parse(tomllib.loads(templates.dumps(template)), name) == template


# A row


def test_wordings_are_taken_in_turns() -> None:
    template = load("text-summary")
    count = len(template.wordings)
    assert fill(template, template.sample, {}, 0) == fill(template, template.sample, {}, count)
    assert fill(template, template.sample, {}, 0) != fill(template, template.sample, {}, 1)


def test_columns_are_mapped_and_other_cells_ignored() -> None:
    row = {"Review Text": "fine", "y": "1", "review": "not this"}
    filled = fill(load("review-sentiment"), row, {"review": "Review Text", "label": "y"})
    assert "fine" in filled.prompt and "not this" not in filled.prompt and filled.answer == "positive"
    with pytest.raises(TemplateFailed, match=r"no column `nowhere` \(for `review`\)"):
        fill(load("review-sentiment"), row, {"review": "nowhere", "label": "y"})


@pytest.mark.parametrize(
    ("label", "choice"),
    [(0, "negative"), (1, "positive"), (1.0, "positive"), (True, "positive"), ("1", "positive"),
     ("1.0", "positive"), (" 0 ", "negative"), ("positive", "positive"), ("NEGATIVE", "negative")],
)  # fmt: skip
def test_a_label_is_a_number_or_the_words(label: Any, choice: str) -> None:
    assert fill(load("review-sentiment"), {"review": "x", "label": label}).answer == choice


@pytest.mark.parametrize("label", [2, -1, "1.5", "maybe", "", "nan", "inf", 10**400])
def test_a_label_that_is_no_choice_is_named_with_the_choices(label: Any) -> None:
    with pytest.raises(TemplateFailed) as failed:
        fill(load("review-sentiment"), {"review": "x", "label": label})
    assert failed.value.reason.startswith(f"`label` is {str(label)[:80]!r}, none of the choices: 0 negative")


@pytest.mark.parametrize("label", [None, [], {}, float("nan")])
def test_a_label_that_is_no_text_is_refused(label: Any) -> None:
    with pytest.raises(TemplateFailed, match="`label`"):
        fill(load("review-sentiment"), {"review": "x", "label": label})


def test_numbers_as_choices_are_never_places_in_their_list() -> None:
    template = load("review-stars")
    assert [fill(template, {"review": "x", "stars": n}).answer for n in (1, "2", 3.0, "4.0")] == list("1234")
    with pytest.raises(TemplateFailed, match="`stars` is '0', none of the choices: 1, 2, 3, 4, 5"):
        fill(template, {"review": "x", "stars": 0})


@pytest.mark.parametrize(
    ("value", "text"), [(1, "1"), ("1.0", "1.0"), (1.5, "1.5"), (0, "0"), ("007", "007"), (1e22, "1e+22")]
)
def test_numbers_are_written_as_they_stand(value: Any, text: str) -> None:
    assert prompt_of("{{ a }}", value) == text


@pytest.mark.parametrize(
    ("value", "reason"),
    [({"x": 1}, "`a` is an object: name a field of it"),
     ([1], "`a` is a list: name an item of it, or join it"),
     (None, "`a` is empty (null)"), (float("nan"), "`a` is no number (nan)"),
     (b"x", "`a` is neither text nor a number (bytes)")],
)  # fmt: skip
def test_what_is_no_text_is_not_written_as_python_writes_it(value: Any, reason: str) -> None:
    assert failure("{{ a }}", value) == reason
    assert failure("{{ 'x' ~ a }}", value) == reason
    assert "is a truth value" in failure("{{ a }}", True)


def test_nested_values_are_reached_by_name_and_number() -> None:
    assert prompt_of("{{ a.prompt.text }}", {"prompt": {"text": "deep"}}) == "deep"
    assert prompt_of("{{ a.text[0] }}", {"text": ["first"]}) == "first"
    assert prompt_of("{{ a.items }}", {"items": "cell"}) == "cell"
    assert prompt_of("{{ a | map(attribute='t') | join(', ') }}", [{"t": "x"}, {"t": 2}]) == "x, 2"
    assert prompt_of("{% for k, v in a | items %}{{ k }}={{ v }};{% endfor %}", {"x": 1}) == "x=1;"
    assert prompt_of("{{ a | tojson }}", {"ü": [1, None]}) == '{"ü": [1, null]}'
    assert failure("{{ a.txt }}", {"text": 1}) == "there is no `txt`; there are: text"
    assert failure("{{ a.text[3] }}", {"text": ["x"]}) == "there is no item 3 in a list of 1"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_column_names_are_reached_through_row(name: str) -> None:
    template = made("<{{ row[" + json.dumps(name, ensure_ascii=False) + "] }}>", "yes", (name,))
    assert fill(template, {name: "the cell"}).prompt == "<the cell>"


def test_a_column_in_any_script_is_a_name() -> None:
    assert fill(made("{{ 评论 }}!", "x", ("评论",)), {"评论": "好"}).prompt == "好!"
    assert fill(made("{{ row.items }}", "x", ("items",)), {"items": "cell"}).prompt == "cell"


def test_a_missing_column_and_an_empty_answer_are_named() -> None:
    with pytest.raises(TemplateFailed, match="the row has no column `b`"):
        fill(made("{{ a }}"), {"a": "x"})
    with pytest.raises(TemplateFailed, match="there is no `b`; there are: a"):
        fill(made("{{ row.b }}"), {"a": "x"})
    with pytest.raises(TemplateFailed, match="the answer is empty"):
        fill(made("{{ a }}"), {"a": "x", "b": " \n"})
    with pytest.raises(TemplateFailed, match="the prompt is empty"):
        fill(made("{{ a }}"), {"a": "", "b": "x"})
    assert fill(made("Text: {{ a }}"), {"a": "", "b": "x"}).notes == ("`a` is empty",)


# What data cannot do


@given(st.text(), st.text(min_size=1).filter(str.strip))
def test_any_text_arrives_as_it_is(a: str, b: str) -> None:
    template = made("<<{{ a }}>>{{ row['a'] }}<<", "[[{{ b }}]]")
    filled = fill(template, {"a": a, "b": b})
    assert filled.prompt == f"<<{a}>>{a}<<" and filled.answer == f"[[{b}]]"


CELLS = st.none() | st.text() | st.integers() | st.floats() | st.lists(st.text(max_size=3), max_size=3)


@given(
    st.dictionaries(st.sampled_from(["question", "answer", "row"]) | st.text(max_size=5), CELLS, max_size=5)
)
def test_any_row_is_filled_in_or_refused_in_a_sentence(row: dict[str, Any]) -> None:
    try:
        fill(ANSWERING, row)
    except TemplateFailed as failed:
        assert failed.reason and "\n" not in failed.reason


@pytest.mark.parametrize(
    "text", ["{{ 7*7 }}", "{% for x in y %}", "{# no #}", "{{ ''.__class__ }}", "%s {0} ${x}"]
)
def test_template_text_in_data_stays_text(text: str) -> None:
    for name in ("question-answer", "question-answer-zh"):
        filled = fill(load(name), {"question": text, "answer": text})
        assert filled.prompt == filled.answer == text


# What a template cannot do


@pytest.mark.parametrize(
    "text",
    ["{{ ''.__class__ }}", "{{ a.__class__.__mro__ }}", "{{ a['__class__'] }}", "{{ a.upper.__self__ }}",
     "{{ a | attr('upper') }}", "{{ self }}", "{{ a.format(1) }}", "{{ a.encode() }}",
     "{{ a.strip.__globals__ }}", "{{ range.__call__ }}", "{{ lipsum() }}", "{{ a | random }}",
     "{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}",
     "{{ cycler('a') }}", "{{ namespace() }}"],
)  # fmt: skip
def test_nothing_leads_to_python(text: str) -> None:
    with pytest.raises((TemplateFailed, UserError)):
        prompt_of(text)


@pytest.mark.parametrize(
    "text",
    ["{{ a * 1000000000 }}", "{{ 'x' * 1000000000 }}", "{{ 10 ** 10 ** 8 }}", "{{ a | center(1000000000) }}",
     "{{ a.ljust(1000000000) }}", "{{ '%1000000000d' % 1 }}", "{{ '{:1000000000}'.format(1) }}",
     "{% set x = a ~ a %}" + "{% set x = x ~ x %}" * 60 + "{{ x }}",
     "{% set x = a + a %}" + "{% set x = x + x %}" * 60 + "{{ x }}",
     "{% set x = 999999999 %}" + "{% set x = x * x %}" * 60 + "{{ x }}",
     "{% set x = [1] %}" + "{% set x = [x, x] %}" * 60 + "{{ x | tojson }}",
     "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
     "{% for i in range(100000) %}{{ a }}" + "x" * 100 + "{% endfor %}",
     "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
     "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "{% for x in a %}" * 40 + "{% endfor %}" * 40,
     "{{ 9 | round(-1000000000) }}", "{{ range(1000000000) | join }}"],
)  # fmt: skip
def test_every_template_ends_soon(text: str) -> None:
    with pytest.raises((TemplateFailed, UserError)):
        prompt_of(text)


@pytest.mark.parametrize(
    "text",
    ["{{ a | replace('x', a) }}", "{{ a.replace('x', a) }}", "{{ a | list | join(a) }}",
     "{% for i in range(99999) %}{% if 'yy' in a %}{% endif %}{% endfor %}",
     "{% for i in range(99999) %}{% if a.count('xy') %}{% endif %}{% endfor %}",
     "{% for c in a | list %}{% for d in a | list %}{% endfor %}{% endfor %}", "{{ a }}{{ a }}{{ a }}"],
)  # fmt: skip
def test_a_large_row_is_paid_for(text: str) -> None:
    assert re.search("longer than 4 MiB|takes too long", failure(text, "x" * 2_000_000))


def test_a_large_row_that_is_used_plainly_passes() -> None:
    assert len(prompt_of("Text: {{ a | trim }}", "x" * 4_000_000)) == 4_000_006


# The file


HEAD = 'name = "mine"\ntask = "t"\nlanguage = "en"\nmetric = "exact"\ndescription = "d"\n'
BODY = '[columns]\na = "one"\n[[wordings]]\nprompt = "{{ a }}"\nanswer = "{{ a }}"\n'


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (HEAD.replace("metric", "metrik") + BODY, "metrik: unknown key; did you mean metric?"),
        (HEAD.replace('"exact"', '"bleu"') + BODY, "metric: must be 'exact', 'normalised', "),
        (HEAD.replace('task = "t"\n', "") + BODY, "task: this key is needed"),
        (HEAD.replace('"mine"', '"My Own"') + BODY, "name: 'My Own' must be small letters"),
        (HEAD + BODY.split("[[")[0], "wordings: needed"),
        (HEAD + BODY.replace('answer = "{{ a }}"\n', ""), "wordings.1.answer: this key is needed"),
        (HEAD + BODY + 'reply = "x"\n', "wordings.1.reply: unknown key"),
        (HEAD + BODY.replace('a = "one"', "a = 1"), "columns.a: must be a text"),
        (HEAD + BODY.replace('[columns]\na = "one"\n', ""), "columns: needed"),
        (HEAD + BODY.replace('"{{ a }}"', '"{{ c }}"', 1), "wordings.1.prompt: reads `c`, which is not"),
        (HEAD + 'choices = ["x", "y"]\n' + BODY, "label: needed with choices"),
        (HEAD + 'label = "a"\n' + BODY, "label: has a meaning only with choices"),
        (HEAD + 'choices = ["x", "X"]\nlabel = "a"\n' + BODY, "choices: at least two"),
        (HEAD + BODY.replace("a = ", "row = "), "columns: row, choice and choices have a meaning"),
        (HEAD + BODY.replace('"{{ a }}"', '"""\n\n{{ a\n"""', 1), "mine.toml, line 11: wordings.1.prompt: "),
        (HEAD + BODY.replace('"{{ a }}"', '"{{ a|no }}"', 1), "line 9: wordings.1.prompt: No filter"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_its_place(document: str, said: str) -> None:
    message = refusal(document)
    assert message.startswith("mine.toml") and said in message and "\n" not in message


def test_a_file_of_ones_own_is_saved_found_and_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "templates"
    template = made('a "quoted" \\ line\n\n{{ a }}\r\nend', system="Be {{ a }}.", sample={"a": "x", "n": [1]})
    path = templates.save(template, folder)
    assert [file.name for file in folder.iterdir()] == ["mine.toml"]
    assert load("mine", folder) == load(str(path)) == template
    assert "mine" in templates.names(folder) and "mine" not in templates.names()
    assert templates.save(template, folder) == path


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_the_file(text: str) -> None:
    template = made("{{ a }}", sample={"a": text}, description=text, columns=("a", "b"))
    assert templates.parse(tomllib.loads(templates.dumps(template)), "x") == template


@pytest.mark.parametrize("name", ["../up", "A", "a b", "", "-a", "a--b", "a\n", "review-sentiment"])
def test_a_name_that_would_do_harm_is_not_saved(name: str, tmp_path: Path) -> None:
    template = Template(**{**vars(made("{{ a }}")), "name": name})
    with pytest.raises(UserError):
        templates.save(template, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_toml_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="half an emoji"):
        templates.save(Template(**{**vars(made("{{ a }}")), "description": "\ud800"}), tmp_path)


@pytest.mark.parametrize("name", ["nowhere", "../recipes", "nowhere.toml", "/etc", "."])
def test_a_template_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="no such"):
        load(name)


# Which templates fit


def test_templates_are_found_by_their_columns_and_other_names() -> None:
    fits = {template.name: mapping for template, mapping in templates.fitting(["TEXT", "Label", "id"])}
    assert fits["review-sentiment"] == {"review": "TEXT", "label": "Label"}
    assert fits["topic-classification"] == {"text": "TEXT", "label": "Label"}
    assert "text-summary" not in fits
    assert templates.fitting([]) == []


def test_the_closest_template_comes_first_and_no_column_serves_twice() -> None:
    assert templates.fitting(["context", "question", "answer"])[0][0].name == "context-answer"
    assert templates.fitting(["question", "answer"])[0][0].name == "question-answer"
    for template, mapping in templates.fitting(["text", "title", "summary", "label", "stars"]):
        taken = [mapping.get(column, column) for column in template.columns]
        assert len(set(taken)) == len(taken)


def test_own_templates_fit_too_and_broken_ones_are_passed_over(tmp_path: Path) -> None:
    templates.save(made("{{ odd }}", "{{ odder }}", ("odd", "odder")), tmp_path)
    (tmp_path / "broken.toml").write_text("name =")
    assert [fit[0].name for fit in templates.fitting(["odd", "odder"], tmp_path)] == ["mine"]


@pytest.mark.skipif(not CASES.is_dir(), reason="no cases beside this checkout")
def test_real_rows_are_filled_in() -> None:
    line = (CASES / "data" / "gsm8k_test.jsonl").read_text("utf-8").split("\n")[0]
    row = json.loads(line)
    filled = fill(load("worked-problem"), row)
    assert row["question"] in filled.prompt
    assert filled.answer.endswith(f"Answer: {row['answer'].split('#### ')[1]}")
