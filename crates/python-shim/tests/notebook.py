"""A real kernel, and as much of a front end as it takes to see what a person would see and what would be saved."""

from __future__ import annotations

import queue
import time
from typing import TYPE_CHECKING, Any

import nbformat
from jupyter_client.manager import start_new_kernel

if TYPE_CHECKING:
    from collections.abc import Callable


class Cell:
    """One execution, with outputs merged as a front end merges them."""

    def __init__(self, notebook: Notebook, code: str, *, stop_on_error: bool) -> None:
        self._notebook = notebook
        self._shown: dict[str, list[int]] = {}
        self._message_id = notebook.client.execute(
            code, allow_stdin=notebook.allow_stdin, store_history=True, stop_on_error=stop_on_error
        )
        self.node = nbformat.v4.new_code_cell(code)
        self.states: list[str] = []
        self.done = False

    @property
    def outputs(self) -> list[Any]:
        return self.node.outputs

    def until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        ends = time.monotonic() + seconds
        while not condition():
            left = ends - time.monotonic()
            assert left > 0, f"the cell did not get there in time; it shows {self.outputs}"
            try:
                self._take(self._notebook.client.get_iopub_msg(timeout=min(left, 0.2)))
            except queue.Empty:
                continue

    def finish(self, seconds: float = 60) -> Cell:
        self.until(lambda: self.done, seconds)
        return self

    @property
    def html(self) -> list[str]:
        return [output.data["text/html"] for output in self.outputs if "text/html" in output.get("data", {})]

    @property
    def text(self) -> str:
        return "".join(output.text for output in self.outputs if output.output_type == "stream")

    @property
    def error(self) -> Any:
        return next((output for output in self.outputs if output.output_type == "error"), None)

    def _take(self, message: dict[str, Any]) -> None:
        if message["parent_header"].get("msg_id") != self._message_id:
            return
        kind, content = message["msg_type"], message["content"]
        if kind == "status" and content["execution_state"] == "idle":
            # Only with the reply: ipykernel 7 may lose a request that comes while it sends one.
            self._notebook.wait_for_reply(self._message_id)
            self.done = True
        elif kind == "update_display_data":
            for index in self._shown.get(content["transient"]["display_id"], []):
                self.outputs[index].update(data=nbformat.from_dict(content["data"]))
        elif kind in {"display_data", "execute_result", "stream", "error"}:
            self.outputs.append(nbformat.v4.output_from_msg(message))
            identity = content.get("transient", {}).get("display_id")
            if identity:
                self._shown.setdefault(identity, []).append(len(self.outputs) - 1)
        self.states.extend(self.html)


class Notebook:
    def __init__(self, environment: dict[str, str], *, allow_stdin: bool = True) -> None:
        self.allow_stdin = allow_stdin
        self.manager, self.client = start_new_kernel(kernel_name="python3", env=environment, startup_timeout=60)
        self.cells: list[Cell] = []
        self._replied: set[str] = set()

    def start(self, code: str, *, stop_on_error: bool = False) -> Cell:
        """Run a cell. With `stop_on_error` its failure drops the cells that wait behind it, or come a moment later."""
        self.cells.append(Cell(self, code, stop_on_error=stop_on_error))
        return self.cells[-1]

    def run(self, code: str) -> Cell:
        return self.start(code).finish()

    def interrupt(self) -> None:
        self.manager.interrupt_kernel()

    def wait_for_reply(self, message_id: str) -> None:
        while message_id not in self._replied:
            reply = self.client.get_shell_msg(timeout=60)
            self._replied.add(reply["parent_header"].get("msg_id"))

    def saved(self) -> str:
        """Give the text of the file that a front end would save now."""
        notebook = nbformat.v4.new_notebook(cells=[cell.node for cell in self.cells])
        nbformat.validate(notebook)
        return nbformat.writes(notebook)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
