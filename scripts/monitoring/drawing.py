"""Draws the panels of a dashboard as one SVG, in Grafana's layout, without Grafana.

No more than the dashboard uses: single values, lines, stacks, bars and states.
"""

from html import escape
from itertools import pairwise

from .units import readable, ticks

WIDTH = 1200
COLUMN = WIDTH / 24
ROW = 30  # pixels of a unit of Grafana's grid
GAP = 8
TITLE = 24
LEGEND = 16  # of one line
AXIS_LEFT, AXIS_TOP, AXIS_BOTTOM = 52, 5, 18

SERIES = ("#73bf69", "#5794f2", "#f2994a", "#e0607e", "#b877d9", "#d9af27", "#3fb6b2", "#8ab8ff", "#c4162a", "#8e8e8e")
NAMED = {"green": "#56a64b", "yellow": "#d9a406", "orange": "#f2994a", "red": "#e02f44", "blue": "#3274d9"}
PAGE, CARD, EDGE, TEXT, FAINT = "#f4f5f5", "#ffffff", "#dcdfe3", "#24292e", "#5f6873"


class Drawing:
    """One picture, panel by panel."""

    def __init__(self, start, end):
        self.start, self.end = start, end
        self._parts = []
        self._height = GAP

    def add(self, panel, top, series):
        """Draws a panel at its place, `top` being the grid's line where the picture begins. The series are names and
        points."""
        grid = panel.grid
        x, y = grid["x"] * COLUMN + GAP / 2, (grid["y"] - top) * ROW + GAP / 2
        width, height = grid["w"] * COLUMN - GAP, grid["h"] * ROW - GAP
        self._height = max(self._height, y + height + GAP)
        if panel.kind == "row":
            self._text(x + 4, y + height - 4, panel.title, 14, weight=600)
            return
        self._rect(x, y, width, height, CARD, stroke=EDGE, rx=3)
        self._text(x + 10, y + 17, panel.title, 12, weight=600)
        inner = (x + 10, y + TITLE, width - 20, height - TITLE - 6)
        kinds = {"stat": self._stat, "timeseries": self._lines, "state-timeline": self._states}
        kinds[panel.kind](panel, inner, series)

    def svg(self, caption):
        """The whole picture, with a line that says what it shows."""
        height = self._height + 22
        self._text(8, height - 9, caption, 11, fill=FAINT)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img"'
            f' font-family="Inter, Helvetica, Arial, sans-serif"><title>{escape(caption)}</title>'
            f'<rect width="100%" height="100%" fill="{PAGE}"/>' + "\n".join(self._parts) + "</svg>\n"
        )

    def _stat(self, panel, inner, series):
        x, y, width, height = inner
        # Names instead of values, where the panel says so.
        names = panel.json["options"].get("textMode") == "name"
        shown = [(name, points[-1][1]) for name, points in series if points]
        size = 30 if len(shown) == 1 else 19
        for place, (name, value) in enumerate(shown):
            middle = y + height * (place + 0.5) / len(shown) + size / 3
            text = name if names else readable(value, panel.unit)
            room = width if len(shown) == 1 else width - 6 * len(name) - 8
            size_here = min(size, room / (0.6 * len(text)))
            self._text(x, middle, text, size_here, fill=self._threshold(panel, value), weight=600)
            if len(shown) > 1:
                self._text(x + width, middle, name, 11, fill=FAINT, anchor="end")

    def _lines(self, panel, inner, series):
        x, y, width, height = inner
        custom = panel.defaults["custom"]
        bars = custom["drawStyle"] == "bars"
        layers = stack(series) if custom["stacking"]["mode"] == "normal" else [(n, p, None) for n, p in series]
        highest = max((value for _, points, _ in layers for _, value in points), default=0)
        top = panel.defaults.get("max") or highest * 1.08 or 1
        colours = [colour_of(panel, name, number) for number, (name, _) in enumerate(series)]
        legend = [(s[0], colour) for s, colour in zip(series, colours, strict=True) if any(value for _, value in s[1])]
        lines = self._legend(legend, x, y + height, width)
        x, width = x + AXIS_LEFT, width - AXIS_LEFT
        y, height = y + AXIS_TOP, height - AXIS_TOP - AXIS_BOTTOM - lines * LEGEND
        self._axes(panel, (x, y, width, height), top)
        if not highest:
            self._text(x + width / 2, y + height / 2, "0 throughout", 11, fill=FAINT, anchor="middle")

        def place(at, value):
            return x + width * (at - self.start) / (self.end - self.start), y + height * (1 - min(value / top, 1))

        for number, (_, points, below) in reversed(list(enumerate(layers))):
            if not any(value for _, value in series[number][1]):
                continue
            colour = colours[number]
            if bars:
                self._bars(points, below, place, colour)
                continue
            if below is not None:
                outline = path([place(*point) for point in points] + [place(*point) for point in reversed(below)])
                self._parts.append(f'<path d="{outline}Z" fill="{colour}" fill-opacity=".3"/>')
            line = "".join(path([place(*point) for point in stretch]) for stretch in stretches(points))
            self._parts.append(f'<path d="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')

    def _bars(self, points, below, place, colour):
        floors = dict(below or [])
        for at, value in points:
            floor = floors.get(at, 0)
            if value > floor:
                (px, py), (_, bottom) = place(at, value), place(at, floor)
                self._rect(px - 2, py, 4, bottom - py, colour)

    def _axes(self, panel, plot, top):
        x, y, width, height = plot
        for tick in ticks(top, panel.unit):
            level = y + height * (1 - tick / top)
            self._rect(x, level, width, 0.5, EDGE)
            self._text(x - 6, level + 4, readable(tick, panel.unit), 10, fill=FAINT, anchor="end")
        minute = 60
        for at in range(0, int(self.end - self.start) + 1, minute):
            px = x + width * at / (self.end - self.start)
            # The last name would stand beyond the edge.
            anchor = "middle" if px < x + width - 20 else "end"
            self._text(px, y + height + 14, f"{at // minute} min", 10, fill=FAINT, anchor=anchor)

    def _states(self, panel, inner, series):
        x, y, width, height = inner
        named = panel.defaults["mappings"][0]["options"]
        legend = [(value["text"], NAMED[value["color"]]) for value in named.values()]
        lines = self._legend(legend, x, y + height, width)
        height -= lines * LEGEND + 4
        each = min(height / max(len(series), 1), 34)
        for number, (_, points) in enumerate(series):
            step = points[1][0] - points[0][0] if len(points) > 1 else 1
            for at, until, value in runs(points, step):
                left, right = (x + width * (t - self.start) / (self.end - self.start) for t in (at, until))
                colour = NAMED[named[f"{value:g}"]["color"]]
                self._rect(left, y + number * each + 6, min(right, x + width) - left, each - 6, colour)

    def _legend(self, entries, x, bottom, width):
        """Draws the names of the series from the bottom up; returns how many lines that took."""
        lines, taken = [[]], 0
        for name, colour in entries:
            need = 22 + 5.9 * len(name)
            if lines[-1] and taken + need > width:
                lines.append([])
                taken = 0
            lines[-1].append((taken, name, colour))
            taken += need
        for number, line in enumerate(lines):
            y = bottom - (len(lines) - 1 - number) * LEGEND
            for offset, name, colour in line:
                self._rect(x + offset, y - 6, 10, 3, colour)
                self._text(x + offset + 14, y, name, 10.5, fill=FAINT)
        return len(lines) if entries else 0

    def _threshold(self, panel, value):
        colour = "blue"
        for step in panel.defaults["thresholds"]["steps"]:
            if step["value"] is None or value >= step["value"]:
                colour = step["color"]
        return NAMED.get(colour, TEXT)

    def _text(self, x, y, text, size, fill=None, weight=400, anchor="start"):
        fill = fill or TEXT
        more = f' font-weight="{weight}"' if weight != 400 else ""
        more += f' text-anchor="{anchor}"' if anchor != "start" else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:.1f}" fill="{fill}"{more}>{escape(text)}</text>'
        )

    def _rect(self, x, y, width, height, fill, stroke=None, rx=0):
        more = f' stroke="{stroke}"' if stroke else ""
        more += f' rx="{rx}"' if rx else ""
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{max(height, 0):.1f}" fill="{fill}"{more}/>'
        )


