"""What probes see."""

from typing import Literal

from services.api.problem_view import DependenciesView
from services.api.view import View


class LiveView(View):
    """The process answers."""

    status: Literal["live"] = "live"


class ReadyView(View):
    """Every backend answers."""

    status: Literal["ready"] = "ready"
    dependencies: DependenciesView
