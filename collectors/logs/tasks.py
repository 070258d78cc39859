"""Hung tasks: kernel/hung_task.c names each blocked task and then prints it as sched_show_task() does."""

from __future__ import annotations

from kbmatch.collectors.logs.draft import Draft
from kbmatch.collectors.logs.trace import parse_frame, starts_trace
from kbmatch.engine.signature import Frame, HungTask

_STOP = (
    "Showing all locks held",
    "NMI backtrace for cpu",
    "Sending NMI",
    "Kernel panic",
    "Kernel Offset",
    "=====",
)
_MAX_TASKS = 1000
_MAX_FRAMES = 256


def hung_tasks(draft: Draft) -> tuple[HungTask, ...]:
    """The tasks of a hung-task report in log order, each with the trace that follows it."""
    starts = [(line.number, match.groups) for match, line in draft.heads if match.head.kind == "hung-task"]
    tasks: list[HungTask] = []
    lines = sorted(draft.lines, key=lambda line: line.number)
    position = 0
    for at, (number, groups) in enumerate(starts[:_MAX_TASKS]):
        end = starts[at + 1][0] if at + 1 < len(starts) else None
        frames: list[Frame] = []
        traced = done = False
        while position < len(lines) and lines[position].number <= number:
            position += 1
        while position < len(lines) and (end is None or lines[position].number < end):
            text = lines[position].text
            position += 1
            if done:
                continue
            if starts_trace(text):
                done = traced and bool(frames)
                traced = True
                continue
            if text.startswith(_STOP):
                done = True
                continue
            frame = parse_frame(text)
            if frame and len(frames) < _MAX_FRAMES:
                frames.extend(frame.frames[-1:] if frames else frame.frames)
        tasks.append(HungTask(groups.get("comm") or None, int(groups["pid"]), int(groups["seconds"]), tuple(frames)))
    return tuple(tasks)
