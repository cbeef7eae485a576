"""The charts that a page may hold, under one name."""

from howdah.scripts.reports.bars import Bar, bars
from howdah.scripts.reports.chart import Chart
from howdah.scripts.reports.lines import Dot, Line, Rule, lines, steps
from howdah.scripts.reports.scales import Axis
from howdah.scripts.reports.wins import Change, wins

__all__ = ["Axis", "Bar", "Change", "Chart", "Dot", "Line", "Rule", "bars", "lines", "steps", "wins"]