def colour_of(panel, name, number):
    """The colour that the panel gives a series of this name, or that of its place."""
    for override in panel.json["fieldConfig"]["overrides"]:
        if override["matcher"] == {"id": "byName", "options": name}:
            return NAMED[override["properties"][0]["value"]["fixedColor"]]
    return SERIES[number % len(SERIES)]


def stack(series):
    """Each series on top of those before it: name, upper points, lower points."""
    floor, layers = {}, []
    for name, points in series:
        below = [(at, floor.get(at, 0.0)) for at, _ in points]
        above = [(at, floor.get(at, 0.0) + value) for at, value in points]
        floor.update(above)
        layers.append((name, above, below))
    return layers


def path(places):
    """The places as SVG joins them by lines."""
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in places)


def stretches(points):
    """The points without a gap between them: where nothing was measured, no line says otherwise."""
    step = min((after[0] - before[0] for before, after in pairwise(points)), default=0)
    stretch = []
    for point in points:
        if stretch and point[0] - stretch[-1][0] > 2 * step:
            yield stretch
            stretch = []
        stretch.append(point)
    if stretch:
        yield stretch


def runs(points, step):
    """Stretches of one value: from, until, value."""
    stretch = None
    for at, value in points:
        if stretch and stretch[2] == value:
            stretch = (stretch[0], at + step, value)
            continue
        if stretch:
            yield stretch
        stretch = (at, at + step, value)
    if stretch:
        yield stretch
