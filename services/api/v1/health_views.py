"""What probes see."""

from typing import Literal

from services.api.http.problem_views import DependenciesView
from services.api.http.view import View


class LiveView(View):
    """The process answers."""

    status: Literal["live"] = "live"


class ReadyView(View):
    """Every backend answers."""

    status: Literal["ready"] = "ready"
    dependencies: DependenciesView
