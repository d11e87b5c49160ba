"""Measures the contrast of texts with what is behind them, as WCAG 2 defines it, in a browser."""

from __future__ import annotations

from typing import Any

READABLE = 4.5
"""The lowest contrast at which small text is readable (WCAG 2, level AA)."""

_MEASURE = """elements => {
  const channel = part =>
    part <= 10.31475 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4;
  const light = rgb => {
    const [r, g, b] = rgb.slice(0, 3).map(channel);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const parse = colour => colour.match(/[\\d.]+/g).map(Number);
  const behind = element => {
    for (; element; element = element.parentElement) {
      const [r, g, b, alpha = 1] = parse(getComputedStyle(element).backgroundColor);
      if (alpha > 0) return [r, g, b];
    }
    return [255, 255, 255];
  };
  return elements.map(element => {
    const ink = light(parse(getComputedStyle(element).color));
    const paper = light(behind(element));
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  });
}"""


def contrasts_of(texts: Any) -> list[float]:
    """The contrast of each of some elements (a locator) with what is behind it."""
    measured: list[float] = texts.evaluate_all(_MEASURE)
    assert measured, "there are no such elements"
    return measured
