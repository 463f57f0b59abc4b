"""Numbers as a person reads them, by Grafana's names of the units."""

import math


def _short(value):
    for limit, divisor, suffix in ((1e9, 1e9, " Bil"), (1e6, 1e6, " Mil"), (1e4, 1e3, " K")):
        if abs(value) >= limit:
            return f"{value / divisor:.3g}{suffix}"
    return f"{value:.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"


def _duration(seconds):
    for limit, divisor, suffix in ((172800, 86400, " d"), (7200, 3600, " h"), (120, 60, " min"), (1, 1, " s")):
        if abs(seconds) >= limit:
            count = seconds / divisor
            return f"{count:.0f}{suffix}" if count >= 10 or count == int(count) else f"{count:.1f}{suffix}"
    return f"{seconds * 1000:.3g} ms" if seconds else "0 s"


def _bytes(value):
    for limit, suffix in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if abs(value) >= limit:
            return f"{value / limit:.3g} {suffix}"
    return f"{value:.0f} B"


def _percent(share):
    # 99.96 % is not 100 %.
    return f"{share * 100:.4g} %"


def readable(value, unit):
    """The value in words of its unit."""
    if math.isinf(value):
        return "endless"
    return {
        "s": _duration,
        "bytes": _bytes,
        "percentunit": _percent,
        "cps": lambda rate: f"{_short(round(rate, 1))}/s",
    }.get(unit, _short)(value)


def ticks(top, unit, count=4):
    """Round numbers from 0 on, about so many."""
    raw = top / count
    magnitude = 10 ** math.floor(math.log10(raw))
    decimal = [m * magnitude for m in (1, 2, 2.5, 5, 10)]
    # Beyond some seconds a clock is not decimal.
    clock = [15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400]
    steps = clock if unit == "s" and 10 < raw <= clock[-1] else decimal
    step = next(step for step in steps if step >= raw)
    return [n * step for n in range(math.floor(top / step + 1e-9) + 1)]
