"""The simulated model: finds out what is asked, and answers it, rightly as often as its tier would."""

import random

from examples.provider_simulator import wording
from examples.provider_simulator.answer import Answer, ToolCall
from examples.provider_simulator.conversation import Conversation, Tool
from examples.provider_simulator.prices import Model
from examples.provider_simulator.solvers import arithmetic, classification, comparison, extraction, lookup, tool_choice
from examples.provider_simulator.solvers.solution import Solution
from examples.provider_simulator.task import Task, read_task
from examples.provider_simulator.tiers import MISTAKEN, RIGHT, draw


class Mind:
    """Which answers are right is fixed by `seed`; `wording` is a source of its own that varies the words."""

    def __init__(self, seed: int, wording_source: random.Random) -> None:
        self._seed = seed
        self._wording = wording_source

    def answer(self, conversation: Conversation, model: Model) -> Answer:
        task = read_task(conversation)
        tools = tuple(tool for tool in conversation.tools if tool.name and not conversation.tools_off)
        if conversation.forced_tool and tools:
            return self._forced(conversation.forced_tool, tools, task, model)
        if conversation.schema is not None:
            found = extraction.solve(conversation.schema, task.text, task.instructions)
            return Answer(self._decide(found, task, model))
        if tools:
            return self._act(tools, task)
        return Answer(self._say(task, model))

    def _forced(self, name: str, tools: tuple[Tool, ...], task: Task, model: Model) -> Answer:
        tool = next((tool for tool in tools if tool.name == name), tools[0])
        free = tool_choice.choose(tools, task.text) if name == "*" and len(tools) > 1 else None
        if free:
            return Answer(calls=(free,))
        found = extraction.solve(tool.schema, task.text, task.instructions)
        return Answer(calls=(ToolCall(tool.name, self._decide(found, task, model)),))

    def _act(self, tools: tuple[Tool, ...], task: Task) -> Answer:
        """An agent's turn: a tool call when the user has just named one, else a word on how it goes."""
        call = tool_choice.choose(tools, task.text) if task.user_spoke_last else None
        text = wording.progress(self._wording)
        return Answer(text, (call,)) if call else Answer(text)

    def _say(self, task: Task, model: Model) -> str:
        same = comparison.solve(task.text)
        if same:
            return self._decide(same, task, model)
        label = classification.solve(task.instructions, task.text)
        if label:
            return self._decide(label, task, model)
        number = arithmetic.solve(task.question)
        if number:
            return wording.number(self._decide(number, task, model), self._wording)
        fact = lookup.solve(task.context, task.question, task.earlier_question)
        if fact:
            return wording.fact(self._decide(fact, task, model), self._wording)
        return wording.unknown(self._wording)

    def _decide(self, solution: Solution, task: Task, model: Model) -> str:
        """The right answer, or a plausible wrong one: the same each time for the same seed, model and content."""
        luck = draw(self._seed, model.name, solution.kind, *task.content)
        right = 0.0 if model.tier == MISTAKEN else RIGHT[model.tier][solution.difficulty]
        if luck < right or not solution.wrong:
            return solution.right
        return solution.wrong[int((luck - right) / (1 - right) * len(solution.wrong)) % len(solution.wrong)]
