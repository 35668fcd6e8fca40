"""Chart, profiles and policies in, one frozen snapshot out: operator, plan, desktop and tests call this."""

from cadre_core.compile.chart import compile_chart

__all__ = ["compile_chart"]
